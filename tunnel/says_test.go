package tunnel

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"nightlatch/hello/quicinitial"
	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/tunnel/opening"
)

// keeper is a server that keeps what it gets, byte by byte, and answers "ok" to
// the first of it.
type keeper struct {
	net.Listener
	mu    sync.Mutex
	got   []byte
	conns int
}

func newKeeper(t testing.TB) *keeper {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	k := &keeper{Listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			k.mu.Lock()
			k.conns++
			k.mu.Unlock()
			go k.serve(c)
		}
	}()
	return k
}

func (k *keeper) serve(c net.Conn) {
	defer c.Close()
	b := make([]byte, 4096)
	for first := true; ; first = false {
		n, err := c.Read(b)
		k.mu.Lock()
		k.got = append(k.got, b[:n]...)
		k.mu.Unlock()
		if err != nil {
			return
		}
		if first {
			io.WriteString(c, "ok")
		}
	}
}

func (k *keeper) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, k.Addr().String())
}

func (k *keeper) kept() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return bytes.Clone(k.got)
}

// helloFor is a ClientHello as Go's client sends it.
func helloFor(t testing.TB, name string) []byte {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go tls.Client(a, &tls.Config{ServerName: name}).Handshake()
	buf := make([]byte, 4096)
	n, err := b.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// saying is a rig whose internet keeps what it gets, with a real policy.
func saying(t *testing.T, rules policy.Rules, stops ...string) (*rig, *keeper) {
	k := newKeeper(t)
	var current policy.Current
	current.Store(strict(t, rules, stops...))
	r := newRig(t, 1, func(o *Options) { o.Policy, o.Handlers.Dial = &current, k.dial })
	return r, k
}

// say opens a connection and sends bytes in pieces; it gives what came back, or
// how it ended.
func say(t *testing.T, r *rig, c net.Conn, b []byte, piece int) string {
	t.Helper()
	c.SetDeadline(time.Now().Add(patience))
	for len(b) > 0 {
		n := min(piece, len(b))
		if _, err := c.Write(b[:n]); err != nil {
			break // a reset shows on reading
		}
		b = b[n:]
	}
	answer := make([]byte, 2)
	if _, err := io.ReadFull(c, answer); err != nil {
		if strings.Contains(err.Error(), "reset") {
			return "reset"
		}
		return err.Error()
	}
	return string(answer)
}

// TestSays: what a connection says of itself names it in the journal and decides
// about it; the server gets every byte as it was sent, or none.
func TestSays(t *testing.T) {
	r, k := saying(t, policy.Rules{}, "tracker.example")
	p := r.connect(t, 0)
	const literal = "203.0.113.77"
	for _, c := range []struct {
		what, dst string
		bytes     []byte
		passes    bool
		name      string
		known     journal.Known
	}{
		{"TLS at an address that was resolved", site4 + ":443", helloFor(t, "example.com"), true, "example.com", journal.KnownSNI},
		{"TLS for another name at that address", site4 + ":443", helloFor(t, "www.example.org"), true, "www.example.org", journal.KnownSNI},
		{"TLS at a hard-coded address", literal + ":443", helloFor(t, "Good.Example"), true, "good.example", journal.KnownSNI | journal.Claimed},
		{"TLS for a blocked name at a hard-coded address", literal + ":443", helloFor(t, "a.tracker.example"), false, "a.tracker.example", journal.KnownSNI | journal.Claimed},
		{"TLS for a blocked name at another name's address", site4 + ":8443", helloFor(t, "tracker.example"), false, "tracker.example", journal.KnownSNI},
		{"HTTP", site4 + ":80", []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), true, "example.com", journal.KnownHost},
		{"HTTP for a blocked name", literal + ":80", []byte("GET / HTTP/1.1\r\nHost: tracker.example:80\r\n\r\n"), false, "tracker.example", journal.KnownHost | journal.Claimed},
		{"something else", literal + ":22", []byte("SSH-2.0-phone\r\n"), true, "", 0},
		{"a hello of 16 MB", literal + ":443", append([]byte{22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff}, make([]byte, 1<<14)...), false, "", 0},
	} {
		for _, piece := range []int{1 << 20, 64, 1} {
			if piece == 1 && len(c.bytes) > 4000 {
				continue
			}
			before := len(k.kept())
			seen := len(r.rec.flows(func(f journal.Flow) bool { return f.Dst.String() == c.dst && f.Name == c.name }))
			conn, err := p.DialContext(within(t, patience), "tcp", c.dst)
			if err != nil {
				t.Fatal(err)
			}
			got, want := say(t, r, conn, c.bytes, piece), "ok"
			if !c.passes {
				want = "reset"
			}
			conn.Close()
			if got != want {
				t.Errorf("%s, in pieces of %d: %s, want %s", c.what, piece, got, want)
			}
			if c.passes {
				eventually(t, c.what+": every byte arrives", func() bool { return len(k.kept())-before >= len(c.bytes) })
				eventually(t, c.what+": the flow is in the journal", func() bool {
					return len(r.rec.flows(func(f journal.Flow) bool {
						return f.Dst.String() == c.dst && f.Name == c.name && f.Known == c.known && !f.Verdict.Action.Stops()
					})) > seen
				})
			} else if f := r.rec.flows(func(f journal.Flow) bool { return f.Dst.String() == c.dst && f.Name == c.name }); len(f) != 1 ||
				f[0].Known != c.known || f[0].Verdict.Action != policy.Deny || f[0].Up != 0 { // those that follow are folded
				t.Errorf("%s: %+v", c.what, f)
			}
			if rest := k.kept()[before:]; c.passes && !bytes.Equal(rest, c.bytes) || !c.passes && len(rest) > 0 {
				t.Errorf("%s, in pieces of %d: the server got %d bytes, want %v of %d", c.what, piece, len(rest), c.passes, len(c.bytes))
			}
		}
	}
}

