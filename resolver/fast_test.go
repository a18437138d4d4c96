package resolver

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"nightlatch/journal"
	"nightlatch/resolver/wire"
)

// twin is a resolver whose two paths are compared.
type twin struct {
	r      *Resolver
	d      *diary
	settle func() // waits for what is fetched in the background; nil for nothing
}

func newTwin(t testing.TB) *twin {
	w, d := newWorld(), &diary{}
	w.set("www.example.com", dns.TypeA, 0, "www.example.com. 60 IN CNAME cdn.example.net.", "cdn.example.net. 300 IN A 192.0.2.1", "cdn.example.net. 300 IN A 192.0.2.2")
	w.set("www.example.com", dns.TypeHTTPS, 0, "www.example.com. 60 IN HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1")
	w.set("www.example.com", dns.TypeAAAA, 0, "authority example.com. 60 IN SOA ns.example.com. admin.example.com. 1 2 3 4 60")
	w.set("nothing.example.com", dns.TypeA, dns.RcodeNameError, "authority example.com. 60 IN SOA ns.example.com. admin.example.com. 1 2 3 4 60")
	w.set("cloaked.example.com", dns.TypeA, 0, "cloaked.example.com. 60 IN CNAME x.tracker.example.", "x.tracker.example. 60 IN A 192.0.2.1")
	w.set("wanted.tracker.example", dns.TypeA, 0, "wanted.tracker.example. 60 IN CNAME x.tracker.example.", "x.tracker.example. 60 IN A 192.0.2.1")
	w.set("rebound.example.com", dns.TypeA, 0, "rebound.example.com. 60 IN A 10.0.0.1")
	w.set("mask.icloud.com", dns.TypeA, 0, "mask.icloud.com. 60 IN A 192.0.2.1")
	w.set("big.example.com", dns.TypeTXT, 0, "big.example.com. 60 IN TXT "+fmt.Sprintf("%q %q %q", make200('a'), make200('b'), make200('c')))
	w.set("com", dns.TypeNS, 0, "com. 60 IN NS a.gtld-servers.net.")
	w.set(".", dns.TypeNS, 0, ". 60 IN NS a.root-servers.net.")
	for _, name := range []string{"com", "."} { // the types the others are asked for, too
		w.set(name, dns.TypeA, 0, "authority . 60 IN SOA a. b. 1 2 3 4 60")
	}
	return &twin{r: build(t, standard(t), w, d, nil), d: d}
}

func make200(c byte) string { return string(bytes.Repeat([]byte{c}, 200)) }

// compare asks both ways and says whether the fast one answered.
func (tw *twin) compare(t testing.TB, q []byte) bool {
	t.Helper()
	var slow []byte
	for again := true; again; { // until nothing was fetched between the two
		tw.d.events = nil
		tw.r.serve(t.Context(), phone(), "udp", q) // fills the cache
		tw.d.events = nil
		if tw.settle != nil {
			tw.settle()
		}
		ahead := tw.r.counts.ahead.Load()
		slow = tw.r.serve(t.Context(), phone(), "udp", q)
		if tw.settle != nil {
			tw.settle()
		}
		again = tw.r.counts.ahead.Load() != ahead
	}
	told := tw.d.events
	tw.d.events = nil
	fast, ok := tw.r.fast(phone(), q)
	if !ok {
		if len(tw.d.events) > 0 {
			t.Errorf("the fast path declined and told %v", tw.d.events)
		}
		return false
	}
	if !bytes.Equal(fast, slow) {
		var f, s dns.Msg
		t.Errorf("query %x\nfast %x %v\nslow %x %v\n%v\n%v", q, fast, f.Unpack(fast), slow, s.Unpack(slow), &f, &s)
	}
	if len(told) != 1 || len(tw.d.events) != 1 || !reflect.DeepEqual(timeless(told[0]), timeless(tw.d.events[0])) {
		t.Errorf("query %x\nfast told %+v\nslow told %+v", q, tw.d.events, told)
	}
	return true
}

func timeless(e journal.Event) journal.Event {
	q, ok := e.(journal.Query)
	if !ok {
		return e
	}
	q.Time, q.Took = time.Time{}, 0
	return q
}

// TestFastIsSlow asks everything in every manner, at several ages of what is
// remembered.
func TestFastIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tw := newTwin(t)
		tw.settle = synctest.Wait
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { _ = tw.r.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		names := []string{"www.example.com", "WwW.eXample.COM", "nothing.example.com", "cloaked.example.com", "wanted.tracker.example", "rebound.example.com",
			"mask.icloud.com", "use-application-dns.net", "big.example.com", "com", ".", "unknown.example.com", "sunk.example", "a.b.SUNK.example", "denied.example", "x.denied.example",
			"dropped.example", "null.example", "nodata.example", "x.refused.example", "addressed.example", "led.example", "made.example", "v6.example", "full.example", "localhost", "nightlatch.internal", "own.sunk.example", "x.internal", "resolver.arpa", "10.in-addr.arpa", "we\\.ird\\000\\200.sunk.example"}
		types := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeTXT, dns.TypeNS, dns.TypeANY, 65280}
		quick, all := 0, 0
		for _, wait := range []time.Duration{7 * time.Second, 7 * time.Second, 42 * time.Second, 10 * time.Second} { // as new, older, about to end, over
			for _, name := range names {
				for _, kind := range types {
					for variant := range 32 {
						q := question(t, name, kind, [...]uint16{0, 512, 1232, 4096}[variant&3], func(m *dns.Msg) {
							m.RecursionDesired = variant&4 == 0
							m.CheckingDisabled, m.AuthenticatedData = variant&8 != 0, variant&8 == 0
							if opt := m.IsEdns0(); opt != nil && variant&16 != 0 {
								opt.SetDo()
								opt.Option = append(opt.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"})
								if variant&8 != 0 {
									opt.Option = append(opt.Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID})
								}
							}
						})
						if all++; tw.compare(t, q) {
							quick++
						}
						if t.Failed() {
							t.Fatalf("%s %s, variant %d", name, dns.Type(kind), variant)
						}
					}
				}
			}
			<-time.After(wait)
		}
		if tw.r.Stats().Ahead == 0 {
			t.Error("nothing was fetched before it ended")
		}
		if quick < all/4 {
			t.Errorf("only %d of %d answered fast", quick, all)
		}
		// What matters most must be fast.
		for _, q := range [][]byte{question(t, "WWW.example.com", dns.TypeA, 1232, nil), question(t, "a.sunk.example", dns.TypeA, 0, nil),
			question(t, "a.sunk.example", dns.TypeHTTPS, 1232, nil), question(t, "nothing.example.com", dns.TypeA, 0, nil), question(t, "x.denied.example", dns.TypeAAAA, 0, nil),
			question(t, "null.example", dns.TypeA, 0, nil), question(t, "refused.example", dns.TypeA, 1232, nil)} {
			if !tw.compare(t, q) {
				t.Errorf("%x is not answered fast", q)
			}
		}
	})
}

