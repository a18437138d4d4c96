package resolver

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/dnssec/signed"
	"nightlatch/resolver/upstream"
)

// signedWorld stands in for the upstreams with a signed internet.
type signedWorld struct {
	mu    sync.Mutex
	world *signed.World
	strip bool // hands on nothing that validation needs
}

func (s *signedWorld) Exchange(_ context.Context, q upstream.Question) (upstream.Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.world.Answer(q.Name, q.Type)
	if !q.DO || s.strip {
		for _, section := range []*[]dns.RR{&m.Answer, &m.Ns} {
			var kept []dns.RR
			for _, rr := range *section {
				switch rr.Header().Rrtype {
				case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeDNSKEY:
				default:
					kept = append(kept, rr)
				}
			}
			*section = kept
		}
	}
	return upstream.Reply{Msg: m, Upstream: "world"}, nil
}

func (s *signedWorld) Status() []upstream.Status { return []upstream.Status{{Name: "world", Up: true}} }
func (s *signedWorld) Close()                    {}

// validating is a resolver in front of a signed internet. To be used in a
// bubble of synctest.
func validating(t *testing.T, mode Validation) (*Resolver, *signedWorld, *diary) {
	t.Helper()
	zone := func(name string, alg uint8) signed.Zone {
		return signed.Zone{Name: name, Alg: alg, Records: "www IN A 192.0.2.1\nalias IN CNAME www\n*.wild IN CNAME www\ntxt 5 IN TXT x\n"}
	}
	bad := zone("bad.", dns.ED25519)
	bad.From, bad.To = time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)
	w, err := signed.New(time.Now(), zone(".", dns.ED25519), zone("good.", dns.ED25519), zone("plain.", 0), bad)
	if err != nil {
		t.Fatal(err)
	}
	s, d := &signedWorld{world: w}, &diary{}
	r := build(t, standard(t), newWorld(), d, func(o *Options) {
		o.Validation, o.Anchors = mode, w.Anchor().String()
	})
	r.group = s
	return r, s, d
}

// TestValidation: what a client hears of answers that are signed, unsigned and
// wrong, with each of its flags.
func TestValidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, _ := validating(t, ValidateAlways)
		for _, c := range []struct {
			name       string
			do, ad, cd bool
			rcode      int
			want       bool // AD
			ede        int  // -1: none
		}{
			{"www.good", true, false, false, 0, true, -1},
			{"www.good", false, true, false, 0, true, -1},
			{"www.good", false, false, false, 0, false, -1}, // RFC 6840 §5.8: who does not ask is not told
			{"www.good", true, true, true, 0, false, -1},
			{"alias.good", true, false, false, 0, true, -1},
			{"x.wild.good", false, true, false, 0, true, -1},
			{"absent.good", true, false, false, dns.RcodeNameError, true, -1},
			{"www.plain", true, true, false, 0, false, -1},
			{"absent.plain", true, true, false, dns.RcodeNameError, false, -1},
			{"www.bad", true, true, false, dns.RcodeServerFailure, false, 7},
			{"www.bad", false, false, false, dns.RcodeServerFailure, false, 7},
			{"www.bad", true, true, true, 0, false, -1},
		} {
			for range 2 { // fetched, and from memory
				m := exchange(t, r, "udp", question(t, c.name, dns.TypeA, 1232, func(m *dns.Msg) {
					if c.do {
						m.IsEdns0().SetDo()
					}
					m.AuthenticatedData, m.CheckingDisabled = c.ad, c.cd
				}))
				code := -1
				if e := ede(m); e != nil {
					code = int(e.InfoCode)
				}
				if m.Rcode != c.rcode || m.AuthenticatedData != c.want || code != c.ede {
					t.Errorf("%+v: %s, ad %v, ede %d", c, dns.RcodeToString[m.Rcode], m.AuthenticatedData, code)
				}
				for _, rr := range m.Answer {
					if _, ok := rr.(*dns.RRSIG); ok && !c.do {
						t.Errorf("%+v: a signature that was not asked for", c)
					}
				}
			}
		}
		if e := ede(exchange(t, r, "udp", question(t, "www.bad", dns.TypeA, 1232, nil))); e == nil || !strings.Contains(e.ExtraText, "ended") {
			t.Errorf("the reason is %v", e)
		}
		if n := r.Stats().Bogus; n == 0 {
			t.Error("bogus answers are not counted")
		}
	})
}

