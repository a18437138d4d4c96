package resolvers

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"nightlatch/blocklists"
	"nightlatch/policy"
	"nightlatch/resolver"
)

// operator is an upstream on loopback that gives one address for everything.
func operator(t *testing.T, addr string) (spec string, asked *atomic.Int32) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked = new(atomic.Int32)
	srv := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		asked.Add(1)
		m := new(dns.Msg).SetReply(q)
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: 1, Ttl: 300}, A: net.ParseIP(addr)}}
		_ = w.WriteMsg(m)
	})}
	ready, done := make(chan struct{}), make(chan struct{})
	srv.NotifyStartedFunc = func() { close(ready) }
	go func() { defer close(done); _ = srv.ActivateAndServe() }()
	<-ready
	t.Cleanup(func() { _ = srv.Shutdown(); <-done })
	return "udp://" + conn.LocalAddr().String(), asked
}

func address(t *testing.T, s *Set, d policy.Device) string {
	t.Helper()
	q, err := new(dns.Msg).SetQuestion("www.example.com.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	f := policy.Flow{Device: d, Proto: 17, Dst: netip.MustParseAddrPort("10.0.0.1:53")}
	m := new(dns.Msg)
	if err := m.Unpack(s.ServeDNS(t.Context(), f, "udp", q)); err != nil || len(m.Answer) != 1 {
		t.Fatal(m, err)
	}
	return m.Answer[0].(*dns.A).A.String()
}

// TestOwnUpstreams: a device with upstreams of its own hears what they say, the
// others what the usual ones say, and no memory is shared.
func TestOwnUpstreams(t *testing.T) {
	p, err := policy.New(policy.Options{Set: blocklists.Compile()})
	if err != nil {
		t.Fatal(err)
	}
	var current policy.Current
	current.Store(p)
	usual, askedUsual := operator(t, "203.0.113.1")
	strict, askedStrict := operator(t, "203.0.113.2")
	s, err := New(resolver.Options{Policy: &current, Upstreams: []string{usual}},
		map[string][]string{"ana": {strict}, "ben": {strict}, "cem": {usual}, "dot": {}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	for device, want := range map[string]string{"ana": "203.0.113.2", "ben": "203.0.113.2", "cem": "203.0.113.1", "dot": "203.0.113.1", "eve": "203.0.113.1"} {
		d := policy.Device{Name: device, Key: [32]byte([]byte("key of " + device + "                            ")[:32])}
		for range 2 {
			if got := address(t, s, d); got != want {
				t.Errorf("%s hears %s, want %s", device, got, want)
			}
		}
		if name, _ := s.NameOf(d, netip.MustParseAddr(want)); name != "www.example.com" {
			t.Errorf("%s reached %q", device, name)
		}
	}
	if u, o := askedUsual.Load(), askedStrict.Load(); u != 1 || o != 1 {
		t.Errorf("asked %d and %d times, want once each", u, o)
	}
	if st := s.Stats(); st.Queries != 10 || len(st.Upstreams) != 2 {
		t.Errorf("%+v", st)
	}
	s.Flush()
	if st := s.Stats(); st.Cache.Entries != 0 {
		t.Errorf("%d answers are left", st.Cache.Entries)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := New(resolver.Options{Policy: &current}, map[string][]string{"ana": {"nonsense"}}); err == nil {
		t.Error("nonsense is an upstream")
	}
}
