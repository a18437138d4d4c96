package tunnel

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
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

func TestHTTP(t *testing.T) {
	r := newRig(t, 1, nil)
	p := r.connect(t, 0)
	for _, url := range []string{"http://" + site4 + "/", "http://[" + site6 + "]/"} {
		if got := get(t, p.HTTPClient(nil), url); !strings.HasPrefix(got, "hello from ") {
			t.Errorf("%s: %q", url, got)
		}
	}
	p.Close()
	r.stop()
	flows := r.rec.flows(func(f journal.Flow) bool { return f.Dst.Addr().String() == site4 })
	if len(flows) != 1 {
		t.Fatalf("%d flows in the journal", len(flows))
	}
	f := flows[0]
	if f.Device != "phone0" || f.Proto != "tcp" || f.Name != "example.com" || f.Exact ||
		f.Verdict.Action != policy.Pass || f.Up < 50 || f.Down < 50 || f.Took <= 0 {
		t.Errorf("%+v", f)
	}
}

// query is a DNS question for example.com with this id.
func query(id uint16) []byte {
	return append([]byte{byte(id >> 8), byte(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0},
		"\x07example\x03com\x00\x00\x01\x00\x01"...)
}

// TestDNSCapture: whatever server the phone asks, ours answers.
func TestDNSCapture(t *testing.T) {
	r := newRig(t, 1, nil)
	p := r.connect(t, 0)
	id := uint16(0)
	for _, network := range []string{"udp", "tcp"} {
		for _, server := range []string{"10.88.0.1:53", "[fd88::1]:53", "8.8.8.8:53", "[2001:4860:4860::8888]:53", "192.168.1.1:53", "10.99.0.7:53"} {
			id++
			answer, err := p.Exchange(within(t, patience), network, netip.MustParseAddrPort(server), query(id))
			if err != nil {
				t.Errorf("%s %s: %v", network, server, err)
				continue
			}
			if answer[2]&0x80 == 0 || answer[1] != byte(id) {
				t.Errorf("%s %s: % x", network, server, answer)
			}
			f := <-r.net.asked
			if f.Device.Name != "phone0" || f.Dst.String() != server {
				t.Errorf("%s %s: handler saw %v %v", network, server, f.Device.Name, f.Dst)
			}
		}
	}
	if n := r.net.dialed.Load(); n != 0 {
		t.Errorf("%d dials", n)
	}
}

// TestDNSPipeline: several questions on one connection, and a slow one does
// not hold up the next.
func TestDNSPipeline(t *testing.T) {
	release := make(chan struct{})
	r := newRig(t, 1, func(o *Options) {
		o.Handlers.DNS = func(_ context.Context, _ policy.Flow, _ string, wire []byte) []byte {
			if wire[1] == 1 {
				<-release
			}
			return wire
		}
	})
	p := r.connect(t, 0)
	c, err := p.DialContext(within(t, patience), "tcp", "9.9.9.9:53")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	for id := range 3 {
		q := query(uint16(id + 1))
		c.Write(append([]byte{0, byte(len(q))}, q...))
	}
	ids := ""
	for i := range 3 {
		wire, err := readDNS(c)
		if err != nil {
			t.Fatal(err)
		}
		ids += fmt.Sprint(wire[1])
		if i == 1 {
			close(release)
		}
	}
	if ids != "231" && ids != "321" {
		t.Errorf("answers came in the order %s", ids)
	}
}

// TestRefusals: what may not be reached is refused at once, and nothing is
// dialled on the host.
func TestRefusals(t *testing.T) {
	r := newRig(t, 2, nil)
	p := r.connect(t, 0)
	for _, c := range []struct{ dst, why string }{
		{"9.9.9.9:853", "DNS over TLS"},
		{"[2620:fe::fe]:853", "DNS over TLS"},
		{"10.0.0.5:80", "private address"},
		{"192.168.1.1:80", "private address"},
		{"172.20.0.1:443", "private address"},
		{"169.254.169.254:80", "cloud metadata"},
		{"100.100.100.200:80", "cloud metadata"},
		{"10.88.0.1:22", "inside the tunnel"},
		{"10.88.0.3:80", "inside the tunnel"}, // the other phone
		{"[fd88::3]:80", "inside the tunnel"},
		{"[fd00:ec2::254]:80", "cloud metadata"},
		{"[64:ff9b::7f00:1]:80", "IPv4 inside IPv6"},
		{"[2002:7f00:1::1]:80", "IPv4 inside IPv6"},
		{"[2001::7f00:1]:80", "IPv4 inside IPv6"},
		{"198.51.100.1:80", "documentation address"},
		{"10.99.0.8:443", "address of the sinkhole"}, // belongs to no name
	} {
		began := time.Now()
		conn, err := p.DialContext(within(t, 2*time.Second), "tcp", c.dst)
		if err == nil {
			conn.Close()
			t.Errorf("%s: connected", c.dst)
			continue
		}
		if !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s: after %v: %v", c.dst, time.Since(began), err)
		}
		flows := r.rec.flows(func(f journal.Flow) bool { return f.Dst.String() == c.dst })
		if len(flows) != 1 || flows[0].Verdict.Action != policy.Deny || flows[0].Verdict.Reason != c.why {
			t.Errorf("%s: in the journal: %+v, want reason %q", c.dst, flows, c.why)
		}
	}
	if n := r.net.dialed.Load(); n != 0 {
		t.Errorf("%d dials", n)
	}
}

