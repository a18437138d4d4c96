package netstack

import (
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// queueLen is how many outbound packets wait for WireGuard; TCP segments of up
// to 64 KiB count as one. When it is full the stack waits: a queue that drops
// looks like loss to TCP, which then slows down for no reason.
const queueLen = 512

// endpoint is the link below the stack: packets out go to a blocking queue that
// the [Device] reads, packets in are handed to the dispatcher.
type endpoint struct {
	queue  chan *stack.PacketBuffer
	closed chan struct{}
	once   sync.Once

	mu         sync.RWMutex
	dispatcher stack.NetworkDispatcher
	mtu        uint32
}

var (
	_ stack.LinkEndpoint = (*endpoint)(nil)
	_ stack.GSOEndpoint  = (*endpoint)(nil)
)

func newEndpoint(mtu int) *endpoint {
	return &endpoint{
		queue:  make(chan *stack.PacketBuffer, queueLen),
		closed: make(chan struct{}),
		mtu:    uint32(mtu),
	}
}

// WritePackets implements [stack.LinkWriter]; it waits while the queue is full.
func (e *endpoint) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for n, p := range pkts.AsSlice() {
		ref := p.IncRef() // released by Device.Read
		select {
		case e.queue <- ref:
		case <-e.closed:
			ref.DecRef()
			return n, &tcpip.ErrClosedForSend{}
		}
	}
	return pkts.Len(), nil
}

// deliver hands an inbound packet to the stack.
func (e *endpoint) deliver(proto tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	e.mu.RLock()
	d := e.dispatcher
	e.mu.RUnlock()
	if d != nil {
		d.DeliverNetworkPacket(proto, pkt)
	}
}

// Capabilities implements [stack.NetworkLinkEndpoint]. Inner packets come out of
// WireGuard's authenticated encryption, so their checksums need no second
// look; and packets joined by GRO have none that is valid.
func (e *endpoint) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityRXChecksumOffload
}

// SupportedGSO implements [stack.GSOEndpoint]: TCP hands segments of up to
// 64 KiB down whole, and the device cuts them into WireGuard's buffers.
func (e *endpoint) SupportedGSO() stack.SupportedGSO { return stack.HostGSOSupported }

// GSOMaxSize implements [stack.GSOEndpoint].
func (e *endpoint) GSOMaxSize() uint32 { return 1<<16 - 1 }

// Attach implements [stack.NetworkLinkEndpoint].
func (e *endpoint) Attach(d stack.NetworkDispatcher) {
	e.mu.Lock()
	e.dispatcher = d
	e.mu.Unlock()
}

// IsAttached implements [stack.NetworkLinkEndpoint].
func (e *endpoint) IsAttached() bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.dispatcher != nil
}

// MTU implements [stack.NetworkLinkEndpoint].
func (e *endpoint) MTU() uint32 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.mtu
}

// SetMTU implements [stack.NetworkLinkEndpoint].
func (e *endpoint) SetMTU(mtu uint32) {
	e.mu.Lock()
	e.mtu = mtu
	e.mu.Unlock()
}

// Close implements [stack.NetworkLinkEndpoint]: writers stop waiting and the
// device's reader ends.
func (e *endpoint) Close() { e.once.Do(func() { close(e.closed) }) }

// The rest of [stack.NetworkLinkEndpoint]: there is no link layer here.

func (*endpoint) MaxHeaderLength() uint16                 { return 0 }
func (*endpoint) LinkAddress() tcpip.LinkAddress          { return "" }
func (*endpoint) SetLinkAddress(tcpip.LinkAddress)        {}
func (*endpoint) Wait()                                   {}
func (*endpoint) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }
func (*endpoint) AddHeader(*stack.PacketBuffer)           {}
func (*endpoint) ParseHeader(*stack.PacketBuffer) bool    { return true }
func (*endpoint) SetOnCloseAction(func())                 {}
