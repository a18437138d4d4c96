// Package signed is a small internet of signed zones, for tests: it makes keys,
// signatures and denials, and answers as a resolver does that does not validate.
package signed

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"nightlatch/resolver/dnssec/tree"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Zone describes one zone of the world.
type Zone struct {
	Name     string    // its apex, canonical: "example."
	Alg      uint8     // of its key; 0 is not signed
	NSEC3    bool      // denials by NSEC3 instead of NSEC
	OptOut   bool      // its NSEC3 leave unsigned delegations out (RFC 5155 §6)
	Iter     uint16    // iterations of its NSEC3
	Digest   uint8     // of its DS at the parent; 0 is SHA-256
	NoDS     bool      // signed, and the parent does not say so
	From, To time.Time // of its signatures; zero is a day around the world's time
	Records  string    // zone file lines; names are below the apex
}

// zone is a zone, signed and ready to answer.
type zone struct {
	Zone
	rrs  map[string]map[uint16][]dns.RR
	key  *dns.DNSKEY
	priv crypto.Signer
	cuts []string // names of child zones

	names []string          // every name, with those that are empty, in canonical order
	hash  map[string]string // NSEC3 hash -> name
	order []string          // hashes in order
}

// World is a small internet of signed zones. It is for one goroutine at a time.
type World struct {
	zones map[string]*zone
	Asked map[string]int                              // how often each "name. TYPE" was asked
	Spoil func(name string, qtype uint16, m *dns.Msg) // changes what is answered; nil for nothing

	single bool // aliases are not followed: that is the asker's task
}

// New makes a world of zones, the root among them, as it is at a moment.
func New(now time.Time, zones ...Zone) (*World, error) {
	w := &World{zones: map[string]*zone{}, Asked: map[string]int{}}
	for _, s := range zones {
		z, err := newZone(s, now)
		if err != nil {
			return nil, fmt.Errorf("signed: %s: %w", s.Name, err)
		}
		w.zones[s.Name] = z
	}
	if w.zones["."] == nil || w.zones["."].key == nil {
		return nil, errors.New("signed: a world needs a signed root")
	}
	for _, z := range w.zones {
		w.delegate(z)
	}
	for _, z := range w.zones {
		z.index()
	}
	return w, nil
}

// delegate puts the records of a zone into its parent.
func (w *World) delegate(z *zone) {
	if z.Name == "." {
		return
	}
	p := w.parent(z.Name)
	p.cuts = append(p.cuts, z.Name)
	p.add(&dns.NS{Hdr: header(z.Name, dns.TypeNS), Ns: "ns." + z.Name})
	if z.key != nil && !z.NoDS {
		ds := z.key.ToDS(cmp.Or(z.Digest, dns.SHA256))
		ds.Hdr.Ttl = 3600
		p.add(ds)
	}
}

// DS gives the DS records that a zone has at its parent, to be changed before
// the first question.
func (w *World) DS(zone string) []*dns.DS {
	var out []*dns.DS
	for _, rr := range w.parent(zone).rrs[zone][dns.TypeDS] {
		out = append(out, rr.(*dns.DS))
	}
	return out
}

// Anchor gives the trust anchor of the root.
func (w *World) Anchor() *dns.DS { return w.zones["."].key.ToDS(dns.SHA256) }

// NSEC gives the signed NSEC that a zone has at or before a name.
func (w *World) NSEC(zone, name string) []dns.RR { return w.zones[zone].nsec(name) }

func header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 3600}
}

func newZone(s Zone, now time.Time) (*zone, error) {
	z := &zone{Zone: s, rrs: map[string]map[uint16][]dns.RR{}}
	if z.From.IsZero() {
		z.From, z.To = now.Add(-24*time.Hour), now.Add(24*time.Hour)
	}
	ns := "ns." + strings.TrimPrefix(s.Name, ".")
	z.add(&dns.SOA{Hdr: header(s.Name, dns.TypeSOA), Ns: ns, Mbox: "h.", Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 300})
	z.add(&dns.NS{Hdr: header(s.Name, dns.TypeNS), Ns: ns})
	zp := dns.NewZoneParser(strings.NewReader(s.Records), s.Name, "")
	zp.SetDefaultTTL(300)
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		z.add(rr)
	}
	if err := zp.Err(); err != nil {
		return nil, err
	}
	if s.Alg == 0 {
		return z, nil
	}
	bits := map[uint8]int{dns.RSASHA256: 2048, dns.RSASHA1: 2048, dns.RSASHA512: 2048, dns.ECDSAP384SHA384: 384}[s.Alg]
	z.key = &dns.DNSKEY{Hdr: dns.RR_Header{Name: s.Name, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600}, Flags: 257, Protocol: 3, Algorithm: s.Alg}
	priv, err := z.key.Generate(cmp.Or(bits, 256))
	if err != nil {
		return nil, err
	}
	z.priv = priv.(crypto.Signer)
	z.add(z.key)
	return z, nil
}