// TestAsItIs: a refused, a silent and a reset server look so to the phone.
func TestAsItIs(t *testing.T) {
	r := newRig(t, 1, func(o *Options) { o.Limits.Dial = 200 * time.Millisecond })
	p := r.connect(t, 0)
	_, err := p.DialContext(within(t, patience), "tcp", fmt.Sprint(site4, ":", refuser))
	if err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("refuser: %v", err)
	}
	_, err = p.DialContext(within(t, 600*time.Millisecond), "tcp", fmt.Sprint(site4, ":", blackHole))
	if err == nil || strings.Contains(err.Error(), "refused") {
		t.Errorf("black hole: %v", err)
	}
	_, err = p.DialContext(within(t, 300*time.Millisecond), "tcp", site4+":7000")
	if err == nil || strings.Contains(err.Error(), "refused") {
		t.Errorf("dropped: %v", err)
	}
	eventually(t, "both failures in the journal", func() bool {
		return len(r.rec.flows(func(f journal.Flow) bool {
			return f.Err == "connection refused" && f.Dst.Port() == refuser || f.Err == "timed out" && f.Dst.Port() == blackHole
		})) == 2
	})
}

// TestHalfClose: the phone finishes sending and still receives.
func TestHalfClose(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		b, _ := io.ReadAll(c) // ends only when the half-close arrives
		fmt.Fprintf(c, "got %d", len(b))
		c.Close()
	}()
	r := newRig(t, 1, func(o *Options) {
		o.Handlers.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
		}
	})
	c, err := r.connect(t, 0).DialContext(within(t, patience), "tcp", site4+":1000")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, strings.Repeat("x", 100_000))
	c.(interface{ CloseWrite() error }).CloseWrite()
	b, err := io.ReadAll(c)
	if string(b) != "got 100000" {
		t.Errorf("%q %v", b, err)
	}
}

func TestSink(t *testing.T) {
	r := newRig(t, 1, nil)
	p := r.connect(t, 0)
	c, err := p.DialContext(within(t, patience), "tcp", "10.99.0.7:443")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "telemetry")
	b, err := io.ReadAll(c)
	if string(b) != "telemetry" {
		t.Errorf("%q %v", b, err)
	}
	if f := <-r.net.sunk; f.Name != "telemetry.example" || !f.Exact || f.Device.Name != "phone0" {
		t.Errorf("%+v", f)
	}
	eventually(t, "the sunk flow in the journal", func() bool {
		return len(r.rec.flows(func(f journal.Flow) bool {
			return f.Verdict.Action == policy.Sink && f.Up == 9 && f.Down == 9
		})) == 1
	})
	if n := r.net.dialed.Load(); n != 0 {
		t.Errorf("%d dials", n)
	}
	// UDP to a sunk name is refused, so that QUIC falls back.
	u, err := p.DialContext(within(t, patience), "udp", "10.99.0.7:443")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	u.SetDeadline(time.Now().Add(patience))
	u.Write([]byte("quic"))
	if _, err := u.Read(b); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("udp to a sunk name: %v", err)
	}
}

