package tunnel

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/tunnel/host"
	"nightlatch/tunnel/netstack"
)

// pingTimeout is how long the host waits for a reply to a phone's ping.
const pingTimeout = 5 * time.Second

// echo is a phone's echo request.
type echo struct {
	id, seq int
	data    []byte
	quoted  []byte // the packet as it came, for an unreachable
}

// handleICMP answers echo requests: the gateway's own addresses by the stack,
// others by asking the real host. Without it the stack would be silent for
// every IPv4 address and answer by itself for every IPv6 address.
func (t *Tunnel) handleICMP(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	proto := uint8(protoICMP)
	h := pkt.TransportHeader().Slice()
	if pkt.NetworkProtocolNumber == header.IPv6ProtocolNumber {
		proto = protoICMPv6
		if len(h) < header.ICMPv6EchoMinimumSize || header.ICMPv6(h).Type() != header.ICMPv6EchoRequest {
			return false
		}
	} else if len(h) < header.ICMPv4MinimumSize || header.ICMPv4(h).Type() != header.ICMPv4Echo {
		return false
	}
	p, pf := t.flowOf(proto, id)
	if p == nil {
		return true
	}
	if t.self[pf.Dst.Addr()] {
		return false // the stack's own reply
	}
	f := newFlow(t, p, pf)
	e := echo{
		id: int(h[4])<<8 | int(h[5]), seq: int(h[6])<<8 | int(h[7]),
		data:   pkt.Data().AsRange().ToSlice(),
		quoted: append(append([]byte(nil), pkt.NetworkHeader().Slice()...), h...),
	}
	v := f.judged(f.began)
	if v.Action.Stops() {
		f.refused()
		if v.Action != policy.Drop {
			t.unreachable(f, e, true)
		}
		return true
	}
	t.forwardPing(f, e)
	return true
}

// forwardPing sends the echo from the host, on its own goroutine.
func (t *Tunnel) forwardPing(f *flow, e echo) {
	p := f.peer
	select {
	case p.pings <- struct{}{}:
	default:
		t.stats.overLimit.Add(1)
		return
	}
	select {
	case t.pings <- struct{}{}:
	default:
		<-p.pings
		t.stats.overLimit.Add(1)
		return
	}
	if !t.begin() {
		<-t.pings
		<-p.pings
		return
	}
	go func() {
		defer t.flows.Done()
		defer func() { <-t.pings; <-p.pings }()
		defer t.recovered("ping")
		err := host.Ping(t.ctx, f.Dst.Addr(), e.seq, e.data, pingTimeout)
		switch {
		case err == nil:
			f.up.Store(int64(len(e.data)))
			f.down.Store(int64(len(e.data)))
			t.echoReply(f, e)
		case errors.Is(err, os.ErrPermission):
			t.notice(journal.Info, "", "ping", "pings of devices are not forwarded: the host forbids it; to allow it set the sysctl net.ipv4.ping_group_range")
			t.unreachable(f, e, true)
		case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EAFNOSUPPORT):
			t.unreachable(f, e, false)
		}
		f.failed(err) // folded: one entry a minute for each pinged address
	}()
}

// echoReply answers the phone in the name of the pinged host.
func (t *Tunnel) echoReply(f *flow, e echo) {
	dst := f.Src.Addr()
	t.stack.SendICMP(f.Dst.Addr(), dst, netstack.EchoReply(dst, &icmp.Echo{ID: e.id, Seq: e.seq, Data: e.data}))
}

// unreachable tells the phone that it cannot get there.
func (t *Tunnel) unreachable(f *flow, e echo, prohibited bool) {
	dst := f.Src.Addr()
	t.stack.SendICMP(f.Dst.Addr(), dst, netstack.Unreachable(dst, prohibited, e.quoted))
}
