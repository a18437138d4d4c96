package resolver

import (
	"net/netip"

	"github.com/miekg/dns"

	"nightlatch/policy"
	"nightlatch/resolver/special"
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
	case special.Ordinary:
		return reply{}, false
	case special.Loopback: // RFC 6761 §6.3
		return r.addresses(q, []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}), true
	case special.Empty:
		return r.nodata(dns.Fqdn(zone)), true
	case special.Served:
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
	case special.Below(name, "use-application-dns.net"):
		return "canary: this network filters DNS, DoH would go around it", true
	case special.Below(name, "mask.icloud.com"), special.Below(name, "mask-h2.icloud.com"):
		return "canary: iCloud Private Relay would go around this gateway", true
	}
	return "", false
}
