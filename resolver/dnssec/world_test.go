package dnssec

import (
	"cmp"
	"context"
	"crypto"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// noon is the time in which the test world lives.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// zoneSpec is one zone of the test world.
type zoneSpec struct {
	name     string
	alg      uint8 // 0: not signed
	nsec3    bool
	optOut   bool
	iter     uint16
	digest   uint8 // of the DS at the parent, SHA-256 by default
	noDS     bool  // signed, and the parent does not say so
	from, to time.Time
	records  string // zone file lines with names below $ORIGIN
}

// testZone is a zone, signed and ready to answer.
type testZone struct {
	zoneSpec
	rrs  map[string]map[uint16][]dns.RR
	key  *dns.DNSKEY
	priv crypto.Signer
	cuts []string // names of child zones

	names []string          // every name, with those that are empty, in canonical order
	hash  map[string]string // NSEC3 hash -> name
	order []string          // hashes in order
}

// world is a small internet of signed zones, asked as a resolver would be.
type world struct {
	t       testing.TB
	zones   map[string]*testZone
	asked   map[string]int
	spoil   func(m *dns.Msg) // changes what is answered
	spoilAt string           // "name TYPE"; empty is every answer
}

func newWorld(t testing.TB, specs ...zoneSpec) *world {
	t.Helper()
	w := &world{t: t, zones: map[string]*testZone{}, asked: map[string]int{}}
	for _, s := range specs {
		w.zones[s.name] = newZone(t, s)
	}
	for _, z := range w.zones { // delegations
		if z.name == "." {
			continue
		}
		p := w.parent(z.name)
		p.cuts = append(p.cuts, z.name)
		p.add(mustRR(t, z.name+" 3600 IN NS ns."+z.name))
		if z.key != nil && !z.noDS {
			ds := z.key.ToDS(cmp.Or(z.digest, dns.SHA256))
			ds.Hdr.Ttl = 3600
			p.add(ds)
		}
	}
	for _, z := range w.zones {
		z.index()
	}
	return w
}

func mustRR(t testing.TB, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

func newZone(t testing.TB, s zoneSpec) *testZone {
	z := &testZone{zoneSpec: s, rrs: map[string]map[uint16][]dns.RR{}}
	if z.from.IsZero() {
		z.from, z.to = noon.Add(-24*time.Hour), noon.Add(24*time.Hour)
	}
	z.add(mustRR(t, s.name+" 3600 IN SOA ns."+strings.TrimPrefix(s.name, ".")+" h. 1 3600 600 86400 300"))
	z.add(mustRR(t, s.name+" 3600 IN NS ns."+strings.TrimPrefix(s.name, ".")))
	zp := dns.NewZoneParser(strings.NewReader(s.records), s.name, "")
	zp.SetDefaultTTL(300)
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		z.add(rr)
	}
	if err := zp.Err(); err != nil {
		t.Fatal(err)
	}
	if s.alg == 0 {
		return z
	}
	bits := map[uint8]int{dns.RSASHA256: 2048, dns.RSASHA1: 2048, dns.RSASHA512: 2048, dns.ECDSAP384SHA384: 384}[s.alg]
	z.key = &dns.DNSKEY{Hdr: dns.RR_Header{Name: s.name, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600}, Flags: 257, Protocol: 3, Algorithm: s.alg}
	priv, err := z.key.Generate(cmp.Or(bits, 256))
	if err != nil {
		t.Fatal(err)
	}
	z.priv = priv.(crypto.Signer)
	z.add(z.key)
	return z
}

func (z *testZone) add(rr dns.RR) {
	name := dns.CanonicalName(rr.Header().Name)
	if z.rrs[name] == nil {
		z.rrs[name] = map[uint16][]dns.RR{}
	}
	z.rrs[name][rr.Header().Rrtype] = append(z.rrs[name][rr.Header().Rrtype], rr)
}

// index makes the chains of NSEC and NSEC3.
func (z *testZone) index() {
	set := map[string]bool{}
	for name := range z.rrs {
		set[name] = true
		for n := dns.CountLabel(name) - 1; n > dns.CountLabel(z.name); n-- {
			if z.nsec3 {
				set[suffix(name, n)] = true // NSEC3 has records for empty names, NSEC has not
			}
		}
	}
	z.hash = map[string]string{}
	for name := range set {
		if z.optOut && slices.Contains(z.cuts, name) && len(z.rrs[name][dns.TypeDS]) == 0 {
			continue
		}
		z.names = append(z.names, name)
		if z.nsec3 {
			h := dns.HashName(name, dns.SHA1, z.iter, "ab")
			z.hash[h] = name
			z.order = append(z.order, h)
		}
	}
	slices.SortFunc(z.names, compare)
	slices.Sort(z.order)
}

// has tells whether a name is there, be it empty.
func (z *testZone) has(name string) bool {
	for n := range z.rrs {
		if dns.IsSubDomain(name, n) {
			return true
		}
	}
	return false
}

func (z *testZone) types(name string) []uint16 {
	var out []uint16
	for kind := range z.rrs[name] {
		if !slices.Contains(z.cuts, name) || kind == dns.TypeNS || kind == dns.TypeDS {
			out = append(out, kind)
		}
	}
	if len(out) > 0 && !(len(out) == 1 && out[0] == dns.TypeNS && slices.Contains(z.cuts, name)) || !z.nsec3 {
		out = append(out, dns.TypeRRSIG)
	}
	if !z.nsec3 {
		out = append(out, dns.TypeNSEC)
	}
	slices.Sort(out)
	return out
}

// sign appends a set with its signature; owner may differ from the records'
// own where a wildcard stands for it.
func (z *testZone) sign(section []dns.RR, set []dns.RR, owner string) []dns.RR {
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
		Algorithm: z.alg, Labels: uint8(labels(h.Name)), OrigTtl: h.Ttl, Inception: uint32(z.from.Unix()), Expiration: uint32(z.to.Unix()),
		KeyTag: z.key.KeyTag(), SignerName: z.name}
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

func (z *testZone) nsec(name string) []dns.RR {
	at := 0
	for i, n := range z.names {
		if compare(n, name) <= 0 {
			at = i
		}
	}
	own, next := z.names[at], z.names[(at+1)%len(z.names)]
	n := &dns.NSEC{Hdr: dns.RR_Header{Name: own, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 300}, NextDomain: next, TypeBitMap: z.types(own)}
	return z.sign(nil, []dns.RR{n}, own)
}

func (z *testZone) nsec3rr(name string) []dns.RR {
	h := dns.HashName(name, dns.SHA1, z.iter, "ab")
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
	owner := strings.ToLower(own) + "." + strings.TrimPrefix(z.name, ".")
	n := &dns.NSEC3{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: 300}, Hash: dns.SHA1, Iterations: z.iter,
		SaltLength: 1, Salt: "ab", HashLength: 20, NextDomain: next, TypeBitMap: z.types(z.hash[own])}
	if z.optOut {
		n.Flags = optOutFlag
	}
	return z.sign(nil, []dns.RR{n}, owner)
}

