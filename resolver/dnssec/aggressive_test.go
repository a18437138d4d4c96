package dnssec

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/dnssec/signed"
	"nightlatch/resolver/dnssec/tree"
)

// places are names below a zone of hosts, there and not there.
var places = []string{ // never changed
	"", "www.", "x.www.", "a.b.www.", "deep.empty.", "empty.", "x.empty.", "wild.", "a.wild.", "b.c.wild.", "*.wild.", "alias.", "out.", "moved.", "x.moved.",
	"absent.", "a.absent.", "z.y.absent.", "aaa.", "zzz.", "*.", "*.absent.", "sub.", "www.sub.", "absent.sub.", "island.", "www.island.", "plain.", "www.plain.", "signed.", "absent.signed.",
}

var kinds = []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeHTTPS, dns.TypeNS, dns.TypeDS, dns.TypeCNAME, dns.TypeSOA} // never changed

// records writes a section without signatures and TTLs, in order.
func records(rrs []dns.RR) string {
	var out []string
	for _, rr := range rrs {
		if rr.Header().Rrtype != dns.TypeRRSIG {
			rr = dns.Copy(rr)
			rr.Header().Ttl = 0
			out = append(out, rr.String())
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// TestKnownIsTrue: whatever was learnt, and in whatever order, each answer that
// is made of it is the one that the world would have given, and can be validated
// by whoever asks.
func TestKnownIsTrue(t *testing.T) {
	w := home(t)
	rnd := rand.New(rand.NewPCG(4, 2))
	zones := []string{"nsec.test.", "nsec3.test.", "optout.test.", "test.", ".", "plain.test.", "many.test.", "expired.test."}
	for round := range 2 {
		v, judge, made := w.validator(), w.validator(), 0
		for range 600 {
			zone := zones[rnd.IntN(len(zones))]
			name, qtype := places[rnd.IntN(len(places))]+strings.TrimPrefix(zone, "."), kinds[rnd.IntN(len(kinds))]
			if name == "" {
				name = "."
			}
			m, ok := v.Known(name, qtype)
			if !ok {
				w.check(v, name, qtype)
				continue
			}
			made++
			truth := w.Answer(name, qtype)
			if m.Rcode != truth.Rcode || records(m.Answer) != records(truth.Answer) {
				t.Errorf("round %d: %s %s: made up\n%v\nthe truth is\n%v", round, name, dns.Type(qtype), m, truth)
			}
			if res := judge.Validate(context.Background(), name, qtype, m.Rcode, m.Answer, m.Ns); res.Status != Secure {
				t.Errorf("%s %s is %v: %s\n%v", name, dns.Type(qtype), res.Status, res.Reason, m)
			}
		}
		if made < 100 {
			t.Errorf("only %d answers were made", made)
		}
	}
}

// TestKnown: what one answer tells of other names.
func TestKnown(t *testing.T) {
	for _, c := range []struct {
		learn, ask string
		qtype      uint16
		want       string // RCODE, or "" where it is to be asked
	}{
		{"absent.nsec.test.", "below.absent.nsec.test.", dns.TypeA, "NXDOMAIN"}, // RFC 8020
		{"absent.nsec3.test.", "a.b.absent.nsec3.test.", dns.TypeTXT, "NXDOMAIN"},
		{"absent.nsec.test.", "absenu.nsec.test.", dns.TypeA, "NXDOMAIN"}, // between the same two names
		{"absent.nsec.test.", "www.nsec.test.", dns.TypeA, ""},
		{"absent.nsec.test.", "absent.sub.nsec.test.", dns.TypeA, ""}, // another zone's to say
		{"absent.optout.test.", "below.absent.optout.test.", dns.TypeA, ""},
		{"absent.many.test.", "below.absent.many.test.", dns.TypeA, ""},
		{"absent.plain.test.", "below.absent.plain.test.", dns.TypeA, ""},
		{"x.expired.test.", "y.x.expired.test.", dns.TypeA, ""},
		{"a.wild.nsec.test.", "b.wild.nsec.test.", dns.TypeA, "NOERROR"},
		{"a.wild.nsec3.test.", "a.wild.nsec3.test.", dns.TypeA, "NOERROR"},
		{"a.wild.nsec.test.", "b.wild.nsec.test.", dns.TypeTXT, ""},
	} {
		w := home(t)
		v := w.validator()
		w.check(v, c.learn, dns.TypeA)
		m, ok := v.Known(c.ask, c.qtype)
		got := ""
		if ok {
			got = dns.RcodeToString[m.Rcode]
		}
		if got != c.want {
			t.Errorf("%s was asked: %s is %q, want %q\n%v", c.learn, c.ask, got, c.want, m)
		}
		v.Forget()
		if _, ok := v.Known(c.ask, c.qtype); ok {
			t.Errorf("%s is known after all was forgotten", c.ask)
		}
	}
}

// TestKnownEnds: what is made of a denial lives no longer than the denial, and
// a forged one is not learnt from.
func TestKnownEnds(t *testing.T) {
	w, now := home(t), noon
	v := New(Options{Ask: w.ask, Anchors: []*dns.DS{w.Anchor()}, Now: func() time.Time { return now }})
	w.check(v, "absent.nsec.test.", dns.TypeA)
	now = noon.Add(200 * time.Second)
	m, ok := v.Known("x.absent.nsec.test.", dns.TypeA)
	if !ok || m.Ns[0].Header().Ttl != 100 { // MINIMUM is 300
		t.Errorf("after 200 s: %v", m)
	}
	now = noon.Add(300 * time.Second)
	if _, ok := v.Known("x.absent.nsec.test.", dns.TypeA); ok {
		t.Error("it outlives its TTL")
	}
	v = w.validator()
	w.spoil = func(m *dns.Msg) {
		for _, rr := range m.Ns {
			if n, ok := rr.(*dns.NSEC); ok {
				n.NextDomain = "nsec.test." // all of the zone is gone
			}
		}
	}
	w.spoilAt = "absent.nsec.test. A"
	if res := w.check(v, "absent.nsec.test.", dns.TypeA); res.Status != Bogus {
		t.Errorf("forged: %v", res)
	}
	if m, ok := v.Known("www.nsec.test.", dns.TypeTXT); ok {
		t.Errorf("a forged denial was learnt: %v", m)
	}
}

// TestHeldBound: a zone that denies without end fills its share and no more.
func TestHeldBound(t *testing.T) {
	w := newWorld(t, signed.Zone{Name: ".", Alg: dns.ED25519}, signed.Zone{Name: "test.", Alg: dns.ED25519})
	v := w.validator()
	work := v.work(context.Background())
	z := work.zone("test.")
	sig := &dns.RRSIG{Hdr: header("test.", dns.TypeRRSIG), OrigTtl: 300, Expiration: uint32(noon.Add(time.Hour).Unix()), SignerName: "test."}
	for i := range 20000 {
		name := fmt.Sprintf("n%d.test.", i)
		n := &dns.NSEC{Hdr: header(name, dns.TypeNSEC), NextDomain: "a." + name, TypeBitMap: []uint16{dns.TypeA}}
		work.keep(&proof{zone: z, sets: []*set{{name, dns.TypeNSEC, []dns.RR{n}, []*dns.RRSIG{sig}}}}, nil)
	}
	h := v.held
	sum := 0
	for e := h.used.Front(); e != nil; e = e.Next() {
		sum += e.Value.(*span).bytes
	}
	if h.bytes > maxHeld || sum != h.bytes || h.used.Len() != len(h.zones["test."].nsec) || h.used.Len() < 1000 {
		t.Errorf("%d octets (%d counted) in %d denials, %d in the zone", h.bytes, sum, h.used.Len(), len(h.zones["test."].nsec))
	}
	if !slices.IsSortedFunc(h.zones["test."].nsec, func(a, b *span) int { return tree.Compare(a.rrs[0].Header().Name, b.rrs[0].Header().Name) }) {
		t.Error("out of order")
	}
}

func header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 300}
}

// FuzzKey: keys order names as the names are ordered.
func FuzzKey(f *testing.F) {
	f.Add("a.example.", "*.a.example.")
	f.Add("\\000.example.", "\\000\\000.example.")
	f.Add("\\001a.b.", "\\001.b.")
	f.Fuzz(func(t *testing.T, a, b string) {
		if _, ok := dns.IsDomainName(a); !ok || len(a) > 1000 || len(b) > 1000 {
			return
		}
		if _, ok := dns.IsDomainName(b); !ok {
			return
		}
		a, b = dns.CanonicalName(a), dns.CanonicalName(b)
		want := tree.Compare(a, b)
		if got := strings.Compare(tree.Key(a), tree.Key(b)); got < 0 != (want < 0) || got > 0 != (want > 0) {
			t.Errorf("%q and %q: %d by key, %d by name", a, b, got, want)
		}
	})
}

// BenchmarkKnown is an answer made of what was proved, and a question about which
// nothing is.
func BenchmarkKnown(b *testing.B) {
	w := home(b)
	v := w.validator()
	for _, name := range []string{"absent.nsec.test.", "absent.nsec3.test."} {
		w.check(v, name, dns.TypeA)
	}
	for _, name := range []string{"x.absent.nsec.test.", "x.absent.nsec3.test.", "www.plain.test."} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				v.Known(name, dns.TypeA)
			}
		})
	}
}
