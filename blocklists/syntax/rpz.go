package syntax

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
)

// zone is what a zone file carries from line to line (RFC 1035 §5.1).
type zone struct {
	apex   string // the zone's own name, when the file says it; with its final dot
	origin string // what relative names are relative to
	owner  string // of the record before
	open   []string
	depth  int // brackets not yet closed
}

// maxRecord is the most words of a record over several lines: enough for any
// SOA, little enough that an unclosed bracket costs nothing.
const maxRecord = 64

// rpzLine reads one line of a response policy zone (draft-vixie-dnsop-dns-rpz).
// It gets its line with the blanks at the front: they mean "the same owner".
func (r *Reader) rpzLine(text []byte) string {
	z := &r.zone
	words, same := z.words(text)
	if len(words) == 0 {
		return ""
	}
	switch words[0] {
	case "$TTL":
		return ""
	case "$ORIGIN":
		if len(words) > 1 && strings.HasSuffix(words[1], ".") {
			z.setOrigin(strings.ToLower(words[1]))
			return ""
		}
		return NotName
	case "$INCLUDE", "$GENERATE":
		return Setting
	}
	if !same {
		z.owner, words = words[0], words[1:]
	}
	return r.rpzRecord(z.owner, words)
}

func (z *zone) setOrigin(name string) {
	z.origin = name
	if z.apex == "" {
		z.apex = name
	}
}

// words splits a line, joining those that brackets hold together; none are given
// until the last bracket is closed. same says that the line has no owner of its own.
func (z *zone) words(text []byte) (words []string, same bool) {
	if i := bytes.IndexByte(text, ';'); i >= 0 && bytes.IndexByte(text[:i], '"') < 0 {
		text = text[:i]
	}
	cont := z.depth > 0
	if !cont && len(trim(text)) > 0 && blank(text[0]) {
		z.open = append(z.open, "")
	}
	if bytes.IndexByte(text, '"') < 0 { // brackets inside a text are text
		z.depth = max(0, z.depth+bytes.Count(text, []byte("("))-bytes.Count(text, []byte(")")))
		text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("("), []byte(" ")), []byte(")"), []byte(" "))
	}
	z.open = append(z.open, fields(string(text))...)
	if z.depth > 0 && len(z.open) < maxRecord {
		return nil, false
	}
	words, z.open, z.depth = z.open, nil, 0
	if len(words) > 0 && words[0] == "" {
		return words[1:], true
	}
	return words, false
}

// fields splits a line at its blanks; a text in quotes stays one word, with its
// first quote. Behind a word that begins with ; everything is a comment.
func fields(line string) []string {
	if strings.IndexByte(line, '"') < 0 {
		return strings.Fields(line)
	}
	var out []string
	for line = strings.TrimLeft(line, " \t\r\n"); line != "" && line[0] != ';'; line = strings.TrimLeft(line, " \t\r\n") {
		end := strings.IndexAny(line, " \t\r\n;")
		if line[0] == '"' {
			var text string
			text, line = quoted(line[1:])
			out = append(out, `"`+text)
			continue
		}
		if end < 0 {
			end = len(line)
		}
		out, line = append(out, line[:end]), line[end:]
	}
	return out
}

// quoted reads a text up to its closing quote (RFC 1035 §5.1).
func quoted(s string) (text, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}

func (r *Reader) rpzRecord(owner string, words []string) string {
	ttl := uint64(0)
	for len(words) > 0 && (words[0][0] >= '0' && words[0][0] <= '9' || strings.EqualFold(words[0], "IN")) {
		if n, err := strconv.ParseUint(words[0], 10, 31); err == nil {
			ttl = n
		}
		words = words[1:] // a TTL and the class, in either order
	}
	if len(words) == 0 {
		return NotName
	}
	kind, data := strings.ToUpper(words[0]), words[1:]
	switch {
	case kind == "SOA":
		if r.zone.apex == "" && strings.HasSuffix(owner, ".") {
			r.zone.setOrigin(strings.ToLower(owner))
		}
		return ""
	case owner == "@" || kind == "NS":
		return "" // the zone's own records
	case len(data) == 0 || kind == "" || !nameLike(kind):
		return NotName
	}
	if kind == "CNAME" {
		data[0] = r.zone.absolute(data[0])
	}
	rule, reason := rpzAction(kind, data, owner)
	if reason != "" {
		return reason
	}
	if rule.Rewrite != nil {
		rule.Rewrite.TTL = uint32(ttl)
	}
	trigger, ok := r.zone.trigger(owner)
	if !ok {
		return Trigger + "a name outside the zone"
	}
	return r.rpzTrigger(rule, trigger)
}

