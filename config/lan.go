package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Reach is a part of the home network that a device may reach: an address or a
// network, with or without ports and a protocol.
type Reach struct {
	Prefix netip.Prefix
	From   uint16 // the first port; 0: all
	To     uint16 // the last
	Proto  string // tcp or udp; empty: both
}

// UnmarshalText reads 192.168.1.10, 192.168.1.10:631, 192.168.1.0/24:8000-8100/tcp
// or [fd00::10]:631/udp.
func (r *Reach) UnmarshalText(b []byte) error {
	wrong := func(what string) error {
		return fmt.Errorf("%q is no part of a network: %s; write 192.168.1.10:631, 192.168.1.0/24 or [fd00::10]:631/tcp", b, what)
	}
	s := string(b)
	var out Reach
	for _, proto := range []string{"tcp", "udp"} {
		if rest, ok := strings.CutSuffix(strings.ToLower(s), "/"+proto); ok {
			s, out.Proto = rest, proto
		}
	}
	where, ports := s, ""
	if i := strings.LastIndexByte(s, ':'); strings.HasPrefix(s, "[") {
		inside, after, closed := strings.Cut(s[1:], "]")
		if !closed || after != "" && after[0] != ':' {
			return wrong("the bracket is not closed")
		}
		where, ports = inside, strings.TrimPrefix(after, ":")
		if after == ":" {
			return wrong("no port after the colon")
		}
	} else if i >= 0 && strings.Count(s, ":") == 1 {
		if where, ports = s[:i], s[i+1:]; ports == "" {
			return wrong("no port after the colon")
		}
	}
	var err error
	if out.Prefix, err = netip.ParsePrefix(where); err != nil {
		a, err := netip.ParseAddr(where)
		if err != nil || a.Zone() != "" {
			return wrong("it begins with no plain address")
		}
		out.Prefix = netip.PrefixFrom(a, a.BitLen())
	}
	switch a := out.Prefix.Addr(); {
	case a.Is4In6():
		return wrong("it is IPv4 in the form of IPv6")
	case a.IsLoopback() || a.IsMulticast() || a.IsUnspecified():
		return wrong("this machine itself, and groups of machines, are never reached")
	case out.Prefix != out.Prefix.Masked():
		return wrong("the network is " + out.Prefix.Masked().String())
	}
	if ports != "" {
		from, to, ranged := strings.Cut(ports, "-")
		if !ranged {
			to = from
		}
		f, err1 := strconv.ParseUint(from, 10, 16)
		t, err2 := strconv.ParseUint(to, 10, 16)
		if err1 != nil || err2 != nil || f == 0 || t < f {
			return wrong("ports are 1 to 65535")
		}
		out.From, out.To = uint16(f), uint16(t)
	}
	*r = out
	return nil
}

// String writes it as it is read.
func (r Reach) String() string {
	s := r.Prefix.String()
	if r.Prefix.IsSingleIP() {
		s = r.Prefix.Addr().String()
	}
	if r.From != 0 {
		if r.Prefix.Addr().Is6() {
			s = "[" + s + "]"
		}
		if s += ":" + strconv.Itoa(int(r.From)); r.To != r.From {
			s += "-" + strconv.Itoa(int(r.To))
		}
	}
	if r.Proto != "" {
		s += "/" + r.Proto
	}
	return s
}
