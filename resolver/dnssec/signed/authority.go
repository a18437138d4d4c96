package signed

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"nightlatch/resolver/dnssec/tree"
)

// Authority answers as the servers of one zone do, which were asked with DO:
// with what the zone knows, or with a referral to the servers of a zone below,
// its DS records or the proof that it has none, and the addresses of its
// servers where the zone's records give them (RFC 4035 §3.1.4). A name outside
// the zone is refused.
func (w *World) Authority(zone, name string, qtype uint16) *dns.Msg {
	name = dns.CanonicalName(name)
	w.Asked[zone+" "+name+" "+dns.Type(qtype).String()]++
	m, z := &dns.Msg{}, w.zones[zone]
	if z == nil || !dns.IsSubDomain(zone, name) {
		m.Rcode = dns.RcodeRefused
		return m
	}
	if cut := z.cut(name, qtype); cut != "" {
		w.refer(m, z, cut)
	} else {
		m.Authoritative = true
		w.single = true
		w.answer(m, name, qtype, 0)
		w.single = false
	}
	if w.Spoil != nil {
		w.Spoil(name, qtype, m)
	}
	return m
}

// cut gives the zone below that a question is handed on to, empty for none.
func (z *zone) cut(name string, qtype uint16) string {
	for n := dns.CountLabel(z.Name) + 1; n <= dns.CountLabel(name); n++ {
		sub := tree.Suffix(name, n)
		if slices.Contains(z.cuts, sub) && !(sub == name && qtype == dns.TypeDS) {
			return sub
		}
	}
	return ""
}

func (w *World) refer(m *dns.Msg, z *zone, cut string) {
	for _, rr := range z.rrs[cut][dns.TypeNS] {
		m.Ns = append(m.Ns, dns.Copy(rr))
		host := dns.CanonicalName(rr.(*dns.NS).Ns)
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
			if child := w.zones[cut]; strings.HasSuffix(host, cut) && child != nil {
				m.Extra = append(m.Extra, child.rrs[host][kind]...)
			}
		}
	}
	switch {
	case len(z.rrs[cut][dns.TypeDS]) > 0:
		m.Ns = z.sign(m.Ns, z.rrs[cut][dns.TypeDS], cut)
	case z.key != nil && z.NSEC3 && z.OptOut && !slices.Contains(z.names, cut): // RFC 5155 §7.2.7
		ce, next := z.encloser(cut)
		if ce == cut {
			ce, next = tree.Suffix(cut, dns.CountLabel(cut)-1), cut
		}
		m.Ns = z.prove(m.Ns, ce, next)
	case z.key != nil:
		m.Ns = z.prove(m.Ns, cut)
	}
}
