package netstack

import (
	"os"
	"sync"

	"golang.zx2c4.com/wireguard/tun"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Device is the [tun.Device] between WireGuard and a stack. WireGuard reads it
// from one goroutine and writes to it from one goroutine for each peer.
type Device struct {
	link   *endpoint
	mtu    int
	batch  int
	join   bool
	events chan tun.Event
	once   sync.Once
	cut    cutter

	intercept func([]byte) bool
}

var _ tun.Device = (*Device)(nil)

func newDevice(link *endpoint, mtu, batch int, join bool) *Device {
	d := &Device{link: link, mtu: mtu, batch: batch, join: join, events: make(chan tun.Event, 1)}
	return d
}

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
// they are copied; TCP segments that follow one another are joined on the way,
// as the stack's work is by the packet. A packet that is no IP is dropped without
// hurting the rest.
func (d *Device) Write(bufs [][]byte, offset int) (int, error) {
	for at := 0; at < len(bufs); {
		b := bufs[at][offset:]
		proto, ok := protocol(b)
		if !ok || d.intercept != nil && d.intercept(b) {
			at++
			continue
		}
		n, size := 1, len(b)
		if d.join {
			n, size = run(bufs[at:], offset)
		}
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: join(bufs[at:at+n], offset, size)})
		pkt.NetworkProtocolNumber = proto
		pkt.RXChecksumValidated = true
		d.link.deliver(proto, pkt)
		pkt.DecRef()
		at += n
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
