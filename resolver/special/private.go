package special

import "net/netip"

// Private tells whether an address means something else at home than in the
// world: an answer with it would turn a browser against the home's own
// machines (DNS rebinding). Addresses wrapped in IPv6 are unwrapped first.
func Private(a netip.Addr) bool {
	a = unwrap(a.Unmap())
	if a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast() {
		return true
	}
	if !a.Is4() {
		b := a.As16()
		return b[0] == 0xfe && b[1]&0xc0 == 0xc0 // site-local, deprecated by RFC 3879 and still routed by some
	}
	b := a.As4()
	switch {
	case b[0] == 0, b[0] >= 240: // "this network", and class E with broadcast
		return true
	case b[0] == 100 && b[1]&0xc0 == 64: // RFC 6598
		return true
	case b[0] == 198 && b[1]&0xfe == 18: // RFC 2544: benchmarks, and many a sinkhole
		return true
	}
	return false
}

// unwrap gives the IPv4 address inside the well-known forms of IPv6: NAT64
// (RFC 6052, RFC 8215), 6to4 (RFC 3056) and IPv4-compatible.
func unwrap(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	b := a.As16()
	last := netip.AddrFrom4([4]byte(b[12:]))
	switch {
	case [12]byte(b[:12]) == [12]byte{0x00, 0x64, 0xff, 0x9b}: // 64:ff9b::/96
		return last
	case [6]byte(b[:6]) == [6]byte{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}: // 64:ff9b:1::/48, used locally
		return last
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6]))
	case [12]byte(b[:12]) == [12]byte{} && b[12] != 0: // ::a.b.c.d
		return last
	}
	return a
}
