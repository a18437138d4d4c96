package blocklists

import (
	"bytes"
	"net/netip"
)

// Reasons for which a line is left out, as the report words them.
const (
	reasonLong     = "longer than 64 KiB"
	reasonNotName  = "not a name or a rule that is known"
	reasonAll      = "would match everything"
	reasonCosmetic = "cosmetic rule, for browsers"
	reasonPath     = "URL path, port or query"
	reasonModifier = "modifier: "
	reasonRegex    = "regular expression"
	reasonWildcard = "wildcard inside the name"
	reasonAnchor   = "open end or substring"
)

// hostsLine reads an address and the names that share it (hosts(5)).
func (p *parser) hostsLine(line int, text []byte) {
	rule := text
	if i := bytes.IndexByte(rule, '#'); i >= 0 {
		rule = trimBlanks(rule[:i])
	}
	if len(rule) == 0 {
		return
	}
	first, rest := word(rule)
	addr, ok := hostAddr(first)
	if !ok || len(rest) == 0 {
		if p.bareLine(line, rule, text) {
			return
		}
		p.report.ignore(reasonNotName, line, text)
		return
	}
	p.hostNames(line, addr, rest, text)
}

// hostAddr is netip.ParseAddr, without its cost for the usual ones.
func hostAddr(b []byte) (netip.Addr, bool) {
	switch string(b) {
	case "0.0.0.0", "127.0.0.1", "::":
		return netip.IPv4Unspecified(), true
	}
	if len(b) == 0 || b[0] != ':' && bytes.IndexByte([]byte("0123456789abcdefABCDEF"), b[0]) < 0 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(string(b))
	return a, err == nil
}

// hostNames keeps each name of a hosts line by itself; the boilerplate that
// every hosts file begins with is no rule (ip6-allnodes and its like).
func (p *parser) hostNames(line int, addr netip.Addr, names, text []byte) {
	d := answer(addr)
	for len(names) > 0 {
		var name []byte
		name, names = word(names)
		if boilerplate(name) {
			continue
		}
		if !p.addName(line, name, text, p.bareHost(), 0, d) {
			p.report.ignore(reasonNotName, line, text)
		}
	}
}

// bareHost is what a name means on a hosts line: itself, unless the source
// says otherwise.
func (p *parser) bareHost() Match {
	if p.src.Match != nil {
		return *p.src.Match
	}
	return Exact
}

// answer keeps the address of a hosts line when it is an ordinary one.
func answer(a netip.Addr) *detail {
	if a = a.Unmap(); a.IsUnspecified() || a.IsLoopback() {
		return nil
	}
	return &detail{Answer: a.WithZone("")}
}

func boilerplate(name []byte) bool {
	switch string(name) {
	case "localhost", "localhost.localdomain", "local", "broadcasthost", "0.0.0.0", "127.0.0.1", "::1",
		"ip6-localhost", "ip6-loopback", "ip6-localnet", "ip6-mcastprefix", "ip6-allnodes", "ip6-allrouters", "ip6-allhosts":
		return true
	}
	return false
}

// domainsLine reads a bare name or *.name. Here *.name means the name and
// everything below: that is how the lists of this form are made.
func (p *parser) domainsLine(line int, text []byte) {
	rule := text
	if c := rule[0]; c == '!' || c == ';' || bytes.HasPrefix(rule, []byte("//")) {
		return
	}
	if i := bytes.IndexByte(rule, '#'); i >= 0 {
		rule = trimBlanks(rule[:i])
	}
	if len(rule) > 0 && !p.bareLine(line, rule, text) {
		p.report.ignore(reasonNotName, line, text)
	}
}

// bareLine keeps a line that is one name or one address.
func (p *parser) bareLine(line int, rule, text []byte) bool {
	if star := bytes.HasPrefix(rule, []byte("*.")); star {
		return p.addName(line, rule[2:], text, Subtree, 0, nil)
	}
	if c := rule[len(rule)-1]; '0' <= c && c <= '9' || bytes.IndexByte(rule, ':') >= 0 {
		if a, ok := parsePrefix(string(rule)); ok {
			p.addPrefix(line, a, text, p.blockFlags(0), nil)
			return true
		}
	}
	return p.addName(line, rule, text, p.bare, 0, nil)
}
