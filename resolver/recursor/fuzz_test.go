package recursor

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// seeds are replies as servers send them, and as they should not.
func seeds(f *testing.F) (out [][]byte) {
	for _, text := range [][3][]string{
		{{"www.evil.com. 60 A 203.0.113.1"}, nil, nil},
		{{"www.evil.com. 60 CNAME www.good.com.", "www.good.com. 60 A 203.0.113.66"}, nil, nil},
		{nil, {"sub.evil.com. 60 NS ns.sub.evil.com.", "sub.evil.com. 60 NS ns.victim.com."}, {"ns.sub.evil.com. 60 A 192.0.2.66", "ns.victim.com. 60 A 192.0.2.66"}},
		{nil, {"com. 60 NS ns.evil.com."}, {"ns.evil.com. 60 A 192.0.2.66"}},
		{nil, {"evil.com. 60 SOA a. b. 1 2 3 4 5"}, nil},
		{{"evil.com. 60 DNAME good.com."}, nil, nil},
		{nil, {"www.evil.com. 60 NS .", "www.evil.com. 60 NS www.evil.com."}, {"www.evil.com. 60 A 10.0.0.1", "www.evil.com. 60 AAAA ::1"}},
	} {
		m := new(dns.Msg).SetQuestion("www.evil.com.", dns.TypeA)
		m.Response, m.Authoritative = true, len(text[2]) == 0
		for i, section := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} {
			for _, s := range text[i] {
				*section = append(*section, record(f, "%s", s))
			}
		}
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// FuzzRead: whatever a server sends, it is believed about its own zone alone,
// and a referral leads down.
func FuzzRead(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b, "www.evil.com.", "evil.com.", dns.TypeA)
	}
	home := netip.MustParsePrefix("10.0.0.0/8")
	f.Fuzz(func(t *testing.T, b []byte, name, zone string, qtype uint16) {
		m := new(dns.Msg)
		name, zone = dns.CanonicalName(name), dns.CanonicalName(zone)
		_, ok1 := dns.IsDomainName(name)
		_, ok2 := dns.IsDomainName(zone)
		if m.Unpack(b) != nil || !ok1 || !ok2 || !dns.IsSubDomain(zone, name) {
			return
		}
		k := step{zone: zone, name: name, qtype: qtype}
		got, err := read(k, m, home.Contains)
		if err != nil {
			return
		}
		hosts := got.own
		if got.kind == referral {
			hosts = got.child.hosts
			if c := got.child.name; c == zone || !dns.IsSubDomain(zone, c) || !dns.IsSubDomain(c, name) || qtype == dns.TypeDS && c == name {
				t.Errorf("from %s for %s to %s", zone, name, c)
			}
			if life := got.child.expires.Sub(got.child.stored); life < minLife || life > maxLife {
				t.Errorf("for %v", life)
			}
		} else {
			for _, rr := range append(got.msg.Answer, got.msg.Ns...) {
				if !dns.IsSubDomain(zone, rr.Header().Name) {
					t.Errorf("a server of %s says %s", zone, rr)
				}
			}
			if len(got.msg.Extra) > 0 {
				t.Errorf("additional: %v", got.msg.Extra)
			}
		}
		if len(hosts) > maxHosts {
			t.Errorf("%d hosts", len(hosts))
		}
		for _, h := range hosts {
			if len(h.addrs) > 0 && !dns.IsSubDomain(zone, h.name) || len(h.addrs) > 2*maxGlue {
				t.Errorf("a server of %s gives addresses of %s: %v", zone, h.name, h.addrs)
			}
			for _, a := range h.addrs {
				if home.Contains(a) {
					t.Errorf("%s is to be refused", a)
				}
			}
		}
	})
}

// FuzzHostile: a server that sends anything costs a bounded number of queries
// and a bounded time, and the names of others stay what they are.
func FuzzHostile(f *testing.F) {
	for _, b := range seeds(f) {
		f.Add(b, b, "www.evil.com.")
	}
	f.Fuzz(func(t *testing.T, first, second []byte, name string) {
		buf := make([]byte, 256)
		if _, err := dns.PackDomainName(dns.CanonicalName(name), buf, 0, nil, false); err != nil {
			return
		}
		name, _, _ = dns.UnpackDomainName(buf, 0) // as names come from the wire
		var turns [2]*dns.Msg
		for i, b := range [][]byte{first, second} {
			if turns[i] = new(dns.Msg); turns[i].Unpack(b) != nil {
				return
			}
			if _, err := turns[i].Pack(); err != nil { // what the library reads and cannot write
				return
			}
		}
		synctest.Test(t, func(t *testing.T) {
			n := newInternet(t, stage)
			turn := 0
			n.at("192.0.2.66").say = func(_ string, q *dns.Msg) *dns.Msg {
				m := turns[turn%2].Copy()
				turn++
				m.Id, m.Response, m.Opcode, m.Question = q.Id, true, dns.OpcodeQuery, q.Question
				return m
			}
			r := n.recursor(nil)
			begin := time.Now()
			if m, err := ask(t.Context(), r, name, dns.TypeA); err == nil {
				if _, err := m.Pack(); err != nil && m.Rcode == dns.RcodeSuccess && len(m.Answer) == 0 {
					t.Errorf("%v: %v", err, m)
				}
			}
			if took, got := time.Since(begin), len(n.take()); took > defaultDeadline || got > maxQueries {
				t.Errorf("%d queries in %v", got, took)
			}
			m, err := ask(t.Context(), r, "www.victim.com", dns.TypeA)
			if err != nil || len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != "203.0.113.20" {
				t.Errorf("www.victim.com: %v %v", m, err)
			}
		})
	})
}
