package netstack

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// SendFragments sends a datagram from any address and lets the stack cut it to
// the MTU. The packet is built here, so that no endpoint of the stack is needed.
func (s *Stack) SendFragments(src, dst netip.AddrPort, payload []byte) {
	proto := Protocol(dst.Addr())
	route, err := s.FindRoute(NIC, Addr(src.Addr()), Addr(dst.Addr()), proto, false)
	if err != nil {
		return
	}
	defer route.Release()
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: header.UDPMinimumSize + int(route.MaxHeaderLength()),
		Payload:            buffer.MakeWithData(payload),
	})
	defer pkt.DecRef()
	pkt.TransportProtocolNumber = header.UDPProtocolNumber
	h := header.UDP(pkt.TransportHeader().Push(header.UDPMinimumSize))
	size := uint16(pkt.Size())
	h.Encode(&header.UDPFields{SrcPort: src.Port(), DstPort: dst.Port(), Length: size})
	pseudo := route.PseudoHeaderChecksum(header.UDPProtocolNumber, size)
	sum := ^h.CalculateChecksum(checksum.Combine(pseudo, pkt.Data().Checksum()))
	if sum == 0 {
		sum = 0xffff // RFC 768: zero means none
	}
	h.SetChecksum(sum)
	route.WritePacket(stack.NetworkHeaderParams{Protocol: header.UDPProtocolNumber, TTL: route.DefaultTTL()}, pkt)
}
