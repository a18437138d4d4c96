package syntax

import (
	"bytes"
	"net/netip"
	"time"
)

// adblockLine reads the part of AdGuard's filter syntax that speaks of names.
// Whatever else a line carries makes it a rule for browsers.
func (r *Reader) adblockLine(text []byte) string {
	switch {
	case text[0] == '!', text[0] == '[', text[0] == '#' && !cosmetic(text):
		return ""
	case cosmetic(text):
		return Cosmetic
	}
	if c := text[0]; c == ':' || '0' <= c && c <= '9' {
		first, rest := word(text)
		if addr, ok := hostAddr(first); ok && len(rest) > 0 {
			return r.hostNames(addr, uncomment(rest, '#'))
		}
	}
	if i := bytes.Index(text, []byte(" #")); i > 0 {
		text = trim(text[:i]) // an inline comment
	}
	var rule Rule
	if bytes.HasPrefix(text, []byte("@@")) {
		text, rule.Allow, rule.Exception = text[2:], true, true
	}
	if len(text) > 1 && text[0] == '/' {
		return r.regex(rule, text)
	}
	if !rule.Allow && hostLike(text) { // a bare name is a host, and nothing below it
		rule.Name, rule.Scope = text, Exact
		return r.named(rule)
	}
	if i := bytes.IndexByte(text, '$'); i >= 0 {
		if reason := modifiers(&rule, text[i+1:]); reason != "" {
			return reason
		}
		text = text[:i]
	}
	if len(text) > 0 && blank(text[len(text)-1]) {
		text = trim(text)
	}
	return r.pattern(rule, text)
}

// regex reads /…/ with or without modifiers.
func (r *Reader) regex(rule Rule, text []byte) string {
	end := bytes.LastIndexByte(text, '/')
	for end > 0 && end < len(text)-1 && text[end+1] != '$' {
		end = bytes.LastIndexByte(text[:end], '/')
	}
	if end <= 0 {
		return Path
	}
	if rest := text[end+1:]; len(rest) > 0 {
		if reason := modifiers(&rule, rest[1:]); reason != "" {
			return reason
		}
	}
	p, err := NewRegex(string(text[1:end]))
	if err != nil {
		return Regex
	}
	rule.Pattern, rule.Scope = p, Patterns
	r.emit(rule)
	return ""
}

// pattern reads the name part: ||name^ is a subtree; |name^ and |name| are exact;
// ||*.name^ is what lies below; the rest is a pattern over the whole name. A
// pattern for every name is one only where the modifiers say when it holds.
func (r *Reader) pattern(rule Rule, text []byte) string {
	if rest, ok := bytes.CutSuffix(text, []byte("/*")); ok { // any path: the name is all there is
		text = append(bytes.Clone(rest), '^')
	}
	for bytes.HasSuffix(text, []byte("^*")) || bytes.HasSuffix(text, []byte("^^")) { // behind the end of a name there is nothing
		text = text[:len(text)-1]
	}
	restricted := rule.Limits != nil
	if len(text) < minPattern && !restricted {
		if len(bytes.Trim(text, "*.^|")) == 0 {
			return All
		}
		return Short
	}
	body, tree := bytes.CutPrefix(text, []byte("||"))
	begin := false
	if !tree {
		body, begin = bytes.CutPrefix(text, []byte("|"))
		body, begin = afterScheme(body, begin)
	}
	body, end := cutEnd(body)
	if len(bytes.Trim(body, "*.^|")) == 0 {
		if !restricted || len(bytes.Trim(text, ".^")) == 0 && len(text) > 0 || bytes.IndexByte(body, '.') >= 0 {
			return All
		}
		return r.wild(rule, []byte("*"), false, false, false)
	}
	if p, ok := addrLike(body); ok && bytes.IndexByte(body, '/') < 0 {
		rule.Prefix = p
		return r.prefix(rule)
	}
	if reason := unusable(body); reason != "" {
		return reason
	}
	plain := bytes.IndexByte(body, '*') < 0 && body[0] != '.' && body[len(body)-1] != '.'
	switch rest, star := bytes.CutPrefix(body, []byte("*.")); {
	case star && end && bytes.IndexByte(rest, '*') < 0:
		rule.Name, rule.Scope = rest, Below
	case plain && tree && end:
		rule.Name, rule.Scope = body, Subtree
	case plain && begin && end:
		rule.Name, rule.Scope = body, Exact
	default:
		return r.wild(rule, body, tree, begin, end)
	}
	return r.named(rule)
}

