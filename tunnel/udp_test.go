package tunnel

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/tunnel/host"
)

type ctxT = context.Context

// TestUDPEcho: sizes up to several fragments, both ways.
func TestUDPEcho(t *testing.T) {
	r := newRig(t, 1, nil)
	p := r.connect(t, 0)
	c, err := p.DialContext(within(t, patience), "udp", site4+":4433")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 1<<16)
	total := 0
	for _, size := range []int{0, 1, 500, 1252, 1253, 1400, 3000, 8000} {
		sent := bytes.Repeat([]byte{byte(size)}, size)
		total += size
		c.SetDeadline(time.Now().Add(patience))
		if _, err := c.Write(sent); err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		n, err := c.Read(buf)
		if err != nil || !bytes.Equal(buf[:n], sent) {
			t.Errorf("size %d: %d bytes back, %v", size, n, err)
		}
	}
	r.stop()
	flows := r.rec.flows(func(f journal.Flow) bool { return f.Proto == "udp" })
	if len(flows) != 1 || flows[0].Up != int64(total) || flows[0].Down != int64(total) || flows[0].Name != "example.com" {
		t.Errorf("%+v, want %d bytes each way", flows, total)
	}
}

// TestFullCone: one port of the phone is one host socket, whatever it talks to,
// and only who was spoken to may answer.
func TestFullCone(t *testing.T) {
	sockets := make(chan *net.UDPConn, 10)
	r := newRig(t, 1, func(o *Options) {
		o.Handlers.ListenPacket = func(context.Context, string) (net.PacketConn, error) {
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			sockets <- c
			return &labelled{c}, err
		}
	})
	c, err := r.connect(t, 0).ListenPacket("udp4")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range 5 { // five servers, one mapping
		c.WriteTo([]byte("hi"), &net.UDPAddr{IP: net.IPv4(203, 0, 113, byte(i+1)), Port: 3478})
	}
	eventually(t, "five flows", func() bool { return r.Peers()[0].Flows == 5 })
	if len(sockets) != 1 {
		t.Fatalf("%d host sockets", len(sockets))
	}
	host := <-sockets
	stranger, err := net.DialUDP("udp4", nil, host.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	// labelled takes the sender's address from the datagram itself.
	for _, from := range []string{"203.0.113.77:3478", "203.0.113.3:3478", "203.0.113.4:9999"} {
		fmt.Fprint(stranger, from)
	}
	got := map[string]bool{}
	buf := make([]byte, 100)
	for len(got) < 2 {
		c.SetReadDeadline(time.Now().Add(patience))
		_, from, err := c.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		got[from.String()] = true
	}
	if !got["203.0.113.3:3478"] || !got["203.0.113.4:9999"] {
		t.Errorf("answers from %v", got)
	}
	if len(r.Peers()) != 1 || r.Peers()[0].Flows != 5 {
		t.Errorf("%+v", r.Peers())
	}
}

// labelled is a socket whose datagrams say who sent them.
type labelled struct{ *net.UDPConn }

func (l *labelled) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), nil }

func (l *labelled) ReadFrom(b []byte) (int, net.Addr, error) {
	n, _, err := l.ReadFromUDPAddrPort(b)
	if err != nil {
		return 0, nil, err
	}
	ap, err := netip.ParseAddrPort(string(b[:n]))
	return n, net.UDPAddrFromAddrPort(ap), err
}

// TestUDPLimits: ports over the limit push out the longest idle; silence ends
// the rest; all of it is in the journal.
func TestUDPLimits(t *testing.T) {
	r := newRig(t, 1, func(o *Options) { o.Limits.UDP, o.Limits.UDPIdle = 3, 300*time.Millisecond })
	p := r.connect(t, 0)
	for i := range 6 {
		c, err := p.DialContext(within(t, patience), "udp", site4+":99")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(c, i)
		if _, err := c.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if n := r.Peers()[0].Flows; n > 3 {
			t.Fatalf("%d flows", n)
		}
	}
	if n := r.rec.notices(); len(n) != 1 || !strings.Contains(n[0], "more than 3 UDP ports") {
		t.Errorf("notices: %q", n)
	}
	eventually(t, "the idle flows are forgotten", func() bool { return r.Peers()[0].Flows == 0 })
	eventually(t, "all are in the journal", func() bool {
		return len(r.rec.flows(func(f journal.Flow) bool { return f.Proto == "udp" && f.Up == 1 && f.Down == 1 })) == 6
	})
}

func TestUDPRefused(t *testing.T) {
	r := newRig(t, 1, nil)
	p := r.connect(t, 0)
	for _, dst := range []string{"192.168.1.1:99", "10.88.0.9:99", "9.9.9.9:853", "[fe80::9]:99", "[2001:db8:2::1]:99", "10.88.0.1:99"} {
		c, err := p.DialContext(within(t, patience), "udp", dst)
		if err != nil {
			if strings.HasPrefix(dst, "[fe80") { // the phone's own stack has no route without a zone
				continue
			}
			t.Errorf("%s: %v", dst, err)
			continue
		}
		c.SetDeadline(time.Now().Add(patience))
		c.Write([]byte("x"))
		if _, err := c.Read(make([]byte, 10)); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s: %v", dst, err)
		}
		c.Close()
	}
}

