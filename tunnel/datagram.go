package tunnel

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"nightlatch/policy"
	"nightlatch/tunnel/datagram"
)

// Questions to port 53 and datagrams to devices are most of the packets that
// are not TCP, and the stack does nothing for them that a few lines cannot:
// what is plain (no options, no fragments, within the MTU) goes past it.

// intercept takes plain questions to port 53 before the stack sees them. It
// runs on WireGuard's receive goroutine.
func (t *Tunnel) intercept(packet []byte) (taken bool) {
	d, ok := datagram.Parse(packet)
	if !ok || d.Dst.Port() != dnsPort || t.opts.Handlers.DNS == nil {
		return false
	}
	p := t.peers.Load().byAddr[d.Src.Addr()]
	if p == nil {
		return true // removed a moment ago
	}
	f := policy.Flow{Device: *p.device.Load(), Proto: protoUDP, Src: d.Src, Dst: d.Dst}
	if !t.dnsNow(f, d.Payload) {
		t.udpDNS(p, f, append([]byte(nil), d.Payload...))
	}
	return true
}

// dnsNow answers what takes no waiting at once: no goroutine, no place, and
// the answers to one batch leave as one batch. False: it is not such a question.
func (t *Tunnel) dnsNow(f policy.Flow, wire []byte) bool {
	now := t.opts.Handlers.DNSNow
	if now == nil {
		return false
	}
	answer, ok := now(f, wire)
	if !ok {
		return false
	}
	t.stats.dns.Add(1)
	if answer != nil {
		t.writeUDP(f.Dst, f.Src, answer)
	}
	return true
}

// writeUDP sends a datagram to a device as if from src. The stack is needed
// only to fragment what is larger than the MTU.
func (t *Tunnel) writeUDP(src, dst netip.AddrPort, payload []byte) {
	if src.Addr().Is4() != dst.Addr().Is4() {
		return
	}
	headers := header.IPv6MinimumSize + header.UDPMinimumSize
	if len(payload)+headers <= t.mtu {
		t.stack.Device.Send(datagram.Datagram{Src: src, Dst: dst, Payload: payload}.Packet())
		return
	}
	t.stack.SendFragments(src, dst, payload)
}
