package upstream

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// server is an upstream on loopback whose every octet is the test's to choose.
type server struct {
	t       testing.TB
	udp     net.PacketConn
	tcp     net.Listener
	asked   atomic.Int32 // messages that came in
	dials   atomic.Int32 // stream connections
	mu      sync.Mutex
	clients []net.Conn
	quiet   atomic.Bool // what is no DNS over UDP is no news

	// answer gives what is sent back for a query, message by message; nothing
	// means silence. On a stream, nil in the list closes the connection.
	answer func(network string, q *dns.Msg, raw []byte) [][]byte
}

// listen begins a server; no tcp means that its TCP port refuses, with tls
// every stream is TLS.
func listen(t testing.TB, tcp bool, cfg *tls.Config, answer func(string, *dns.Msg, []byte) [][]byte) *server {
	t.Helper()
	s := &server{t: t, answer: answer}
	var err error
	for range 10 { // the TCP port of the same number may be taken
		if s.udp, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if !tcp {
			break
		}
		if s.tcp, err = net.Listen("tcp", s.udp.LocalAddr().String()); err == nil {
			break
		}
		s.udp.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(s.serveUDP)
	if tcp {
		if cfg != nil {
			s.tcp = tls.NewListener(s.tcp, cfg)
		}
		wg.Go(func() { s.serveTCP(&wg) })
	}
	t.Cleanup(func() {
		s.udp.Close()
		if tcp {
			s.tcp.Close()
		}
		s.hangUp()
		wg.Wait()
	})
	return s
}

func (s *server) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		c.Close()
	}
	s.clients = nil
}

func (s *server) addr() string { return s.udp.LocalAddr().String() }

func (s *server) serveUDP() {
	buf := make([]byte, 4096)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		s.asked.Add(1)
		raw := bytes.Clone(buf[:n])
		q := new(dns.Msg)
		if q.Unpack(raw) != nil {
			if s.quiet.Load() {
				continue
			}
			s.t.Error("our query is malformed")
		}
		for _, b := range s.answer("udp", q, raw) {
			_, _ = s.udp.WriteTo(b, from)
		}
	}
}

func (s *server) serveTCP(wg *sync.WaitGroup) {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		s.dials.Add(1)
		s.mu.Lock()
		s.clients = append(s.clients, c)
		s.mu.Unlock()
		wg.Go(func() { s.serveConn(c) })
	}
}

func (s *server) serveConn(c net.Conn) {
	defer c.Close()
	for {
		var head [2]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		raw := make([]byte, binary.BigEndian.Uint16(head[:]))
		if _, err := io.ReadFull(c, raw); err != nil {
			return
		}
		s.asked.Add(1)
		q := new(dns.Msg)
		if q.Unpack(raw) != nil {
			s.t.Error("our query is malformed")
		}
		for _, b := range s.answer("tcp", q, raw) {
			if b == nil {
				return
			}
			_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
		}
	}
}

// good is the right answer: 192.0.2.1 for everything.
func good(q *dns.Msg) []byte { return reply(q, nil) }

func reply(q *dns.Msg, edit func(*dns.Msg)) []byte {
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: 1, Ttl: 60}, A: net.IPv4(192, 0, 2, 1)}}
	if edit != nil {
		edit(m)
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

func always(_ string, q *dns.Msg, _ []byte) [][]byte { return [][]byte{good(q)} }
func never(string, *dns.Msg, []byte) [][]byte        { return nil }

// authority makes certificates for the test's servers.
type authority struct {
	key   *ecdsa.PrivateKey
	cert  *x509.Certificate
	roots *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key, cert, x509.NewCertPool()}
	a.roots.AddCert(cert)
	return a
}

func (a *authority) config(t testing.TB, host string, more ...string) *tls.Config {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: append([]string{host}, more...),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: a.key}}}
}

// group makes a Group and sees to it that nothing of it is left behind.
func group(t *testing.T, o Options) *Group {
	t.Helper()
	before, open := runtime.NumGoroutine(), descriptors()
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.Close()
		settle(t, before)
		closed(t, open)
	})
	return g
}

// settle waits until no more goroutines run than at the beginning.
func settle(t *testing.T, before int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); <-tick.C {
		if runtime.NumGoroutine() <= before {
			return
		}
	}
	buf := make([]byte, 1<<16)
	t.Errorf("goroutines are left: %d, were %d\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
}

// descriptors counts what the process has open; 0 where nobody tells.
func descriptors() int {
	files, _ := os.ReadDir("/proc/self/fd")
	return len(files)
}

// closed waits until no more descriptors are open than at the beginning.
func closed(t *testing.T, before int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); <-tick.C {
		if descriptors() <= before {
			return
		}
	}
	t.Errorf("%d descriptors are open, were %d", descriptors(), before)
}

var example = Question{Name: "example.com.", Type: dns.TypeA} // never changed

func ask(t *testing.T, g *Group) (Reply, time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	begin := time.Now()
	r, err := g.Exchange(ctx, example)
	return r, time.Since(begin), err
}

func mustAsk(t *testing.T, g *Group) Reply {
	t.Helper()
	r, _, err := ask(t, g)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Msg.Answer) != 1 || r.Msg.Answer[0].(*dns.A).A.String() != "192.0.2.1" {
		t.Fatalf("answer %v", r.Msg.Answer)
	}
	return r
}