// prove appends the denials of names, each once.
func (z *testZone) prove(section []dns.RR, names ...string) []dns.RR {
	for _, name := range names {
		rrs := z.nsec(name)
		if z.nsec3 {
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
func (z *testZone) encloser(name string) (ce, next string) {
	next = name
	for n := dns.CountLabel(name) - 1; ; n-- {
		if ce = suffix(name, n); z.has(ce) {
			return ce, next
		}
		next = ce
	}
}

func (w *world) parent(name string) *testZone {
	for n := dns.CountLabel(name) - 1; ; n-- {
		if z := w.zones[suffix(name, n)]; z != nil {
			return z
		}
	}
}

// ask answers as a resolver that does not validate.
func (w *world) ask(_ context.Context, name string, qtype uint16) (*dns.Msg, error) {
	w.asked[name+" "+dns.Type(qtype).String()]++
	m := &dns.Msg{}
	w.answer(m, dns.CanonicalName(name), qtype, 0)
	if w.spoil != nil && (w.spoilAt == "" || w.spoilAt == name+" "+dns.Type(qtype).String()) {
		w.spoil(m)
	}
	return m, nil
}

func (w *world) answer(m *dns.Msg, name string, qtype uint16, depth int) {
	z := w.zones[name]
	if z == nil || qtype == dns.TypeDS && name != "." {
		z = w.parent(name)
	}
	for n := dns.CountLabel(name); n > dns.CountLabel(z.name); n-- {
		if d := z.rrs[suffix(name, n)][dns.TypeDNAME]; d != nil && suffix(name, n) != name {
			m.Answer = z.sign(m.Answer, d, suffix(name, n))
			to := strings.TrimSuffix(name, suffix(name, n)) + d[0].(*dns.DNAME).Target
			m.Answer = append(m.Answer, mustRR(w.t, name+" 300 IN CNAME "+to))
			w.answer(m, to, qtype, depth+1)
			return
		}
	}
	source := name
	if !z.has(name) {
		ce, next := z.encloser(name)
		source = wildcard(ce)
		if z.rrs[source] == nil {
			m.Rcode = dns.RcodeNameError
			w.deny(m, z, name, ce, next, source)
			return
		}
		if z.key != nil {
			if z.nsec3 {
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
		w.answer(m, dns.CanonicalName(set[0].(*dns.CNAME).Target), qtype, depth+1)
		return
	}
	m.Ns = z.sign(m.Ns, z.rrs[z.name][dns.TypeSOA], z.name)
	if z.key == nil {
		return
	}
	if z.nsec3 && (source != name || z.optOut && !slices.Contains(z.names, name)) {
		ce, next := z.encloser(name)
		if source == name { // a delegation that was left out
			ce, next = suffix(name, dns.CountLabel(name)-1), name
		}
		m.Ns = z.prove(m.Ns, ce, next)
	}
	m.Ns = z.prove(m.Ns, source)
}

func (w *world) deny(m *dns.Msg, z *testZone, name, ce, next, star string) {
	m.Ns = z.sign(m.Ns, z.rrs[z.name][dns.TypeSOA], z.name)
	switch {
	case z.key == nil:
	case z.nsec3:
		m.Ns = z.prove(m.Ns, ce, next, star)
	default:
		m.Ns = z.prove(m.Ns, name, star)
	}
}

// validator trusts the root of the world.
func (w *world) validator(negative ...string) *Validator {
	return New(Options{Ask: w.ask, Anchors: []*dns.DS{w.zones["."].key.ToDS(dns.SHA256)}, Negative: negative, Now: func() time.Time { return noon }})
}

// check asks a question and validates the answer.
func (w *world) check(v *Validator, name string, qtype uint16) Result {
	m, _ := w.ask(context.Background(), name, qtype)
	return v.Validate(context.Background(), name, qtype, m.Rcode, m.Answer, m.Ns)
}
