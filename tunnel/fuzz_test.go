package tunnel

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"nightlatch/policy"
)

// innerSeeds are packets as a phone's kernel or a hostile app sends them.
func innerSeeds() [][]byte {
	phone4, phone6 := netip.MustParseAddr("10.88.0.2"), netip.MustParseAddr("fd88::2")
	far4, far6 := netip.MustParseAddr(site4), netip.MustParseAddr(site6)
	v4 := func(proto byte, frag uint16, payload ...byte) []byte {
		n := 20 + len(payload)
		b := []byte{0x45, 0, byte(n >> 8), byte(n), 0, 1, byte(frag >> 8), byte(frag), 64, proto, 0, 0}
		return append(append(append(b, phone4.AsSlice()...), far4.AsSlice()...), payload...)
	}
	v6 := func(next byte, payload ...byte) []byte {
		b := []byte{0x60, 0, 0, 0, byte(len(payload) >> 8), byte(len(payload)), next, 64}
		return append(append(append(b, phone6.AsSlice()...), far6.AsSlice()...), payload...)
	}
	syn := []byte{4, 0, 1, 187, 0, 0, 0, 1, 0, 0, 0, 0, 0xa0, 2, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7}
	udp := []byte{4, 0, 1, 187, 0, 12, 0, 0, 1, 2, 3, 4}
	dns := append([]byte{4, 0, 0, 53, 0, byte(8 + len(query(1))), 0, 0}, query(1)...)
	return [][]byte{
		v4(6, 0, syn...), v4(6, 0, append(append([]byte(nil), syn[:12]...), 0x50, 0x10, 1, 0, 0, 0, 0, 0)...),
		v4(17, 0, udp...), v4(17, 0x2000, udp...), v4(17, 0x2001, udp...), v4(17, 0, dns...),
		v4(1, 0, 8, 0, 0, 0, 0, 1, 0, 1, 'h', 'i'), v4(1, 0, 3, 3, 0, 0, 0, 0, 0, 0), v4(4, 0, v4(17, 0, udp...)...), v4(41, 0, v6(17, udp...)...),
		v6(6, syn...), v6(17, udp...), v6(17, dns...), v6(58, 128, 0, 0, 0, 0, 1, 0, 1, 'h', 'i'),
		v6(0, append([]byte{17, 0, 1, 4, 0, 0, 0, 0}, udp...)...), v6(44, append([]byte{17, 0, 0, 1, 0, 0, 0, 1}, udp...)...),
		v6(43, append([]byte{17, 0, 0, 0, 0, 0, 0, 0}, udp...)...),
	}
}

// newBare is a tunnel whose inner packets are written straight into its stack,
// without WireGuard; it answers everything that may be answered.
func newBare(t testing.TB) *Tunnel {
	t.Helper()
	k := newKeys(t)
	device := policy.Device{Name: "hostile", Key: newKeys(t).public, Addrs: []netip.Addr{netip.MustParseAddr("10.88.0.2"), netip.MustParseAddr("fd88::2")}}
	tn, err := New(Options{
		PrivateKey: k.private, Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
		Self:  []netip.Addr{gateway4, gateway6},
		Peers: []Peer{{Device: device}}, Limits: Limits{UDP: 16, HalfOpen: 16, Dial: 10 * time.Millisecond},
		Handlers: Handlers{
			DNS: func(_ context.Context, _ policy.Flow, _ string, wire []byte) []byte { return wire },
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				a, b := net.Pipe()
				context.AfterFunc(ctx, func() { b.Close() })
				return a, nil
			},
			ListenPacket: func(context.Context, string) (net.PacketConn, error) { return &silent{done: make(chan struct{})}, nil },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tn.Run(ctx) }()
	eventually(t, "the tunnel runs", func() bool { tn.mu.Lock(); defer tn.mu.Unlock(); return tn.state == stateRunning })
	t.Cleanup(func() {
		cancel()
		<-done
		if n := tn.stats.panics.Load(); n != 0 {
			t.Errorf("%d panics in our own handlers", n)
		}
	})
	return tn
}

// silent is a UDP socket to nowhere.
type silent struct {
	net.PacketConn
	done chan struct{}
	once sync.Once
}

func (s *silent) ReadFrom([]byte) (int, net.Addr, error)    { <-s.done; return 0, nil, net.ErrClosed }
func (s *silent) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), nil }
func (s *silent) Close() error                              { s.once.Do(func() { close(s.done) }); return nil }

// TestMutatedPackets: millions of broken packets in the long run, some
// thousands here; nothing may panic or stop the next honest question.
func TestMutatedPackets(t *testing.T) {
	tn := newBare(t)
	r := rand.New(rand.NewPCG(1, 2))
	seeds := innerSeeds()
	n := 0
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		batch := make([][]byte, 1+r.IntN(8))
		for i := range batch {
			p := append(make([]byte, 16), seeds[r.IntN(len(seeds))]...)
			for range r.IntN(6) {
				p[16+r.IntN(len(p)-16)] = byte(r.Uint32())
			}
			if r.IntN(4) == 0 {
				p = p[:16+r.IntN(len(p)-16)]
			}
			batch[i] = p
		}
		if k, err := tn.stack.Device.Write(batch, 16); err != nil || k != len(batch) {
			t.Fatalf("%d of %d: %v", k, len(batch), err)
		}
		n += len(batch)
	}
	t.Logf("%d packets, %+v", n, tn.Stats())
	before := tn.Stats().DNS
	honest := udpPacket(netip.MustParseAddrPort("10.88.0.2:5000"), netip.MustParseAddrPort("8.8.8.8:53"), query(9))
	eventually(t, "an honest question is answered", func() bool {
		tn.stack.Device.Write([][]byte{honest}, 0)
		return tn.Stats().DNS > before
	})
}

// FuzzInnerPacket writes one packet into a living stack.
func FuzzInnerPacket(f *testing.F) {
	for _, s := range innerSeeds() {
		f.Add(s)
	}
	raw, _ := hex.DecodeString("4500001c000100002011")
	f.Add(raw)
	tn := newBare(f)
	f.Fuzz(func(t *testing.T, packet []byte) {
		if _, err := tn.stack.Device.Write([][]byte{packet, packet}, 0); err != nil {
			t.Fatal(err)
		}
		if n := tn.stats.panics.Load(); n != 0 {
			t.Fatal("a handler panicked")
		}
	})
}
