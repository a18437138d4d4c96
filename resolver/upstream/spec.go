// Package upstream asks other resolvers: over UDP, TCP, TLS (DoT) and HTTPS
// (DoH), at pinned addresses and never through the system's resolver. A
// [Group] holds several of them, goes on to the next when one fails, and
// keeps away from the dead without forgetting them.
package upstream

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Spec is one upstream as an owner writes it.
type Spec struct {
	Text   string           // as written
	Scheme string           // udp, tcp, tls or https
	Host   string           // the name its certificate must carry; an address is fine
	Path   string           // https only, with the leading slash
	Addrs  []netip.AddrPort // where to dial, in order of preference; never empty
}

// maxAddrs bounds the pinned addresses of one upstream.
const maxAddrs = 16

// ParseSpec reads an upstream:
//
//	https://dns.quad9.net/dns-query#9.9.9.9,149.112.112.112   DNS over HTTPS
//	tls://dns.quad9.net#9.9.9.9                                DNS over TLS
//	udp://192.0.2.1:53, tcp://[2001:db8::1]                    plain DNS
//	192.0.2.1, 192.0.2.1:5353, 2001:db8::1                     plain UDP, TCP for long answers
//
// After # stand the addresses of a host that is a name; they are pinned,
// because whoever answers the phones' questions cannot ask itself. A port may
// follow the host (853 for tls, 443 for https, 53 otherwise).
func ParseSpec(text string) (Spec, error) {
	s := Spec{Text: text}
	if ap, ok := parseAddr(text, 53); ok {
		s.Scheme, s.Host, s.Addrs = "udp", ap.Addr().String(), []netip.AddrPort{ap}
		return s, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return Spec{}, fmt.Errorf("upstream %q: not an address and not a URL", text)
	}
	port, ok := map[string]uint16{"udp": 53, "tcp": 53, "tls": 853, "https": 443}[u.Scheme]
	switch {
	case !ok:
		return Spec{}, fmt.Errorf("upstream %q: it begins with none of udp://, tcp://, tls:// and https://, and is no address", text)
	case u.Hostname() == "":
		return Spec{}, fmt.Errorf("upstream %q: it names no host", text)
	case u.User != nil || u.RawQuery != "" || u.Scheme != "https" && u.Path != "":
		return Spec{}, fmt.Errorf("upstream %q: only a host, a port, a path (https) and addresses after # belong here", text)
	}
	if p := u.Port(); p != "" {
		if _, err := fmt.Sscan(p, &port); err != nil || port == 0 {
			return Spec{}, fmt.Errorf("upstream %q: port %q is not between 1 and 65535", text, p)
		}
	}
	s.Scheme, s.Host, s.Path = u.Scheme, u.Hostname(), u.EscapedPath()
	if s.Scheme == "https" && s.Path == "" {
		s.Path = "/dns-query"
	}
	return s, s.pin(u.Fragment, port)
}

// pin finds out where to dial.
func (s *Spec) pin(list string, port uint16) error {
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		ap, ok := parseAddr(part, port)
		if !ok || len(s.Addrs) == maxAddrs {
			return fmt.Errorf("upstream %q: %q after # is not an address, or there are more than %d", s.Text, part, maxAddrs)
		}
		s.Addrs = append(s.Addrs, ap)
	}
	if len(s.Addrs) > 0 {
		return nil
	}
	a, err := netip.ParseAddr(s.Host)
	if err != nil {
		return fmt.Errorf("upstream %q: %s is a name; write its addresses after a #, as in #9.9.9.9,149.112.112.112", s.Text, s.Host)
	}
	s.Addrs = []netip.AddrPort{netip.AddrPortFrom(a.Unmap(), port)}
	return nil
}

func parseAddr(s string, port uint16) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(a.Unmap(), port), true
	}
	ap, err := netip.ParseAddrPort(s)
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), err == nil && ap.Port() != 0
}
