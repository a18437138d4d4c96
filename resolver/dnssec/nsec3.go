package dnssec

import (
	"nightlatch/resolver/dnssec/tree"
	"strings"

	"github.com/miekg/dns"
)

const (
	optOutFlag    = 1   // RFC 5155 §3.1.2.1
	maxIterations = 150 // more make a zone insecure (RFC 9276 §3.2); as unbound and others have it
)

// take adds an NSEC3, if it can be used. All of a proof must hash alike
// (RFC 5155 §8.2).
func (p *proof) take(n *dns.NSEC3) bool {
	if n.Hash != dns.SHA1 || n.Flags&^optOutFlag != 0 {
		return false
	}
	if n.Iterations > maxIterations {
		p.weak = true
		return false
	}
	if dns.CanonicalName(n.Hdr.Name) != strings.ToLower(hashed(n))+"."+strings.TrimPrefix(p.zone.name, ".") {
		return false // not a direct child of the apex
	}
	if len(p.nsec3) > 0 && !alike(p.nsec3[0], n) {
		return false
	}
	p.nsec3 = append(p.nsec3, n)
	return true
}

// hashed gives the hash that an NSEC3 stands at.
func hashed(n *dns.NSEC3) string {
	label, _, _ := strings.Cut(n.Hdr.Name, ".")
	return strings.ToUpper(label)
}

// hash gives the hash of a name, "" when the work is used up.
func (p *proof) hash(name string) string {
	if len(p.nsec3) == 0 {
		return ""
	}
	n := p.nsec3[0]
	cost := int(n.Iterations) + 1
	if p.w.rounds < cost {
		return ""
	}
	p.w.rounds -= cost
	return dns.HashName(name, n.Hash, n.Iterations, n.Salt)
}

// matches3 gives the NSEC3 of a name itself.
func (p *proof) matches3(name string) *dns.NSEC3 {
	h := p.hash(name)
	for _, n := range p.nsec3 {
		if h != "" && hashed(n) == h {
			return n
		}
	}
	return nil
}

// covers3 gives the NSEC3 that says that a name is not there.
func (p *proof) covers3(name string) *dns.NSEC3 {
	h := p.hash(name)
	if h == "" {
		return nil
	}
	for _, n := range p.nsec3 {
		own, next := hashed(n), strings.ToUpper(n.NextDomain)
		switch {
		case own < next && own < h && h < next:
			return n
		case own >= next && (h > own || h < next): // the last of the zone; one alone covers all but itself
			return n
		}
	}
	return nil
}

// closest proves which is the nearest name above name that exists, and gives it
// with the NSEC3 that covers the name one label longer (RFC 5155 §8.3).
func (p *proof) closest(name string) (ce string, cover *dns.NSEC3) {
	next := name
	for n := dns.CountLabel(name) - 1; n >= dns.CountLabel(p.zone.name); n-- {
		ce = tree.Suffix(name, n)
		if m := p.matches3(ce); m != nil {
			if leadsAway(m.TypeBitMap) {
				return "", nil
			}
			return ce, p.covers3(next)
		}
		next = ce
	}
	return "", nil
}

// absence3 is absence with NSEC3 (RFC 5155 §8.4).
func (p *proof) absence3(name string) (ok, optOut bool) {
	ce, cover := p.closest(name)
	if cover == nil || p.covers3(tree.Wildcard(ce)) == nil {
		return false, false
	}
	return true, cover.Flags&optOutFlag != 0
}

// nodata3 is nodata with NSEC3 (RFC 5155 §8.5-8.7).
func (p *proof) nodata3(name string, qtype uint16) (ok, optOut bool) {
	if m := p.matches3(name); m != nil {
		return lacks(m.TypeBitMap, qtype, name), false
	}
	ce, cover := p.closest(name)
	if cover == nil {
		return false, false
	}
	if star := p.matches3(tree.Wildcard(ce)); star != nil && lacks(star.TypeBitMap, qtype, name) {
		return true, cover.Flags&optOutFlag != 0
	}
	return cover.Flags&optOutFlag != 0, true
}

// delegation3 is delegation with NSEC3 (RFC 5155 §8.6, §8.9).
func (p *proof) delegation3(name string) delegation {
	if m := p.matches3(name); m != nil {
		return cutBits(m.TypeBitMap)
	}
	switch _, cover := p.closest(name); {
	case cover == nil:
		return unproved
	case cover.Flags&optOutFlag != 0:
		return unsigned
	}
	return noName
}
