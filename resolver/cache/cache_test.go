package cache

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func message(t testing.TB, rcode int, records ...string) *dns.Msg {
	t.Helper()
	m := &dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Rcode: rcode}}
	for _, s := range records {
		rr, err := dns.NewRR(s)
		if err != nil {
			t.Fatal(err)
		}
		if rr.Header().Rrtype == dns.TypeSOA {
			m.Ns = append(m.Ns, rr)
		} else {
			m.Answer = append(m.Answer, rr)
		}
	}
	return m
}

var limits = Limits{Max: 24 * time.Hour, Negative: 15 * time.Minute, Fail: 5 * time.Second} // never changed

func read(t testing.TB, m *dns.Msg, now time.Time) *Answer {
	t.Helper()
	a, err := Read("www.example.com.", dns.TypeA, false, m, "test", limits, now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestLife(t *testing.T) {
	now := time.Unix(1800000000, 0)
	soa := "example.com. 600 IN SOA a. b. 1 2 3 4 "
	for _, c := range []struct {
		name string
		m    *dns.Msg
		want time.Duration
	}{
		{"positive", message(t, 0, "www.example.com. 60 IN A 192.0.2.1"), time.Minute},
		{"the shortest link", message(t, 0, "www.example.com. 20 IN CNAME a.net.", "a.net. 60 IN A 192.0.2.1"), 20 * time.Second},
		{"zero", message(t, 0, "www.example.com. 0 IN A 192.0.2.1"), 0},
		{"longer than a day", message(t, 0, "www.example.com. 9999999 IN A 192.0.2.1"), 24 * time.Hour},
		{"the top bit", message(t, 0, "www.example.com. 2147483648 IN A 192.0.2.1"), 0},
		{"soa minimum", message(t, 3, soa+"30"), 30 * time.Second},
		{"soa ttl", message(t, 3, "example.com. 40 IN SOA a. b. 1 2 3 4 600"), 40 * time.Second},
		{"negative for long", message(t, 3, "example.com. 99999 IN SOA a. b. 1 2 3 4 99999"), 15 * time.Minute},
		{"nodata without soa", message(t, 0), 0},
		{"only a cname, with soa", message(t, 0, "www.example.com. 300 IN CNAME a.net.", "net. 60 IN SOA a. b. 1 2 3 4 60"), time.Minute},
		{"servfail", message(t, 2), 5 * time.Second},
		{"refused", message(t, 5, "www.example.com. 60 IN A 192.0.2.1"), 5 * time.Second},
	} {
		if a := read(t, c.m, now); a.TTL != c.want {
			t.Errorf("%s: %v, want %v", c.name, a.TTL, c.want)
		}
	}
	raised, err := Read("www.example.com.", dns.TypeA, false, message(t, 0, "www.example.com. 5 IN A 192.0.2.1"), "", Limits{Min: time.Minute, Max: time.Hour}, now)
	if err != nil || raised.TTL != time.Minute || raised.Answer[0].Header().Ttl != 60 {
		t.Errorf("%+v, %v", raised, err)
	}
}

func TestChains(t *testing.T) {
	var long []string
	for i := range maxChain + 2 {
		long = append(long, fmt.Sprintf("n%d.net. 60 IN CNAME n%d.net.", i, i+1))
	}
	long[0] = "www.example.com. 60 IN CNAME n1.net."
	for name, records := range map[string][]string{
		"itself": {"www.example.com. 60 IN CNAME WWW.example.com."},
		"circle": {"www.example.com. 60 IN CNAME a.net.", "a.net. 60 IN CNAME b.net.", "b.net. 60 IN CNAME a.net."},
		"long":   long,
	} {
		if _, err := Read("www.example.com.", dns.TypeA, false, message(t, 0, records...), "", limits, time.Now()); !errors.Is(err, ErrChain) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	// Records in any order, two CNAMEs, a DNAME above.
	a := read(t, message(t, 0, "b.net. 60 IN A 192.0.2.1", "www.example.com. 60 IN CNAME a.net.", "www.example.com. 60 IN CNAME evil.net.",
		"net. 60 IN DNAME org.", "a.net. 60 IN CNAME b.net.", "evil.net. 60 IN A 192.0.2.66"), time.Now())
	got := ""
	for _, rr := range a.Answer {
		got += rr.Header().Name + " " + dns.TypeToString[rr.Header().Rrtype] + ", "
	}
	if got != "www.example.com. CNAME, net. DNAME, a.net. CNAME, b.net. A, " {
		t.Error(got)
	}
	if fmt.Sprint(a.Targets, a.Addrs) != "[a.net org b.net] [192.0.2.1]" {
		t.Error(a.Targets, a.Addrs)
	}
}

func TestMalformedRecords(t *testing.T) {
	m := message(t, 0)
	m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "www.example.com.", Rrtype: dns.TypeA, Class: 1, Ttl: 60}}}
	if _, err := Read("www.example.com.", dns.TypeA, false, m, "", limits, time.Now()); !errors.Is(err, ErrRecords) {
		t.Errorf("error %v", err)
	}
}

