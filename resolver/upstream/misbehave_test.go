package upstream

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestTruncationLoop: an answer that is cut off over TCP too is none, and the
// next server is asked.
func TestTruncationLoop(t *testing.T) {
	s := listen(t, true, nil, func(_ string, q *dns.Msg, _ []byte) [][]byte { return [][]byte{truncated(q)} })
	_, took, err := ask(t, group(t, Options{Upstreams: []string{s.addr()}}))
	if !errors.Is(err, errCut) || took > time.Second {
		t.Errorf("%v after %v", err, took)
	}
	if n := s.asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
	other := listen(t, false, nil, always)
	mustAsk(t, group(t, Options{Upstreams: []string{s.addr(), other.addr()}}))
}

// TestLame: a server that names others instead of answering is no resolver.
func TestLame(t *testing.T) {
	s := listen(t, false, nil, func(_ string, q *dns.Msg, _ []byte) [][]byte {
		return [][]byte{reply(q, func(m *dns.Msg) {
			m.Answer, m.RecursionAvailable = nil, false
			m.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: "com.", Rrtype: dns.TypeNS, Class: 1}, Ns: "ns.test."}}
		})}
	})
	if _, _, err := ask(t, group(t, Options{Upstreams: []string{s.addr()}})); !errors.Is(err, errLame) {
		t.Errorf("error %v", err)
	}
	other := listen(t, false, nil, always)
	mustAsk(t, group(t, Options{Upstreams: []string{s.addr(), other.addr()}}))
}

// TestLargest: the longest message there is comes through TCP whole; over UDP
// what exceeds the buffer is no answer.
func TestLargest(t *testing.T) {
	big := func(q *dns.Msg, n int) []byte {
		return reply(q, func(m *dns.Msg) {
			m.Compress = true
			m.Answer = nil
			for i := range n {
				m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: 1, Ttl: 60}, A: net.IPv4(10, 0, byte(i>>8), byte(i))})
			}
		})
	}
	s := listen(t, true, nil, func(network string, q *dns.Msg, _ []byte) [][]byte {
		if network == "udp" {
			return [][]byte{big(q, 500), truncated(q)}
		}
		return [][]byte{big(q, 4000)}
	})
	r, _, err := ask(t, group(t, Options{Upstreams: []string{s.addr()}}))
	if err != nil || len(r.Msg.Answer) != 4000 {
		t.Errorf("%v", err)
	}
}

// drip is a server that takes a TCP connection and sends one octet of a reply
// at a time, for ever.
func drip(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				tick := time.NewTicker(20 * time.Millisecond)
				defer tick.Stop()
				for b := []byte{0xff}; ; <-tick.C {
					if _, err := c.Write(b); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l
}

// TestSlowLoris: octet after octet is not an answer, and holds nothing up: not
// the next server, and not the connection for ever.
func TestSlowLoris(t *testing.T) {
	l := drip(t)
	other := listen(t, true, nil, always)
	g := group(t, Options{Upstreams: []string{"tcp://" + l.Addr().String(), other.addr()}, Step: 200 * time.Millisecond, Deadline: 2 * time.Second})
	for range 5 {
		r, took, err := ask(t, g)
		if err != nil || r.Upstream != other.addr() || took > time.Second {
			t.Errorf("%s, %v after %v", r.Upstream, err, took)
		}
	}
	ca := newAuthority(t)
	g = group(t, Options{Upstreams: []string{"tls://dns.test#" + l.Addr().String(), "https://dns.test#" + l.Addr().String(), other.addr()}, RootCAs: ca.roots, Step: 200 * time.Millisecond})
	if r, took, err := ask(t, g); err != nil || r.Upstream != other.addr() || took > time.Second {
		t.Errorf("%s, %v after %v", r.Upstream, err, took)
	}
}

// TestResets: a server that resets every connection is left alone after a
// while, and the questions go on.
func TestResets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}()
	other := listen(t, true, nil, always)
	ca := newAuthority(t)
	for _, scheme := range []string{"tcp://", "tls://", "https://"} {
		g := group(t, Options{Upstreams: []string{scheme + l.Addr().String(), other.addr()}, RootCAs: ca.roots})
		for range 5 {
			if r, took, err := ask(t, g); err != nil || r.Upstream != other.addr() || took > time.Second {
				t.Errorf("%s: %s, %v after %v", scheme, r.Upstream, err, took)
			}
		}
		if g.Status()[0].Up {
			t.Errorf("%s: it counts as well", scheme)
		}
	}
}