// TestSaysNothing: who waits for the server to speak first is not kept waiting,
// and half a beginning is let go after a while, and still watched.
func TestSaysNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "220 hello\r\n")
			go io.Copy(c, c)
		}
	}()
	r := newTunedRig(t, 1, func(o *Options) {
		o.Handlers.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
		}
	}, func(n *Tunnel) { n.hold = 50 * time.Millisecond })
	c, err := r.connect(t, 0).DialContext(within(t, patience), "tcp", site4+":587")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	b := make([]byte, 11)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "220 hello\r\n" {
		t.Fatalf("%q %v", b, err)
	}
	began := time.Now()
	c.Write([]byte{22, 3, 1})
	if _, err := io.ReadFull(c, b[:3]); err != nil || b[0] != 22 {
		t.Errorf("%x %v", b[:3], err)
	}
	if took := time.Since(began); took < r.hold {
		t.Errorf("half a hello went on after %v", took)
	}
}

// chromium are the two datagrams with which Chromium opened a connection to
// quic0.test.
func chromium(t testing.TB) (out [][]byte) {
	t.Helper()
	text, err := os.ReadFile("../sinkhole/testdata/chromium-quic.hex")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		b, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// TestSaysQUIC: the name of a QUIC connection, out of both its datagrams; when
// it is blocked the client is told at once, and nothing reaches the server.
func TestSaysQUIC(t *testing.T) {
	packets := chromium(t)
	for _, blocked := range []bool{false, true} {
		stops := []string{"other.test"}
		if blocked {
			stops = []string{"quic0.test"}
		}
		r, _ := saying(t, policy.Rules{}, stops...)
		u, err := r.connect(t, 0).DialContext(within(t, patience), "udp", "203.0.113.77:443")
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		u.SetDeadline(time.Now().Add(patience))
		for _, b := range packets {
			u.Write(b)
		}
		answer := make([]byte, 2000)
		n, err := u.Read(answer) // of the echo server, or of the gateway
		if err != nil {
			t.Fatalf("blocked %v: %v", blocked, err)
		}
		if !blocked {
			if !bytes.Equal(answer[:n], packets[0]) {
				t.Errorf("%d bytes came back first", n)
			}
			r.sweep(time.Now().Add(time.Hour))
		} else if p, _, _ := quicinitial.Open(packets[0]); !bytes.Equal(answer[:n], quicinitial.Refuse(p)) {
			t.Errorf("the refusal: %x", answer[:n])
		}
		eventually(t, "the journal has its name", func() bool {
			return len(r.rec.flows(func(f journal.Flow) bool {
				return f.Name == "quic0.test" && f.Known&^journal.Claimed != 0 && f.Known&journal.Claimed != 0 &&
					f.Verdict.Action.Stops() == blocked && (f.Up == 0) == blocked
			})) == 1
		})
	}
}

// TestSaysLost: of a ClientHello in two datagrams one is lost; when the client
// sends again what it had sent, it is let go.
func TestSaysLost(t *testing.T) {
	r, _ := saying(t, policy.Rules{})
	u, err := r.connect(t, 0).DialContext(within(t, patience), "udp", "203.0.113.77:443")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	first := chromium(t)[0]
	u.Write(first)
	u.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := u.Read(make([]byte, 2000)); err == nil {
		t.Error("half a hello is forwarded")
	}
	u.SetDeadline(time.Now().Add(patience))
	u.Write(first)
	for range 2 {
		b := make([]byte, 2000)
		if n, err := u.Read(b); err != nil || !bytes.Equal(b[:n], first) {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
}

// TestSlowed: the first refusals are quick, then each one waits.
func TestSlowed(t *testing.T) {
	r := newTunedRig(t, 1, nil, func(n *Tunnel) { n.pauseStep = time.Millisecond })
	p := r.connect(t, 0)
	for range 8 {
		if _, err := p.DialContext(within(t, patience), "tcp", "192.168.1.1:80"); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Fatal(err)
		}
	}
	if s := r.Stats(); s.Slowed != 3 || s.Refused != 8 {
		t.Errorf("%+v", s)
	}
}

// TestStrictPrivateDNS: a phone that insists on a provider is noticed, once; one
// that only tries the gateway is not.
func TestStrictPrivateDNS(t *testing.T) {
	r := newRig(t, 1, nil)
	p := r.connect(t, 0)
	for _, dst := range []string{gateway4.String(), "203.0.113.99"} { // automatic: no name leads there
		for range 3 {
			p.DialContext(within(t, patience), "tcp", dst+":853")
		}
	}
	if n := r.rec.notices(); len(n) > 0 {
		t.Fatalf("too early: %q", n)
	}
	for range 4 {
		p.DialContext(within(t, patience), "tcp", site4+":853")
	}
	n := r.rec.notices()
	if len(n) != 1 || !strings.HasPrefix(n[0], "phone0: Private DNS is set to example.com on this device") {
		t.Errorf("%q", n)
	}
}

// TestReachLAN: a printer for one device, by an explicit rule; nothing of the
// host itself, whatever the rule says.
func TestReachLAN(t *testing.T) {
	k := newKeeper(t)
	reach := func(prefix string, port uint16) policy.Reach {
		return policy.Reach{Prefix: netip.MustParsePrefix(prefix), From: port, To: port}
	}
	pol, err := policy.New(policy.Options{Devices: map[string]policy.Rules{"phone0": {LAN: []policy.Reach{
		reach("192.168.77.10/32", 631), reach("127.0.0.0/8", 80), reach("169.254.169.254/32", 80), reach("10.88.0.3/32", 80)}}}})
	if err != nil {
		t.Fatal(err)
	}
	var current policy.Current
	current.Store(pol)
	r := newRig(t, 2, func(o *Options) { o.Policy, o.Handlers.Dial = &current, k.dial })
	phones := []interface {
		DialContext(context.Context, string, string) (net.Conn, error)
	}{r.connect(t, 0), r.connect(t, 1)}
	for _, c := range []struct {
		phone int
		dst   string
		want  bool
	}{
		{0, "192.168.77.10:631", true}, {0, "192.168.77.10:80", false}, {0, "192.168.77.11:631", false}, {1, "192.168.77.10:631", false},
		{0, "169.254.169.254:80", false}, {0, "10.88.0.3:80", false},
	} {
		conn, err := phones[c.phone].DialContext(within(t, patience), "tcp", c.dst)
		if (err == nil) != c.want {
			t.Errorf("phone%d to %s: %v", c.phone, c.dst, err)
		}
		if err == nil {
			conn.Close()
		}
	}
	if err := r.guard.ControlLAN("tcp", "192.168.77.10:631", nil); err != nil {
		t.Error(err)
	}
	for _, closed := range []string{"127.0.0.1:80", "169.254.169.254:80", "10.88.0.3:80", "[::1]:80", "0.0.0.0:80"} {
		if err := r.guard.ControlLAN("tcp", closed, nil); err == nil {
			t.Errorf("%s may be dialled", closed)
		}
	}
}

// TestHow: how a name is known, with and without a part that looks encrypted.
func TestHow(t *testing.T) {
	for _, c := range []struct {
		resolved string
		w        opening.Words
		name     string
		known    journal.Known
	}{
		{"a.example", opening.Words{Kind: opening.TLS, Name: "a.example", ECH: true}, "a.example", journal.KnownSNI}, // GREASE
		{"a.example", opening.Words{Kind: opening.TLS, Name: "b.example", ECH: true}, "b.example", journal.KnownECH},
		{"a.example", opening.Words{Kind: opening.QUIC, Name: coverName, ECH: true}, "a.example", journal.KnownECH},
		{"", opening.Words{Kind: opening.TLS, Name: coverName, ECH: true}, coverName, journal.KnownECH | journal.Claimed},
		{"a.example", opening.Words{Kind: opening.QUIC, Name: "b.example"}, "b.example", journal.KnownQUIC},
		{"a.example", opening.Words{Kind: opening.TLS}, "a.example", journal.KnownDNS},
	} {
		r := newRig(t, 0, func(o *Options) {
			o.Handlers.NameOf = func(policy.Device, netip.Addr) (string, bool) { return c.resolved, false }
		})
		f := newFlow(r.Tunnel, nil, policy.Flow{Proto: protoTCP, Dst: netip.MustParseAddrPort(site4 + ":443")})
		f.judged(f.began)
		if v := f.says(c.w, f.began); v.Action.Stops() || f.Name != c.name || f.known != c.known {
			t.Errorf("%+v: %s by %v, %+v", c, f.Name, f.known, v)
		}
		r.stop()
	}
}