// minPattern is the fewest characters of a pattern, its signs and all, that is
// taken where no modifier says when it holds: as AdGuard's engine has it.
const minPattern = 3

func (r *Reader) named(rule Rule) string {
	if !r.emit(rule) {
		return NotName
	}
	return ""
}

// afterScheme cuts http:// and its like off: behind it a name begins.
func afterScheme(body []byte, begin bool) ([]byte, bool) {
	for _, scheme := range []string{"://", "http://", "https://"} {
		if rest, ok := bytes.CutPrefix(body, []byte(scheme)); ok {
			return rest, true
		}
	}
	return body, begin
}

// wild reads a pattern that is no name.
func (r *Reader) wild(rule Rule, body []byte, tree, begin, end bool) string {
	if name := string(bytes.ReplaceAll(body, []byte("*"), nil)); name != "" && !nameLike(name) || bytes.ContainsFunc(body, notASCII) {
		return NotName // a part of a Unicode name has no A-label
	}
	if body[len(body)-1] == '.' && end {
		return NotName // a name never ends in a dot here
	}
	rule.Pattern, rule.Scope = newGlob(body, tree, begin, end), Patterns
	r.emit(rule)
	return ""
}

func notASCII(c rune) bool { return c >= 0x80 }

// hostLike says whether a line is a name and nothing else: then it is a host. The
// last label has two letters at least, and begins and ends with one; a word like
// "-ad-sidebar." or "x.y2" is a fragment instead.
func hostLike(b []byte) bool {
	if len(b) > 253 {
		return false
	}
	label := 0
	for i, c := range b {
		switch {
		case c == '.':
			if i == label || i-label > 63 {
				return false
			}
			label = i + 1
		case c == '-':
			if i == label || i == len(b)-1 || b[i+1] == '.' {
				return false
			}
		case c < 0x80 && !letterOrDigit(c):
			return false
		}
	}
	last := b[label:]
	return len(last) > 1 && len(last) <= 63 && letter(last[0]) && letter(last[len(last)-1])
}

func letter(c byte) bool { return c >= 0x80 || letterOrDigit(c) && c > '9' }

// cutEnd takes ^, | or ^| off the end of a pattern.
func cutEnd(b []byte) (body []byte, end bool) {
	n := len(b)
	b = bytes.TrimSuffix(b, []byte("|"))
	b = bytes.TrimSuffix(b, []byte("^"))
	return b, len(b) < n
}

// unusable tells patterns that match no name by what they contain.
func unusable(body []byte) string {
	switch {
	case bytes.ContainsAny(body, "/?=&:"):
		return Path
	case bytes.ContainsAny(body, "^|"):
		return Separator
	}
	return ""
}

// cosmetic tells the rules that hide parts of pages: ##, #@#, #?#, #$#, #%#,
// $$ and $@$, after any list of names.
func cosmetic(text []byte) bool {
	if i := bytes.IndexByte(text, '#'); i >= 0 && i+1 < len(text) && bytes.IndexByte([]byte("#@?$%"), text[i+1]) >= 0 {
		return true
	}
	if i := bytes.IndexByte(text, '$'); i < 0 {
		return false
	}
	return bytes.Contains(text, []byte("$$")) || bytes.Contains(text, []byte("$@$"))
}

// Limits is when a rule holds. An empty list limits nothing.
type Limits struct {
	Except              []string // names left out with all below them ($denyallow)
	Types, NotTypes     []uint16 // DNS types ($dnstype)
	Clients, NotClients []Client // who asks ($client)
	Tags, NotTags       []string // what asks ($ctag)
	Until               Expiry   // when the rule ceases to hold
}

// Client is one who asks: by name, or by address.
type Client struct {
	Name string
	Net  netip.Prefix // valid when it is an address
}

// Question is what limits are held against, besides the name. What is not known
// is left empty: then a rule for certain clients, tags or types does not hold,
// and one for all but certain ones does.
type Question struct {
	Type   uint16
	Client string
	Addr   netip.Addr
	Tags   []string
	Now    time.Time
}

// Hold says whether a rule with these limits speaks about a name, in canonical
// form, and a question.
func (l *Limits) Hold(name []byte, q *Question) bool {
	for _, e := range l.Except {
		if n := len(name) - len(e); n >= 0 && string(name[n:]) == e && (n == 0 || name[n-1] == '.') {
			return false
		}
	}
	return l.holdType(q) && l.holdClient(q) && l.holdTags(q) && !l.Until.Past(q.Now)
}
