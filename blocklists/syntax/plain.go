package syntax

import (
	"bytes"
	"net/netip"
)

// hostsLine reads an address and the names that share it (hosts(5)).
func (r *Reader) hostsLine(text []byte) string {
	rule := uncomment(text, '#')
	if len(rule) == 0 || rule[0] == '!' {
		return ""
	}
	first, rest := word(rule)
	addr, ok := hostAddr(first)
	if ok && len(rest) > 0 {
		return r.hostNames(addr, rest)
	}
	return r.bareLine(rule)
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

// hostNames hands on each name of a hosts line by itself; the boilerplate that
// every hosts file begins with is no rule (ip6-allnodes and its like).
func (r *Reader) hostNames(addr netip.Addr, names []byte) (reason string) {
	scope := Exact
	if r.given {
		scope = r.bare
	}
	rule := Rule{Scope: scope, Answer: ordinary(addr)}
	for len(names) > 0 {
		rule.Name, names = word(names)
		if !boilerplate(rule.Name) && !r.emit(rule) {
			reason = NotName
		}
	}
	return reason
}

// ordinary gives the address of a hosts line when it is one to go to.
func ordinary(a netip.Addr) netip.Addr {
	if a = a.Unmap(); a.IsUnspecified() || a.IsLoopback() {
		return netip.Addr{}
	}
	return a.WithZone("")
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
func (r *Reader) domainsLine(text []byte) string {
	if c := text[0]; c == '!' || c == ';' || bytes.HasPrefix(text, []byte("//")) {
		return ""
	}
	rule := uncomment(text, '#')
	if len(rule) == 0 {
		return ""
	}
	return r.bareLine(rule)
}

// bareLine reads a line that is one name or one address.
func (r *Reader) bareLine(rule []byte) string {
	out := Rule{Name: rule, Scope: r.bare}
	if rest, star := bytes.CutPrefix(rule, []byte("*.")); star {
		out.Name, out.Scope = rest, Subtree
	} else if p, ok := addrLike(rule); ok {
		return r.prefix(Rule{Prefix: p})
	}
	if !r.emit(out) {
		return NotName
	}
	return ""
}

// ipLine reads one address or CIDR.
func (r *Reader) ipLine(text []byte) string {
	rule := uncomment(uncomment(text, '#'), ';')
	if len(rule) == 0 || rule[0] == '!' {
		return ""
	}
	p, ok := ParsePrefix(string(rule))
	if !ok {
		return NotName
	}
	return r.prefix(Rule{Prefix: p})
}

func (r *Reader) prefix(rule Rule) string {
	if rule.Prefix.Bits() == 0 {
		return All
	}
	rule.Scope = Addr
	r.emit(rule)
	return ""
}

// addrLike reads an address or CIDR, and spares most names the attempt.
func addrLike(b []byte) (netip.Prefix, bool) {
	if len(b) == 0 {
		return netip.Prefix{}, false
	}
	if c := b[len(b)-1]; bytes.IndexByte(b, ':') < 0 && (c < '0' || c > '9') {
		return netip.Prefix{}, false
	}
	return ParsePrefix(string(b))
}

// ParsePrefix reads an address or a CIDR. Bits beyond the length are masked
// away, IPv4 in IPv6 becomes IPv4; zones are refused.
func ParsePrefix(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}
