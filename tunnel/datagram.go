package tunnel

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"nightlatch/policy"
)

// Questions to port 53 and datagrams to devices are most of the packets that
// are not TCP, and the stack does nothing for them that a few lines cannot:
// what is plain (no options, no fragments, within the MTU) goes past it.

// datagram is a UDP packet with its addresses.
type datagram struct {
	src, dst netip.AddrPort
	payload  []byte // part of the packet
}

// parseDatagram reads a plain UDP packet; anything else is the stack's to judge.
func parseDatagram(b []byte) (d datagram, ok bool) {
	var udp []byte
	var src, dst netip.Addr
	switch {
	case len(b) >= header.IPv4MinimumSize && b[0] == 0x45: // version 4, no options
		total := int(binary.BigEndian.Uint16(b[2:]))
		fragment := binary.BigEndian.Uint16(b[6:])&0x3fff != 0 // more to come, or an offset
		if b[9] != protoUDP || fragment || total < header.IPv4MinimumSize || total > len(b) {
			return d, false
		}
		udp = b[header.IPv4MinimumSize:total]
		src, dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	case len(b) >= header.IPv6MinimumSize && b[0]>>4 == 6:
		total := header.IPv6MinimumSize + int(binary.BigEndian.Uint16(b[4:]))
		if b[6] != protoUDP || total > len(b) {
			return d, false
		}
		udp = b[header.IPv6MinimumSize:total]
		src, dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	}
	if len(udp) < header.UDPMinimumSize || int(binary.BigEndian.Uint16(udp[4:])) != len(udp) {
		return d, false
	}
	d.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(udp))
	d.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(udp[2:]))
	d.payload = udp[header.UDPMinimumSize:]
	return d, true
}

// packet is the IP packet of d; src and dst must be of one family.
func (d datagram) packet() []byte {
	size := header.UDPMinimumSize + len(d.payload)
	var b, pseudo []byte
	if d.dst.Addr().Is4() {
		b = make([]byte, header.IPv4MinimumSize, header.IPv4MinimumSize+size)
		b[0], b[8], b[9] = 0x45, hopLimit, protoUDP
		binary.BigEndian.PutUint16(b[2:], uint16(header.IPv4MinimumSize+size))
		b[6] = 0x40 // RFC 6864 §4.1: an atomic datagram needs no identification
		copy(b[12:], d.src.Addr().AsSlice())
		copy(b[16:], d.dst.Addr().AsSlice())
		binary.BigEndian.PutUint16(b[10:], ^checksum.Checksum(b, 0))
		pseudo = b[12:20]
	} else {
		b = make([]byte, header.IPv6MinimumSize, header.IPv6MinimumSize+size)
		b[0], b[6], b[7] = 0x60, protoUDP, hopLimit
		binary.BigEndian.PutUint16(b[4:], uint16(size))
		copy(b[8:], d.src.Addr().AsSlice())
		copy(b[24:], d.dst.Addr().AsSlice())
		pseudo = b[8:40]
	}
	sum := checksum.Combine(checksum.Checksum(pseudo, 0), checksum.Combine(protoUDP, uint16(size)))
	at := len(b)
	b = binary.BigEndian.AppendUint16(b, d.src.Port())
	b = binary.BigEndian.AppendUint16(b, d.dst.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	b = append(append(b, 0, 0), d.payload...)
	sum = ^checksum.Checksum(b[at:], sum)
	if sum == 0 {
		sum = 0xffff // RFC 768: zero means none
	}
	binary.BigEndian.PutUint16(b[at+6:], sum)
	return b
}

const hopLimit = 64

// intercept takes plain questions to port 53 before the stack sees them. It
// runs on WireGuard's receive goroutine.
func (t *Tunnel) intercept(packet []byte) (taken bool) {
	d, ok := parseDatagram(packet)
	if !ok || d.dst.Port() != dnsPort || t.opts.Handlers.DNS == nil {
		return false
	}
	p := t.peers.Load().byAddr[d.src.Addr()]
	if p == nil {
		return true // removed a moment ago
	}
	f := policy.Flow{Device: *p.device.Load(), Proto: protoUDP, Src: d.src, Dst: d.dst}
	t.udpDNS(p, f, append([]byte(nil), d.payload...))
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
		t.stack.Device.Send(datagram{src, dst, payload}.packet())
		return
	}
	t.writeFragments(src, dst, payload)
}
