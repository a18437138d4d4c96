package bind

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.zx2c4.com/wireguard/conn"
)

func loopback(port uint16) []netip.AddrPort {
	return []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)}
}

func TestPortInUse(t *testing.T) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	port := c.LocalAddr().(*net.UDPAddr).Port
	_, err = New(loopback(uint16(port)), 8).Listen()
	want := fmt.Sprintf("udp port %d is in use", port)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	if _, err := New([]netip.AddrPort{netip.MustParseAddrPort("192.0.2.77:0")}, 8).Listen(); err == nil || !strings.Contains(err.Error(), "no such address") {
		t.Errorf("foreign address: %v", err)
	}
}

// TestListenThenOpen: the port is taken by Listen, handed over by the first
// Open, opened anew after Close, and free after Release.
func TestListenThenOpen(t *testing.T) {
	b := New(loopback(0), 8)
	port, err := b.Listen()
	if err != nil {
		t.Fatal(err)
	}
	b.Close() // a device closes before its first open; that must not lose the port
	_, p, err := b.Open(0)
	if err != nil || p != port {
		t.Fatalf("port %d, then %d: %v", port, p, err)
	}
	if _, _, err := b.Open(0); !errors.Is(err, conn.ErrBindAlreadyOpen) {
		t.Errorf("second open: %v", err)
	}
	b.Close()
	if _, p, err = b.Open(port); err != nil || p != port {
		t.Errorf("reopened on %d: %v", p, err)
	}
	if err := b.Release(); err != nil {
		t.Error(err)
	}
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback(port)[0]))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// TestBatches sends packets of many sizes in one call and receives the same,
// in order, with and without the kernel's offloads.
func TestBatches(t *testing.T) {
	for _, plain := range []bool{false, true} {
		for _, batch := range []int{1, 3, 128} {
			t.Run(fmt.Sprintf("batch=%d,plain=%v", batch, plain), func(t *testing.T) {
				exchange(t, batch, plain)
			})
		}
	}
}

func exchange(t *testing.T, batch int, plain bool) {
	a, b := New(nil, batch), New(loopback(0), batch)
	if _, _, err := a.Open(0); err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	fns, port, err := b.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if plain {
		for _, s := range a.open {
			s.offload.segments.Store(false)
		}
	}
	var sent [][]byte
	for i := range 100 {
		size := 1300
		if i%7 == 3 {
			size = 100 + i
		}
		sent = append(sent, bytes.Repeat([]byte{byte(i)}, size))
	}
	to, err := a.ParseEndpoint(loopback(port)[0].String())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Send(sent, to); err != nil {
		t.Fatal(err)
	}
	bufs, sizes, eps := make([][]byte, batch), make([]int, batch), make([]conn.Endpoint, batch)
	for i := range bufs {
		bufs[i] = make([]byte, maxDatagram)
	}
	for got := 0; got < len(sent); {
		n, err := fns[0](bufs, sizes, eps)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if !bytes.Equal(bufs[i][:sizes[i]], sent[got]) {
				t.Fatalf("packet %d: %d bytes, want %d", got, sizes[i], len(sent[got]))
			}
			got++
		}
	}
	// An answer goes back by the socket and address it came to.
	if err := b.Send([][]byte{[]byte("back")}, eps[0]); err != nil {
		t.Fatal(err)
	}
}

func TestSendErrors(t *testing.T) {
	b := New(loopback(0), 4)
	ep, err := b.ParseEndpoint("127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Send([][]byte{{1}}, ep); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if err := b.Send(nil, &conn.StdNetEndpoint{}); !errors.Is(err, conn.ErrWrongEndpointType) {
		t.Errorf("foreign endpoint: %v", err)
	}
	if _, err := b.ParseEndpoint("host:1"); err == nil {
		t.Error("a name is no endpoint")
	}
	if _, _, err := b.Open(0); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	v6, _ := b.ParseEndpoint("[2001:db8::1]:9")
	if err := b.Send([][]byte{{1}}, v6); !errors.Is(err, net.ErrClosed) {
		t.Errorf("no IPv6 socket: %v", err)
	}
}

// TestClosedReceive: a closed bind ends its receive functions with the error
// the device waits for.
func TestClosedReceive(t *testing.T) {
	b := New(loopback(0), 4)
	fns, _, err := b.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		bufs := [][]byte{make([]byte, 2048)}
		_, err := fns[0](bufs, make([]int, 1), make([]conn.Endpoint, 1))
		done <- err
	}()
	b.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
