package resolver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/dnssec/signed"
	"nightlatch/resolver/recursor"
	"nightlatch/resolver/upstream"
)

// signedTree is a signed internet as its own servers tell it: one server a
// zone, by address.
type signedTree struct {
	t     *testing.T
	mu    sync.Mutex
	world *signed.World
	zones map[netip.Addr]string
	asked int
	strip string // a zone whose servers take signatures away
}

// newSignedTree gives zones their servers: 192.0.2.1 and so on, in their order.
func newSignedTree(t *testing.T, zones ...signed.Zone) *signedTree {
	t.Helper()
	s := &signedTree{t: t, zones: map[netip.Addr]string{}}
	a := netip.MustParseAddr("192.0.2.1")
	for i := range zones {
		zones[i].Records += fmt.Sprintf("\nns IN A %s\n", a)
		s.zones[a] = zones[i].Name
		a = a.Next()
	}
	var err error
	if s.world, err = signed.New(time.Now(), zones...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { <-time.After(time.Second) })
	return s
}

func (s *signedTree) dial(_ context.Context, network, address string) (net.Conn, error) {
	zone := s.zones[netip.MustParseAddrPort(address).Addr()]
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		buf := make([]byte, 4096)
		for network == "udp" {
			n, err := theirs.Read(buf)
			if err != nil {
				return
			}
			q := new(dns.Msg)
			if err := q.Unpack(buf[:n]); err != nil {
				s.t.Error(err)
				return
			}
			b := s.reply(zone, q)
			<-time.After(5 * time.Millisecond)
			if _, err := theirs.Write(b); err != nil {
				return
			}
		}
	}()
	return ours, nil
}

func (s *signedTree) reply(zone string, q *dns.Msg) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	m := s.world.Authority(zone, q.Question[0].Name, q.Question[0].Qtype)
	out := new(dns.Msg).SetRcode(q, m.Rcode)
	out.Authoritative, out.Answer, out.Ns, out.Extra = m.Authoritative, m.Answer, m.Ns, m.Extra
	if zone == s.strip {
		for _, section := range []*[]dns.RR{&out.Answer, &out.Ns} {
			var kept []dns.RR
			for _, rr := range *section {
				if rr.Header().Rrtype != dns.TypeRRSIG {
					kept = append(kept, rr)
				}
			}
			*section = kept
		}
	}
	out.SetEdns0(1232, true)
	out.Compress = true
	b, err := out.Pack()
	if err != nil {
		s.t.Error(err)
	}
	return b
}

// TestRecursionValidated: from the root down over signed and unsigned
// delegations, every answer is proved or refused as it should be.
func TestRecursionValidated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const records = "www IN A 203.0.113.1\nalias IN CNAME www\naway IN CNAME www.deep.opt.\nlost IN CNAME absent.good.\n*.wild IN A 203.0.113.2\nx.empty IN A 203.0.113.3\nmoved IN DNAME empty\n"
		z := func(name string, alg uint8) signed.Zone { return signed.Zone{Name: name, Alg: alg, Records: records} }
		opt := z("opt.", dns.ED25519)
		opt.NSEC3, opt.OptOut = true, true
		n3 := z("three.", dns.ECDSAP256SHA256)
		n3.NSEC3 = true
		bad := z("bad.", dns.ED25519)
		bad.From, bad.To = time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)
		s := newSignedTree(t, z(".", dns.ED25519), z("good.", dns.ED25519), opt, n3, bad, z("plain.", 0), z("deep.opt.", dns.ED25519),
			z("bare.opt.", 0), z("sub.good.", dns.ED25519), z("stripped.", dns.ED25519))
		s.strip = "stripped."
		d := &diary{}
		r, err := New(Options{Policy: standard(t), Recorder: d, Upstreams: []string{"recursive"}, RootHints: ". NS ns.\nns. A 192.0.2.1\n",
			Dial: s.dial, Validation: ValidateAlways, Anchors: s.world.Anchor().String()})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name  string
			qtype uint16
			rcode int
			ad    bool
			n     int // records, signatures apart
		}{
			{"www.good", dns.TypeA, 0, true, 1},
			{"WWW.Good", dns.TypeA, 0, true, 1},
			{"alias.good", dns.TypeA, 0, true, 2},
			{"www.sub.good", dns.TypeA, 0, true, 1},
			{"x.wild.good", dns.TypeA, 0, true, 1},
			{"empty.good", dns.TypeA, 0, true, 0},
			{"x.moved.good", dns.TypeA, 0, true, 3},
			{"absent.good", dns.TypeA, dns.RcodeNameError, true, 0},
			{"a.b.absent.good", dns.TypeA, dns.RcodeNameError, true, 0}, // RFC 8020: one proof for all below
			{"lost.good", dns.TypeA, dns.RcodeNameError, true, 1},
			{"good", dns.TypeDNSKEY, 0, true, 1},
			{"good", dns.TypeDS, 0, true, 1},
			{"away.good", dns.TypeA, 0, true, 2},
			{"www.three", dns.TypeA, 0, true, 1},
			{"absent.three", dns.TypeA, dns.RcodeNameError, true, 0},
			{"a.b.c.three", dns.TypeA, dns.RcodeNameError, true, 0},
			{"www.opt", dns.TypeA, 0, true, 1},
			{"www.deep.opt", dns.TypeA, 0, true, 1},
			{"www.bare.opt", dns.TypeA, 0, false, 1},
			{"absent.bare.opt", dns.TypeA, dns.RcodeNameError, false, 0},
			{"www.plain", dns.TypeA, 0, false, 1},
			{"a.b.absent.plain", dns.TypeA, dns.RcodeNameError, false, 0},
			{"plain", dns.TypeDS, 0, true, 0},
			{"www.bad", dns.TypeA, dns.RcodeServerFailure, false, 0},
			{"www.stripped", dns.TypeA, dns.RcodeServerFailure, false, 0},
		} {
			for range 2 { // walked, and from memory
				m := exchange(t, r, "tcp", question(t, c.name, c.qtype, 1232, func(m *dns.Msg) { m.IsEdns0().SetDo() }))
				got := 0
				for _, rr := range m.Answer {
					if rr.Header().Rrtype != dns.TypeRRSIG {
						got++
					}
				}
				if m.Rcode != c.rcode || m.AuthenticatedData != c.ad || got != c.n {
					t.Errorf("%s %s: want %s, ad %v, %d records:\n%v", c.name, dns.Type(c.qtype), dns.RcodeToString[c.rcode], c.ad, c.n, m)
				}
			}
		}
		if d.last().Upstream != "cache" {
			t.Errorf("%+v", d.last())
		}
		asked := s.asked
		exchange(t, r, "udp", question(t, "other.wild.good", dns.TypeA, 1232, nil))
		if s.asked-asked > 2 {
			t.Errorf("%d queries for a name of a zone that is known", s.asked-asked)
		}
		t.Logf("%d queries over all", s.asked)
	})
}

