package guard

import "net/netip"

// closed is a prefix and the words for why it is closed.
type closed struct {
	prefix netip.Prefix
	why    string
}

func lookup(table []closed, a netip.Addr) string {
	for _, c := range table {
		if c.prefix.Contains(a) {
			return c.why
		}
	}
	return ""
}

func v4(a, b, c, d byte, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b, c, d}), bits)
}

// v6 makes a prefix from its first 16-bit groups.
func v6(bits int, groups ...uint16) netip.Prefix {
	var raw [16]byte
	for i, g := range groups {
		raw[2*i], raw[2*i+1] = byte(g>>8), byte(g)
	}
	return netip.PrefixFrom(netip.AddrFrom16(raw), bits)
}

// globalUnicast is the part of IPv6 that is the internet (RFC 4291 §2.4, IANA).
func globalUnicast() netip.Prefix { return v6(3, 0x2000) }

// never is closed even to an owner's allow: no sensible network is there, and
// what answers is the host itself or the machine that runs it.
func never() []closed {
	const metadata = "cloud metadata"
	return []closed{
		{v4(0, 0, 0, 0, 8), "unspecified address"}, // Linux dials 0.0.0.0 as loopback
		{v4(127, 0, 0, 0, 8), "loopback"},
		{v4(169, 254, 169, 254, 32), metadata}, // EC2, GCE, Azure, ...
		{v4(169, 254, 170, 2, 32), metadata},   // ECS task credentials
		{v4(169, 254, 170, 23, 32), metadata},  // EKS pod identity
		{v4(100, 100, 100, 200, 32), metadata}, // Alibaba Cloud
		{v4(168, 63, 129, 16, 32), metadata},   // Azure WireServer, a public address
		{v4(192, 0, 0, 192, 32), metadata},     // Oracle Cloud
		{v4(224, 0, 0, 0, 4), "multicast"},     // RFC 5771
		{v4(255, 255, 255, 255, 32), "broadcast"},
		{v6(128), "unspecified address"},
		{v6(128, 0, 0, 0, 0, 0, 0, 0, 1), "loopback"},
		{v6(96), "IPv4 inside IPv6"},                             // RFC 4291 §2.5.5.1, IPv4-compatible
		{v6(128, 0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), metadata}, // EC2
		{v6(128, 0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23), metadata},  // EKS pod identity
		{v6(128, 0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), metadata},  // GCE
		{v6(8, 0xff00), "multicast"},
	}
}

// special is closed unless the owner allows it: the special-purpose registries
// of RFC 6890 and its updates.
func special() []closed {
	const (
		private   = "private address"
		linkLocal = "link-local address"
		reserved  = "reserved address"
		docs      = "documentation address"
		inside    = "IPv4 inside IPv6"
	)
	return []closed{
		{v4(10, 0, 0, 0, 8), private}, // RFC 1918
		{v4(172, 16, 0, 0, 12), private},
		{v4(192, 168, 0, 0, 16), private},
		{v4(100, 64, 0, 0, 10), private}, // RFC 6598, carrier NAT
		{v4(169, 254, 0, 0, 16), linkLocal},
		{v4(192, 0, 0, 0, 24), reserved},   // RFC 6890 §2.1
		{v4(192, 88, 99, 0, 24), reserved}, // RFC 7526, 6to4 relays
		{v4(198, 18, 0, 0, 15), reserved},  // RFC 2544, benchmarks
		{v4(240, 0, 0, 0, 4), reserved},
		{v4(192, 0, 2, 0, 24), docs}, // RFC 5737
		{v4(198, 51, 100, 0, 24), docs},
		{v4(203, 0, 113, 0, 24), docs},
		{v6(96, 0, 0, 0, 0, 0xffff), inside}, // RFC 7915, IPv4-translated
		{v6(96, 0x64, 0xff9b), inside},       // RFC 6052, NAT64
		{v6(48, 0x64, 0xff9b, 1), inside},    // RFC 8215, local NAT64
		{v6(32, 0x2001, 0), inside},          // RFC 4380, Teredo
		{v6(16, 0x2002), inside},             // RFC 3056, 6to4
		{v6(23, 0x2001, 0), reserved},        // RFC 2928, protocol assignments
		{v6(64, 0x100), reserved},            // RFC 6666, discard
		{v6(16, 0x5f00), reserved},           // RFC 9602, SRv6 SIDs
		{v6(32, 0x2001, 0xdb8), docs},        // RFC 3849
		{v6(20, 0x3fff), docs},               // RFC 9637
		{v6(7, 0xfc00), private},             // RFC 4193
		{v6(10, 0xfe80), linkLocal},
		{v6(10, 0xfec0), private}, // RFC 3879, site-local
	}
}
