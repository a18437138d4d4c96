package dnssec

import (
	"cmp"
	"container/list"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/dnssec/tree"
)

// Bounds of the denials that are remembered.
const (
	maxHeld     = 4 << 20          // octets, as weigh counts them: some 4,000 denials
	maxDenial   = 15 * time.Minute // of a denial, whatever its zone allows: people wait for new names
	maxGuess    = 600              // rounds of NSEC3 hashing for one answer that is made here
	spanOffice  = 500              // octets of one denial besides its records
	recordScale = 3                // octets in memory for one on the wire
)

// held remembers proved denials, so that what they prove of other names need
// not be asked (RFC 8198): that a name has none below it (RFC 8020) is one of
// these things. A denial that leaves delegations out (opt-out) is never held.
// Safe for concurrent use.
type held struct {
	mu    sync.Mutex
	zones map[string]*stretch
	used  *list.List // of *span, the latest used first
	bytes int
}

// stretch is what is proved of one zone.
type stretch struct {
	name  string
	soa   *span
	nsec  []*span // in the order of the zone
	nsec3 []*span // in the order of their hashes; all hashed alike
	stars map[wild]*span
}

// wild names the records of a wildcard.
type wild struct {
	name string
	kind uint16
}

// span is a set of records that was validated, with the signature that did it.
type span struct {
	zone    *stretch
	key     string // by which it is ordered
	star    wild   // of a wildcard's records
	rrs     []dns.RR
	expires time.Time
	bytes   int
	place   *list.Element
}

func newHeld() *held { return &held{zones: map[string]*stretch{}, used: list.New()} }

func (h *held) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.zones, h.bytes = map[string]*stretch{}, 0
	h.used.Init()
}

// keep remembers what a proof is made of, and the SOA beside it.
func (w *work) keep(p *proof, authority []dns.RR) {
	var soa *set
	if s := find(group(authority), p.zone.name, dns.TypeSOA); s != nil && len(s.rrs) == 1 {
		if sig, _ := w.verify(s, p.zone); sig != nil {
			soa = &set{s.name, s.kind, s.rrs, []*dns.RRSIG{sig}}
		}
	}
	h := w.v.held
	h.mu.Lock()
	defer h.mu.Unlock()
	z := h.zone(p.zone.name)
	if soa != nil {
		h.drop(z.soa)
		z.soa = h.add(z, soa, w.now)
	}
	for _, s := range p.sets {
		switch rr := s.rrs[0].(type) {
		case *dns.NSEC:
			h.insert(&z.nsec, z, s, tree.Key(s.name), w.now)
		case *dns.NSEC3:
			if rr.Flags&optOutFlag != 0 {
				continue
			}
			if len(z.nsec3) > 0 && !alike(z.nsec3[0].rrs[0].(*dns.NSEC3), rr) {
				for _, old := range slices.Clone(z.nsec3) {
					h.drop(old) // the zone hashes its names anew
				}
			}
			h.insert(&z.nsec3, z, s, hashed(rr), w.now)
		}
	}
	h.shrink()
}

// keepWild remembers the records that a wildcard has for others (RFC 8198 §5.3).
func (w *work) keepWild(p *proof, s *set, sig *dns.RRSIG) {
	star := tree.Wildcard(tree.Suffix(s.name, int(sig.Labels)))
	w.keep(p, nil)
	h := w.v.held
	h.mu.Lock()
	defer h.mu.Unlock()
	z, at := h.zone(p.zone.name), wild{star, s.kind}
	h.drop(z.stars[at])
	n := h.add(z, &set{star, s.kind, s.rrs, []*dns.RRSIG{sig}}, w.now)
	n.star = at
	z.stars[at] = n
	h.shrink()
}

func alike(a, b *dns.NSEC3) bool {
	return a.Iterations == b.Iterations && strings.EqualFold(a.Salt, b.Salt)
}

func (h *held) zone(name string) *stretch {
	z := h.zones[name]
	if z == nil {
		z = &stretch{name: name, stars: map[wild]*span{}}
		h.zones[name] = z
	}
	return z
}

// insert puts a denial in its place, instead of what was known there.
func (h *held) insert(spans *[]*span, z *stretch, s *set, key string, now time.Time) {
	if i, ok := slices.BinarySearchFunc(*spans, key, byKey); ok {
		h.drop((*spans)[i])
	}
	i, _ := slices.BinarySearchFunc(*spans, key, byKey)
	n := h.add(z, s, now)
	n.key = key
	*spans = slices.Insert(*spans, i, n)
}