// TestFastKeepsECHAway: keys that a device is not to hear of come by neither path.
func TestFastKeepsECHAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tw := newTwin(t)
		w := tw.r.group.(*world)
		w.set("ech.example.com", dns.TypeHTTPS, 0, `ech.example.com. 60 IN HTTPS 1 . alpn=h2 ech="AEX+DQBB"`)
		held := tw.r.judge
		tw.r.judge = func() judge { return stripping{held()} }
		q := question(t, "ech.example.com", dns.TypeHTTPS, 1232, nil)
		tw.compare(t, q)
		for range 2 {
			m := exchange(t, tw.r, "udp", q)
			if h, ok := m.Answer[0].(*dns.HTTPS); !ok || len(h.Value) != 1 {
				t.Errorf("%v", m)
			}
		}
		tw.compare(t, question(t, "www.example.com", dns.TypeA, 1232, nil))
	})
}

// TestServeDeclined: what the fast path declines is answered as by ServeDNS.
func TestServeDeclined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tw := newTwin(t)
		for _, q := range [][]byte{question(t, "x.sunk.example", dns.TypeTXT, 1232, nil), question(t, "localhost", dns.TypeA, 0, nil), {1, 2}, nil,
			question(t, "cloaked.example.com", dns.TypeA, 512, nil)} {
			if _, ok := tw.r.ServeNow(phone(), q); ok {
				t.Errorf("%x is answered at once", q)
			}
			want := tw.r.ServeDNS(t.Context(), phone(), "udp", q)
			if got := tw.r.ServeDeclined(t.Context(), phone(), "udp", q); !bytes.Equal(got, want) {
				t.Errorf("%x: %x, want %x", q, got, want)
			}
		}
		if s := tw.r.Stats(); s.Fast != 0 || s.Queries != 10 {
			t.Errorf("%+v", s)
		}
	})
}

// FuzzFastIsSlow hunts for a query that the two paths answer differently.
func FuzzFastIsSlow(f *testing.F) {
	for _, name := range []string{"www.example.com", "sunk.example", "x.denied.example", "dropped.example", "nothing.example.com"} {
		f.Add(question(f, name, dns.TypeA, 1232, nil))
		f.Add(question(f, name, dns.TypeHTTPS, 0, nil))
		f.Add(question(f, name, dns.TypeTXT, 4096, func(m *dns.Msg) {
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID})
		}))
	}
	tw := newTwin(f)
	f.Fuzz(func(t *testing.T, q []byte) {
		if _, fault := wire.Parse(q); fault != wire.OK {
			if _, ok := tw.r.fast(phone(), q); ok {
				t.Errorf("the fast path answered %x", q)
			}
			return
		}
		synctest.Test(t, func(t *testing.T) { newTwin(t).compare(t, q) }) // time stands still between the two
	})
}

// BenchmarkServeDNS is the answers per second of one core.
func BenchmarkServeDNS(b *testing.B) {
	for _, c := range []struct{ name, qname string }{{"cached", "www.example.com"}, {"blocked", "data.sunk.example"}} {
		for _, path := range []string{"fast", "slow"} {
			b.Run(c.name+"/"+path, func(b *testing.B) {
				tw := newTwin(b)
				tw.r.opt.Recorder = forgetful{}
				q, ctx, flow := question(b, c.qname, dns.TypeA, 1232, nil), b.Context(), phone()
				tw.r.serve(ctx, flow, "udp", q)
				b.ReportAllocs()
				for b.Loop() {
					if path == "fast" {
						tw.r.ServeDNS(ctx, flow, "udp", q)
					} else {
						tw.r.serve(ctx, flow, "udp", q)
					}
				}
			})
		}
	}
}

type forgetful struct{}

func (forgetful) Record(journal.Event) {}

// TestRandomQueries mutates good queries at random: both paths must agree on
// what is left of them.
func TestRandomQueries(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	synctest.Test(t, func(t *testing.T) {
		tw := newTwin(t)
		seeds := [][]byte{question(t, "www.example.com", dns.TypeA, 1232, nil), question(t, "x.sunk.example", dns.TypeAAAA, 0, nil), question(t, "denied.example", dns.TypeA, 512, nil)}
		for range 20000 {
			q := bytes.Clone(seeds[rnd.IntN(len(seeds))])
			for range 1 + rnd.IntN(3) {
				q[rnd.IntN(len(q))] = byte(rnd.Uint32())
			}
			tw.compare(t, q)
		}
	})
}
