package recursor

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// stage is a small honest internet with a victim, and a zone whose owner is not
// honest: evil.com. at 192.0.2.66.
const stage = `
zone . on 198.41.0.4
  @ SOA a. h. 1 3600 600 86400 300
  @ NS 198-41-0-4.root.
  198-41-0-4.root. A 198.41.0.4
  com. 3600 NS ns.com.
  ns.com. A 192.0.2.10
  net. 3600 NS ns.net.
  ns.net. A 192.0.2.11
zone com. on 192.0.2.10
  @ SOA ns h. 1 3600 600 86400 300
  evil 3600 NS ns.evil
  ns.evil A 192.0.2.66
  victim 3600 NS ns.victim
  ns.victim A 192.0.2.20
  good 3600 NS ns.good
  ns.good A 192.0.2.30
zone net. on 192.0.2.11
  @ SOA ns h. 1 3600 600 86400 300
zone victim.com. on 192.0.2.20
  @ SOA ns h. 1 3600 600 86400 300
  www A 203.0.113.20
zone good.com. on 192.0.2.30
  @ SOA ns h. 1 3600 600 86400 300
  * A 203.0.113.30
zone evil.com. on 192.0.2.66
  @ SOA ns h. 1 3600 600 86400 300
`

// attack gives the stage with an owner of evil.com. who says what he likes.
func attack(t *testing.T, say func(q dns.Question, m *dns.Msg)) (*internet, *Recursor) {
	n := newInternet(t, stage)
	n.at("192.0.2.66").say = func(_ string, q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		say(dns.Question{Name: dns.CanonicalName(q.Question[0].Name), Qtype: q.Question[0].Qtype}, m)
		return m
	}
	return n, n.recursor(nil)
}

// record makes a record from text; %v as in fmt.
func record(t testing.TB, format string, args ...any) dns.RR {
	rr, err := dns.NewRR(fmt.Sprintf(format, args...))
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

// count counts the queries that an address received.
func count(log []asked, addr string) (n int) {
	for _, a := range log {
		if addr == "" || a.addr.String() == addr {
			n++
		}
	}
	return n
}

// failed wants a failure, and gives what was sent for it.
func failed(t *testing.T, n *internet, r *Recursor, name string) []asked {
	t.Helper()
	begin := time.Now()
	m, err := ask(t.Context(), r, name, dns.TypeA)
	if err == nil && m.Rcode != dns.RcodeServerFailure {
		t.Errorf("%s: %v", name, m)
	}
	if took := time.Since(begin); took > defaultDeadline {
		t.Errorf("%s took %v", name, took)
	}
	synctest.Wait()
	return n.take()
}

// TestNXNSAttack: a referral to many servers of a victim's that do not exist
// (CVE-2020-8616, CVE-2020-12662) costs the victim a few queries.
func TestNXNSAttack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r := attack(t, func(q dns.Question, m *dns.Msg) {
			label := dns.SplitDomainName(q.Name)[0]
			for i := range 1000 {
				m.Ns = append(m.Ns, record(t, "sub.evil.com. 60 NS %s%d.victim.com.", label, i))
			}
		})
		log := failed(t, n, r, "x.sub.evil.com")
		if got := count(log, "192.0.2.20"); got == 0 || got > maxFetch {
			t.Errorf("the victim received %d queries, at most %d are good", got, maxFetch)
		}
		if len(log) > 16 {
			t.Errorf("%d queries: %v", len(log), log)
		}
		// The second question finds the servers known as not there.
		log = failed(t, n, r, "y.sub.evil.com")
		if got := count(log, "192.0.2.20"); got > maxFetch {
			t.Errorf("the victim received %d queries for the next question", got)
		}
	})
}