func (z *zone) add(rr dns.RR) {
	name := dns.CanonicalName(rr.Header().Name)
	if z.rrs[name] == nil {
		z.rrs[name] = map[uint16][]dns.RR{}
	}
	z.rrs[name][rr.Header().Rrtype] = append(z.rrs[name][rr.Header().Rrtype], rr)
}

// index makes the chains of NSEC and NSEC3.
func (z *zone) index() {
	set := map[string]bool{}
	for name := range z.rrs {
		set[name] = true
		for n := dns.CountLabel(name) - 1; n > dns.CountLabel(z.Name); n-- {
			if z.NSEC3 {
				set[tree.Suffix(name, n)] = true // NSEC3 has records for empty names, NSEC has not
			}
		}
	}
	z.hash = map[string]string{}
	for name := range set {
		if z.OptOut && slices.Contains(z.cuts, name) && len(z.rrs[name][dns.TypeDS]) == 0 {
			continue
		}
		z.names = append(z.names, name)
		if z.NSEC3 {
			h := dns.HashName(name, dns.SHA1, z.Iter, "ab")
			z.hash[h] = name
			z.order = append(z.order, h)
		}
	}
	slices.SortFunc(z.names, tree.Compare)
	slices.Sort(z.order)
}

// has tells whether a name is there, be it empty.
func (z *zone) has(name string) bool {
	for n := range z.rrs {
		if dns.IsSubDomain(name, n) {
			return true
		}
	}
	return false
}

func (z *zone) types(name string) []uint16 {
	var out []uint16
	for kind := range z.rrs[name] {
		if !slices.Contains(z.cuts, name) || kind == dns.TypeNS || kind == dns.TypeDS {
			out = append(out, kind)
		}
	}
	if len(out) > 0 && !(len(out) == 1 && out[0] == dns.TypeNS && slices.Contains(z.cuts, name)) || !z.NSEC3 {
		out = append(out, dns.TypeRRSIG)
	}
	if !z.NSEC3 {
		out = append(out, dns.TypeNSEC)
	}
	slices.Sort(out)
	return out
}

// sign appends a set with its signature; owner may differ from the records'
// own where a wildcard stands for it.
func (z *zone) sign(section []dns.RR, set []dns.RR, owner string) []dns.RR {
	var out []dns.RR
	for _, rr := range set {
		rr = dns.Copy(rr)
		out = append(out, rr)
	}
	if z.key == nil {
		return append(section, rename(out, owner)...)
	}
	h := out[0].Header()
	sig := &dns.RRSIG{Hdr: dns.RR_Header{Name: h.Name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: h.Ttl}, TypeCovered: h.Rrtype,
		Algorithm: z.Alg, Labels: uint8(tree.Labels(h.Name)), OrigTtl: h.Ttl, Inception: uint32(z.From.Unix()), Expiration: uint32(z.To.Unix()),
		KeyTag: z.key.KeyTag(), SignerName: z.Name}
	if err := sig.Sign(z.priv, out); err != nil {
		panic(fmt.Sprint(err, out))
	}
	return append(section, rename(append(out, sig), owner)...)
}

func rename(rrs []dns.RR, owner string) []dns.RR {
	for _, rr := range rrs {
		rr.Header().Name = owner
	}
	return rrs
}

func (z *zone) nsec(name string) []dns.RR {
	at := 0
	for i, n := range z.names {
		if tree.Compare(n, name) <= 0 {
			at = i
		}
	}
	own, next := z.names[at], z.names[(at+1)%len(z.names)]
	n := &dns.NSEC{Hdr: dns.RR_Header{Name: own, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 300}, NextDomain: next, TypeBitMap: z.types(own)}
	return z.sign(nil, []dns.RR{n}, own)
}

func (z *zone) nsec3rr(name string) []dns.RR {
	h := dns.HashName(name, dns.SHA1, z.Iter, "ab")
	at := len(z.order) - 1
	for i, o := range z.order {
		if o <= h {
			at = i
		}
	}
	if z.order[0] > h {
		at = len(z.order) - 1
	}
	own, next := z.order[at], z.order[(at+1)%len(z.order)]
	owner := strings.ToLower(own) + "." + strings.TrimPrefix(z.Name, ".")
	n := &dns.NSEC3{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: 300}, Hash: dns.SHA1, Iterations: z.Iter,
		SaltLength: 1, Salt: "ab", HashLength: 20, NextDomain: next, TypeBitMap: z.types(z.hash[own])}
	if z.OptOut {
		n.Flags = 1 // RFC 5155 §3.1.2.1
	}
	return z.sign(nil, []dns.RR{n}, owner)
}

