package tunnel

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/tunnel/phone"
)

// patience bounds every wait of the tests; the machine may be busy.
const patience = 10 * time.Second

// eventually polls until ok, as nothing here can run on fake time.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

type keys struct{ private, public, psk [32]byte }

func newKeys(t testing.TB) keys {
	t.Helper()
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	out := keys{private: [32]byte(k.Bytes()), public: [32]byte(k.PublicKey().Bytes())}
	rand.Read(out.psk[:])
	return out
}

// recorder keeps events for the tests to look at.
type recorder struct {
	mu     sync.Mutex
	events []journal.Event
}

func (r *recorder) Record(e journal.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
}

func (r *recorder) flows(match func(journal.Flow) bool) (out []journal.Flow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if f, ok := e.(journal.Flow); ok && match(f) {
			out = append(out, f)
		}
	}
	return out
}

func (r *recorder) notices() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if n, ok := e.(journal.Notice); ok {
			out = append(out, n.Device+": "+n.Text)
		}
	}
	return out
}

// internet is a small internet on loopback: 203.0.113.0/24 and 2001:db8:1::/48
// lead to a web server (any TCP port but the special ones) and a UDP echo.
type internet struct {
	web    *httptest.Server
	echo   *net.UDPConn
	dialed atomic.Int64
	open   atomic.Int64 // TCP connections from the gateway
	sunk   chan policy.Flow
	asked  chan policy.Flow
}

const (
	blackHole = 81 // never answers
	refuser   = 82 // nobody listens
)

func newInternet(t testing.TB) *internet {
	n := &internet{sunk: make(chan policy.Flow, 100), asked: make(chan policy.Flow, 10000)}
	n.web = httptest.NewServer(http.HandlerFunc(serveWeb))
	t.Cleanup(n.web.Close)
	var err error
	if n.echo, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.echo.Close() })
	go func() {
		b := make([]byte, 1<<16)
		for {
			k, from, err := n.echo.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			n.echo.WriteToUDPAddrPort(b[:k], from)
		}
	}()
	return n
}

func serveWeb(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/blob":
		b := make([]byte, 1<<20)
		for range 16 {
			w.Write(b)
		}
	case "/sink":
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	default:
		fmt.Fprintf(w, "hello from %s", r.Host)
	}
}

type countConn struct {
	*net.TCPConn
	once sync.Once
	open *atomic.Int64
}

func (c *countConn) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.TCPConn.Close()
}

func (n *internet) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.dialed.Add(1)
	ap := netip.MustParseAddrPort(address)
	to := n.web.Listener.Addr().String()
	switch ap.Port() {
	case blackHole:
		<-ctx.Done()
		return nil, ctx.Err()
	case refuser:
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		l.Close()
		to = l.Addr().String()
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", to)
	if err != nil {
		return nil, err
	}
	n.open.Add(1)
	return &countConn{TCPConn: c.(*net.TCPConn), open: &n.open}, nil
}

// mapped is a UDP socket in front of which 203.0.113.x is the echo server.
type mapped struct {
	*net.UDPConn
	echo netip.AddrPort
	mu   sync.Mutex
	last net.Addr
}

func (n *internet) listenPacket(context.Context, string) (net.PacketConn, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	return &mapped{UDPConn: c, echo: n.echo.LocalAddr().(*net.UDPAddr).AddrPort()}, nil
}

func (m *mapped) WriteTo(b []byte, to net.Addr) (int, error) {
	m.mu.Lock()
	m.last = to
	m.mu.Unlock()
	return m.WriteToUDPAddrPort(b, m.echo)
}

func (m *mapped) ReadFrom(b []byte) (int, net.Addr, error) {
	n, _, err := m.ReadFromUDPAddrPort(b)
	m.mu.Lock()
	defer m.mu.Unlock()
	return n, m.last, err
}

// dnsReply is the question sent back as an answer.
func (n *internet) dns(_ context.Context, f policy.Flow, _ string, wire []byte) []byte {
	n.asked <- f
	if len(wire) < 12 {
		return nil
	}
	out := append([]byte(nil), wire...)
	out[2] |= 0x80
	return out
}

func (n *internet) sink(_ context.Context, f policy.Flow, c net.Conn) {
	n.sunk <- f
	b := make([]byte, 1000)
	k, _ := c.Read(b)
	c.Write(b[:k])
}

var (
	gateway4, gateway6 = netip.MustParseAddr("10.88.0.1"), netip.MustParseAddr("fd88::1")
	site4, site6       = "203.0.113.10", "2001:db8:1::10"
)

