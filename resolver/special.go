package resolver

import (
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"nightlatch/policy"
)

// own answers the names that no upstream should ever hear of: the gateway's
// own and the special-use names.
func (r *Resolver) own(q *query) (reply, bool) {
	if r.opt.Local != nil {
		if addrs := r.opt.Local(q.name); addrs != nil {
			return r.addresses(q, addrs), true
		}
	}
	zone, kind := r.special(q.name)
	switch kind {
	case ordinary:
		return reply{}, false
	case loopback: // RFC 6761 §6.3
		return r.addresses(q, []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}), true
	case empty:
		return r.nodata(dns.Fqdn(zone)), true
	case served:
		if q.name == zone { // RFC 6303 §3: the zone is there, and empty
			rep := r.nodata(dns.Fqdn(zone))
			if q.Type == dns.TypeSOA {
				rep.answer, rep.authority = rep.authority, nil
			}
			return rep, true
		}
		rep := r.nxdomain(q)
		rep.authority = []dns.RR{r.soa(dns.Fqdn(zone))}
		return rep, true
	}
	return r.nxdomain(q), true
}

type specialKind uint8

const (
	ordinary specialKind = iota
	loopback             // this host
	absent               // the name and all below it do not exist
	empty                // the name and all below it exist, without any record
	served               // a zone of the home with nothing in it
)

// special tells what the registries of special-use names (RFC 6761, IANA) and
// of locally served zones (RFC 6303) say about a canonical name, and the zone
// it falls into.
func special(name string) (zone string, kind specialKind) {
	top := name[strings.LastIndexByte(name, '.')+1:]
	switch top {
	case "localhost":
		return top, loopback
	case "invalid", // RFC 6761 §6.4
		"test",     // §6.2
		"onion",    // RFC 7686 §2: looked up by nobody
		"alt",      // RFC 9476 §2
		"local",    // RFC 6762 §22.1: multicast's alone
		"internal": // ICANN 2024: for private use, as our own names
		return top, absent
	case "arpa":
		return arpa(name)
	}
	return "", ordinary
}

func arpa(name string) (string, specialKind) {
	switch {
	case isBelow(name, "home.arpa"): // RFC 8375 §4
		return "home.arpa", served
	case isBelow(name, "resolver.arpa"): // RFC 9462 §6.4: a phone must not upgrade past us
		return "resolver.arpa", empty
	case isBelow(name, "service.arpa"): // RFC 9665 §10: a local registry we do not keep
		return "service.arpa", served
	}
	if rest, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		return reverse4(name, rest)
	}
	if strings.HasSuffix(name, ".ip6.arpa") {
		return reverse6(name)
	}
	return "", ordinary
}

// reverse4 knows the reverse zones of addresses that mean something in this
// home alone (RFC 6303 §4.2, RFC 7793).
func reverse4(name, rest string) (string, specialKind) {
	labels := strings.Split(rest, ".")
	n := len(labels)
	first, second := labels[n-1], ""
	if n > 1 {
		second = labels[n-2]
	}
	zone := func(depth int) (string, specialKind) {
		if n < depth {
			return "", ordinary
		}
		return strings.Join(labels[n-depth:], ".") + ".in-addr.arpa", served
	}
	switch {
	case first == "0" || first == "10" || first == "127":
		return zone(1)
	case first == "169" && second == "254", first == "192" && second == "168",
		first == "172" && between(second, 16, 31), first == "100" && between(second, 64, 127):
		return zone(2)
	}
	for _, doc := range []string{"2.0.192", "100.51.198", "113.0.203", "255.255.255.255"} {
		if z := doc + ".in-addr.arpa"; isBelow(name, z) {
			return z, served
		}
	}
	return "", ordinary
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
func reverse6(name string) (string, specialKind) {
	zeros := strings.Repeat("0.", 31) + "ip6.arpa"
	for _, zone := range []string{
		"d.f.ip6.arpa", "8.e.f.ip6.arpa", "9.e.f.ip6.arpa", "a.e.f.ip6.arpa", "b.e.f.ip6.arpa",
		"8.b.d.0.1.0.0.2.ip6.arpa", "0." + zeros, "1." + zeros,
	} {
		if isBelow(name, zone) {
			return zone, served
		}
	}
	return "", ordinary
}

// canary answers the names by which programs ask whether they may go around
// this resolver. An owner who allows one by a rule of his own gets the truth.
func (r *Resolver) canary(q *query, v policy.Verdict) (reply, bool) {
	text, ok := isCanary(q.name)
	if !ok || v.Wanted() {
		return reply{}, false
	}
	rep := r.nxdomain(q)
	rep.ede, rep.text = int(dns.ExtendedErrorCodeBlocked), text
	return rep, true
}

func isCanary(name string) (string, bool) {
	switch {
	case isBelow(name, "use-application-dns.net"):
		return "canary: this network filters DNS, DoH would go around it", true
	case isBelow(name, "mask.icloud.com"), isBelow(name, "mask-h2.icloud.com"):
		return "canary: iCloud Private Relay would go around this gateway", true
	}
	return "", false
}
