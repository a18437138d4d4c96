package tunnel

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/tunnel/host"
)

// handleUDP forwards one datagram of a device. It runs on WireGuard's receive
// goroutine and never waits; false answers with port unreachable.
func (t *Tunnel) handleUDP(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	h := header.UDP(pkt.TransportHeader().Slice())
	if len(h) < header.UDPMinimumSize || int(h.Length()) != len(h)+pkt.Data().Size() {
		return true // malformed
	}
	p, f := t.flowOf(protoUDP, id)
	if p == nil {
		return true
	}
	if f.Dst.Port() == dnsPort {
		return t.udpDNS(p, f, pkt.Data().AsRange().ToSlice()) // a fragmented or odd one; see intercept
	}
	now, data := time.Now(), pkt.Data().AsRange().ToSlice()
	m := p.mappingOf(f.Src)
	var uf *udpFlow
	if m != nil {
		uf = m.flow(f.Dst)
	}
	if uf != nil && uf.policy != t.currentPolicy() {
		if cause := uf.again(now); cause != nil {
			m.forget(f.Dst, cause)
			uf = nil
		} else {
			uf.policy = t.currentPolicy()
		}
	}
	if uf == nil {
		var ok bool
		if m, uf, ok = t.openUDP(p, f, data, now); uf == nil {
			return ok
		}
	}
	if uf.opening != nil {
		return t.openQUIC(m, uf, data, now)
	}
	return t.forwardUDP(m, uf, data, now)
}

// forwardUDP sends a datagram on; false: it cannot be sent.
func (t *Tunnel) forwardUDP(m *mapping, uf *udpFlow, data []byte, now time.Time) bool {
	uf.last.Store(now.UnixNano())
	switch err := m.write(data, uf.Dst); {
	case host.Closed(err): // it ended a moment ago: one datagram is lost, as on any network
		m.p.drop(m)
		return true
	case err != nil:
		uf.failed(err)
		return false
	}
	uf.up.Add(int64(len(data)))
	return true
}

// currentPolicy lets a flow notice that it was judged by another policy.
func (t *Tunnel) currentPolicy() *policy.Policy {
	if t.opts.Policy == nil {
		return nil
	}
	return t.opts.Policy.Load()
}

// openUDP judges a new flow. Without a flow it tells whether the datagram is
// done with (silence) or refused.
func (t *Tunnel) openUDP(p *peer, pf policy.Flow, data []byte, now time.Time) (*mapping, *udpFlow, bool) {
	uf := &udpFlow{flow: newFlow(t, p, pf), policy: t.currentPolicy()}
	if v := uf.judged(now); v.Action.Stops() {
		if v.Action == policy.Sink {
			return nil, nil, t.sinkPacket(uf, data)
		}
		uf.refused()
		return nil, nil, v.Action == policy.Drop
	}
	if !uf.Exact && mayOpen(data) {
		uf.opening = &quicOpening{}
	}
	if m := p.mappingOf(pf.Src); m != nil {
		if known := m.add(uf); known != nil {
			return m, known, true
		}
		p.drop(m)
	}
	m, err := t.openMapping(p, pf.Src)
	if err != nil {
		uf.failed(err)
		return nil, nil, false
	}
	return m, m.add(uf), true
}

// sinkPacket gives a datagram to the sinkhole; false: it does not want it. There
// is no mapping: each datagram stands for itself, and they are recorded folded,
// as nothing says when such a flow ends.
func (t *Tunnel) sinkPacket(uf *udpFlow, data []byte) bool {
	sink := t.opts.Handlers.SinkPacket
	if sink == nil {
		uf.refused()
		return false
	}
	answer, taken := sink(uf.Flow, data)
	if !taken {
		uf.refused()
		return false
	}
	uf.up.Store(int64(len(data)))
	uf.down.Store(int64(len(answer)))
	uf.failed(nil)
	if answer != nil {
		t.writeUDP(uf.Dst, uf.Src, answer)
	}
	return true
}

// drop takes a mapping out that has ended, if it is still there.
func (p *peer) drop(m *mapping) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.udp[m.src] == m {
		delete(p.udp, m.src)
	}
}

// mapping is one UDP port of a device: one host socket whatever the number of
// destinations, so that every server sees the same outside port (endpoint
// independent mapping, RFC 4787 §4.1). What comes back is let in from
// addresses the device has written to (RFC 4787 §5, address-dependent).
type mapping struct {
	t    *Tunnel
	p    *peer
	src  netip.AddrPort
	pc   net.PacketConn
	end  func() // closes pc, once
	last atomic.Int64

	mu    sync.Mutex // taken after peer.mu where both are
	flows map[netip.AddrPort]*udpFlow
}

// udpFlow is what a mapping knows of one destination.
type udpFlow struct {
	*flow
	policy  *policy.Policy // that judged it
	last    atomic.Int64   // nanoseconds, when something last moved
	opening *quicOpening   // while it may still say whom it is for
}

func (p *peer) mappingOf(src netip.AddrPort) *mapping {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.udp[src]
}

