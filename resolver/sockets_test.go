package resolver

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// serveDNS is an upstream of real sockets on loopback, UDP and TCP on one port.
func serveDNS(t *testing.T, h dns.HandlerFunc) string {
	t.Helper()
	for range 10 {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err != nil {
			udp.Close() // the number is taken for TCP
			continue
		}
		var wg sync.WaitGroup
		servers := []*dns.Server{{PacketConn: udp, Handler: h}, {Listener: tcp, Handler: h}}
		for _, s := range servers {
			ready := make(chan struct{})
			s.NotifyStartedFunc = func() { close(ready) }
			wg.Go(func() { _ = s.ActivateAndServe() })
			<-ready
		}
		t.Cleanup(func() {
			for _, s := range servers {
				_ = s.Shutdown()
			}
			wg.Wait()
		})
		return udp.LocalAddr().String()
	}
	t.Fatal("no port is free for UDP and TCP")
	return ""
}

// TestSockets is the resolver as the gateway runs it, against real servers: one
// that hangs, one that answers; long answers, many at a time, and an end that
// leaves nothing behind.
func TestSockets(t *testing.T) {
	hung := serveDNS(t, func(dns.ResponseWriter, *dns.Msg) {})
	good := serveDNS(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		name, n := q.Question[0].Name, 1
		if strings.HasPrefix(name, "long") {
			n = 100
		}
		for i := range n {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: 1, Ttl: 60}, A: net.IPv4(203, 0, 113, byte(i))})
		}
		if _, ok := w.RemoteAddr().(*net.UDPAddr); ok {
			m.Truncate(1232)
		}
		_ = w.WriteMsg(m)
	})
	before := runtime.NumGoroutine()
	d := &diary{}
	r, err := New(Options{Policy: standard(t), SinkAddr: sinkAddr, Recorder: d, Upstreams: []string{hung, good}, UpstreamStep: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()

	begin := time.Now()
	if m := exchange(t, r, "udp", question(t, "www.example.com", 1, 1232, nil)); len(m.Answer) != 1 || time.Since(begin) > time.Second {
		t.Errorf("%v after %v", m, time.Since(begin))
	}
	if q := d.last(); q.Upstream != good {
		t.Errorf("answered by %s", q.Upstream)
	}
	if m := exchange(t, r, "tcp", question(t, "long.example.com", 1, 1232, nil)); len(m.Answer) != 100 {
		t.Errorf("%d records over TCP", len(m.Answer))
	}
	if m := exchange(t, r, "udp", question(t, "long.example.com", 1, 1232, nil)); !m.Truncated {
		t.Error("100 records in a datagram")
	}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			if m := exchange(t, r, "udp", question(t, fmt.Sprintf("n%d.example.com", i), 1, 1232, nil)); len(m.Answer) != 1 {
				t.Errorf("%v", m)
			}
		})
	}
	wg.Wait()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; <-tick.C {
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, were %d\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}