// TestNestedReferrals: servers whose names are in zones whose servers' names
// are in zones ... (NRDelegationAttack, CVE-2022-3204; the fan-out of TuDoor and
// iterative amplification).
func TestNestedReferrals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		next := 0
		n, r := attack(t, func(q dns.Question, m *dns.Msg) {
			mu.Lock()
			defer mu.Unlock()
			labels := dns.SplitDomainName(q.Name)
			if len(labels) < 3 {
				return
			}
			zone := labels[len(labels)-3] + ".evil.com."
			for range 50 {
				next++
				m.Ns = append(m.Ns, record(t, "%s 60 NS ns.z%d.evil.com.", zone, next))
			}
		})
		log := failed(t, n, r, "x.start.evil.com")
		if len(log) > 64 {
			t.Errorf("%d queries", len(log))
		}
		t.Logf("%d queries", len(log))
	})
}

// TestTsuNAME: two zones whose servers are in each other, asked for again and
// again.
func TestTsuNAME(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r := attack(t, func(q dns.Question, m *dns.Msg) {
			switch {
			case dns.IsSubDomain("a.evil.com.", q.Name):
				m.Ns = append(m.Ns, record(t, "a.evil.com. 3600 NS ns.b.evil.com."))
			case dns.IsSubDomain("b.evil.com.", q.Name):
				m.Ns = append(m.Ns, record(t, "b.evil.com. 3600 NS ns.a.evil.com."))
			}
		})
		total := len(failed(t, n, r, "x.a.evil.com"))
		for i := range 50 {
			total += len(failed(t, n, r, fmt.Sprintf("x%d.a.evil.com", i)))
		}
		if total > 20 {
			t.Errorf("%d queries for 51 questions", total)
		}
	})
}

// TestCAMP: aliases that lead on and on, each to a zone with servers to look up
// and a long name to minimise, cost one budget in all (CAMP, 2024; CNAME chains).
func TestCAMP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		next := 0
		n, r := attack(t, func(q dns.Question, m *dns.Msg) {
			mu.Lock()
			defer mu.Unlock()
			if dns.CountLabel(q.Name) < 12 {
				m.Authoritative = true
				m.Ns = append(m.Ns, record(t, "evil.com. 60 SOA a. b. 1 1 1 1 1"))
				return
			}
			next++
			m.Authoritative = true
			m.Answer = append(m.Answer, record(t, "%s 60 CNAME a.b.c.d.e.f.g.h.i.n%d.evil.com.", q.Name, next))
		})
		log := failed(t, n, r, "a.b.c.d.e.f.g.h.i.n0.evil.com")
		if len(log) < 20 || len(log) > maxQueries {
			t.Errorf("%d queries, at most %d are good", len(log), maxQueries)
		}
		t.Logf("%d queries", len(log))
	})
}

// TestOneBudget: what a question may send is counted over all that it leads to.
func TestOneBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		next := 0
		n, r := attack(t, func(q dns.Question, m *dns.Msg) { // every name is a zone at the same server
			mu.Lock()
			defer mu.Unlock()
			next++
			m.Ns = append(m.Ns, record(t, "%s 60 NS ns.%s", q.Name, q.Name))
			m.Extra = append(m.Extra, record(t, "ns.%s 60 A 192.0.2.66", q.Name))
		})
		ctx := Share(t.Context())
		for i := range 40 {
			_, _ = ask(ctx, r, fmt.Sprintf("%sx%d.evil.com", strings.Repeat("a.", 20), i), dns.TypeA)
		}
		if got := len(n.take()); got > maxQueries || got < maxQueries/2 {
			t.Errorf("%d queries under one budget of %d", got, maxQueries)
		}
	})
}

// TestEndlessReferrals: a name with a zone at each of its 125 labels.
func TestEndlessReferrals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r := attack(t, func(q dns.Question, m *dns.Msg) {
			m.Ns = append(m.Ns, record(t, "%s 60 NS ns.%s", q.Name, q.Name))
			m.Extra = append(m.Extra, record(t, "ns.%s 60 A 192.0.2.66", q.Name))
		})
		log := failed(t, n, r, strings.Repeat("a.", 120)+"evil.com")
		if len(log) > maxSteps+4 {
			t.Errorf("%d queries", len(log))
		}
	})
}