func byKey(s *span, key string) int { return cmp.Compare(s.key, key) }

func (h *held) add(z *stretch, s *set, now time.Time) *span {
	n := &span{zone: z, bytes: spanOffice}
	life := maxDenial
	for _, rr := range slices.Concat(s.rrs, []dns.RR{s.sigs[0]}) {
		rr = dns.Copy(rr)
		n.rrs = append(n.rrs, rr)
		n.bytes += recordScale * dns.Len(rr)
		life = min(life, time.Duration(rr.Header().Ttl)*time.Second)
		switch v := rr.(type) {
		case *dns.RRSIG: // RFC 4035 §5.3.3
			left := time.Duration(int32(v.Expiration-uint32(now.Unix()))) * time.Second
			life = min(life, max(left, 0), time.Duration(v.OrigTtl)*time.Second)
		case *dns.SOA:
			life = min(life, time.Duration(v.Minttl)*time.Second)
		}
	}
	n.expires = now.Add(life)
	n.place = h.used.PushFront(n)
	h.bytes += n.bytes
	return n
}

// drop forgets one set; nil is none.
func (h *held) drop(n *span) {
	if n == nil || n.place == nil {
		return
	}
	h.used.Remove(n.place)
	n.place = nil
	h.bytes -= n.bytes
	z := n.zone
	same := func(o *span) bool { return o == n }
	switch {
	case z.soa == n:
		z.soa = nil
	case z.stars[n.star] == n:
		delete(z.stars, n.star)
	default:
		z.nsec, z.nsec3 = slices.DeleteFunc(z.nsec, same), slices.DeleteFunc(z.nsec3, same)
	}
}

// shrink holds the bound: what was used longest ago goes, and zones with it.
func (h *held) shrink() {
	for h.bytes > maxHeld {
		n := h.used.Back().Value.(*span)
		h.drop(n)
		if z := n.zone; z.soa == nil && len(z.nsec)+len(z.nsec3)+len(z.stars) == 0 {
			delete(h.zones, z.name)
		}
	}
}

// before gives the last denial at or before a key, around the end of the zone;
// nil when it is not there, or no longer true.
func (h *held) before(spans []*span, key string, now time.Time) *span {
	if len(spans) == 0 {
		return nil
	}
	i, found := slices.BinarySearchFunc(spans, key, byKey)
	if !found {
		i = (i + len(spans) - 1) % len(spans)
	}
	return h.live(spans[i], now)
}

func (h *held) live(n *span, now time.Time) *span {
	if n == nil || !now.Before(n.expires) {
		return nil
	}
	h.used.MoveToFront(n.place)
	return n
}

// Known answers a question by what earlier answers proved (RFC 8198): that the
// name does not exist, that it has no such records, or what a wildcard has for
// it. qname is in presentation form with the final dot. The answer is secure; ok
// is false when nothing is proved, and the question is to be asked.
func (v *Validator) Known(qname string, qtype uint16) (m *dns.Msg, ok bool) {
	switch qtype {
	case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeANY:
		return nil, false
	}
	name, now, h := dns.CanonicalName(qname), v.opt.Now(), v.held
	h.mu.Lock()
	defer h.mu.Unlock()
	z := h.above(owner(name, qtype))
	if z == nil {
		return nil, false
	}
	g := &guess{h: h, z: z, name: name, qtype: qtype, now: now}
	g.p = proof{w: &work{rounds: maxGuess}, zone: &zone{name: z.name}, ede: -1}
	if g.byNSEC() || g.byNSEC3() {
		return g.message()
	}
	return nil, false
}

// above gives the nearest zone above a name of which something is held.
func (h *held) above(name string) *stretch {
	for n := dns.CountLabel(name); n >= 0; n-- {
		if z := h.zones[tree.Suffix(name, n)]; z != nil {
			return z
		}
	}
	return nil
}

// guess is the attempt to answer one question from what is held. It only
// gathers: whether what was gathered proves anything is for proof to say.
type guess struct {
	h     *held
	z     *stretch
	name  string
	qtype uint16
	now   time.Time

	p     proof
	spans []*span // what the proof is made of
	rcode int
	star  *span // the wildcard's records; nil for a denial
}

