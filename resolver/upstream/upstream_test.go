package upstream

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestBadUDP: whatever else comes in, the right reply is the one that counts.
func TestBadUDP(t *testing.T) {
	for name, bad := range map[string]func(q *dns.Msg, raw []byte) []byte{
		"garbage":   func(*dns.Msg, []byte) []byte { return []byte("hello, I am not DNS at all") },
		"nothing":   func(*dns.Msg, []byte) []byte { return []byte{} },
		"the query": func(_ *dns.Msg, raw []byte) []byte { return raw },
		"wrong id":  func(q *dns.Msg, _ []byte) []byte { return reply(q, func(m *dns.Msg) { m.Id++ }) },
		"wrong name": func(q *dns.Msg, _ []byte) []byte {
			return reply(q, func(m *dns.Msg) { m.Question[0].Name = "evil.test." })
		},
		"wrong type":  func(q *dns.Msg, _ []byte) []byte { return reply(q, func(m *dns.Msg) { m.Question[0].Qtype = 28 }) },
		"wrong class": func(q *dns.Msg, _ []byte) []byte { return reply(q, func(m *dns.Msg) { m.Question[0].Qclass = 3 }) },
		"no question": func(q *dns.Msg, _ []byte) []byte { return reply(q, func(m *dns.Msg) { m.Question = nil }) },
		"two questions": func(q *dns.Msg, _ []byte) []byte {
			return reply(q, func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) })
		},
		"an opcode":      func(q *dns.Msg, _ []byte) []byte { return reply(q, func(m *dns.Msg) { m.Opcode = 5 }) },
		"inflated count": func(q *dns.Msg, _ []byte) []byte { b := good(q); b[7] = 9; return b },
		"half a record":  func(q *dns.Msg, _ []byte) []byte { b := good(q); return b[:len(b)-2] },
		"a header":       func(q *dns.Msg, _ []byte) []byte { return good(q)[:12] },
	} {
		t.Run(name, func(t *testing.T) {
			s := listen(t, false, nil, func(_ string, q *dns.Msg, raw []byte) [][]byte {
				b := bad(q, raw)
				return [][]byte{b, b, good(q)}
			})
			mustAsk(t, group(t, Options{Upstreams: []string{s.addr()}}))
			if n := s.asked.Load(); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// TestGuessing: a flood of wrong IDs moves the question to TCP.
func TestGuessing(t *testing.T) {
	s := listen(t, true, nil, func(network string, q *dns.Msg, _ []byte) (out [][]byte) {
		if network == "tcp" {
			return [][]byte{good(q)}
		}
		for range 2 * maxForged {
			q.Id++
			out = append(out, reply(q, func(m *dns.Msg) { m.Answer = nil }))
		}
		return out
	})
	mustAsk(t, group(t, Options{Upstreams: []string{s.addr()}}))
}

func TestPortAndIDChange(t *testing.T) {
	var mu sync.Mutex
	ids, ports := map[uint16]bool{}, map[string]bool{}
	s := listen(t, false, nil, func(_ string, q *dns.Msg, _ []byte) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		ids[q.Id] = true
		return [][]byte{good(q)}
	})
	g := group(t, Options{Upstreams: []string{s.addr()}, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err == nil {
			mu.Lock()
			ports[c.LocalAddr().String()] = true
			mu.Unlock()
		}
		return c, err
	}})
	for range 20 {
		mustAsk(t, g)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ids) < 19 || len(ports) < 15 {
		t.Errorf("%d ids and %d ports for 20 questions", len(ids), len(ports))
	}
}

func TestQueryOnTheWire(t *testing.T) {
	got := make(chan *dns.Msg, 1)
	s := listen(t, false, nil, func(_ string, q *dns.Msg, _ []byte) [][]byte { got <- q; return [][]byte{good(q)} })
	g := group(t, Options{Upstreams: []string{s.addr()}})
	if _, err := g.Exchange(t.Context(), Question{Name: "example.com.", Type: dns.TypeA, DO: true, CD: true}); err != nil {
		t.Fatal(err)
	}
	q := <-got
	opt := q.IsEdns0()
	if !q.RecursionDesired || !q.CheckingDisabled || q.AuthenticatedData || opt == nil || !opt.Do() || opt.UDPSize() != 1232 || len(opt.Option) != 0 {
		t.Errorf("query %v", q)
	}
}

func truncated(q *dns.Msg) []byte {
	return reply(q, func(m *dns.Msg) { m.Truncated, m.Answer = true, nil })
}

func TestTruncation(t *testing.T) {
	answer := func(network string, q *dns.Msg, _ []byte) [][]byte {
		if network == "udp" {
			return [][]byte{truncated(q)}
		}
		return [][]byte{good(q)}
	}
	t.Run("tcp answers", func(t *testing.T) {
		s := listen(t, true, nil, answer)
		mustAsk(t, group(t, Options{Upstreams: []string{s.addr()}}))
	})
	t.Run("tcp refuses", func(t *testing.T) {
		s := listen(t, false, nil, answer)
		if _, took, err := ask(t, group(t, Options{Upstreams: []string{s.addr()}})); err == nil || took > time.Second {
			t.Errorf("error %v after %v", err, took)
		}
	})
	t.Run("tcp refuses, another answers", func(t *testing.T) {
		s, other := listen(t, false, nil, answer), listen(t, false, nil, always)
		if r := mustAsk(t, group(t, Options{Upstreams: []string{s.addr(), other.addr()}})); r.Upstream != other.addr() {
			t.Errorf("answered by %s", r.Upstream)
		}
	})
	t.Run("cut in the middle of a record", func(t *testing.T) {
		s := listen(t, true, nil, func(network string, q *dns.Msg, _ []byte) [][]byte {
			b := good(q)
			if network == "udp" {
				b[2] |= 2
				b = b[:len(b)-3]
			}
			return [][]byte{b}
		})
		mustAsk(t, group(t, Options{Upstreams: []string{s.addr()}}))
	})
}

func TestNoEDNS(t *testing.T) {
	for name, edit := range map[string]func(*dns.Msg){
		"formerr":         func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeFormatError, nil },
		"bare formerr":    func(m *dns.Msg) { m.Rcode, m.Answer, m.Question = dns.RcodeFormatError, nil, nil },
		"not implemented": func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeNotImplemented, nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := listen(t, false, nil, func(_ string, q *dns.Msg, _ []byte) [][]byte {
				if q.IsEdns0() != nil {
					return [][]byte{reply(q, edit)}
				}
				return [][]byte{good(q)}
			})
			mustAsk(t, group(t, Options{Upstreams: []string{s.addr()}}))
		})
	}
}

func TestFailover(t *testing.T) {
	rcode := func(code int) func(string, *dns.Msg, []byte) [][]byte {
		return func(_ string, q *dns.Msg, _ []byte) [][]byte {
			return [][]byte{reply(q, func(m *dns.Msg) { m.Rcode, m.Answer = code, nil })}
		}
	}
	for _, c := range []struct {
		name   string
		first  func(string, *dns.Msg, []byte) [][]byte
		within time.Duration
	}{
		{"hangs", never, time.Second},
		{"servfail", rcode(dns.RcodeServerFailure), 200 * time.Millisecond},
		{"refused", rcode(dns.RcodeRefused), 200 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, other := listen(t, false, nil, c.first), listen(t, false, nil, always)
			g := group(t, Options{Upstreams: []string{s.addr(), other.addr()}, Step: 200 * time.Millisecond})
			r, took, err := ask(t, g)
			if err != nil || r.Upstream != other.addr() || took > c.within {
				t.Errorf("%s, %v after %v", r.Upstream, err, took)
			}
		})
	}
	t.Run("closed port", func(t *testing.T) {
		s, other := listen(t, false, nil, never), listen(t, false, nil, always)
		s.udp.Close()
		g := group(t, Options{Upstreams: []string{s.addr(), other.addr()}})
		if _, took, err := ask(t, g); err != nil || took > time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
	t.Run("bogus stays bogus", func(t *testing.T) {
		s := listen(t, false, nil, func(_ string, q *dns.Msg, _ []byte) [][]byte {
			return [][]byte{reply(q, func(m *dns.Msg) {
				m.Rcode, m.Answer = dns.RcodeServerFailure, nil
				m.SetEdns0(1232, false)
				m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus}}
			})}
		})
		other := listen(t, false, nil, always)
		g := group(t, Options{Upstreams: []string{s.addr(), other.addr()}})
		if r, _, err := ask(t, g); err != nil || r.Msg.Rcode != dns.RcodeServerFailure || other.asked.Load() != 0 {
			t.Errorf("%v, %v: an upstream that does not validate overruled one that does", r, err)
		}
	})
	t.Run("all servfail", func(t *testing.T) {
		s := listen(t, false, nil, rcode(dns.RcodeServerFailure))
		g := group(t, Options{Upstreams: []string{s.addr(), s.addr()}})
		if r, _, err := ask(t, g); err != nil || r.Msg.Rcode != dns.RcodeServerFailure {
			t.Errorf("%v, %v", r, err)
		}
	})
}

// TestDeadNames: an upstream that never answers some names is not dead, and
// questions for others are not held up.
func TestDeadNames(t *testing.T) {
	for _, scheme := range []string{"udp://", "tcp://"} {
		t.Run(scheme, func(t *testing.T) {
			s := listen(t, true, nil, func(_ string, q *dns.Msg, _ []byte) [][]byte {
				if strings.HasPrefix(strings.ToLower(q.Question[0].Name), "dead") {
					return nil
				}
				return [][]byte{good(q)}
			})
			g := group(t, Options{Upstreams: []string{scheme + s.addr()}, Deadline: 2500 * time.Millisecond})
			var wg sync.WaitGroup
			for i := range 300 {
				wg.Go(func() { _, _ = g.Exchange(t.Context(), Question{Name: fmt.Sprintf("dead%d.test.", i), Type: 1}) })
			}
			for range 20 {
				// Three hundred packets at once may cost one of ours, which is sent
				// again after a second; the dead names take 2.5.
				if _, took, err := ask(t, g); err != nil || took > 2*time.Second {
					t.Errorf("%v after %v", err, took)
				}
			}
			wg.Wait()
		})
	}
}

func TestNoNetwork(t *testing.T) {
	g := group(t, Options{Upstreams: []string{"192.0.2.1", "tls://192.0.2.2"}, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("network is unreachable")
	}})
	for range 5 {
		if _, took, err := ask(t, g); err == nil || took > 100*time.Millisecond {
			t.Fatalf("%v after %v", err, took)
		}
	}
	if _, _, err := ask(t, g); !errors.Is(err, ErrUnreachable) {
		t.Errorf("error %v, want ErrUnreachable", err)
	}
	if s := g.Status(); s[0].Up || s[1].Up || s[0].Err == "" {
		t.Errorf("status %+v", s)
	}
	empty := group(t, Options{})
	if _, _, err := ask(t, empty); !errors.Is(err, ErrUnreachable) {
		t.Errorf("error %v", err)
	}
}

// TestRecovery: a server that was down is found again within seconds.
func TestRecovery(t *testing.T) {
	var broken atomic.Bool
	var changes atomic.Int32
	broken.Store(true)
	s := listen(t, false, nil, always)
	g := group(t, Options{Upstreams: []string{s.addr()},
		Changed: func(string, bool, string) { changes.Add(1) },
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if broken.Load() {
				return nil, errors.New("unreachable")
			}
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}})
	for range 3 {
		_, _, _ = ask(t, g)
	}
	broken.Store(false)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	begin := time.Now()
	for time.Since(begin) < 3*time.Second {
		if _, _, err := ask(t, g); err == nil {
			if changes.Load() != 2 {
				t.Errorf("%d changes told, want 2", changes.Load())
			}
			return
		}
		<-tick.C
	}
	t.Error("still down after three seconds")
}

func TestTCPReuseAndReconnect(t *testing.T) {
	s := listen(t, true, nil, always)
	g := group(t, Options{Upstreams: []string{"tcp://" + s.addr()}})
	for range 5 {
		mustAsk(t, g)
	}
	if n := s.dials.Load(); n != 1 {
		t.Errorf("%d connections for five questions", n)
	}
	s.hangUp() // a server closes what is idle
	mustAsk(t, g)
}

func TestStreamMisbehaves(t *testing.T) {
	for name, answer := range map[string]func(string, *dns.Msg, []byte) [][]byte{
		"closes":              func(string, *dns.Msg, []byte) [][]byte { return [][]byte{nil} },
		"garbage, then close": func(string, *dns.Msg, []byte) [][]byte { return [][]byte{[]byte("xx"), {}, nil} },
	} {
		t.Run(name, func(t *testing.T) {
			s, other := listen(t, true, nil, answer), listen(t, true, nil, always)
			g := group(t, Options{Upstreams: []string{"tcp://" + s.addr(), "tcp://" + other.addr()}})
			if r := mustAsk(t, g); r.Upstream != "tcp://"+other.addr() {
				t.Errorf("answered by %s", r.Upstream)
			}
		})
	}
	t.Run("strays before the answer", func(t *testing.T) {
		s := listen(t, true, nil, func(_ string, q *dns.Msg, _ []byte) [][]byte {
			stray := reply(q, func(m *dns.Msg) { m.Id++ })
			return [][]byte{stray, []byte("x"), stray, good(q)}
		})
		mustAsk(t, group(t, Options{Upstreams: []string{"tcp://" + s.addr()}}))
	})
}

// TestOutOfOrder: a slow answer does not hold up the quick ones behind it.
func TestOutOfOrder(t *testing.T) {
	var held atomic.Pointer[dns.Msg]
	s := listen(t, true, nil, func(_ string, q *dns.Msg, _ []byte) [][]byte {
		if strings.HasPrefix(q.Question[0].Name, "slow") {
			held.Store(q.Copy())
			return nil
		}
		if h := held.Load(); h != nil {
			return [][]byte{good(q), good(h)}
		}
		return [][]byte{good(q)}
	})
	g := group(t, Options{Upstreams: []string{"tcp://" + s.addr()}})
	slow := make(chan error, 1)
	mustAsk(t, g)
	go func() {
		_, err := g.Exchange(t.Context(), Question{Name: "slow.test.", Type: 1})
		slow <- err
	}()
	for held.Load() == nil {
		mustAsk(t, g)
	}
	mustAsk(t, g)
	if err := <-slow; err != nil {
		t.Error(err)
	}
	if n := s.dials.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	var padded atomic.Bool
	var resumed atomic.Int32
	cfg := ca.config(t, "dns.test")
	cfg.VerifyConnection = func(s tls.ConnectionState) error {
		if s.DidResume {
			resumed.Add(1)
		}
		return nil
	}
	s := listen(t, true, cfg, func(_ string, q *dns.Msg, raw []byte) [][]byte {
		padded.Store(len(raw)%padBlock == 0)
		return [][]byte{good(q)}
	})
	spec := "tls://dns.test#" + s.addr()
	t.Run("answers, padded, resumed", func(t *testing.T) {
		g := group(t, Options{Upstreams: []string{spec}, RootCAs: ca.roots})
		mustAsk(t, g)
		mustAsk(t, g)
		if s.dials.Load() != 1 || !padded.Load() {
			t.Errorf("%d connections, padded %v", s.dials.Load(), padded.Load())
		}
		s.hangUp()
		mustAsk(t, g)
		if resumed.Load() == 0 {
			t.Error("the session was not resumed")
		}
	})
	for name, o := range map[string]Options{
		"unknown authority": {Upstreams: []string{spec}, RootCAs: newAuthority(t).roots},
		"wrong name":        {Upstreams: []string{"tls://other.test#" + s.addr()}, RootCAs: ca.roots},
		"expired":           {Upstreams: []string{spec}, RootCAs: ca.roots, CertTime: func() time.Time { return time.Now().Add(48 * time.Hour) }},
	} {
		t.Run(name, func(t *testing.T) {
			asked := s.asked.Load()
			_, _, err := ask(t, group(t, o))
			if err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("error %v", err)
			}
			if s.asked.Load() != asked {
				t.Error("the question was sent all the same")
			}
		})
	}
	t.Run("handshake never ends", func(t *testing.T) {
		slow, other := listen(t, true, nil, never), listen(t, true, cfg, always)
		g := group(t, Options{Upstreams: []string{"tls://dns.test#" + slow.addr(), "tls://dns.test#" + other.addr()}, RootCAs: ca.roots, Step: 200 * time.Millisecond})
		if _, took, err := ask(t, g); err != nil || took > time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
	t.Run("second bootstrap address", func(t *testing.T) {
		g := group(t, Options{Upstreams: []string{"tls://dns.test#127.0.0.1:1," + s.addr()}, RootCAs: ca.roots})
		mustAsk(t, g)
	})
}

// FuzzAccept: whatever an upstream sends, it is read without a panic, and what
// is accepted is an answer to the question.
func FuzzAccept(f *testing.F) {
	m := build(example, true, false)
	ok := good(m)
	f.Add(ok)
	f.Add(ok[:20])
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := accept(b, m, binary.BigEndian.Uint16(append(b, 0, 0))); ok && len(r.Question) > 0 && !sameQuestion(r, m) {
			t.Errorf("accepted %v", r)
		}
	})
}
