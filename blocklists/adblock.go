package blocklists

import (
	"bytes"
	"net/netip"
)

// adblockLine reads the part of AdGuard's filter syntax that speaks of names.
// Whatever else a line carries makes it a rule for browsers, which is left out
// whole: a rule without its modifiers or its path would stop too much.
func (p *parser) adblockLine(line int, text []byte) {
	switch {
	case text[0] == '!', text[0] == '[', text[0] == '#' && !cosmetic(text):
		return
	case cosmetic(text):
		p.report.ignore(reasonCosmetic, line, text)
		return
	case p.hostsInside(line, text):
		return
	}
	rule, flags := text, byte(0)
	if bytes.HasPrefix(rule, []byte("@@")) {
		rule, flags = rule[2:], flagAllow|flagException
	}
	if reason := p.adblockRule(line, rule, text, flags); reason != "" {
		p.report.ignore(reason, line, text)
	}
}

// hostsInside reads a hosts line that stands in an adblock list.
func (p *parser) hostsInside(line int, text []byte) bool {
	if c := text[0]; c != ':' && (c < '0' || c > '9') {
		return false
	}
	first, rest := word(text)
	addr, ok := hostAddr(first)
	if !ok || len(rest) == 0 {
		return false
	}
	if i := bytes.IndexByte(rest, '#'); i >= 0 {
		rest = trimBlanks(rest[:i])
	}
	p.hostNames(line, addr, rest, text)
	return true
}

// adblockRule keeps the rule, or gives the reason why not.
func (p *parser) adblockRule(line int, rule, text []byte, flags byte) string {
	if len(rule) > 1 && rule[0] == '/' {
		if i := bytes.LastIndexByte(rule, '/'); i > 0 && (i == len(rule)-1 || rule[i+1] == '$') {
			return reasonRegex
		}
		return reasonPath
	}
	if i := bytes.IndexByte(rule, '$'); i >= 0 {
		more, reason := modifiers(rule[i+1:])
		if reason != "" {
			return reason
		}
		rule, flags = rule[:i], flags|more
	}
	return p.pattern(line, rule, text, flags)
}

// modifiers reads what follows the dollar sign. Only important is honoured; any
// other makes the rule one to leave out.
func modifiers(list []byte) (flags byte, reason string) {
	for m := range bytes.SplitSeq(list, []byte(",")) {
		name, _, _ := bytes.Cut(trimBlanks(m), []byte("="))
		if string(name) != "important" {
			return 0, reasonModifier + modifierWord(name)
		}
		flags |= flagImportant
	}
	return flags, ""
}

// modifierWord shortens a modifier to what a report can group by.
func modifierWord(name []byte) string {
	name = bytes.TrimPrefix(name, []byte("~"))
	for _, c := range name {
		if c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return "unknown"
		}
	}
	if len(name) == 0 || len(name) > 20 {
		return "unknown"
	}
	return string(name)
}

// pattern reads the name part: ||name^ is a subtree; name, |name^ and |name| are
// exact; ||*.name^ is what lies below.
func (p *parser) pattern(line int, rule, text []byte, flags byte) string {
	body, start := bytes.CutPrefix(rule, []byte("||"))
	begin := false
	if !start {
		body, begin = bytes.CutPrefix(rule, []byte("|"))
	}
	body, end := cutEnd(body)
	m := Exact
	switch star := bytes.HasPrefix(body, []byte("*.")); {
	case len(body) == 0 || onlyWild(body):
		return reasonAll
	case star && end && !begin:
		body, m = body[2:], Below
	case start && end:
		m = Subtree
	}
	if reason := p.patternAddress(line, body, text, flags); reason != reasonNotName {
		return reason
	}
	if reason := unusable(body); reason != "" {
		return reason
	}
	whole := start && end || begin && end || !start && !begin && !end || m == Below
	if !whole || body[0] == '.' || bytes.IndexByte(body, '.') < 0 && !start && !begin && m != Below {
		return reasonAnchor
	}
	if body[len(body)-1] == '.' || !p.addName(line, body, text, m, flags, nil) {
		return reasonNotName
	}
	return ""
}

// cutEnd takes ^, | or ^| off the end of a pattern.
func cutEnd(b []byte) (body []byte, end bool) {
	n := len(b)
	b = bytes.TrimSuffix(b, []byte("|"))
	b = bytes.TrimSuffix(b, []byte("^"))
	return b, len(b) < n
}

// patternAddress keeps a pattern that is an address: it is meant for answers.
func (p *parser) patternAddress(line int, body, text []byte, flags byte) string {
	if c := body[len(body)-1]; bytes.IndexByte(body, ':') < 0 && (c < '0' || c > '9') {
		return reasonNotName // spare most names the attempt
	}
	addr, err := netip.ParseAddr(string(body))
	if err != nil || addr.Zone() != "" {
		return reasonNotName
	}
	addr = addr.Unmap()
	p.addPrefix(line, netip.PrefixFrom(addr, addr.BitLen()), text, p.blockFlags(flags), nil)
	return ""
}

// unusable tells patterns that are no name by what they contain.
func unusable(body []byte) string {
	switch {
	case bytes.ContainsAny(body, "/?=&:"):
		return reasonPath
	case bytes.ContainsAny(body, "*"):
		return reasonWildcard
	case bytes.ContainsAny(body, "^|"):
		return reasonAnchor
	}
	return ""
}

func onlyWild(b []byte) bool { return len(bytes.Trim(b, "*.^|")) == 0 }

// cosmetic tells the rules that hide parts of pages: ##, #@#, #?#, #$#, #%#,
// $$ and $@$, after any list of names.
func cosmetic(text []byte) bool {
	for _, sign := range []string{"##", "#@", "#?#", "#$", "#%#", "$$", "$@$"} {
		if bytes.Contains(text, []byte(sign)) {
			return true
		}
	}
	return false
}
