package upstream

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
)

// quicServer is an upstream of DNS over QUIC on loopback.
type quicServer struct {
	addr            string
	dials, resumed  atomic.Int32
	early, unpadded atomic.Int32
	mu              sync.Mutex
	conns           []*quic.Conn
	serve           func(c *quic.Conn, s *quic.Stream, q *dns.Msg)
	t               testing.TB
}

func listenQUIC(t testing.TB, cfg *tls.Config, serve func(c *quic.Conn, s *quic.Stream, q *dns.Msg)) *quicServer {
	t.Helper()
	cfg.NextProtos = []string{"doq"}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tr := &quic.Transport{Conn: conn}
	l, err := tr.Listen(cfg, &quic.Config{Allow0RTT: true})
	if err != nil {
		t.Fatal(err)
	}
	s := &quicServer{addr: conn.LocalAddr().String(), serve: serve, t: t}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept(context.Background())
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			wg.Go(func() { s.connection(c, &wg) })
		}
	})
	t.Cleanup(func() {
		s.hangUp()
		l.Close()
		tr.Close()
		conn.Close()
		wg.Wait()
	})
	return s
}

func (s *quicServer) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.CloseWithError(0, "")
	}
	s.conns = nil
}

func (s *quicServer) connection(c *quic.Conn, wg *sync.WaitGroup) {
	s.dials.Add(1)
	state := c.ConnectionState()
	if state.TLS.DidResume {
		s.resumed.Add(1)
	}
	if state.Used0RTT {
		s.early.Add(1)
	}
	for {
		str, err := c.AcceptStream(c.Context())
		if err != nil {
			return
		}
		wg.Go(func() { s.stream(c, str) })
	}
}

func (s *quicServer) stream(c *quic.Conn, str *quic.Stream) {
	defer str.Close()
	b, err := io.ReadAll(str) // the client ends its side, RFC 9250 §4.2
	if err != nil {
		return
	}
	q := new(dns.Msg)
	if len(b) < 2 || int(binary.BigEndian.Uint16(b)) != len(b)-2 || q.Unpack(b[2:]) != nil || q.Id != 0 {
		s.t.Errorf("our query is malformed: %x", b)
		return
	}
	if (len(b)-2)%padBlock != 0 {
		s.unpadded.Add(1)
	}
	s.serve(c, str, q)
}

func answerQUIC(_ *quic.Conn, s *quic.Stream, q *dns.Msg) { _, _ = s.Write(framed(good(q))) }

