package tunnel

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
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
	var typ icmp.Type = ipv4.ICMPTypeEchoReply
	if f.Dst.Addr().Is6() {
		typ = ipv6.ICMPTypeEchoReply
	}
	t.writeICMP(f, &icmp.Message{Type: typ, Body: &icmp.Echo{ID: e.id, Seq: e.seq, Data: e.data}})
}

// unreachable tells the phone that it cannot get there: because it may not
// (administratively prohibited), or because there is no way.
func (t *Tunnel) unreachable(f *flow, e echo, prohibited bool) {
	m := &icmp.Message{Type: ipv4.ICMPTypeDestinationUnreachable} // RFC 792, code 0: net
	if prohibited {
		m.Code = 13 // RFC 1812 §5.2.7.1
	}
	if f.Dst.Addr().Is6() {
		m.Type, m.Code = ipv6.ICMPTypeDestinationUnreachable, 0 // RFC 4443 §3.1: no route
		if prohibited {
			m.Code = 1
		}
	}
	m.Body = &icmp.DstUnreach{Data: e.quoted}
	t.writeICMP(f, m)
}

func (t *Tunnel) writeICMP(f *flow, m *icmp.Message) {
	src, dst := f.Dst.Addr(), f.Src.Addr()
	route, terr := t.stack.FindRoute(netstack.NIC, netstack.Addr(src), netstack.Addr(dst), netstack.Protocol(dst), false)
	if terr != nil {
		return
	}
	defer route.Release()
	var proto tcpip.TransportProtocolNumber = header.ICMPv4ProtocolNumber
	var pseudo []byte
	if dst.Is6() {
		proto = header.ICMPv6ProtocolNumber
		pseudo = icmp.IPv6PseudoHeader(src.AsSlice(), dst.AsSlice())
	}
	wire, err := m.Marshal(pseudo)
	if err != nil {
		return
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: int(route.MaxHeaderLength()), Payload: buffer.MakeWithData(wire)})
	defer pkt.DecRef()
	route.WritePacket(stack.NetworkHeaderParams{Protocol: proto, TTL: route.DefaultTTL()}, pkt)
}

// isClosed: the socket is gone, not merely unwell.
func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }
