package upstream

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// slow answers after a while that may change, and counts.
type slow struct {
	after atomic.Int64 // nanoseconds
	asked atomic.Int32
}

func (s *slow) answer(_ int, q *dns.Msg) []byte {
	s.asked.Add(1)
	<-time.After(time.Duration(s.after.Load()))
	return good(q)
}

func slowly(d time.Duration) *slow {
	s := &slow{}
	s.after.Store(int64(d))
	return s
}

func strategyGroup(t *testing.T, strategy string, servers ...*slow) *Group {
	t.Helper()
	l, names := lab{}, []string{}
	for i, s := range servers {
		addr := "192.0.2." + string(rune('1'+i))
		l[addr+":53"], names = s.answer, append(names, addr)
	}
	g, err := New(Options{Upstreams: names, Strategy: strategy, Dial: l.dial()})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestFastest: the quick one is found, used, and left when it becomes slow;
// nobody waits while the others are measured.
func TestFastest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := slowly(80*time.Millisecond), slowly(20*time.Millisecond), slowly(900*time.Millisecond)
		g := strategyGroup(t, Fastest, a, b, c)
		run := func(questions int, most time.Duration) {
			for i := range questions {
				if d, err := took(t, g); err != nil || d > most {
					t.Fatalf("question %d: %v after %v\n%+v", i, err, d, g.Status())
				}
				<-time.After(time.Second)
			}
		}
		run(3, 80*time.Millisecond)
		run(100, 20*time.Millisecond)
		if n := c.asked.Load(); n < 3 || n > 8 {
			t.Errorf("the slowest was asked %d times in 100 seconds, want once in 30", n)
		}
		b.after.Store(int64(400 * time.Millisecond))
		run(2, 400*time.Millisecond)
		run(50, 80*time.Millisecond)
		b.after.Store(int64(20 * time.Millisecond)) // it recovers, and is found again
		run(200, 80*time.Millisecond)
		run(20, 20*time.Millisecond)
		for _, s := range g.Status() {
			if !s.Up || s.Failures != 0 {
				t.Errorf("%+v", s)
			}
		}
	})
}

// TestFastestFailures: a server that loses every second question is slower
// than one that takes long.
func TestFastestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		steady := slowly(200 * time.Millisecond)
		g, err := New(Options{Upstreams: []string{"192.0.2.1", "192.0.2.2"}, Strategy: Fastest, Dial: lab{
			"192.0.2.1:53": func(_ int, q *dns.Msg) []byte {
				if n.Add(1)%2 == 0 {
					return nil
				}
				return good(q)
			},
			"192.0.2.2:53": steady.answer,
		}.dial()})
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			_, _ = took(t, g)
			<-time.After(time.Second)
		}
		before := steady.asked.Load()
		for range 20 {
			_, _ = took(t, g)
			<-time.After(time.Second)
		}
		if n := steady.asked.Load() - before; n < 15 {
			t.Errorf("the steady one was asked %d times of 20", n)
		}
	})
}

// TestHedged: when the first takes longer than it nearly always does, a second
// one is asked long before a step; but not for every question when all are slow.
func TestHedged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := slowly(20*time.Millisecond), slowly(30*time.Millisecond)
		g := strategyGroup(t, Hedged, a, b)
		for range 100 {
			if d, err := took(t, g); err != nil || d > 20*time.Millisecond {
				t.Fatalf("%v after %v", err, d)
			}
			<-time.After(time.Second)
		}
		if s := g.Status()[0]; s.P50 != 20*time.Millisecond || s.P95 != 20*time.Millisecond {
			t.Errorf("percentiles %v and %v", s.P50, s.P95)
		}
		a.after.Store(int64(time.Second))
		if d, err := took(t, g); err != nil || d != 51*time.Millisecond {
			t.Errorf("%v after %v; want 21 ms of patience and 30 of the second", err, d)
		}
		<-time.After(time.Second)
		a.after.Store(int64(900 * time.Millisecond))
		b.after.Store(int64(900 * time.Millisecond))
		a.asked.Store(0)
		b.asked.Store(0)
		const questions = 400
		for range questions {
			if d, err := took(t, g); err != nil || d > time.Second {
				t.Fatalf("%v after %v", err, d)
			}
		}
		<-time.After(5 * time.Second)
		if n := a.asked.Load() + b.asked.Load(); n > questions+questions/hedgeCost+hedgePurse/hedgeCost+questions/30+10 {
			t.Errorf("%d questions became %d", questions, n)
		}
	})
}

func TestParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		servers := []*slow{slowly(time.Second), slowly(500 * time.Millisecond), slowly(10 * time.Millisecond), slowly(time.Second), slowly(time.Second)}
		g := strategyGroup(t, Parallel, servers...)
		if d, err := took(t, g); err != nil || d != 10*time.Millisecond {
			t.Errorf("%v after %v", err, d)
		}
		if n := servers[4].asked.Load(); n != 0 {
			t.Error("a fifth was asked at once")
		}
		for range 30 {
			if d, err := took(t, g); err != nil || d != 10*time.Millisecond {
				t.Errorf("%v after %v", err, d)
			}
		}
		for _, s := range g.Status() {
			if !s.Up {
				t.Errorf("being slower is no fault: %+v", s)
			}
		}
		<-time.After(5 * time.Second)
	})
}

// TestFailoverKeepsOrder: the owner's order counts, however slow the first is.
func TestFailoverKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := slowly(500*time.Millisecond), slowly(time.Millisecond)
		g := strategyGroup(t, "", a, b)
		for range 50 {
			if d, err := took(t, g); err != nil || d != 500*time.Millisecond {
				t.Fatalf("%v after %v", err, d)
			}
		}
		if n := b.asked.Load(); n != 0 {
			t.Errorf("the second was asked %d times", n)
		}
	})
}

// TestStorm: a server that knows nothing (SERVFAIL, REFUSED, referrals) is
// asked last after a while, and comes back when it knows again.
func TestStorm(t *testing.T) {
	for name, edit := range map[string]func(*dns.Msg){
		"servfail": func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeServerFailure, nil },
		"refused":  func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeRefused, nil },
		"lame": func(m *dns.Msg) {
			m.Answer, m.RecursionAvailable = nil, false
			m.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: "com.", Rrtype: dns.TypeNS, Class: 1}, Ns: "a.gtld-servers.net."}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int32
				var well atomic.Bool
				g := labGroup(t, lab{"192.0.2.2:53": answers, "192.0.2.1:53": func(_ int, q *dns.Msg) []byte {
					asked.Add(1)
					if well.Load() {
						return good(q)
					}
					return reply(q, edit)
				}}, "192.0.2.1", "192.0.2.2")
				for range 600 { // a minute
					if d, err := took(t, g); err != nil || d != 0 {
						t.Fatalf("%v after %v", err, d)
					}
					<-time.After(100 * time.Millisecond)
				}
				if n := asked.Load(); n > 50 {
					t.Errorf("it was asked %d times for nothing", n)
				}
				if s := g.Status()[0]; s.Up || s.Err == "" {
					t.Errorf("%+v", s)
				}
				well.Store(true)
				for range 200 {
					_, _ = took(t, g)
					<-time.After(100 * time.Millisecond)
				}
				if !g.Status()[0].Up {
					t.Error("it came back and nobody noticed")
				}
			})
		})
	}
}

// TestBrokenName: names that are broken for everybody are no fault of a server's.
func TestBrokenName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := func(_ int, q *dns.Msg) []byte {
			return reply(q, func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeServerFailure, nil })
		}
		g := labGroup(t, lab{"192.0.2.1:53": fail, "192.0.2.2:53": fail}, "192.0.2.1", "192.0.2.2")
		for range 50 {
			if r, err := g.Exchange(t.Context(), example); err != nil || r.Msg.Rcode != dns.RcodeServerFailure {
				t.Fatal(r, err)
			}
		}
		for _, s := range g.Status() {
			if !s.Up {
				t.Errorf("%+v", s)
			}
		}
	})
}

func TestPercentiles(t *testing.T) {
	var l latencies
	for i := range 1000 {
		l.add(time.Duration(i%window+1) * time.Millisecond)
	}
	if l.p50 != 33*time.Millisecond || l.p95 != 61*time.Millisecond {
		t.Errorf("p50 %v, p95 %v", l.p50, l.p95)
	}
}