// TestHalfOpenFlood: a device that opens connections to a black hole is held
// at its limit, told in the journal, and its DNS still works.
func TestHalfOpenFlood(t *testing.T) {
	r := newRig(t, 2, func(o *Options) { o.Limits.HalfOpen = 50 })
	p := r.connect(t, 0)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	var refused atomic.Int64
	var wg sync.WaitGroup
	for range 200 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if _, err := p.DialContext(ctx, "tcp", fmt.Sprint(site4, ":", blackHole)); err != nil && strings.Contains(err.Error(), "refused") {
				refused.Add(1)
			}
		}()
	}
	eventually(t, "150 of 200 refused at once", func() bool { return refused.Load() == 150 })
	if _, err := p.Exchange(ctx, "udp", netip.MustParseAddrPort("8.8.8.8:53"), query(1)); err != nil {
		t.Errorf("DNS during the flood: %v", err)
	}
	if got := get(t, r.connect(t, 1).HTTPClient(nil), "http://"+site4+"/"); got == "" {
		t.Error("the other phone got nothing")
	}
	if n := r.rec.notices(); len(n) != 1 || !strings.Contains(n[0], "phone0: more than 50 connections") {
		t.Errorf("notices: %q", n)
	}
	cancel()
	wg.Wait()
	r.stop()
	r.half.mu.Lock()
	defer r.half.mu.Unlock()
	if len(r.half.ids) != 0 {
		t.Errorf("%d half-open connections left", len(r.half.ids))
	}
}

func TestInsideListener(t *testing.T) {
	r := newRig(t, 1, nil)
	if _, err := r.ListenTCP(netip.MustParseAddrPort("10.88.0.2:80")); err == nil {
		t.Error("listens on a device's address")
	}
	sockets := countSockets(t)
	l, err := r.ListenTCP(netip.AddrPortFrom(gateway4, 80))
	if err != nil {
		t.Fatal(err)
	}
	if n := countSockets(t); n != sockets {
		t.Errorf("%d host sockets, %d before", n, sockets)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		fmt.Fprint(w, "you are ", q.RemoteAddr)
	})}
	go srv.Serve(l)
	defer srv.Close()
	if got := get(t, r.connect(t, 0).HTTPClient(nil), "http://10.88.0.1/"); !strings.HasPrefix(got, "you are 10.88.0.2:") {
		t.Error(got)
	}
	if n := r.net.dialed.Load(); n != 0 {
		t.Errorf("%d dials", n)
	}
}

func countSockets(t *testing.T) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc/self/fd here to count host sockets")
	}
	for _, fd := range fds {
		if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

func TestPortInUse(t *testing.T) {
	r := newRig(t, 0, nil)
	_, err := New(Options{PrivateKey: r.gw.private, Listen: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.Port())}})
	want := fmt.Sprintf("tunnel: udp port %d is in use", r.Port())
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

func TestBadOptions(t *testing.T) {
	k := newKeys(t)
	lo := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	for want, o := range map[string]Options{
		"no private key": {Listen: lo},
		"mtu 9000":       {PrivateKey: k.private, Listen: lo, MTU: 9000},
		"no public key":  {PrivateKey: k.private, Listen: lo, Peers: []Peer{{Device: policy.Device{Name: "x"}}}},
	} {
		before := runtime.NumGoroutine()
		tn, err := New(o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if tn != nil {
			tn.Close()
		}
		goroutines(t, before)
	}
}

// TestNoLeak: after the end nothing is left, whatever was open.
func TestNoLeak(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("busy", func(t *testing.T) {
		r := newRig(t, 1, nil)
		p := r.connect(t, 0)
		get(t, p.HTTPClient(nil), "http://"+site4+"/")
		for range 5 {
			if _, err := p.DialContext(within(t, patience), "tcp", site4+":80"); err != nil {
				t.Fatal(err)
			}
			u, err := p.DialContext(within(t, patience), "udp", site4+":99")
			if err != nil {
				t.Fatal(err)
			}
			u.Write([]byte("x"))
		}
		eventually(t, "UDP flows", func() bool { return r.Peers()[0].Flows >= 10 })
		r.stop()
		if n := r.net.open.Load(); n != 0 {
			t.Errorf("%d host connections left", n)
		}
	})
	goroutines(t, before)
}

func TestNeverRun(t *testing.T) {
	before := runtime.NumGoroutine()
	k := newKeys(t)
	tn, err := New(Options{PrivateKey: k.private, Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	port := tn.Port()
	tn.Close()
	goroutines(t, before)
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(port)})
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	c.Close()
	if err := tn.Run(context.Background()); err == nil {
		t.Error("a closed tunnel runs")
	}
}

func TestWrongKey(t *testing.T) {
	r := newRig(t, 1, nil)
	cfg, err := phone.Parse(r.confOf(0))
	if err != nil {
		t.Fatal(err)
	}
	cfg.PresharedKey[0] ^= 1
	_, err = phone.Connect(within(t, 300*time.Millisecond), cfg, nil)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("no answer from 127.0.0.1:%d within", r.Port())) {
		t.Error(err)
	}
}
