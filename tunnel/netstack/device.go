package netstack

import (
	"os"
	"sync"

	"golang.zx2c4.com/wireguard/tun"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/stack/gro"
)

// groFlushes empties a GRO table: one Flush releases a single packet of each
// bucket (google/gvisor pull request 14081), and a bucket holds eight.
const groFlushes = 8

// Device is the [tun.Device] between WireGuard and a stack. WireGuard reads it
// from one goroutine and writes to it from one goroutine for each peer.
type Device struct {
	link   *endpoint
	mtu    int
	batch  int
	gro    bool
	events chan tun.Event
	tables sync.Pool // *gro.GRO, one while a batch is written
	once   sync.Once
	cut    cutter

	intercept func([]byte) bool
}

var _ tun.Device = (*Device)(nil)

func newDevice(link *endpoint, mtu, batch int, useGRO bool) *Device {
	d := &Device{link: link, mtu: mtu, batch: batch, gro: useGRO, events: make(chan tun.Event, 1)}
	d.tables.New = func() any {
		g := &gro.GRO{Dispatcher: joined{link}}
		g.Init(true)
		return g
	}
	return d
}

// joined takes packets that GRO has put together.
type joined struct{ link *endpoint }

func (j joined) DeliverNetworkPacket(p tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	j.link.deliver(p, pkt)
}
func (joined) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *stack.PacketBuffer) {}

// File implements [tun.Device]; there is no file.
func (d *Device) File() *os.File { return nil }

// Name implements [tun.Device].
func (d *Device) Name() (string, error) { return "nightlatch", nil }

// MTU implements [tun.Device].
func (d *Device) MTU() (int, error) { return d.mtu, nil }

// Events implements [tun.Device]; nothing ever happens to a device in memory.
func (d *Device) Events() <-chan tun.Event { return d.events }

// BatchSize implements [tun.Device].
func (d *Device) BatchSize() int { return d.batch }

// Read implements [tun.Device]: it waits for a packet, then takes what is there.
func (d *Device) Read(bufs [][]byte, sizes []int, offset int) (n int, err error) {
	for n < len(bufs) {
		if d.cut.pkt == nil {
			pkt := d.next(n == 0)
			if pkt == nil {
				break
			}
			d.cut.start(pkt)
		}
		sizes[n] = d.cut.next(bufs[n][offset:])
		n++
	}
	if n == 0 {
		return 0, os.ErrClosed
	}
	return n, nil
}

// next gives a packet of the queue; nil when there is none (and wait is false)
// or the device is closed.
func (d *Device) next(wait bool) *stack.PacketBuffer {
	if !wait {
		select {
		case pkt := <-d.link.queue:
			return pkt
		default:
			return nil
		}
	}
	select {
	case pkt := <-d.link.queue:
		return pkt
	case <-d.link.closed:
		return nil
	}
}

// Write implements [tun.Device]. The packets are of one peer, and their source
// address is already proven to be its own. WireGuard uses the buffers again, so
// they are copied; a packet that is no IP is dropped without hurting the rest.
func (d *Device) Write(bufs [][]byte, offset int) (int, error) {
	var g *gro.GRO
	if d.gro && len(bufs) > 1 {
		g = d.tables.Get().(*gro.GRO)
	}
	for _, b := range bufs {
		proto, ok := protocol(b[offset:])
		if !ok {
			continue
		}
		if d.intercept != nil && d.intercept(b[offset:]) {
			continue
		}
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b[offset:])})
		pkt.NetworkProtocolNumber = proto
		pkt.RXChecksumValidated = true
		if g != nil {
			g.Enqueue(pkt)
		} else {
			d.link.deliver(proto, pkt)
		}
		pkt.DecRef()
	}
	if g != nil {
		for range groFlushes {
			g.Flush()
		}
		d.tables.Put(g)
	}
	return len(bufs), nil
}

func protocol(b []byte) (tcpip.NetworkProtocolNumber, bool) {
	if len(b) == 0 {
		return 0, false // a keepalive
	}
	switch b[0] >> 4 {
	case 4:
		return header.IPv4ProtocolNumber, true
	case 6:
		return header.IPv6ProtocolNumber, true
	}
	return 0, false
}

// Close implements [tun.Device].
func (d *Device) Close() error {
	d.once.Do(func() {
		d.link.Close()
		close(d.events)
	})
	return nil
}

// Send puts one ready-made IP packet on its way to WireGuard, as it is: what a
// hostile app on a phone can do. It waits while the queue is full and tells
// whether the device was still open.
func (d *Device) Send(packet []byte) bool {
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(packet)})
	select {
	case d.link.queue <- pkt:
		return true
	case <-d.link.closed:
		pkt.DecRef()
		return false
	}
}

// drain releases what is left in the queue; nobody writes or reads any more.
func (d *Device) drain() {
	if d.cut.pkt != nil {
		d.cut.release()
	}
	for pkt := d.next(false); pkt != nil; pkt = d.next(false) {
		pkt.DecRef()
	}
}
