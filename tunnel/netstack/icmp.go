package netstack

import (
	"net/netip"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// EchoReply is the answer to a ping of dst.
func EchoReply(dst netip.Addr, e *icmp.Echo) *icmp.Message {
	var typ icmp.Type = ipv4.ICMPTypeEchoReply
	if dst.Is6() {
		typ = ipv6.ICMPTypeEchoReply
	}
	return &icmp.Message{Type: typ, Body: e}
}

// Unreachable tells dst that it cannot get there: because it may not
// (administratively prohibited), or because there is no way. quoted is the
// beginning of its packet.
func Unreachable(dst netip.Addr, prohibited bool, quoted []byte) *icmp.Message {
	m := &icmp.Message{Type: ipv4.ICMPTypeDestinationUnreachable} // RFC 792, code 0: net
	if prohibited {
		m.Code = 13 // RFC 1812 §5.2.7.1
	}
	if dst.Is6() {
		m.Type, m.Code = ipv6.ICMPTypeDestinationUnreachable, 0 // RFC 4443 §3.1: no route
		if prohibited {
			m.Code = 1
		}
	}
	m.Body = &icmp.DstUnreach{Data: quoted}
	return m
}

// SendICMP sends a message from any address.
func (s *Stack) SendICMP(src, dst netip.Addr, m *icmp.Message) {
	route, terr := s.FindRoute(NIC, Addr(src), Addr(dst), Protocol(dst), false)
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