// counting is a recursor behind which each question is seen with its means.
type counting struct {
	asker
	t     *testing.T
	asked int
}

func (c *counting) Exchange(ctx context.Context, q upstream.Question) (upstream.Reply, error) {
	c.asked++
	if recursor.Share(ctx) != ctx {
		c.t.Errorf("%s %s is asked with means of its own", q.Name, dns.Type(q.Type))
	}
	return c.asker.Exchange(ctx, q)
}

// TestOneBudgetForAll: aliases and the links of the chain of trust are paid for
// by the question that led to them.
func TestOneBudgetForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSignedTree(t, signed.Zone{Name: ".", Alg: dns.ED25519}, signed.Zone{Name: "a.", Alg: dns.ED25519, Records: "x IN CNAME x.b."},
			signed.Zone{Name: "b.", Alg: dns.ED25519, Records: "x IN A 203.0.113.1"})
		r, err := New(Options{Policy: standard(t), Upstreams: []string{"recursive"}, RootHints: ". NS ns.\nns. A 192.0.2.1\n",
			Dial: s.dial, Validation: ValidateAlways, Anchors: s.world.Anchor().String()})
		if err != nil {
			t.Fatal(err)
		}
		c := &counting{asker: r.group, t: t}
		r.group = c
		m := exchange(t, r, "udp", question(t, "x.a", dns.TypeA, 1232, func(m *dns.Msg) { m.AuthenticatedData = true }))
		if len(m.Answer) != 2 || !m.AuthenticatedData || c.asked < 7 { // two names; keys of three zones, DS of two
			t.Errorf("%d questions: %v", c.asked, m)
		}
	})
}

// TestRecursiveWord: it stands alone, for everything or for a part of the tree,
// and private servers are asked only where the root is at home.
func TestRecursiveWord(t *testing.T) {
	_, err := New(Options{Upstreams: []string{"recursive", "192.0.2.1"}})
	if err == nil || !strings.Contains(err.Error(), "stands alone") {
		t.Error(err)
	}
	if _, err = New(Options{Upstreams: []string{"recursive"}, RootHints: "x"}); err == nil || !strings.Contains(err.Error(), "root hints") {
		t.Error(err)
	}
	r, err := New(Options{Upstreams: []string{"192.0.2.1"}, Forward: map[string][]string{"example": {"recursive"}}})
	if err != nil || r.parts[0].group.Status()[0].Name != "recursive" {
		t.Error(err)
	}
	synctest.Test(t, func(t *testing.T) {
		for root, want := range map[string]int{"192.0.2.1": dns.RcodeServerFailure, "127.0.0.1": dns.RcodeSuccess} {
			w, err := signed.New(time.Now(), signed.Zone{Name: ".", Alg: dns.ED25519, Records: "ns IN A " + root},
				signed.Zone{Name: "priv.", Records: "ns IN A 10.0.0.7\nwww IN A 203.0.113.1"})
			if err != nil {
				t.Fatal(err)
			}
			s := &signedTree{t: t, world: w, zones: map[netip.Addr]string{netip.MustParseAddr(root): ".", netip.MustParseAddr("10.0.0.7"): "priv."}}
			atHome := 0
			r, err := New(Options{Policy: standard(t), Upstreams: []string{"recursive"}, RootHints: ". NS ns.\nns. A " + root,
				Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					if strings.HasPrefix(address, "10.") {
						atHome++
					}
					return s.dial(ctx, network, address)
				}})
			if err != nil {
				t.Fatal(err)
			}
			m := exchange(t, r, "udp", question(t, "www.priv", dns.TypeA, 1232, nil))
			if m.Rcode != want || (atHome > 0) != (want == dns.RcodeSuccess) {
				t.Errorf("root at %s: %d queries to a private server, %v", root, atHome, m)
			}
		}
		<-time.After(time.Second)
	})
}