func (g *guess) take(n *span) {
	if n == nil || slices.Contains(g.spans, n) {
		return
	}
	g.spans = append(g.spans, n)
	switch rr := n.rrs[0].(type) {
	case *dns.NSEC:
		g.p.nsec = append(g.p.nsec, rr)
	case *dns.NSEC3:
		g.p.nsec3 = append(g.p.nsec3, rr)
	}
}

// byNSEC tries the NSEC at or before the name, and that of the wildcard.
func (g *guess) byNSEC() bool {
	n := g.h.before(g.z.nsec, tree.Key(g.name), g.now)
	if n == nil {
		return false
	}
	g.take(n)
	if g.p.matches(g.name) != nil {
		return g.denies()
	}
	if g.p.covers(g.name) == nil {
		return g.nothing()
	}
	star := tree.Wildcard(encloser(n.rrs[0].(*dns.NSEC), g.name))
	if g.expands(star) {
		return true
	}
	g.take(g.h.before(g.z.nsec, tree.Key(star), g.now))
	return g.denies()
}

// byNSEC3 tries the NSEC3 of the name, or of the nearest name above it that
// exists with the one that covers what is below, and that of the wildcard.
func (g *guess) byNSEC3() bool {
	if len(g.z.nsec3) == 0 {
		return false
	}
	like, rounds := g.z.nsec3[0].rrs[0].(*dns.NSEC3), maxGuess/2 // the proof hashes once more
	hash := func(name string) string {
		if rounds -= int(like.Iterations) + 1; rounds < 0 {
			return ""
		}
		return dns.HashName(name, like.Hash, like.Iterations, like.Salt)
	}
	at := func(name string) *span {
		if key := hash(name); key != "" {
			return g.h.before(g.z.nsec3, key, g.now)
		}
		return nil
	}
	next := g.name
	for n := dns.CountLabel(g.name); n >= dns.CountLabel(g.z.name); n-- {
		ce := tree.Suffix(g.name, n)
		if g.z.stars[wild{tree.Wildcard(ce), g.qtype}] != nil && ce != g.name { // so ce exists
			if g.take(at(next)); g.expands(tree.Wildcard(ce)) {
				return true
			}
		}
		key := hash(ce)
		if key == "" {
			return false
		}
		if m := g.h.before(g.z.nsec3, key, g.now); m != nil && m.key == key {
			g.take(m)
			if ce == g.name {
				return g.denies()
			}
			g.take(at(next))
			g.take(at(tree.Wildcard(ce)))
			return g.denies()
		}
		next = ce
	}
	return false
}

// denies asks the proof whether the name or its type is not there.
func (g *guess) denies() bool {
	switch {
	case g.h.live(g.z.soa, g.now) == nil: // RFC 2308 §3: a denial comes with its SOA
		return g.nothing()
	case g.p.absence(g.name).Status == Secure:
		g.rcode = dns.RcodeNameError
		return true
	case g.p.nodata(g.name, g.qtype).Status == Secure:
		return true
	}
	return g.nothing()
}

// expands tells whether a wildcard has what is asked for, and nothing nearer is
// there.
func (g *guess) expands(star string) bool {
	n := g.h.live(g.z.stars[wild{star, g.qtype}], g.now)
	if n == nil || star == g.name {
		return false
	}
	next := tree.Suffix(g.name, dns.CountLabel(star)) // one label below what the wildcard stands below
	if g.p.expansion(next).Status != Secure {
		return false
	}
	g.star = n
	return true
}

func (g *guess) nothing() bool {
	g.spans, g.p.nsec, g.p.nsec3 = nil, nil, nil
	return false
}

// message writes the answer. All of it lives as long as what ends first.
func (g *guess) message() (*dns.Msg, bool) {
	m := &dns.Msg{}
	m.Response, m.Rcode = true, g.rcode
	parts := append([]*span{g.star}, g.spans...)
	if g.star == nil {
		parts[0] = g.z.soa
	}
	left := maxDenial
	for _, n := range parts {
		left = min(left, n.expires.Sub(g.now))
	}
	ttl := uint32(left / time.Second)
	for _, n := range parts {
		for _, rr := range n.rrs {
			rr = dns.Copy(rr)
			rr.Header().Ttl = ttl
			if n == g.star {
				rr.Header().Name = g.name
				m.Answer = append(m.Answer, rr)
			} else {
				m.Ns = append(m.Ns, rr)
			}
		}
	}
	return m, ttl > 0
}