// prove appends the denials of names, each once.
func (z *zone) prove(section []dns.RR, names ...string) []dns.RR {
	for _, name := range names {
		rrs := z.nsec(name)
		if z.NSEC3 {
			rrs = z.nsec3rr(name)
		}
		if !slices.ContainsFunc(section, func(rr dns.RR) bool {
			return rr.Header().Name == rrs[0].Header().Name && rr.Header().Rrtype == rrs[0].Header().Rrtype
		}) {
			section = append(section, rrs...)
		}
	}
	return section
}

// encloser is the nearest name that is there.
func (z *zone) encloser(name string) (ce, next string) {
	next = name
	for n := dns.CountLabel(name) - 1; ; n-- {
		if ce = tree.Suffix(name, n); z.has(ce) {
			return ce, next
		}
		next = ce
	}
}

func (w *World) parent(name string) *zone {
	for n := dns.CountLabel(name) - 1; ; n-- {
		if z := w.zones[tree.Suffix(name, n)]; z != nil {
			return z
		}
	}
}

// Answer answers as a resolver that does not validate, which was asked with DO.
func (w *World) Answer(name string, qtype uint16) *dns.Msg {
	name = dns.CanonicalName(name)
	w.Asked[name+" "+dns.Type(qtype).String()]++
	m := &dns.Msg{}
	w.answer(m, name, qtype, 0)
	if w.Spoil != nil {
		w.Spoil(name, qtype, m)
	}
	return m
}

func (w *World) answer(m *dns.Msg, name string, qtype uint16, depth int) {
	z := w.zones[name]
	if z == nil || qtype == dns.TypeDS && name != "." {
		z = w.parent(name)
	}
	for n := dns.CountLabel(name); n > dns.CountLabel(z.Name); n-- {
		if d := z.rrs[tree.Suffix(name, n)][dns.TypeDNAME]; d != nil && tree.Suffix(name, n) != name {
			m.Answer = z.sign(m.Answer, d, tree.Suffix(name, n))
			to := strings.TrimSuffix(name, tree.Suffix(name, n)) + d[0].(*dns.DNAME).Target
			m.Answer = append(m.Answer, &dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 300}, Target: to})
			if !w.single {
				w.answer(m, to, qtype, depth+1)
			}
			return
		}
	}
	source := name
	if !z.has(name) {
		ce, next := z.encloser(name)
		source = tree.Wildcard(ce)
		if z.rrs[source] == nil {
			m.Rcode = dns.RcodeNameError
			w.deny(m, z, name, ce, next, source)
			return
		}
		if z.key != nil {
			if z.NSEC3 {
				m.Ns = z.prove(m.Ns, next)
			} else {
				m.Ns = z.prove(m.Ns, name)
			}
		}
	}
	if set := z.rrs[source][qtype]; set != nil {
		m.Answer = z.sign(m.Answer, set, name)
		return
	}
	if set := z.rrs[source][dns.TypeCNAME]; set != nil && depth < 8 {
		m.Answer = z.sign(m.Answer, set, name)
		if !w.single {
			w.answer(m, dns.CanonicalName(set[0].(*dns.CNAME).Target), qtype, depth+1)
		}
		return
	}
	m.Ns = z.sign(m.Ns, z.rrs[z.Name][dns.TypeSOA], z.Name)
	if z.key == nil {
		return
	}
	if z.NSEC3 && (source != name || z.OptOut && !slices.Contains(z.names, name)) {
		ce, next := z.encloser(name)
		if source == name { // a delegation that was left out
			ce, next = tree.Suffix(name, dns.CountLabel(name)-1), name
		}
		m.Ns = z.prove(m.Ns, ce, next)
	}
	m.Ns = z.prove(m.Ns, source)
}

func (w *World) deny(m *dns.Msg, z *zone, name, ce, next, star string) {
	m.Ns = z.sign(m.Ns, z.rrs[z.Name][dns.TypeSOA], z.Name)
	switch {
	case z.key == nil:
	case z.NSEC3:
		m.Ns = z.prove(m.Ns, ce, next, star)
	default:
		m.Ns = z.prove(m.Ns, name, star)
	}
}
