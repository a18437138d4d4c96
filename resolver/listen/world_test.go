package listen

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nightlatch/journal"
	"nightlatch/policy"
)

// resolved stands in for the resolver: 203.0.113.1 for every name, the name of
// the device as TXT. Names that begin with slow wait for go on, with
// drop are not answered, with long have 60 addresses; ServeNow knows those that
// begin with now.
type resolved struct {
	goOn chan struct{}

	mu    sync.Mutex
	flows []policy.Flow
	ways  []string
}

func (r *resolved) ServeDNS(ctx context.Context, f policy.Flow, network string, b []byte) []byte {
	r.mu.Lock()
	r.flows, r.ways = append(r.flows, f), append(r.ways, network)
	r.mu.Unlock()
	q := new(dns.Msg)
	if q.Unpack(b) != nil || q.Response || len(q.Question) != 1 {
		return nil
	}
	name := q.Question[0].Name
	switch {
	case strings.HasPrefix(name, "slow"):
		select {
		case <-r.goOn:
		case <-ctx.Done():
			return nil
		}
	case strings.HasPrefix(name, "drop"):
		return nil
	}
	m := new(dns.Msg).SetReply(q)
	h := dns.RR_Header{Name: name, Class: 1, Ttl: 60, Rrtype: dns.TypeA}
	n := 1
	if strings.HasPrefix(name, "long") {
		n = 60
	}
	for i := range n {
		m.Answer = append(m.Answer, &dns.A{Hdr: h, A: []byte{203, 0, 113, byte(i + 1)}})
	}
	if q.Question[0].Qtype == dns.TypeTXT {
		h.Rrtype = dns.TypeTXT
		m.Answer = []dns.RR{&dns.TXT{Hdr: h, Txt: []string{f.Device.Name}}}
	}
	size := 512
	if opt := q.IsEdns0(); opt != nil {
		m.SetEdns0(1232, opt.Do())
		size = int(opt.UDPSize())
	}
	if network == "udp" {
		m.Truncate(min(size, 1232))
	}
	out, _ := m.Pack()
	return out
}

func (r *resolved) ServeDeclined(ctx context.Context, f policy.Flow, network string, b []byte) []byte {
	return r.ServeDNS(ctx, f, network, b)
}

func (r *resolved) ServeNow(f policy.Flow, b []byte) ([]byte, bool) {
	if len(b) < 16 || string(b[13:16]) != "now" {
		return nil, false
	}
	return r.ServeDNS(context.Background(), f, "udp", b), true
}

func (r *resolved) last() (policy.Flow, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flows[len(r.flows)-1], r.ways[len(r.ways)-1]
}

func (r *resolved) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.flows)
}

// diary keeps what is told to the journal.
type diary struct {
	mu     sync.Mutex
	events []journal.Event
}

func (d *diary) Record(e journal.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

// authority signs a leaf for each name of the tests.
func authority(t testing.TB, names ...string) (certPEM, keyPEM []byte, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	tmpl := &x509.Certificate{
		SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: names, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certPEM, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}), pool
}

func write(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// lab is a server on loopback with all its listeners.
type lab struct {
	*Server
	testing.TB
	resolved *resolved
	diary    *diary
	roots    *x509.CertPool
	end      func() error
}

func newLab(t testing.TB, change func(*Options)) *lab {
	t.Helper()
	l := &lab{TB: t, resolved: &resolved{goOn: make(chan struct{})}, diary: &diary{}}
	cert, key, pool := authority(t, "dns.test", "*.dns.test")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l.roots = pool
	loop := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	var known atomic.Pointer[Known]
	known.Store(&Known{
		ByAddr: map[netip.Addr]policy.Device{netip.MustParseAddr("127.0.0.7"): {Name: "tv"}},
		ByName: map[string]policy.Device{"redmi": {Name: "redmi", Addrs: []netip.Addr{netip.MustParseAddr("10.88.0.2")}}},
	})
	o := Options{
		Plain: loop, TLS: loop, HTTPS: loop, QUIC: loop, Config: &tls.Config{Certificates: []tls.Certificate{pair}},
		Name: "dns.test", Known: &known, Resolver: l.resolved, Recorder: l.diary,
	}
	if change != nil {
		change(&o)
	}
	// The port that UDP was given may be taken for TCP, and that of HTTPS for HTTP/3.
	for range 20 {
		if l.Server, err = New(o); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	l.end = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := l.end(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *lab) addr(network string) string {
	l.Helper()
	at := l.Addrs(network)
	if len(at) == 0 {
		l.Fatalf("no listener for %s", network)
	}
	return at[0].String()
}

func (l *lab) tls(server string, alpn ...string) *tls.Config {
	return &tls.Config{RootCAs: l.roots, ServerName: server, NextProtos: alpn}
}

func ask(name string, qtype uint16, opts ...dns.EDNS0) *dns.Msg {
	m := new(dns.Msg).SetQuestion(name, qtype)
	if opts != nil {
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = opts
	}
	return m
}

// options of an answer by code.
func options(t testing.TB, m *dns.Msg) map[uint16]dns.EDNS0 {
	t.Helper()
	out := map[uint16]dns.EDNS0{}
	opt := m.IsEdns0()
	if opt == nil {
		t.Fatalf("no OPT record: %v", m)
	}
	for _, o := range opt.Option {
		out[o.Option()] = o
	}
	return out
}

func text(t testing.TB, m *dns.Msg) string {
	t.Helper()
	if m == nil || len(m.Answer) != 1 {
		t.Fatalf("not one record: %v", m)
	}
	txt, ok := m.Answer[0].(*dns.TXT)
	if !ok {
		t.Fatalf("no TXT: %v", m)
	}
	return strings.Join(txt.Txt, "")
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

// wholeLoopback skips a test that needs all of 127.0.0.0/8, which Linux has by
// itself.
func wholeLoopback(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only 127.0.0.1 answers here")
	}
}
