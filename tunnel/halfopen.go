package tunnel

import (
	"fmt"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"nightlatch/journal"
	"nightlatch/tunnel/netstack"
)

// halfOpen holds the connections that are being dialled, of all devices.
type halfOpen struct {
	mu  sync.Mutex
	ids map[stack.TransportEndpointID]*peer
}

// handleTCP gives a SYN to the forwarder when there is a place for it. What the
// forwarder will not take (a header that is longer than the packet) must not
// hold the place for ever.
func (t *Tunnel) handleTCP(id stack.TransportEndpointID, pkt *stack.PacketBuffer, forward netstack.Handler) bool {
	admitted, fresh := t.admitTCP(id, pkt)
	if !admitted {
		return false
	}
	if forward(id, pkt) {
		return true
	}
	if fresh {
		t.opened(id)
	}
	return false
}

// admitTCP bounds half-open connections before the forwarder sees the SYN; what
// is not admitted is answered with a RST. fresh: it took a place.
func (t *Tunnel) admitTCP(id stack.TransportEndpointID, pkt *stack.PacketBuffer) (admitted, fresh bool) {
	h := header.TCP(pkt.TransportHeader().Slice())
	if len(h) < header.TCPMinimumSize || h.Flags()&(header.TCPFlagSyn|header.TCPFlagAck) != header.TCPFlagSyn {
		return true, false // the forwarder wants none of it, and the stack answers with a RST
	}
	p := t.peers.Load().byAddr[netstack.NetIP(id.RemoteAddress)]
	if p == nil {
		return false, false
	}
	t.half.mu.Lock()
	defer t.half.mu.Unlock()
	if _, again := t.half.ids[id]; again {
		return true, false // the phone repeats its SYN while we still dial
	}
	p.mu.Lock()
	over := ""
	switch {
	case p.half >= t.limits.HalfOpen:
		over = fmt.Sprintf("more than %d connections being opened at once", t.limits.HalfOpen)
	case p.tcp >= t.limits.TCP:
		over = fmt.Sprintf("more than %d open connections", t.limits.TCP)
	case len(t.half.ids) >= t.limits.HalfOpenTotal:
		over = fmt.Sprintf("all devices together open more than %d connections at once", t.limits.HalfOpenTotal)
	default:
		p.half++
	}
	p.mu.Unlock()
	if over != "" {
		t.stats.overLimit.Add(1)
		t.notice(journal.Warn, p.device.Load().Name, "tcp", over+"; new ones are refused until some end")
		return false, false
	}
	if t.half.ids == nil {
		t.half.ids = map[stack.TransportEndpointID]*peer{}
	}
	t.half.ids[id] = p
	return true, true
}

// opened frees the half-open place of a connection.
func (t *Tunnel) opened(id stack.TransportEndpointID) {
	t.half.mu.Lock()
	p := t.half.ids[id]
	delete(t.half.ids, id)
	t.half.mu.Unlock()
	if p != nil {
		p.mu.Lock()
		p.half--
		p.mu.Unlock()
	}
}