// TestValidatedFast: both paths tell the same of what is validated.
func TestValidatedFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, d := validating(t, ValidateAlways)
		tw := &twin{r: r, d: d}
		quick := 0
		for _, name := range []string{"www.good", "absent.good", "below.absent.good", "absenu.good", "x.wild.good", "y.wild.good", "www.plain", "www.bad"} {
			for variant := range 32 {
				kind := [...]uint16{dns.TypeA, dns.TypeHTTPS}[variant>>4]
				q := question(t, name, kind, 1232, func(m *dns.Msg) {
					if variant&1 != 0 {
						m.IsEdns0().SetDo()
					}
					m.AuthenticatedData, m.CheckingDisabled, m.RecursionDesired = variant&2 != 0, variant&4 != 0, variant&8 != 0
				})
				if tw.compare(t, q) {
					quick++
				}
			}
		}
		if r.Stats().Proved == 0 {
			t.Error("nothing was answered by what was proved")
		}
		if quick < 64 {
			t.Errorf("only %d answers were fast", quick)
		}
	})
}

// TestBogusIsNotStale: what was true before does not stand in for what is
// forged now.
func TestBogusIsNotStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s, _ := validating(t, ValidateAlways)
		ask := func() *dns.Msg { return exchange(t, r, "udp", question(t, "txt.good", dns.TypeTXT, 1232, nil)) }
		if m := ask(); len(m.Answer) != 1 {
			t.Fatalf("at first: %v", m)
		}
		<-time.After(10 * time.Second)
		s.world.Spoil = func(_ string, _ uint16, m *dns.Msg) {
			for _, rr := range m.Answer {
				if x, ok := rr.(*dns.TXT); ok {
					x.Txt = []string{"forged"}
				}
			}
		}
		if m := ask(); m.Rcode != dns.RcodeServerFailure {
			t.Errorf("forged: %v", m)
		}
		s.world.Spoil = nil
		<-time.After(10 * time.Second)
		if m := ask(); len(m.Answer) != 1 {
			t.Errorf("repaired: %v", m)
		}
	})
}

// TestUpstreamsWithoutDNSSEC: what is done where the upstreams hand on no keys,
// and when they begin to.
func TestUpstreamsWithoutDNSSEC(t *testing.T) {
	for mode, want := range map[Validation]int{ValidateAlways: dns.RcodeServerFailure, ValidateWhenOffered: dns.RcodeSuccess} {
		synctest.Test(t, func(t *testing.T) {
			r, s, d := validating(t, mode)
			s.strip = true
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { r.Run(ctx); close(done) }()
			ask := func() *dns.Msg {
				return exchange(t, r, "udp", question(t, "www.good", dns.TypeA, 1232, func(m *dns.Msg) { m.AuthenticatedData = true }))
			}
			if m := ask(); m.Rcode != want || m.AuthenticatedData {
				t.Errorf("mode %d: %s, ad %v", mode, dns.RcodeToString[m.Rcode], m.AuthenticatedData)
			}
			<-time.After(40 * time.Second)
			if says := map[Validation]string{ValidateAlways: "no answer can be validated", ValidateWhenOffered: "answers are not validated"}[mode]; !strings.Contains(d.notices(), says) {
				t.Errorf("mode %d: the owner is not told: %q", mode, d.notices())
			}
			s.mu.Lock()
			s.strip = false
			s.mu.Unlock()
			<-time.After(6 * time.Minute) // the answer's TTL, and the next try of the root
			if m := ask(); !m.AuthenticatedData {
				t.Errorf("mode %d: not validated when it could be: %v", mode, m)
			}
			s.mu.Lock()
			s.strip = true // an attacker, from here on
			s.mu.Unlock()
			<-time.After(2 * time.Hour)
			r.Flush()
			if m := ask(); m.Rcode != dns.RcodeServerFailure {
				t.Errorf("mode %d: taken without signatures after they were seen: %v", mode, m)
			}
			cancel()
			<-done
		})
	}
}

// TestRandomNames: a flood of names that do not exist is answered by one proof,
// and drives nothing out of memory.
func TestRandomNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s, _ := validating(t, ValidateAlways)
		ask := func(name string) *dns.Msg { return exchange(t, r, "udp", question(t, name, dns.TypeA, 0, nil)) }
		ask("www.good")
		ask("absent.good")
		before, asked := r.Stats().Cache.Entries, len(s.world.Asked)
		for i := range 1000 {
			if m := ask(fmt.Sprintf("r%d.absent.good", i)); m.Rcode != dns.RcodeNameError {
				t.Fatalf("%v", m)
			}
		}
		if st := r.Stats(); st.Cache.Entries != before || len(s.world.Asked) != asked || st.Proved != 1000 {
			t.Errorf("%d entries more, %d questions more, %+v", st.Cache.Entries-before, len(s.world.Asked)-asked, st)
		}
	})
}
