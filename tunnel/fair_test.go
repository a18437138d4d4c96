package tunnel

import (
	"context"
	"encoding/binary"
	"fmt"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"nightlatch/policy"
	"nightlatch/tunnel/phone"
)

// deadNames is a resolver that answers some questions and keeps the others
// waiting until they are given up: their ids are above deadID.
type deadNames struct{ waiting atomic.Int64 }

const deadID = 1000

func (d *deadNames) serve(ctx context.Context, _ policy.Flow, _ string, wire []byte) []byte {
	if int(wire[0])<<8|int(wire[1]) >= deadID {
		d.waiting.Add(1)
		defer d.waiting.Add(-1)
		<-ctx.Done()
		return nil
	}
	return wire
}

// ask sends a question and says how long its answer took.
func ask(t *testing.T, p *phone.Phone, network string) time.Duration {
	t.Helper()
	begin := time.Now()
	if _, err := p.Exchange(within(t, patience), network, netip.MustParseAddrPort("8.8.8.8:53"), query(7)); err != nil {
		t.Errorf("a live name over %s: %v", network, err)
	}
	return time.Since(begin)
}

// TestDeadNames: hundreds of questions without an answer delay neither the
// device's own live names nor those of others, over datagrams and on one
// connection, within the limits as they are set by default.
func TestDeadNames(t *testing.T) {
	const dead = 300
	for _, network := range []string{"udp", "tcp"} {
		var names deadNames
		r := newRig(t, 2, func(o *Options) { o.Handlers.DNS = names.serve })
		p, other := r.connect(t, 0), r.connect(t, 1)
		c, err := p.DialContext(within(t, patience), "tcp", "9.9.9.9:53")
		if err != nil {
			t.Fatal(err)
		}
		src := p.Addrs()[0]
		for i := range dead {
			q := query(uint16(deadID + i))
			if network == "tcp" {
				c.Write(append([]byte{0, byte(len(q))}, q...))
			} else {
				p.Inject(udpPacket(netip.AddrPortFrom(src, uint16(2000+i)), netip.MustParseAddrPort("8.8.8.8:53"), q))
			}
		}
		eventually(t, fmt.Sprint(dead, " dead names are asked over ", network), func() bool { return names.waiting.Load() == dead })
		for _, took := range []time.Duration{ask(t, p, "udp"), ask(t, p, "tcp"), ask(t, other, "udp"), ask(t, other, "tcp")} {
			if took > time.Second {
				t.Errorf("%s: a live name took %v", network, took)
			}
		}
		q := query(8) // behind the dead ones, on their connection
		c.SetDeadline(time.Now().Add(patience))
		c.Write(append([]byte{0, byte(len(q))}, q...))
		if wire, err := readDNS(c); err != nil || wire[1] != 8 {
			t.Errorf("%s: a live name on the same connection: %v", network, err)
		}
		if n := r.Stats().OverLimit; n != 0 {
			t.Errorf("%s: %d over a limit", network, n)
		}
		r.stop()
		if n := names.waiting.Load(); n != 0 {
			t.Errorf("%d questions outlive the tunnel", n)
		}
	}
}

// TestDNSShare: a device that uses up its share loses datagrams and waits on
// connections; another device notices nothing.
func TestDNSShare(t *testing.T) {
	var names deadNames
	release, stop := context.WithCancel(context.Background())
	defer stop()
	r := newRig(t, 2, func(o *Options) {
		o.Limits.DNS = 20
		o.Handlers.DNS = func(_ context.Context, f policy.Flow, network string, wire []byte) []byte {
			return names.serve(release, f, network, wire)
		}
	})
	p, other := r.connect(t, 0), r.connect(t, 1)
	for i := range 15 {
		p.Inject(udpPacket(netip.AddrPortFrom(p.Addrs()[0], uint16(2000+i)), netip.MustParseAddrPort("8.8.8.8:53"), query(uint16(deadID+i))))
	}
	eventually(t, "ten are asked and five dropped", func() bool { return names.waiting.Load() == 10 && r.Stats().OverLimit == 5 })
	ask(t, other, "udp")
	took := make(chan time.Duration)
	go func() { took <- ask(t, p, "tcp") }()
	select {
	case <-took:
		t.Error("a question over the share is answered")
	case <-time.After(50 * time.Millisecond):
	}
	stop()
	<-took
}

