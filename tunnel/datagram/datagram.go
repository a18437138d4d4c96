// Package datagram reads and writes plain UDP packets: no options, no
// fragments. It is pure and never panics, whatever the bytes.
package datagram

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

const (
	protoUDP = 17 // IANA
	hopLimit = 64
)

// Datagram is a UDP packet with its addresses.
type Datagram struct {
	Src, Dst netip.AddrPort
	Payload  []byte // of a parsed one: a part of the packet
}

// Parse reads a plain UDP packet; it does not look at its checksum. Anything
// else is not ok.
func Parse(b []byte) (d Datagram, ok bool) {
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
	d.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(udp))
	d.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(udp[2:]))
	d.Payload = udp[header.UDPMinimumSize:]
	return d, true
}

// Packet is the IP packet of d. Src and Dst must be of one family, and the
// payload must fit the MTU.
func (d Datagram) Packet() []byte {
	size := header.UDPMinimumSize + len(d.Payload)
	var b, pseudo []byte
	if d.Dst.Addr().Is4() {
		b = make([]byte, header.IPv4MinimumSize, header.IPv4MinimumSize+size)
		b[0], b[8], b[9] = 0x45, hopLimit, protoUDP
		binary.BigEndian.PutUint16(b[2:], uint16(header.IPv4MinimumSize+size))
		b[6] = 0x40 // RFC 6864 §4.1: an atomic datagram needs no identification
		copy(b[12:], d.Src.Addr().AsSlice())
		copy(b[16:], d.Dst.Addr().AsSlice())
		binary.BigEndian.PutUint16(b[10:], ^checksum.Checksum(b, 0))
		pseudo = b[12:20]
	} else {
		b = make([]byte, header.IPv6MinimumSize, header.IPv6MinimumSize+size)
		b[0], b[6], b[7] = 0x60, protoUDP, hopLimit
		binary.BigEndian.PutUint16(b[4:], uint16(size))
		copy(b[8:], d.Src.Addr().AsSlice())
		copy(b[24:], d.Dst.Addr().AsSlice())
		pseudo = b[8:40]
	}
	sum := checksum.Combine(checksum.Checksum(pseudo, 0), checksum.Combine(protoUDP, uint16(size)))
	at := len(b)
	b = binary.BigEndian.AppendUint16(b, d.Src.Port())
	b = binary.BigEndian.AppendUint16(b, d.Dst.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(size))
	b = append(append(b, 0, 0), d.Payload...)
	sum = ^checksum.Checksum(b[at:], sum)
	if sum == 0 {
		sum = 0xffff // RFC 768: zero means none
	}
	binary.BigEndian.PutUint16(b[at+6:], sum)
	return b
}
