package resolver

import (
	"slices"

	"github.com/miekg/dns"
)

// describes tells the types whose records describe how a service is reached, and
// may have keys for Encrypted ClientHello (RFC 9848).
func describes(qtype uint16) bool { return qtype == dns.TypeHTTPS || qtype == dns.TypeSVCB }

// withoutECH takes the keys of Encrypted ClientHello out of an answer for a
// device whose policy says so: it then names the servers it speaks to in clear,
// as with a server that has no keys. The signature over the records does not hold
// any more and goes as well.
func (r *Resolver) withoutECH(q *query, rep *reply) {
	if !describes(q.Type) || len(rep.answer) == 0 {
		return
	}
	if p := r.judge(); p == nil || !p.StripsECH(q.flow.Device) {
		return
	}
	stripped := false
	for _, rr := range rep.answer {
		switch v := rr.(type) {
		case *dns.HTTPS:
			stripped = strip(&v.SVCB) || stripped
		case *dns.SVCB:
			stripped = strip(v) || stripped
		}
	}
	if !stripped {
		return
	}
	rep.answer = slices.DeleteFunc(rep.answer, func(rr dns.RR) bool {
		sig, ok := rr.(*dns.RRSIG)
		return ok && sig.TypeCovered == q.Type
	})
	rep.secure = false
	if rep.ede < 0 {
		rep.ede, rep.text = int(dns.ExtendedErrorCodeFiltered), "the keys of Encrypted ClientHello were taken out"
	}
}

// strip takes the keys out of one record, and out of what it says must be
// understood (RFC 9460 §8). The record is the reply's own.
func strip(s *dns.SVCB) bool {
	before := len(s.Value)
	s.Value = slices.DeleteFunc(s.Value, func(kv dns.SVCBKeyValue) bool {
		if m, ok := kv.(*dns.SVCBMandatory); ok {
			m.Code = slices.DeleteFunc(m.Code, func(k dns.SVCBKey) bool { return k == dns.SVCB_ECHCONFIG })
			return len(m.Code) == 0
		}
		return kv.Key() == dns.SVCB_ECHCONFIG
	})
	return len(s.Value) < before
}