// rig is a gateway with one or more phones.
type rig struct {
	*Tunnel
	net    *internet
	rec    *recorder
	gw     keys
	phones []keys
	conf   []string
	stop   func()
}

func deviceOf(k keys, i int) policy.Device {
	return policy.Device{Name: fmt.Sprintf("phone%d", i), Key: k.public, Addrs: []netip.Addr{
		netip.AddrFrom4([4]byte{10, 88, 0, byte(2 + i)}), netip.MustParseAddr(fmt.Sprintf("fd88::%d", 2+i))}}
}

func (r *rig) peer(i int) Peer {
	return Peer{Device: deviceOf(r.phones[i], i), PresharedKey: r.phones[i].psk}
}

// newRig starts a gateway for n phones; change may be nil.
func newRig(t testing.TB, n int, change func(*Options)) *rig {
	t.Helper()
	return newTunedRig(t, n, change, nil)
}

// newTunedRig is newRig where tune changes the tunnel before it runs: without a
// policy there is [testPolicy], refusals are not slowed, and beginnings of
// connections are held for long, as the machine may be busy.
func newTunedRig(t testing.TB, n int, change func(*Options), tune func(*Tunnel)) *rig {
	t.Helper()
	r := &rig{net: newInternet(t), rec: &recorder{}, gw: newKeys(t)}
	opts := Options{
		PrivateKey: r.gw.private,
		Listen:     []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
		Self:       []netip.Addr{gateway4, gateway6},
		Prefixes:   []netip.Prefix{netip.MustParsePrefix("10.88.0.0/24"), netip.MustParsePrefix("fd88::/64")},
		SinkPrefixes: []netip.Prefix{
			netip.MustParsePrefix("10.99.0.0/16"), netip.MustParsePrefix("fd99::/64")},
		GuardAllow: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8:1::/48")},
		Recorder:   r.rec,
		Handlers: Handlers{
			DNS: r.net.dns, Sink: r.net.sink, Dial: r.net.dial, ListenPacket: r.net.listenPacket,
			NameOf: func(_ policy.Device, a netip.Addr) (string, bool) {
				return map[string]string{site4: "example.com", "10.99.0.7": "telemetry.example"}[a.String()], a.String() == "10.99.0.7"
			},
		},
	}
	for i := range n {
		r.phones = append(r.phones, newKeys(t))
		opts.Peers = append(opts.Peers, r.peer(i))
	}
	if change != nil {
		change(&opts)
	}
	var err error
	if r.Tunnel, err = New(opts); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		r.conf = append(r.conf, r.confOf(i))
	}
	r.pauseStep, r.hold = 0, patience
	if opts.Policy == nil {
		r.decide = testPolicy
	}
	if tune != nil {
		tune(r.Tunnel)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// testPolicy is a small one: DoT refused, the sink range sunk, port 7000 dropped.
func testPolicy(f policy.Flow, _ time.Time) policy.Verdict {
	switch {
	case f.Dst.Port() == 853:
		return policy.Verdict{Action: policy.Deny, Reason: "DNS over TLS"}
	case f.Dst.Port() == 7000:
		return policy.Verdict{Action: policy.Drop, Reason: "test"}
	case strings.HasPrefix(f.Dst.Addr().String(), "10.99.") && f.Name != "":
		return policy.Verdict{Action: policy.Sink, Reason: "sunk"}
	}
	return policy.Verdict{}
}

func (r *rig) confOf(i int) string {
	b64 := func(k [32]byte) string { return base64.StdEncoding.EncodeToString(k[:]) }
	d := deviceOf(r.phones[i], i)
	return fmt.Sprintf(`# nightlatch: %s
[Interface]
PrivateKey = %s
Address = %v/32, %v/128
DNS = %v, %v
MTU = 1280

[Peer]
PublicKey = %s
PresharedKey = %s
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = 127.0.0.1:%d
PersistentKeepalive = 25
`, d.Name, b64(r.phones[i].private), d.Addrs[0], d.Addrs[1], gateway4, gateway6,
		b64(r.gw.public), b64(r.phones[i].psk), r.Port())
}

// connect connects phone i.
func (r *rig) connect(t testing.TB, i int) *phone.Phone {
	t.Helper()
	cfg, err := phone.Parse(r.confOf(i))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p, err := phone.Connect(ctx, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func get(t testing.TB, c *http.Client, url string) string {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// goroutines waits until there are no more than before.
func goroutines(t testing.TB, before int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for runtime.NumGoroutine() > before {
		select {
		case <-tick.C:
		case <-late:
			b := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, b[:runtime.Stack(b, true)])
		}
	}
}