// TestDeadZoneFlood: many names of a zone whose servers are silent. They soon
// rest, and a good zone is answered as ever in the meantime.
func TestDeadZoneFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r := attack(t, func(dns.Question, *dns.Msg) {})
		n.apply(block{head: []string{"server", "192.0.2.66", "silent"}})
		var wg sync.WaitGroup
		for i := range 300 {
			wg.Go(func() { _, _ = ask(t.Context(), r, fmt.Sprintf("x%d.evil.com", i), dns.TypeA) })
		}
		<-time.After(300 * time.Millisecond)
		begin := time.Now()
		if m, err := ask(t.Context(), r, "www.good.com", dns.TypeA); err != nil || len(m.Answer) != 1 || time.Since(begin) > 200*time.Millisecond {
			t.Errorf("beside a dead zone: %v %v after %v", m, err, time.Since(begin))
		}
		wg.Wait()
		synctest.Wait()
		first := count(n.take(), "192.0.2.66")
		for i := range 300 {
			_, _ = ask(t.Context(), r, fmt.Sprintf("y%d.evil.com", i), dns.TypeA)
		}
		second := count(n.take(), "192.0.2.66")
		if first > 300*maxTries || second > 30 {
			t.Errorf("the dead server received %d and then %d queries", first, second)
		}
		t.Logf("%d queries at first, %d for the next 300", first, second)
	})
}

// TestCacheFlush: a flood of delegations fills no memory, and does not drive out
// what everybody needs.
func TestCacheFlush(t *testing.T) {
	z, now := newZones(), time.Now()
	for _, name := range []string{".", "com.", "net."} {
		z.put(&delegation{name: name, expires: now.Add(maxLife)}, now)
	}
	for i := range 3 * maxZones {
		z.put(&delegation{name: fmt.Sprintf("z%d.evil.com.", i), expires: now.Add(maxLife)}, now)
		z.none(fmt.Sprintf("n%d.evil.com.", i), "com.", now)
		z.putHost(fmt.Sprintf("h%d.evil.com.", i), address{expires: now.Add(maxLife)}, now)
		z.putHost(fmt.Sprintf("g%d.evil.com.", i), address{expires: now.Add(maxLife)}, now)
	}
	if len(z.table) > maxZones || len(z.inside) > maxZones || len(z.hosts) > maxNames {
		t.Errorf("%d zones, %d names inside, %d hosts", len(z.table), len(z.inside), len(z.hosts))
	}
	for _, name := range []string{".", "com.", "net."} {
		if z.get(name, now) == nil {
			t.Errorf("%s was driven out", name)
		}
	}
	s := newServers()
	for i := range 3 * maxServers {
		s.view(place{zone: fmt.Sprint(i)})
	}
	if len(s.table) > maxServers {
		t.Errorf("%d servers", len(s.table))
	}
}

// TestQueries: what leaves the house is hard to guess and tells nothing of who
// asks.
func TestQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t, stage)
		r := n.recursor(nil)
		mixed := 0
		for i := range 20 {
			if _, err := ask(t.Context(), r, fmt.Sprintf("some-longer-name-%d.good.com", i), dns.TypeA); err != nil {
				t.Fatal(err)
			}
		}
		log := n.take()
		for _, a := range log {
			if a.rd || !a.edns || !a.do || a.options != 0 {
				t.Errorf("%+v", a)
			}
			if strings.ToLower(a.name) != a.name {
				mixed++
			}
		}
		if mixed < 15 {
			t.Errorf("%d of %d names have mixed letters", mixed, len(log))
		}
	})
}

// TestMerged: who asks for the same at the same time waits for the same step.
func TestMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t, stage)
		r := n.recursor(nil)
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				if m, err := ask(t.Context(), r, fmt.Sprintf("x%d.good.com", i%20), dns.TypeA); err != nil || len(m.Answer) != 1 {
					t.Errorf("%v %v", m, err)
				}
			})
		}
		wg.Wait()
		if got := len(n.take()); got != 3+20 { // the root, com, good.com, and each name
			t.Errorf("%d queries for 200 questions about 20 names", got)
		}
	})
}

