package resolver

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"nightlatch/policy"
)

// stop answers a question the policy will not have answered: with an address
// of the sinkhole, with "no such name", or not at all. through is the name
// behind the name that was the reason; it is then the one that is sunk, so
// that the flow that follows meets the same verdict.
func (r *Resolver) stop(q *query, v policy.Verdict, through string) reply {
	var rep reply
	v.Action = reached(q.flow.Device.Outside, v.Action)
	switch v.Action {
	case policy.Drop:
		rep.silent = true
	case policy.Sink:
		rep = r.sink(q, through)
	default:
		rep = r.deny(q, v.Reply)
	}
	if reports(q.Type, &v) {
		rep = r.report(q, v, through)
	}
	rep.verdict, rep.through = v, through
	rep.ede, rep.text = int(blockCode(v, len(rep.answer) > 0)), reason(v, through)
	return rep
}

// reached denies what would be sunk where the device cannot reach the sinkhole:
// its address would lead nowhere, or to somebody else.
func reached(outside bool, a policy.Action) policy.Action {
	if outside && a == policy.Sink {
		return policy.Deny
	}
	return a
}

// blockCode is the Extended DNS Error of a stopped question; forged tells that
// it was given an address all the same.
func blockCode(v policy.Verdict, forged bool) uint16 {
	switch {
	case forged:
		return dns.ExtendedErrorCodeForgedAnswer // RFC 8914 §4.5
	case v.Rule.List == "":
		return dns.ExtendedErrorCodeFiltered // §4.18: the device's own policy
	}
	return dns.ExtendedErrorCodeBlocked // §4.16: a list of the operator
}

// reports tells whether a stopped question is answered with a report. One that
// is refused for its type has no data, whatever that would be.
func reports(qtype uint16, v *policy.Verdict) bool {
	return qtype == dns.TypeTXT && v.Action != policy.Drop && v.Reason != policy.ReasonType
}

// report tells in a TXT record why a name is stopped, for whoever looks into it:
// the line of which list, and the rule that stands there.
func (r *Resolver) report(q *query, v policy.Verdict, through string) reply {
	rep := reply{ede: -1, shown: []string{reason(v, through)}}
	if v.Rule.Text != "" {
		rep.shown = append(rep.shown, v.Rule.Text)
	}
	rr := &dns.TXT{Hdr: r.header(q, dns.TypeTXT, 0)}
	for _, text := range rep.shown {
		for _, part := range chunks(text) {
			rr.Txt = append(rr.Txt, strings.ReplaceAll(part, `\`, `\\`)) // the library reads escapes
		}
	}
	rep.answer = []dns.RR{rr}
	return rep
}

// appendReason appends the text of an Extended DNS Error: which line of which
// list did what.
func appendReason(dst []byte, v policy.Verdict, through string) []byte {
	switch {
	case v.Rule.List != "":
		dst = append(append(dst, done(v.Action)...), v.Rule.List...)
		dst = strconv.AppendInt(append(dst, ", line "...), int64(v.Rule.Line), 10)
	case v.Reason != "":
		dst = append(dst, v.Reason...)
	default:
		dst = append(dst, "blocked by the policy"...)
	}
	if through != "" {
		dst = append(append(dst, ", because of "...), through...)
	}
	return dst
}

// reason is the same as a string.
func reason(v policy.Verdict, through string) string {
	var buf [maxText]byte
	return string(appendReason(buf[:0], v, through))
}

// done says what a rule did to a question.
func done(a policy.Action) string {
	switch a {
	case policy.Sink:
		return "sunk by "
	case policy.Rewrite:
		return "answered by "
	}
	return "blocked by "
}

// sink answers A and AAAA with the sinkhole's address for the name; whatever
// else is asked of a sunk name, HTTPS and SVCB above all, does not exist, so
// that no hint leads around the sinkhole.
func (r *Resolver) sink(q *query, through string) reply {
	v6 := q.Type == dns.TypeAAAA
	if r.opt.SinkAddr == nil || !v6 && q.Type != dns.TypeA {
		return r.nodata(q.fqdn)
	}
	name := q.name
	if through != "" {
		name = through
	}
	addr, ok := r.opt.SinkAddr(name, v6)
	if !ok {
		return r.nodata(q.fqdn)
	}
	return r.addresses(q, []netip.Addr{addr})
}

// addresses answers with those of addrs that fit the question, NODATA when
// none does.
func (r *Resolver) addresses(q *query, addrs []netip.Addr) reply {
	rep := reply{ede: -1}
	for _, a := range addrs {
		h := dns.RR_Header{Name: q.fqdn, Rrtype: q.Type, Class: dns.ClassINET, Ttl: r.blockTTL}
		switch a = a.Unmap(); {
		case q.Type == dns.TypeA && a.Is4():
			rep.answer = append(rep.answer, &dns.A{Hdr: h, A: a.AsSlice()})
		case q.Type == dns.TypeAAAA && a.Is6():
			rep.answer = append(rep.answer, &dns.AAAA{Hdr: h, AAAA: a.AsSlice()})
		default:
			continue
		}
		rep.shown = append(rep.shown, a.String())
	}
	if len(rep.answer) == 0 {
		return r.nodata(q.fqdn)
	}
	return rep
}

// nodata answers that the name exists and has nothing of this type. zone is
// the owner of the SOA by which a client knows how long to believe it
// (RFC 2308 §2.2).
func (r *Resolver) nodata(zone string) reply {
	return reply{authority: []dns.RR{r.soa(zone)}, ede: -1}
}

// nxdomain answers that the name does not exist; the SOA is that of the name
// above it.
func (r *Resolver) nxdomain(q *query) reply {
	return reply{rcode: dns.RcodeNameError, authority: []dns.RR{r.soa(above(q.fqdn))}, ede: -1}
}

func (r *Resolver) soa(zone string) *dns.SOA {
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: r.blockTTL},
		Ns:  "nightlatch.internal.", Mbox: "hostmaster.nightlatch.internal.",
		Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: r.blockTTL,
	}
}

// above is the parent of a name in presentation form.
func above(fqdn string) string {
	if i, end := dns.NextLabel(fqdn, 0); !end {
		return fqdn[i:]
	}
	return "."
}

// failed is SERVFAIL with its reason.
func failed(ede uint16, text string) reply {
	return reply{rcode: dns.RcodeServerFailure, ede: int(ede), text: text}
}

// minimal answers ANY as RFC 8482 §4.2 does: with something small and true.
func minimal(q *query) reply {
	h := dns.RR_Header{Name: q.fqdn, Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: 3600}
	return reply{answer: []dns.RR{&dns.HINFO{Hdr: h, Cpu: "RFC8482"}}, ede: -1}
}
