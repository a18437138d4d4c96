package tunnel

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"nightlatch/policy"
	"nightlatch/tunnel/fold"
)

// Peer is a device as WireGuard needs it.
type Peer struct {
	Device       policy.Device
	PresharedKey [32]byte      // zero: none
	Keepalive    time.Duration // from the gateway's side; usually 0, as phones send theirs
}

// PeerStatus is what the tunnel knows of a device.
type PeerStatus struct {
	Name          string
	Key           [32]byte
	Endpoint      string    // where it last wrote from; empty when never
	LastHandshake time.Time // zero: never
	Rx, Tx        int64     // bytes from and to the device, outer packets
	Flows         int       // open TCP connections and UDP flows
}

// peerTable finds peers; it is replaced whole.
type peerTable struct {
	byAddr map[netip.Addr]*peer
	byKey  map[[32]byte]*peer
}

// peer is the living side of a [Peer]: its flows and what it has used up. A
// peer whose key, pre-shared key or addresses change becomes another one.
type peer struct {
	device atomic.Pointer[policy.Device] // the name may change under a living peer
	dns    chan struct{}                 // one for each of its questions being answered
	pings  chan struct{}                 // one for each of its echo requests on their way

	inside atomic.Int32 // its connections to the gateway's own listeners

	mu      sync.Mutex
	spec    Peer
	dead    bool
	members map[*member]struct{}
	half    int // TCP connections being dialled
	tcp     int // TCP connections open
	sockets int // host sockets held
	udp     map[netip.AddrPort]*mapping

	refusals fold.Refusals
	pausing  atomic.Int32 // refusals that are kept back

	dot dotTries

	initials      int // read in initialSecond; of the receive goroutine, as the next
	initialSecond int64
}

// member is something that must end with the peer.
type member struct {
	end  func()
	open openFlow // of a TCP flow
}

// newPeer makes the living side of spec, half of everything being its share.
func newPeer(spec Peer, l Limits) *peer {
	p := &peer{spec: spec, members: map[*member]struct{}{}, udp: map[netip.AddrPort]*mapping{}}
	p.dns, p.pings = make(chan struct{}, half(l.DNS)), make(chan struct{}, half(l.Pings))
	p.device.Store(&spec.Device)
	return p
}

// join registers what must end with the peer and gives the function that takes
// it out again; nil when the peer is already gone. end may be called at any
// time, once, from any goroutine.
func (p *peer) join(end func()) (leave func()) { return p.enter(&member{end: end}) }

// joinFlow is join for a TCP flow, which may also end by its own verdict.
func (p *peer) joinFlow(f *flow, end context.CancelCauseFunc) (leave func()) {
	return p.enter(&member{func() { end(context.Canceled) }, openFlow{f, end}})
}

func (p *peer) enter(m *member) (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return nil
	}
	p.members[m] = struct{}{}
	return func() {
		p.mu.Lock()
		delete(p.members, m)
		p.mu.Unlock()
	}
}

// kill ends all flows of the peer for good. WireGuard forgets a peer without
// touching its connections on the host, so this is ours to do.
func (p *peer) kill() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	p.endFlows()
}

// endFlows ends what is open; the peer may go on with new flows.
func (p *peer) endFlows() {
	p.mu.Lock()
	ends := make([]func(), 0, len(p.members))
	for m := range p.members {
		ends = append(ends, m.end)
	}
	p.mu.Unlock()
	for _, end := range ends {
		end()
	}
}

// countFlows is the number of open TCP connections and UDP flows.
func (p *peer) countFlows() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.tcp
	for _, m := range p.udp {
		m.mu.Lock()
		n += len(m.flows)
		m.mu.Unlock()
	}
	return n
}

// peerOf finds the device behind a remote address of the stack.
func (t *Tunnel) peerOf(a net.Addr) *peer {
	ta, ok := a.(*net.TCPAddr)
	if !ok {
		return nil
	}
	return t.peers.Load().byAddr[ta.AddrPort().Addr().Unmap()]
}