func TestCache(t *testing.T) {
	now := time.Unix(1800000000, 0)
	c := New(1000, 1<<20, time.Hour)
	k := Key{Name: "\x03www\x07example\x03com\x00", Type: dns.TypeA}
	c.Put(k, read(t, message(t, 0, "www.example.com. 60 IN A 192.0.2.1"), now))
	get := func(k Key, after time.Duration) bool {
		a, ok, _ := c.Get(k, now.Add(after))
		b, ok2, _ := c.GetWire([]byte(k.Name), k.Type, k.DO, k.CD, now.Add(after))
		if ok != ok2 || a != b {
			t.Error("Get and GetWire differ")
		}
		return ok
	}
	if !get(k, 0) || !get(k, time.Hour) || get(k, time.Hour+time.Minute) {
		t.Error("kept too short or too long")
	}
	for _, other := range []Key{{k.Name, dns.TypeAAAA, false, false}, {k.Name, k.Type, true, false}, {k.Name, k.Type, false, true}, {"\x03com\x00", k.Type, false, false}} {
		if get(other, 0) {
			t.Errorf("%+v was found", other)
		}
	}
	if n := testing.AllocsPerRun(100, func() { c.GetWire([]byte(k.Name), k.Type, false, false, now) }); n > 0 {
		t.Errorf("GetWire allocates %v times", n)
	}
	c.Clear()
	if get(k, 0) || c.Stats().Entries != 0 || c.Stats().Bytes != 0 {
		t.Error("not cleared")
	}
	c.Put(k, read(t, message(t, 0, "www.example.com. 0 IN A 192.0.2.1"), now))
	if get(k, 0) {
		t.Error("a TTL of zero was kept")
	}
}

func TestCacheBounds(t *testing.T) {
	now := time.Now()
	c := New(160, 1<<30, 0)
	a := read(t, message(t, 0, "www.example.com. 60 IN A 192.0.2.1"), now)
	hot := Key{Name: "hot"}
	c.Put(hot, a)
	for i := range 10000 {
		c.Put(Key{Name: fmt.Sprint(i)}, a)
		if _, ok, _ := c.Get(hot, now); !ok {
			t.Fatalf("what is used all the time went after %d", i)
		}
	}
	if s := c.Stats(); s.Entries > 160 || s.Evicted < 9000 {
		t.Errorf("%+v", s)
	}
	c = New(1<<20, 64<<10, 0)
	for i := range 10000 {
		c.Put(Key{Name: fmt.Sprint(i)}, a)
	}
	if s := c.Stats(); s.Bytes > 64<<10 || s.Entries == 0 {
		t.Errorf("%+v", s)
	}
	// The ring and the table hold the same.
	for i := range c.parts {
		p, n, bytes := &c.parts[i], 0, 0
		for at := p.ring.next; at != &p.ring; at = at.next {
			n, bytes = n+1, bytes+at.size
			if p.table[at.key] != at {
				t.Error("a node that the table does not know")
			}
		}
		if n != len(p.table) || bytes != p.bytes {
			t.Errorf("ring %d of %d, table %d of %d", n, bytes, len(p.table), p.bytes)
		}
	}
}