// TestTruncatedForEver and slow streams: TCP that never comes to the point.
func TestTruncatedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r := attack(t, func(_ dns.Question, m *dns.Msg) { m.Truncated = true })
		if log := failed(t, n, r, "x.evil.com"); len(log) > 12 {
			t.Errorf("%d queries", len(log))
		}
		n.at("192.0.2.66").say = func(network string, q *dns.Msg) *dns.Msg {
			if network == "tcp" {
				return nil
			}
			m := new(dns.Msg).SetReply(q)
			m.Truncated = true
			return m
		}
		<-time.After(time.Minute)
		if log := failed(t, n, r, "y.evil.com"); len(log) > 16 {
			t.Errorf("%d queries: %v", len(log), log)
		}
	})
}

// TestOutOfReach: when nothing can be reached it is told once, after the root
// was asked; when it can be again, that is.
func TestOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t, stage)
		var told []string
		var mu sync.Mutex
		r := n.recursor(func(o *Options) {
			o.Changed = func(name string, up bool, _ string) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, fmt.Sprint(name, " ", up))
			}
		})
		good := func() error { _, err := ask(t.Context(), r, "a.good.com", dns.TypeA); return err }
		if good() != nil {
			t.Fatal("at first")
		}
		// A zone that is dead is no sign of a world that is.
		n.apply(block{head: []string{"server", "192.0.2.66", "silent"}})
		for i := range 10 {
			failed(t, n, r, fmt.Sprintf("x%d.evil.com", i))
		}
		if <-time.After(10 * time.Second); len(told) != 0 {
			t.Errorf("told %v of a dead zone", told)
		}
		all := []string{"198.41.0.4", "192.0.2.10", "192.0.2.20", "192.0.2.30", "192.0.2.66"}
		for _, a := range all {
			n.apply(block{head: []string{"server", a, "unreachable"}})
		}
		for range 5 {
			_ = good()
			<-time.After(6 * time.Second)
		}
		if fmt.Sprint(told) != "[recursive false]" || r.Status()[0].Up {
			t.Errorf("told %v, status %+v", told, r.Status())
		}
		for _, a := range all {
			n.apply(block{head: []string{"server", a}})
		}
		<-time.After(16 * time.Second)
		if err := good(); err != nil || fmt.Sprint(told) != "[recursive false recursive true]" || !r.Status()[0].Up {
			t.Errorf("%v, told %v, status %+v", err, told, r.Status())
		}
		r.Close()
		if good() == nil {
			t.Error("it answers after Close")
		}
	})
}

// TestFamilies: where IPv6 leads nowhere, only the first questions wait for it.
func TestFamilies(t *testing.T) {
	for _, way := range []string{"silent", "unreachable"} {
		synctest.Test(t, func(t *testing.T) {
			n := newInternet(t, `
zone . on 198.41.0.4 2001:db8::4
  @ SOA a. h. 1 3600 600 86400 300
  @ NS 198-41-0-4.root.
  @ NS 2001-db8--4.root.
  198-41-0-4.root. A 198.41.0.4
  2001-db8--4.root. AAAA 2001:db8::4
  com. 3600 NS ns.com.
  ns.com. A 192.0.2.10
  ns.com. AAAA 2001:db8::10
zone com. on 192.0.2.10 2001:db8::10
  @ SOA ns h. 1 3600 600 86400 300
  * A 203.0.113.30
server 2001:db8::4 `+way+`
server 2001:db8::10 `+way+`
`)
			r := n.recursor(nil)
			for i := range 12 {
				if _, err := ask(t.Context(), r, fmt.Sprintf("x%d.com", i), dns.TypeA); err != nil {
					t.Fatal(err)
				}
			}
			begin := time.Now()
			n.take()
			for i := range 20 {
				if m, err := ask(t.Context(), r, fmt.Sprintf("y%d.com", i), dns.TypeA); err != nil || len(m.Answer) != 1 {
					t.Fatal(m, err)
				}
			}
			if took := time.Since(begin); took > 250*time.Millisecond {
				t.Errorf("IPv6 %s: 20 questions took %v", way, took)
			}
			if got := count(n.take(), "2001:db8::10"); got > 0 {
				t.Errorf("IPv6 %s: %d queries", way, got)
			}
		})
	}
}

