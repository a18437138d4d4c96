package dnssec

import (
	"nightlatch/resolver/dnssec/tree"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// proof is the records of a zone that deny something, each with a good signature.
type proof struct {
	w     *work
	zone  *zone
	nsec  []*dns.NSEC
	nsec3 []*dns.NSEC3
	sets  []*set // of the same, each with the signature that holds
	ede   int    // why what follows is insecure, -1 for nothing
	weak  bool   // NSEC3 with more iterations than are taken: proves only that the zone is not to be trusted
	fault Result // what was wrong with a record that was left out
}

// maxDenials bounds the records of a proof; three are the most it needs.
const maxDenials = 12

// proof gathers the denials of a zone from an authority section.
func (w *work) proof(z *zone, authority []dns.RR) *proof {
	p := &proof{w: w, zone: z, ede: -1}
	for _, s := range group(authority) {
		if s.kind != dns.TypeNSEC && s.kind != dns.TypeNSEC3 || len(p.nsec)+len(p.nsec3) >= maxDenials {
			continue
		}
		sig, res := w.verify(s, z)
		if sig == nil {
			p.fault = res
			continue
		}
		if expanded(s.name, sig) || len(s.rrs) != 1 {
			continue // a denial is of one place and never a wildcard's (RFC 4035 §5.4)
		}
		switch rr := s.rrs[0].(type) {
		case *dns.NSEC:
			p.nsec = append(p.nsec, rr)
		case *dns.NSEC3:
			if !p.take(rr) {
				continue
			}
		}
		p.sets = append(p.sets, &set{s.name, s.kind, s.rrs, []*dns.RRSIG{sig}})
	}
	return p
}

// missing is the end of a proof that does not hold.
func (p *proof) missing(what, name string) Result {
	if p.weak {
		return insecure(int(dns.ExtendedErrorCodeUnsupportedNSEC3IterValue), p.zone.name+" hashes its names too often to be checked (RFC 9276 §3.2)")
	}
	if p.fault.Status == Bogus {
		return p.fault
	}
	return bogus(dns.ExtendedErrorCodeNSECMissing, "nothing proves that %s %s", name, what)
}

// denial proves what an answer without records says.
func (p *proof) denial(name string, qtype uint16, rcode int) Result {
	if rcode == dns.RcodeNameError {
		return p.absence(name)
	}
	return p.nodata(name, qtype)
}

// absence proves that a name does not exist, nor a wildcard that stands for it.
func (p *proof) absence(name string) Result {
	if p.weak {
		return p.missing("does not exist", name)
	}
	if n := p.covers(name); n != nil && !dns.IsSubDomain(name, n.NextDomain) { // else it is there, and empty
		ce := encloser(n, name)
		if p.covers(tree.Wildcard(ce)) != nil {
			return secure()
		}
	}
	if ok, optOut := p.absence3(name); ok {
		return p.sure(optOut)
	}
	return p.missing("does not exist", name)
}

// nodata proves that a name has no records of a type.
func (p *proof) nodata(name string, qtype uint16) Result {
	if p.weak {
		return p.missing("has no such records", name)
	}
	if n := p.matches(name); n != nil && lacks(n.TypeBitMap, qtype, name) {
		return secure()
	}
	if n := p.covers(name); n != nil {
		if dns.IsSubDomain(name, n.NextDomain) {
			return secure() // an empty name with others below it
		}
		star := p.matches(tree.Wildcard(encloser(n, name)))
		if star != nil && lacks(star.TypeBitMap, qtype, name) {
			return secure()
		}
	}
	if ok, optOut := p.nodata3(name, qtype); ok {
		return p.sure(optOut)
	}
	return p.missing("has no such records", name)
}

// expansion proves that a wildcard could stand for a name: next, the name one
// label longer than what the wildcard stands below, does not exist.
func (p *proof) expansion(next string) Result {
	if p.weak {
		return p.missing("does not exist", next)
	}
	if p.covers(next) != nil {
		return secure()
	}
	if n := p.covers3(next); n != nil {
		return p.sure(n.Flags&optOutFlag != 0)
	}
	return p.missing("does not exist", next)
}

// sure is a proof that holds. One that leads over a stretch where delegations
// may be left out (opt-out) does not make its answer secure (RFC 5155 §9.2).
func (p *proof) sure(optOut bool) Result {
	if optOut {
		return insecure(-1, "")
	}
	return secure()
}

// delegation is what a proof says of a name without DS records.
type delegation uint8

const (
	unproved delegation = iota
	unsigned            // a zone begins there, and it is not signed
	noZone              // the name is there, and no zone begins
	noName              // the name is not there
)

// delegation reads the proof that comes with a name that has no DS records.
func (p *proof) delegation(name string) delegation {
	if p.weak {
		p.ede = int(dns.ExtendedErrorCodeUnsupportedNSEC3IterValue)
		return unsigned
	}
	if n := p.matches(name); n != nil {
		return cutBits(n.TypeBitMap)
	}
	if n := p.covers(name); n != nil {
		if dns.IsSubDomain(name, n.NextDomain) {
			return noZone
		}
		return noName
	}
	return p.delegation3(name)
}

// cutBits reads the types at a name, as its parent has them.
func cutBits(types []uint16) delegation {
	has := func(t uint16) bool { return slices.Contains(types, t) }
	switch {
	case has(dns.TypeDS), has(dns.TypeSOA):
		return unproved // SOA: from the zone below, which has no say here
	case has(dns.TypeNS):
		return unsigned
	}
	return noZone
}

// lacks tells whether the types at a name prove that qtype is not among them.
// Those of a delegation speak for the parent alone, and those of an apex for
// the zone alone (RFC 6840 §4.4).
func lacks(types []uint16, qtype uint16, name string) bool {
	has := func(t uint16) bool { return slices.Contains(types, t) }
	switch {
	case has(qtype), has(dns.TypeCNAME):
		return false
	case qtype == dns.TypeDS:
		return !has(dns.TypeSOA) || name == "."
	}
	return !has(dns.TypeNS) || has(dns.TypeSOA)
}

// matches gives the NSEC of a name itself.
func (p *proof) matches(name string) *dns.NSEC {
	for _, n := range p.nsec {
		if dns.CanonicalName(n.Hdr.Name) == name {
			return n
		}
	}
	return nil
}

// covers gives the NSEC that says that a name is not there: it lies between the
// two names of the NSEC. What stands at a delegation or a DNAME says nothing
// of the names below it (RFC 6840 §4.1).
func (p *proof) covers(name string) *dns.NSEC {
	for _, n := range p.nsec {
		own, next := dns.CanonicalName(n.Hdr.Name), dns.CanonicalName(n.NextDomain)
		if own != name && dns.IsSubDomain(own, name) && leadsAway(n.TypeBitMap) {
			continue
		}
		after := tree.Compare(own, name) < 0
		last := next == p.zone.name // the zone ends here, and begins again
		if after && (last || tree.Compare(name, next) < 0) && dns.IsSubDomain(p.zone.name, name) {
			return n
		}
	}
	return nil
}

// leadsAway tells whether what lies below a name is not of its zone.
func leadsAway(types []uint16) bool {
	has := func(t uint16) bool { return slices.Contains(types, t) }
	return has(dns.TypeDNAME) || has(dns.TypeNS) && !has(dns.TypeSOA)
}

// encloser gives the nearest name above name that exists, by the NSEC that
// covers name: it shares the most labels with one of its two names.
func encloser(n *dns.NSEC, name string) string {
	return tree.Suffix(name, max(tree.Common(name, dns.CanonicalName(n.Hdr.Name)), tree.Common(name, dns.CanonicalName(n.NextDomain))))
}

// equalHex compares digests as they are written.
func equalHex(a, b string) bool {
	return strings.EqualFold(strings.ReplaceAll(a, " ", ""), strings.ReplaceAll(b, " ", ""))
}
