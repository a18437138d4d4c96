package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"nightlatch/resolver/upstream/spec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func TestNobodyKnowsWhere(t *testing.T) {
	for _, o := range []Options{
		{Upstreams: []string{"tls://dns.example"}},
		{Upstreams: []string{"tls://dns.example", "https://dns.example"}},
		{Upstreams: []string{"tls://dns.example"}, Bootstrap: []string{"tls://other.example"}},
		{Upstreams: []string{"192.0.2.1"}, Strategy: "fast"},
	} {
		if g, err := New(o); err == nil {
			g.Close()
			t.Errorf("%v: no error", o.Upstreams)
		} else if strings.Contains(err.Error(), "\n") {
			t.Error(err)
		}
	}
}

// directory is an upstream that knows where hosts are.
type directory struct {
	asked atomic.Int32
	addrs atomic.Value // []string
	ttl   atomic.Uint32
}

func (d *directory) ask(ctx context.Context, q Question) (Reply, error) {
	d.asked.Add(1)
	<-time.After(100 * time.Millisecond)
	addrs, _ := d.addrs.Load().([]string)
	if addrs == nil {
		return Reply{}, ErrUnreachable
	}
	m := new(dns.Msg)
	for _, a := range addrs {
		if ip := net.ParseIP(a); ip.To4() != nil && q.Type == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Ttl: d.ttl.Load()}, A: ip})
		} else if ip.To4() == nil && q.Type == dns.TypeAAAA {
			m.Answer = append(m.Answer, &dns.AAAA{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeAAAA, Ttl: d.ttl.Load()}, AAAA: ip})
		}
	}
	return Reply{Msg: m}, nil
}

// TestBook: addresses are asked for once, kept while they hold, used when they
// are old, and never lost because nobody answers.
func TestBook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{}
		d.ttl.Store(300)
		b := &book{spec: spec.Spec{Host: "dns.test", Port: 853}, ask: d.ask}
		find := func() (string, time.Duration, error) {
			begin := time.Now()
			a, err := b.find(t.Context())
			return fmt.Sprint(a), time.Since(begin), err
		}
		if a, took, err := find(); err == nil || took > time.Second || !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s, %v after %v", a, err, took)
		}
		d.addrs.Store([]string{"2001:db8::1", "192.0.2.1", "0.0.0.0", "224.0.0.1"})
		d.asked.Store(0)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if a, took, err := find(); err != nil || a != "[192.0.2.1:853 [2001:db8::1]:853]" || took > 100*time.Millisecond {
					t.Errorf("%s, %v after %v", a, err, took)
				}
			})
		}
		wg.Wait()
		if n := d.asked.Load(); n != 2 {
			t.Errorf("asked %d times, want once for each kind of address", n)
		}
		<-time.After(301 * time.Second)
		d.addrs.Store([]string{"192.0.2.2"})
		if a, took, err := find(); err != nil || took != 0 || !strings.Contains(a, "192.0.2.1") {
			t.Errorf("%s, %v after %v; want the old ones at once", a, err, took)
		}
		<-time.After(time.Second)
		if a, _, err := find(); err != nil || a != "[192.0.2.2:853]" {
			t.Errorf("%s, %v; want the new ones", a, err)
		}
		d.addrs.Store([]string(nil)) // nobody answers for a day
		for range 24 {
			<-time.After(time.Hour)
			if a, took, err := find(); err != nil || took != 0 || a != "[192.0.2.2:853]" {
				t.Fatalf("%s, %v after %v", a, err, took)
			}
		}
		d.addrs.Store([]string{"192.0.2.3"})
		d.asked.Store(0)
		for range 100 { // dial after dial fails
			b.failed()
			_, _, _ = find()
			<-time.After(100 * time.Millisecond)
		}
		if n := d.asked.Load(); n > 4 {
			t.Errorf("asked %d times in ten seconds", n)
		}
		if a, _, _ := find(); a != "[192.0.2.3:853]" {
			t.Errorf("still %s though nothing answers there", a)
		}
		b.close()
		if _, _, err := find(); err == nil {
			t.Error("it finds after its end")
		}
		<-time.After(time.Second) // a search under way ends
	})
}

// TestBootstrap: a named host is found through an upstream with an address,
// over every transport that proves who answers.
func TestBootstrap(t *testing.T) {
	ca := newAuthority(t)
	var looked atomic.Int32
	dir := listen(t, false, nil, func(_ string, q *dns.Msg, _ []byte) [][]byte {
		if !strings.EqualFold(q.Question[0].Name, "dns.test.") {
			return [][]byte{reply(q, func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeRefused, nil })}
		}
		looked.Add(1)
		return [][]byte{reply(q, func(m *dns.Msg) {
			if m.Answer[0].(*dns.A).A = net.IPv4(127, 0, 0, 1); q.Question[0].Qtype != dns.TypeA {
				m.Answer = nil
			}
		})}
	})
	tcp := listen(t, true, ca.config(t, "dns.test"), always)
	udp := listenQUIC(t, ca.config(t, "dns.test"), answerQUIC)
	web, h3 := listenHTTP2(t, ca), listenHTTP3(t, ca)
	web.handler.Store(answerHTTP)
	h3.handler.Store(answerHTTP)
	port := func(addr string) string { _, p, _ := net.SplitHostPort(addr); return p }
	for _, at := range []string{
		"tls://dns.test:" + port(tcp.addr()), "quic://dns.test:" + port(udp.addr),
		strings.TrimSuffix(web.spec, "#127.0.0.1"), strings.TrimSuffix(h3.spec, "#127.0.0.1"),
	} {
		t.Run(at[:4], func(t *testing.T) {
			looked.Store(0)
			g := group(t, Options{Upstreams: []string{at}, Bootstrap: []string{dir.addr()}, RootCAs: ca.roots})
			mustAsk(t, g)
			mustAsk(t, g)
			if n := looked.Load(); n != 2 {
				t.Errorf("%d questions for its address, want 2", n)
			}
			mustAsk(t, group(t, Options{Upstreams: []string{at, dir.addr()}, RootCAs: ca.roots}))
		})
	}
	t.Run("nobody knows", func(t *testing.T) {
		other := listen(t, false, nil, always)
		g := group(t, Options{Upstreams: []string{"tls://unknown.test", dir.addr(), other.addr()}, Bootstrap: []string{dir.addr()}, RootCAs: ca.roots})
		if r, took, err := ask(t, g); err != nil || took > time.Second || r.Upstream != other.addr() {
			t.Errorf("%s, %v after %v", r.Upstream, err, took)
		}
	})
}