// TestNoUplink: a destination the host has no way to is refused at once.
func TestNoUplink(t *testing.T) {
	r := newRig(t, 1, func(o *Options) {
		o.Handlers.Dial = func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
		}
		o.Handlers.ListenPacket = func(context.Context, string) (net.PacketConn, error) {
			return nil, &net.OpError{Op: "listen", Err: os.NewSyscallError("socket", syscall.EAFNOSUPPORT)}
		}
	})
	p := r.connect(t, 0)
	if _, err := p.DialContext(within(t, patience), "tcp", "[2001:db8:1::10]:80"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("tcp: %v", err)
	}
	c, err := p.DialContext(within(t, patience), "udp", "[2001:db8:1::10]:80")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	c.Write([]byte("x"))
	if _, err := c.Read(make([]byte, 10)); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("udp: %v", err)
	}
}

// TestRealSockets: without handlers the host's own sockets are used, guarded.
func TestRealSockets(t *testing.T) {
	r := newRig(t, 1, func(o *Options) {
		o.Handlers.Dial, o.Handlers.ListenPacket = nil, nil
		o.GuardAllow = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} // loopback stays closed
	})
	p := r.connect(t, 0)
	web := netip.MustParseAddrPort(r.net.web.Listener.Addr().String())
	if c, err := p.DialContext(within(t, 300*time.Millisecond), "tcp", web.String()); err == nil {
		c.Close()
		t.Error("the phone reached the host's loopback")
	}
	if err := r.guard.Control("tcp", web.String(), nil); err == nil {
		t.Error("the guard lets a dial to loopback pass")
	}
}

func TestPing(t *testing.T) {
	r := newRig(t, 1, nil)
	p := r.connect(t, 0)
	for _, a := range []netip.Addr{gateway4, gateway6} {
		if took, err := p.Ping(within(t, patience), a); err != nil || took <= 0 {
			t.Errorf("the gateway at %v: %v", a, err)
		}
	}
	for _, a := range []string{"192.168.1.1", "10.88.0.9", "fd88::9", "64:ff9b::1"} {
		if _, err := p.Ping(within(t, 100*time.Millisecond), netip.MustParseAddr(a)); err == nil {
			t.Errorf("%s answered", a)
		}
		if f := r.rec.flows(func(f journal.Flow) bool { return f.Dst.Addr().String() == a && f.Proto == "icmp" }); len(f) != 1 {
			t.Errorf("%s: %d entries", a, len(f))
		}
	}
}

// TestHostPing asks loopback, where the kernel allows unprivileged echo.
func TestHostPing(t *testing.T) {
	err := host.Ping(t.Context(), netip.MustParseAddr("127.0.0.1"), 7, []byte("nightlatch"), pingTimeout)
	if os.IsPermission(err) || err != nil && strings.Contains(err.Error(), "permission") {
		t.Skipf("the kernel allows no unprivileged ping here: %v", err)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestSinkPacket: datagrams to a sunk address go to the sinkhole, which may
// answer them or refuse them; no host socket is opened.
func TestSinkPacket(t *testing.T) {
	r := newRig(t, 1, func(o *Options) {
		o.Handlers.SinkPacket = func(f policy.Flow, payload []byte) ([]byte, bool) {
			if f.Name != "telemetry.example" || !f.Exact || f.Proto != 17 || f.Device.Name != "phone0" {
				return fmt.Appendf(nil, "%+v", f), true
			}
			return bytes.ToUpper(payload), string(payload) != "refuse me"
		}
		o.Handlers.ListenPacket = func(context.Context, string) (net.PacketConn, error) { return nil, os.ErrPermission }
	})
	c, err := r.connect(t, 0).DialContext(within(t, patience), "udp", "10.99.0.7:443")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	buf := make([]byte, 1<<12)
	for _, size := range []int{4, 3000} {
		sent := bytes.Repeat([]byte("q"), size)
		c.Write(sent)
		if n, err := c.Read(buf); err != nil || !bytes.Equal(buf[:n], bytes.ToUpper(sent)) {
			t.Errorf("%d bytes: %.60q %v", size, buf[:n], err)
		}
	}
	c.Write([]byte("refuse me"))
	if _, err := c.Read(buf); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("not taken: %v", err)
	}
	eventually(t, "the sunk flow in the journal", func() bool {
		return len(r.rec.flows(func(f journal.Flow) bool {
			return f.Verdict.Action == policy.Sink && f.Proto == "udp" && f.Up == 4 && f.Down == 4
		})) == 1
	})
}
