package netstack

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// maxHeaders is the longest IP and TCP header with options: 60 + 60 bytes.
const maxHeaders = 120

// cutter turns one outbound packet of the stack into packets no larger than
// the MTU, written straight into WireGuard's buffers: one copy, and a burst
// leaves as one batch. It has one owner, the reader of the device.
type cutter struct {
	pkt  *stack.PacketBuffer // nil: nothing to cut
	rest [][]byte            // what of pkt is not written yet
	left int                 // bytes in rest

	segmented bool // pkt is a TCP segment larger than the MTU
	hdr       [maxHeaders]byte
	ip, total int // length of the IP header, and of IP and TCP headers
	mss       int
	seq       uint32
	id        uint16
}

// start takes over the reference to pkt.
func (c *cutter) start(pkt *stack.PacketBuffer) {
	c.pkt, c.rest, c.left = pkt, c.rest[:0], 0
	for _, s := range pkt.AsSlices() {
		if len(s) > 0 {
			c.rest = append(c.rest, s)
			c.left += len(s)
		}
	}
	gso := pkt.GSOOptions
	c.segmented = gso.Type == stack.GSOTCPv4 || gso.Type == stack.GSOTCPv6
	if !c.segmented {
		return
	}
	c.ip = len(pkt.NetworkHeader().Slice())
	c.total = c.ip + len(pkt.TransportHeader().Slice())
	c.take(c.hdr[:c.total])
	c.mss = int(gso.MSS)
	if c.mss == 0 || c.mss > c.left {
		c.mss = max(c.left, 1)
	}
	c.seq = binary.BigEndian.Uint32(c.hdr[c.ip+4:])
	c.id = binary.BigEndian.Uint16(c.hdr[4:])
}

// take moves the next len(b) bytes of the packet into b.
func (c *cutter) take(b []byte) {
	c.left -= len(b)
	for len(b) > 0 {
		n := copy(b, c.rest[0])
		b = b[n:]
		if c.rest[0] = c.rest[0][n:]; len(c.rest[0]) == 0 {
			c.rest = c.rest[1:]
		}
	}
}

// next writes one packet to b, which must hold the MTU, and releases the
// stack's packet with its last part.
func (c *cutter) next(b []byte) (n int) {
	if !c.segmented {
		n = min(c.left, len(b)) // the stack fragments to the MTU, so this never cuts
		c.take(b[:n])
		c.release()
		return n
	}
	payload := min(c.mss, c.left)
	n = c.total + payload
	copy(b, c.hdr[:c.total])
	c.take(b[c.total:n])
	c.patch(b[:n], payload, c.left > 0)
	if c.left <= 0 {
		c.release()
	}
	return n
}

func (c *cutter) release() {
	c.pkt.DecRef()
	c.pkt = nil
}

// patch makes the headers of one part right: lengths, sequence number, flags
// that belong to the last part only, checksums.
func (c *cutter) patch(b []byte, payload int, more bool) {
	t := b[c.ip:c.total]
	binary.BigEndian.PutUint32(t[4:], c.seq)
	c.seq += uint32(payload)
	if more {
		t[header.TCPFlagsOffset] &^= byte(header.TCPFlagFin | header.TCPFlagPsh)
	}
	var sum uint16
	if b[0]>>4 == 4 {
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		binary.BigEndian.PutUint16(b[4:], c.id)
		c.id++
		b[10], b[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:], ^checksum.Checksum(b[:c.ip], 0))
		sum = checksum.Checksum(b[12:20], 0) // the two addresses
	} else {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-header.IPv6MinimumSize))
		sum = checksum.Checksum(b[8:40], 0)
	}
	// RFC 9293 §3.1: the pseudo header, the TCP header and the payload.
	sum = checksum.Combine(sum, uint16(header.TCPProtocolNumber))
	sum = checksum.Combine(sum, uint16(len(b)-c.ip))
	t[header.TCPChecksumOffset], t[header.TCPChecksumOffset+1] = 0, 0
	binary.BigEndian.PutUint16(t[header.TCPChecksumOffset:], ^checksum.Checksum(b[c.ip:], sum))
}