// TestOnlySix: where IPv4 leads nowhere, servers are looked up by IPv6.
func TestOnlySix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t, `
zone . on 198.41.0.4 2001:db8::4
  @ SOA a. h. 1 3600 600 86400 300
  @ NS 2001-db8--4.root.
  2001-db8--4.root. AAAA 2001:db8::4
  com. 3600 NS ns.com.
  ns.com. A 192.0.2.10
  ns.com. AAAA 2001:db8::10
zone com. on 192.0.2.10 2001:db8::10
  @ SOA ns h. 1 3600 600 86400 300
  a NS ns.b
  a NS other.b
  b NS nsb
  nsb A 192.0.2.20
  nsb AAAA 2001:db8::20
zone b.com. on 192.0.2.20 2001:db8::20
  @ SOA ns h. 1 3600 600 86400 300
  ns A 192.0.2.30
  ns AAAA 2001:db8::30
zone a.com. on 192.0.2.30 2001:db8::30
  @ SOA ns h. 1 3600 600 86400 300
  www A 203.0.113.30
server 198.41.0.4 unreachable
server 192.0.2.10 unreachable
server 192.0.2.20 unreachable
server 192.0.2.30 unreachable
`)
		r := n.recursor(nil)
		begin := time.Now()
		m, err := ask(t.Context(), r, "www.a.com", dns.TypeA)
		if err != nil || len(m.Answer) != 1 || time.Since(begin) > time.Second {
			t.Errorf("%v %v after %v", m, err, time.Since(begin))
		}
	})
}

// TestHints: IANA's, the owner's, and what cannot be meant.
func TestHints(t *testing.T) {
	d, err := parseHints("")
	if err != nil || len(d.hosts) != 13 || len(d.addrs()) != 26 {
		t.Errorf("IANA's: %v %v", d, err)
	}
	for text, want := range map[string]string{
		". NS a.\na. A 127.0.0.1\n":                     "",
		". 3600000 NS A.ROOT.\nA.ROOT. AAAA ::1\n; end": "",
		". NS a.\n":                     "no address of a root server",
		"com. NS a.\na. A 192.0.2.1\n":  "no address of a root server",
		"what is this":                  "want NS records",
		strings.Repeat(";\n", maxHints): "bytes",
	} {
		_, err := New(Options{Hints: text})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%.30q: %v", text, err)
		}
	}
}

// TestHundredsOfRecords: an answer that only TCP can carry arrives whole.
func TestHundredsOfRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r := attack(t, func(q dns.Question, m *dns.Msg) {
			m.Authoritative = true
			for i := range 1000 {
				m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: 1, Ttl: 60}, A: net.IPv4(203, 0, byte(i>>8), byte(i))})
			}
		})
		m, err := ask(t.Context(), r, "x.evil.com", dns.TypeA)
		if err != nil || len(m.Answer) != 1000 {
			t.Errorf("%d records, %v", len(m.Answer), err)
		}
		if got := count(n.take(), "192.0.2.66"); got != 2 {
			t.Errorf("%d queries", got)
		}
	})
}

// TestSilentOutage: a way out of the house that loses everything for a while
// costs seconds after it is mended, not the rest that dead servers have earned.
func TestSilentOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newInternet(t, stage)
		r := n.recursor(nil)
		all := []string{"198.41.0.4", "192.0.2.10", "192.0.2.30"}
		if _, err := ask(t.Context(), r, "a.good.com", dns.TypeA); err != nil {
			t.Fatal(err)
		}
		for _, a := range all {
			n.apply(block{head: []string{"server", a, "silent"}})
		}
		for i := range 40 {
			begin := time.Now()
			_, _ = ask(t.Context(), r, fmt.Sprintf("x%d.good.com", i), dns.TypeA)
			if took := time.Since(begin); took > defaultDeadline {
				t.Errorf("a question took %v", took)
			}
			<-time.After(time.Second)
		}
		for _, a := range all {
			n.apply(block{head: []string{"server", a}})
		}
		<-time.After(quietRest)
		if m, err := ask(t.Context(), r, "b.good.com", dns.TypeA); err != nil || len(m.Answer) != 1 {
			t.Errorf("after the outage: %v %v", m, err)
		}
	})
}