func TestQUIC(t *testing.T) {
	ca := newAuthority(t)
	t.Run("answers, padded, reused, resumed", func(t *testing.T) {
		s := listenQUIC(t, ca.config(t, "dns.test"), answerQUIC)
		g := group(t, Options{Upstreams: []string{"quic://dns.test#" + s.addr}, RootCAs: ca.roots})
		mustAsk(t, g)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, _, err := ask(t, g); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if s.dials.Load() != 1 || s.unpadded.Load() != 0 {
			t.Errorf("%d connections, %d queries not padded", s.dials.Load(), s.unpadded.Load())
		}
		s.hangUp() // a server closes what is idle
		mustAsk(t, g)
		if s.resumed.Load() != 1 || s.early.Load() != 0 {
			t.Errorf("%d sessions resumed, %d with early data; want 1 and 0", s.resumed.Load(), s.early.Load())
		}
	})
	for name, bad := range map[string]func(c *quic.Conn, s *quic.Stream, q *dns.Msg){
		"resets the stream":    func(_ *quic.Conn, s *quic.Stream, _ *dns.Msg) { s.CancelWrite(doqCancelled) },
		"closes":               func(c *quic.Conn, _ *quic.Stream, _ *dns.Msg) { _ = c.CloseWithError(1, "internal") },
		"ends without a reply": func(*quic.Conn, *quic.Stream, *dns.Msg) {},
		"half a length":        func(_ *quic.Conn, s *quic.Stream, _ *dns.Msg) { _, _ = s.Write([]byte{0}) },
		"garbage":              func(_ *quic.Conn, s *quic.Stream, _ *dns.Msg) { _, _ = s.Write(framed([]byte("hello, I am no DNS"))) },
		"empty":                func(_ *quic.Conn, s *quic.Stream, _ *dns.Msg) { _, _ = s.Write([]byte{0, 0}) },
		"cut off":              func(_ *quic.Conn, s *quic.Stream, q *dns.Msg) { _, _ = s.Write(framed(truncated(q))) },
		"a message ID": func(_ *quic.Conn, s *quic.Stream, q *dns.Msg) {
			_, _ = s.Write(framed(reply(q, func(m *dns.Msg) { m.Id = 7 })))
		},
		"wrong question": func(_ *quic.Conn, s *quic.Stream, q *dns.Msg) {
			_, _ = s.Write(framed(reply(q, func(m *dns.Msg) { m.Question[0].Name = "evil.test." })))
		},
		"ends in the middle": func(_ *quic.Conn, s *quic.Stream, q *dns.Msg) {
			b := framed(good(q))
			_, _ = s.Write(b[:len(b)/2])
		},
		"hangs": func(c *quic.Conn, _ *quic.Stream, _ *dns.Msg) { <-c.Context().Done() },
		"hangs in the middle": func(c *quic.Conn, s *quic.Stream, q *dns.Msg) {
			_, _ = s.Write(framed(good(q))[:20])
			<-c.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, other := listenQUIC(t, ca.config(t, "dns.test"), bad), listen(t, false, nil, always)
			g := group(t, Options{Upstreams: []string{"quic://dns.test#" + s.addr, other.addr()}, RootCAs: ca.roots, Step: 200 * time.Millisecond})
			if r, took, err := ask(t, g); err != nil || took > time.Second || r.Upstream != other.addr() {
				t.Errorf("%s, %v after %v", r.Upstream, err, took)
			}
		})
	}
	t.Run("closed port", func(t *testing.T) {
		s := listen(t, false, nil, never)
		s.udp.Close()
		if _, took, err := ask(t, group(t, Options{Upstreams: []string{"quic://dns.test#" + s.addr()}, RootCAs: ca.roots})); err == nil || took > time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
	t.Run("not a QUIC server", func(t *testing.T) {
		s, other := listen(t, false, nil, never), listen(t, false, nil, always)
		s.quiet.Store(true)
		g := group(t, Options{Upstreams: []string{"quic://dns.test#" + s.addr(), other.addr()}, RootCAs: ca.roots, Step: 200 * time.Millisecond})
		if _, took, err := ask(t, g); err != nil || took > time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
	t.Run("second address", func(t *testing.T) {
		s := listenQUIC(t, ca.config(t, "dns.test"), answerQUIC)
		mustAsk(t, group(t, Options{Upstreams: []string{"quic://dns.test#127.0.0.1:1," + s.addr}, RootCAs: ca.roots}))
	})
}

func TestQUICCertificates(t *testing.T) {
	ca := newAuthority(t)
	s := listenQUIC(t, ca.config(t, "dns.test"), answerQUIC)
	other := ca.config(t, "dns.test")
	other.NextProtos = []string{"h3"}
	for name, o := range map[string]Options{
		"unknown authority": {Upstreams: []string{"quic://dns.test#" + s.addr}, RootCAs: newAuthority(t).roots},
		"wrong name":        {Upstreams: []string{"quic://other.test#" + s.addr}, RootCAs: ca.roots},
		"expired":           {Upstreams: []string{"quic://dns.test#" + s.addr}, RootCAs: ca.roots, CertTime: func() time.Time { return time.Now().Add(48 * time.Hour) }},
		"another protocol":  {Upstreams: []string{"h3://dns.test#" + s.addr}, RootCAs: ca.roots},
	} {
		t.Run(name, func(t *testing.T) {
			if _, took, err := ask(t, group(t, o)); err == nil || took > 2*time.Second || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v after %v", err, took)
			}
		})
	}
}

// TestPins: an authority's word is not enough when a key is pinned; and the
// pin counts for resumed sessions too.
func TestPins(t *testing.T) {
	ca := newAuthority(t)
	pin := func(b []byte) string {
		sum := sha256.Sum256(b)
		return ",pin-sha256=" + base64.StdEncoding.EncodeToString(sum[:])
	}
	tcp := listen(t, true, ca.config(t, "dns.test"), always)
	udp := listenQUIC(t, ca.config(t, "dns.test"), answerQUIC)
	web := listenHTTP2(t, ca)
	web.handler.Store(answerHTTP)
	h3 := listenHTTP3(t, ca)
	h3.handler.Store(answerHTTP)
	for _, at := range []string{"tls://dns.test#" + tcp.addr(), "quic://dns.test#" + udp.addr, web.spec, h3.spec} {
		t.Run(at[:4], func(t *testing.T) {
			g := group(t, Options{Upstreams: []string{at + pin(ca.cert.RawSubjectPublicKeyInfo)}, RootCAs: ca.roots})
			mustAsk(t, g)
			tcp.hangUp()
			udp.hangUp()
			mustAsk(t, g)
			_, _, err := ask(t, group(t, Options{Upstreams: []string{at + pin([]byte("another key"))}, RootCAs: ca.roots}))
			if err == nil || !strings.Contains(err.Error(), "pins") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// echKeys makes keys of Encrypted Client Hello (RFC 9849 §4).
func echKeys(t *testing.T, public string) (key tls.EncryptedClientHelloKey, list string) {
	t.Helper()
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := []byte{7, 0, 0x20, 0, 32} // ID, DHKEM(X25519), length of the key
	c = append(c, k.PublicKey().Bytes()...)
	c = append(c, 0, 4, 0, 1, 0, 1, 32, byte(len(public))) // HKDF-SHA256 with AES-128-GCM, longest name
	c = append(append(c, public...), 0, 0)
	c = append([]byte{0xfe, 0x0d, 0, byte(len(c))}, c...)
	return tls.EncryptedClientHelloKey{Config: c, PrivateKey: k.Bytes(), SendAsRetry: true},
		base64.StdEncoding.EncodeToString(append([]byte{0, byte(len(c))}, c...))
}

// TestECH: with keys the server's name is hidden; when they are old the server's
// new ones are taken; without any the question is not asked.
func TestECH(t *testing.T) {
	ca := newAuthority(t)
	key, list := echKeys(t, "public.test")
	_, old := echKeys(t, "public.test")
	var hidden atomic.Int32
	with := ca.config(t, "dns.test", "public.test")
	with.EncryptedClientHelloKeys = []tls.EncryptedClientHelloKey{key}
	with.VerifyConnection = func(s tls.ConnectionState) error {
		if s.ECHAccepted && s.ServerName == "dns.test" {
			hidden.Add(1)
		}
		return nil
	}
	without := ca.config(t, "dns.test", "public.test")
	for scheme, begin := range map[string]func(t *testing.T, cfg *tls.Config) string{
		"tls":  func(t *testing.T, cfg *tls.Config) string { return listen(t, true, cfg, always).addr() },
		"quic": func(t *testing.T, cfg *tls.Config) string { return listenQUIC(t, cfg, answerQUIC).addr },
	} {
		t.Run(scheme, func(t *testing.T) {
			at := scheme + "://dns.test#" + begin(t, with.Clone())
			for name, keys := range map[string]string{"keys": list, "old keys": old} {
				hidden.Store(0)
				mustAsk(t, group(t, Options{Upstreams: []string{at + ",ech=" + keys}, RootCAs: ca.roots}))
				if hidden.Load() != 1 {
					t.Errorf("%s: the name was not hidden", name)
				}
			}
			at = scheme + "://dns.test#" + begin(t, without.Clone())
			if _, took, err := ask(t, group(t, Options{Upstreams: []string{at + ",ech=" + list}, RootCAs: ca.roots})); err == nil || took > time.Second {
				t.Errorf("%v after %v", err, took)
			}
		})
	}
}
