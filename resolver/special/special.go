// Package special knows the names and addresses that mean something in this
// home or on this host alone: those of the registries of special-use names and of
// locally served zones, which are never asked of the world, and private
// addresses, which the world's names may not have. It is pure. Names are
// canonical: lower case, without the final dot.
package special

import "strings"

// Kind is how a special name is answered.
type Kind uint8

const (
	Ordinary Kind = iota // not special: the world is asked
	Loopback             // this host
	Absent               // the name and all below it do not exist
	Empty                // the name and all below it exist, without any record
	Served               // a zone of the home with nothing in it
)

// Find tells what the registries of special-use names (RFC 6761, IANA) and
// of locally served zones (RFC 6303) say about a canonical name, and the zone
// it falls into.
func Find(name string) (zone string, kind Kind) {
	top := name[strings.LastIndexByte(name, '.')+1:]
	switch top {
	case "localhost":
		return top, Loopback
	case "invalid", // RFC 6761 §6.4
		"test",     // §6.2
		"onion",    // RFC 7686 §2: looked up by nobody
		"alt",      // RFC 9476 §2
		"local",    // RFC 6762 §22.1: multicast's alone
		"internal": // ICANN 2024: for private use, as our own names
		return top, Absent
	case "arpa":
		return arpa(name)
	}
	return "", Ordinary
}

func arpa(name string) (string, Kind) {
	switch {
	case Below(name, "home.arpa"): // RFC 8375 §4
		return "home.arpa", Served
	case Below(name, "resolver.arpa"): // RFC 9462 §6.4: a phone must not upgrade past us
		return "resolver.arpa", Empty
	case Below(name, "service.arpa"): // RFC 9665 §10: a local registry we do not keep
		return "service.arpa", Served
	}
	if rest, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		return reverse4(name, rest)
	}
	if strings.HasSuffix(name, ".ip6.arpa") {
		return reverse6(name)
	}
	return "", Ordinary
}

// reverse4 knows the reverse zones of addresses that mean something in this
// home alone (RFC 6303 §4.2, RFC 7793).
func reverse4(name, rest string) (string, Kind) {
	labels := strings.Split(rest, ".")
	n := len(labels)
	first, second := labels[n-1], ""
	if n > 1 {
		second = labels[n-2]
	}
	zone := func(depth int) (string, Kind) {
		if n < depth {
			return "", Ordinary
		}
		return strings.Join(labels[n-depth:], ".") + ".in-addr.arpa", Served
	}
	switch {
	case first == "0" || first == "10" || first == "127":
		return zone(1)
	case first == "169" && second == "254", first == "192" && second == "168",
		first == "172" && between(second, 16, 31), first == "100" && between(second, 64, 127):
		return zone(2)
	}
	for _, doc := range []string{"2.0.192", "100.51.198", "113.0.203", "255.255.255.255"} {
		if z := doc + ".in-addr.arpa"; Below(name, z) {
			return z, Served
		}
	}
	return "", Ordinary
}

func between(label string, low, high int) bool {
	n := 0
	for _, c := range []byte(label) {
		if c < '0' || c > '9' || n > 255 {
			return false
		}
		n = 10*n + int(c-'0')
	}
	return label != "" && low <= n && n <= high
}

// reverse6 is the same for IPv6 (RFC 6303 §4.3-4.6).
func reverse6(name string) (string, Kind) {
	zeros := strings.Repeat("0.", 31) + "ip6.arpa"
	for _, zone := range []string{
		"d.f.ip6.arpa", "8.e.f.ip6.arpa", "9.e.f.ip6.arpa", "a.e.f.ip6.arpa", "b.e.f.ip6.arpa",
		"8.b.d.0.1.0.0.2.ip6.arpa", "0." + zeros, "1." + zeros,
	} {
		if Below(name, zone) {
			return zone, Served
		}
	}
	return "", Ordinary
}

// Below tells whether name is zone or lies below it; both canonical.
func Below(name, zone string) bool {
	return name == zone || len(name) > len(zone) && name[len(name)-len(zone)-1] == '.' && strings.HasSuffix(name, zone)
}