func (t *Tunnel) openMapping(p *peer, src netip.AddrPort) (*mapping, error) {
	network := "udp6"
	if src.Addr().Is4() {
		network = "udp4"
	}
	if !t.takeSocket(p) {
		return nil, errSockets
	}
	pc, err := t.listenPacket(t.ctx, network)
	if err != nil {
		t.freeSocket(p)
		t.notice(journal.Warn, p.device.Load().Name, "udp socket", fmt.Sprintf("no %s socket for a device: %s", network, host.Reason(err)))
		return nil, err
	}
	m := &mapping{t: t, p: p, src: src, pc: pc, flows: map[netip.AddrPort]*udpFlow{}}
	m.end = sync.OnceFunc(func() { pc.Close() })
	m.last.Store(time.Now().UnixNano())
	leave := p.join(m.end)
	if leave == nil || !t.begin() {
		if leave != nil {
			leave()
		}
		pc.Close()
		t.freeSocket(p)
		return nil, net.ErrClosed
	}
	p.mu.Lock()
	var victim *mapping
	if len(p.udp) >= t.limits.UDP {
		victim = p.longestIdle()
		delete(p.udp, victim.src)
	}
	p.udp[src] = m
	p.mu.Unlock()
	if victim != nil {
		t.stats.overLimit.Add(1)
		t.notice(journal.Warn, p.device.Load().Name, "udp", fmt.Sprintf("more than %d UDP ports in use; the longest idle one was closed", t.limits.UDP))
		victim.end()
	}
	go m.receive(leave)
	return m, nil
}

func (t *Tunnel) listenPacket(ctx context.Context, network string) (net.PacketConn, error) {
	if t.opts.Handlers.ListenPacket != nil {
		return t.opts.Handlers.ListenPacket(ctx, network)
	}
	return new(net.ListenConfig).ListenPacket(ctx, network, ":0")
}

// longestIdle finds the mapping to give up; p.mu is held and p.udp not empty.
func (p *peer) longestIdle() (oldest *mapping) {
	for _, m := range p.udp {
		if oldest == nil || m.last.Load() < oldest.last.Load() {
			oldest = m
		}
	}
	return oldest
}

func (m *mapping) flow(dst netip.AddrPort) *udpFlow {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.flows[dst]
}

// add remembers a destination; the longest idle one gives way. nil: the mapping
// has ended.
func (m *mapping) add(uf *udpFlow) *udpFlow {
	m.mu.Lock()
	var old *udpFlow
	if m.flows == nil {
		m.mu.Unlock()
		return nil
	}
	if len(m.flows) >= flowsPerMapping {
		for _, f := range m.flows {
			if old == nil || f.last.Load() < old.last.Load() {
				old = f
			}
		}
		delete(m.flows, old.Dst)
	}
	uf.last.Store(time.Now().UnixNano())
	m.flows[uf.Dst] = uf
	m.mu.Unlock()
	if old != nil {
		old.ended(nil)
	}
	return uf
}

// forget ends one destination because of err.
func (m *mapping) forget(dst netip.AddrPort, err error) {
	if uf := m.take(dst); uf != nil {
		uf.ended(err)
	}
}

// take takes one destination out.
func (m *mapping) take(dst netip.AddrPort) *udpFlow {
	m.mu.Lock()
	defer m.mu.Unlock()
	uf := m.flows[dst]
	delete(m.flows, dst)
	return uf
}

func (m *mapping) write(data []byte, dst netip.AddrPort) error {
	m.last.Store(time.Now().UnixNano())
	return host.WriteTo(m.pc, data, dst)
}

// maxReadErrors ends a socket that only fails; single errors are reports about
// other datagrams (Windows, RFC 1122 §4.1.3.3) and mean nothing here.
const maxReadErrors = 16

// receive hands what comes back to the device, until the socket is closed.
func (m *mapping) receive(leave func()) {
	defer m.t.flows.Done()
	defer m.close(leave)
	defer m.t.recovered("udp flow")
	for failures := 0; failures < maxReadErrors; {
		if err := host.Readable(m.pc); err != nil {
			return
		}
		buf := m.t.buffers.Get().(*[]byte)
		n, from, err := host.ReadFrom(m.pc, *buf)
		if err == nil {
			failures = 0
			m.back((*buf)[:n], from)
		} else {
			failures++
		}
		m.t.buffers.Put(buf)
		if host.Closed(err) {
			return
		}
	}
}

// close takes the mapping out and records its flows.
func (m *mapping) close(leave func()) {
	m.end()
	leave()
	m.t.freeSocket(m.p)
	m.p.drop(m)
	m.mu.Lock()
	flows := m.flows
	m.flows = nil
	m.mu.Unlock()
	for _, uf := range flows {
		uf.ended(nil)
	}
}

// back writes a reply into the tunnel when the device has written to that
// address; otherwise the port would amplify for strangers.
func (m *mapping) back(data []byte, from netip.AddrPort) {
	now := time.Now().UnixNano()
	m.mu.Lock()
	uf := m.flows[from]
	if uf == nil {
		for dst, f := range m.flows {
			if dst.Addr() == from.Addr() {
				uf = f
				break
			}
		}
	}
	m.mu.Unlock()
	if uf == nil {
		return
	}
	uf.last.Store(now)
	m.last.Store(now)
	uf.down.Add(int64(len(data)))
	m.t.writeUDP(from, m.src, data)
}

// sweepUDP ends destinations and mappings that were silent for idle.
func (p *peer) sweepUDP(now time.Time, idle time.Duration) {
	before := now.Add(-idle).UnixNano()
	p.mu.Lock()
	var ends []*mapping
	var all []*mapping
	for _, m := range p.udp {
		if m.last.Load() < before {
			ends = append(ends, m)
			delete(p.udp, m.src) // what comes next opens another one
		} else {
			all = append(all, m)
		}
	}
	p.mu.Unlock()
	for _, m := range ends {
		m.end() // its goroutine records the flows
	}
	for _, m := range all {
		for _, uf := range m.idle(before) {
			uf.ended(nil)
		}
	}
}

func (m *mapping) idle(before int64) (out []*udpFlow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for dst, uf := range m.flows {
		if uf.last.Load() < before {
			delete(m.flows, dst)
			out = append(out, uf)
		}
	}
	return out
}