// TestMalformedSyn: what the stack will not take for a connection holds no
// place of one.
func TestMalformedSyn(t *testing.T) {
	tn := newBare(t)
	for i := range 20 {
		b := make([]byte, 40)
		copy(b, []byte{0x45, 0, 0, 40, 0, 0, 0, 0, 64, protoTCP, 0, 0, 10, 88, 0, 2, 203, 0, 113, 10})
		binary.BigEndian.PutUint16(b[10:], ^checksum.Checksum(b[:20], 0))
		copy(b[20:], []byte{0x10, byte(i), 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0xf0, 2, 1, 0}) // a header of 60 bytes, it says
		tn.stack.Device.Write([][]byte{b}, 0)
	}
	tn.half.mu.Lock()
	defer tn.half.mu.Unlock()
	if len(tn.half.ids) != 0 {
		t.Errorf("%d places are held", len(tn.half.ids))
	}
}

// TestMappingThatEnds: a datagram to a new destination may meet a mapping that
// was closed a moment ago; it gets another one.
func TestMappingThatEnds(t *testing.T) {
	r := newRig(t, 1, nil)
	p := r.connect(t, 0)
	c, err := p.ListenPacket("udp4")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	say := func(to string) error {
		c.WriteTo([]byte("hi"), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
		c.SetReadDeadline(time.Now().Add(patience))
		_, _, err := c.ReadFrom(make([]byte, 10))
		return err
	}
	if err := say(site4 + ":1000"); err != nil {
		t.Fatal(err)
	}
	living := r.Tunnel.peers.Load().byKey[r.phones[0].public]
	for i, port := range []string{":1001", ":1002"} {
		living.mu.Lock()
		var m *mapping
		for _, m = range living.udp {
		}
		living.mu.Unlock()
		m.end()
		eventually(t, "the mapping has ended", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return m.flows == nil })
		living.mu.Lock()
		living.udp[m.src] = m // as it is for a moment while it ends
		living.mu.Unlock()
		if err := say(site4 + port); err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	if n := r.Stats().Panics; n != 0 {
		t.Errorf("%d panics", n)
	}
}

// TestSockets: no device takes more than its half of the host's sockets, and
// what it closes is free again.
func TestSockets(t *testing.T) {
	r := newRig(t, 2, func(o *Options) { o.Limits.Sockets = 8 })
	p, other := r.connect(t, 0), r.connect(t, 1)
	first := open(t, p)
	for range 2 {
		open(t, p)
	}
	u, err := p.DialContext(within(t, patience), "udp", site4+":4433")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	u.SetDeadline(time.Now().Add(patience))
	u.Write([]byte("x"))
	if _, err := u.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if c, err := p.DialContext(within(t, patience), "tcp", site4+":80"); err == nil {
		c.Close()
		t.Error("a fifth socket is given")
	}
	ask(t, p, "udp")
	open(t, other)
	first.Close()
	eventually(t, "a place is free again", func() bool {
		c, err := p.DialContext(within(t, patience), "tcp", site4+":80")
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	r.stop()
	if n := r.sockets.Load(); n != 0 {
		t.Errorf("%d places are still held", n)
	}
}

// TestPingShare: a device that pings silent hosts leaves half of the places.
func TestPingShare(t *testing.T) {
	r := newRig(t, 2, func(o *Options) { o.Limits.Pings = 4 })
	for i, want := range []int{2, 2} {
		p := r.Tunnel.peers.Load().byKey[r.phones[i].public]
		if cap(p.pings) != want {
			t.Errorf("%d places of 4", cap(p.pings))
		}
		p.pings <- struct{}{} // both places are taken
		p.pings <- struct{}{}
		r.forwardPing(newFlow(r.Tunnel, p, policy.Flow{}), echo{})
	}
	if n := r.Stats().OverLimit; n != 2 {
		t.Errorf("%d over the limit", n)
	}
	if n := len(r.pings); n != 0 {
		t.Errorf("%d of all places are held by pings that were refused", n)
	}
}