// rpzAction reads what a record does.
func rpzAction(kind string, words []string, owner string) (rule Rule, reason string) {
	switch kind {
	case "CNAME":
		return rpzCNAME(strings.ToLower(words[0]), owner)
	case "A", "AAAA":
		if a, err := netip.ParseAddr(words[0]); err != nil {
			return rule, NotName
		} else if a.IsUnspecified() || a.IsLoopback() {
			return rule, "" // another way to write a block
		}
	case "TXT":
		var text strings.Builder
		for _, w := range words {
			text.WriteString(strings.TrimPrefix(w, `"`))
		}
		words = []string{text.String()}
	default:
		return rule, Local + kind
	}
	w, ok := data(kind, words[0])
	if !ok {
		return rule, NotName
	}
	// A type of which the zone has nothing is answered as if no rule spoke.
	rule.Rewrite, rule.Limits = w, &Limits{Types: []uint16{w.Type}}
	return rule, ""
}

func rpzCNAME(target, owner string) (rule Rule, reason string) {
	switch target {
	case ".":
	case "*.":
		rule.Rewrite = new(Rewrite)
	case "rpz-passthru.":
		rule.Allow = true
	case "rpz-drop.":
		rule.Action = Silence
	case "rpz-tcp-only.":
		rule.Rewrite = &Rewrite{TCP: true}
	default:
		if strings.EqualFold(strings.TrimSuffix(target, "."), strings.TrimSuffix(owner, ".")) {
			rule.Allow = true // a name that points to itself is the old form of passthru
			return rule, ""
		}
		if !strings.HasSuffix(target, ".") {
			return rule, Local + "CNAME to a name in the zone, whose own name is not known"
		}
		w, ok := data("CNAME", target)
		if !ok {
			return rule, NotName
		}
		rule.Rewrite = w
	}
	return rule, ""
}

// absolute completes a target that is relative to the zone, where the zone says
// its name.
func (z *zone) absolute(target string) string {
	if strings.HasSuffix(target, ".") || z.origin == "" || strings.EqualFold(target, z.owner) {
		return target
	}
	return target + "." + z.origin
}

// trigger takes the zone's own name off an owner.
func (z *zone) trigger(owner string) (string, bool) {
	name := strings.ToLower(owner)
	if !strings.HasSuffix(name, ".") {
		if z.origin == z.apex {
			return name, true
		}
		name += "." + z.origin
	}
	if z.apex == "" {
		return "", false // the zone's name is not known, and this is not relative to it
	}
	return strings.CutSuffix(name, "."+z.apex)
}

func (r *Reader) rpzTrigger(rule Rule, name string) string {
	last := name[strings.LastIndexByte(name, '.')+1:]
	switch last {
	case "rpz-ip", "rpz-client-ip":
		if rule.Rewrite != nil && !rule.Rewrite.Stops() && !(rule.Rewrite.TCP && last == "rpz-client-ip") {
			return Local + "for " + last
		}
		if rule.Scope = Addr; last == "rpz-client-ip" {
			rule.Scope = Asker
		}
		return r.rpzAddr(rule, strings.TrimSuffix(name, "."+last))
	case "rpz-nsip", "rpz-nsdname":
		return Trigger + last
	}
	rule.Scope = Exact
	if rest, star := strings.CutPrefix(name, "*."); star {
		name, rule.Scope = rest, Below
	} else if name == "*" {
		return All
	}
	if rule.Name = []byte(name); !r.emit(rule) {
		return NotName
	}
	return ""
}

// rpzAddr reads a response-IP or client-IP trigger: the prefix length, then the address
// backwards, with "zz" for the double colon of IPv6.
func (r *Reader) rpzAddr(rule Rule, name string) string {
	labels := strings.Split(name, ".")
	bits, err := strconv.Atoi(labels[0])
	if err != nil {
		return NotName
	}
	labels = labels[1:]
	for i, j := 0, len(labels)-1; i < j; i, j = i+1, j-1 {
		labels[i], labels[j] = labels[j], labels[i]
	}
	text := strings.Join(labels, ".")
	if len(labels) != 4 || strings.Contains(name, "zz") {
		if len(labels) == 3 {
			return NoLength
		}
		text = strings.ReplaceAll(strings.Join(labels, ":"), "zz", "")
		if strings.HasPrefix(text, ":") {
			text = ":" + text
		}
		if strings.HasSuffix(text, ":") {
			text += ":"
		}
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return NotName
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return NotName
	}
	if p.Addr() != a {
		return NotName // bits beyond the length: BIND refuses it too
	}
	if rule.Prefix = p; rule.Scope == Addr {
		return r.prefix(rule)
	}
	if bits == 0 {
		return All
	}
	r.emit(rule)
	return ""
}
