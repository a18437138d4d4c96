package netstack

import (
	"bytes"
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// maxJoined is the longest IP packet that joined segments make.
const maxJoined = 1<<16 - 1

// parts is where the parts of a TCP packet are; the zero value is no such packet.
type parts struct {
	tcp  int // where the TCP header begins
	data int // where the payload begins
}

// plain finds the parts of a TCP packet that carries data and nothing unusual:
// no IP options, no fragment, no flag but ACK and PSH.
func plain(b []byte) (s parts, ok bool) {
	switch {
	case len(b) >= header.IPv4MinimumSize && b[0] == 0x45:
		if b[9] != uint8(header.TCPProtocolNumber) || binary.BigEndian.Uint16(b[6:])&0x3fff != 0 || int(binary.BigEndian.Uint16(b[2:])) != len(b) {
			return s, false
		}
		s.tcp = header.IPv4MinimumSize
	case len(b) >= header.IPv6MinimumSize && b[0]>>4 == 6:
		if b[6] != uint8(header.TCPProtocolNumber) || int(binary.BigEndian.Uint16(b[4:])) != len(b)-header.IPv6MinimumSize {
			return s, false
		}
		s.tcp = header.IPv6MinimumSize
	default:
		return s, false
	}
	t := b[s.tcp:]
	if len(t) < header.TCPMinimumSize || header.TCPFlags(t[header.TCPFlagsOffset])&^header.TCPFlagPsh != header.TCPFlagAck {
		return s, false
	}
	s.data = s.tcp + int(t[header.TCPDataOffset]>>4)*4
	return s, s.data >= s.tcp+header.TCPMinimumSize && s.data < len(b)
}

// follows tells whether b, whose parts are at the same places, is the next piece
// of the stream of a and could have been sent in one packet with it: all but
// lengths, checksums, identification, sequence number and PSH are the same.
func (s parts) follows(a, b []byte, seq uint32) bool {
	ip := s.tcp == header.IPv4MinimumSize && bytes.Equal(a[:2], b[:2]) && bytes.Equal(a[6:10], b[6:10]) && bytes.Equal(a[12:20], b[12:20]) ||
		s.tcp == header.IPv6MinimumSize && bytes.Equal(a[:4], b[:4]) && bytes.Equal(a[6:40], b[6:40])
	x, y := a[s.tcp:s.data], b[s.tcp:s.data]
	return ip && binary.BigEndian.Uint32(y[4:]) == seq &&
		bytes.Equal(x[:4], y[:4]) && bytes.Equal(x[8:13], y[8:13]) && // ports; acknowledgement, length
		bytes.Equal(x[14:16], y[14:16]) && bytes.Equal(x[18:], y[18:]) // window; urgent pointer, options
}

// run tells how many packets at the start of a batch make one, at least 1, and
// how long that one is.
func run(bufs [][]byte, offset int) (n, size int) {
	a := bufs[0][offset:]
	n, size = 1, len(a)
	s, ok := plain(a)
	if !ok || header.TCPFlags(a[s.tcp+header.TCPFlagsOffset])&header.TCPFlagPsh != 0 {
		return n, size
	}
	seq := binary.BigEndian.Uint32(a[s.tcp+4:])
	for n < len(bufs) {
		b := bufs[n][offset:]
		next, ok := plain(b)
		if !ok || next != s || size+len(b)-s.data > maxJoined || !s.follows(a, b, seq+uint32(size-s.data)) {
			return n, size
		}
		n, size = n+1, size+len(b)-s.data
		if header.TCPFlags(b[s.tcp+header.TCPFlagsOffset])&header.TCPFlagPsh != 0 {
			return n, size // the sender had no more to say
		}
	}
	return n, size
}

// join makes one packet of the packets of a run. Its checksums are not valid:
// nobody looks at them again, see [endpoint.Capabilities].
func join(bufs [][]byte, offset, size int) buffer.Buffer {
	first, last := bufs[0][offset:], bufs[len(bufs)-1][offset:]
	v := buffer.NewViewSize(size)
	out := v.AsSlice()
	n := copy(out, first)
	if len(bufs) == 1 {
		return buffer.MakeWithView(v)
	}
	s, _ := plain(first)
	for _, b := range bufs[1:] {
		n += copy(out[n:], b[offset+s.data:])
	}
	out[s.tcp+header.TCPFlagsOffset] |= last[s.tcp+header.TCPFlagsOffset]
	if s.tcp == header.IPv4MinimumSize {
		binary.BigEndian.PutUint16(out[2:], uint16(size))
	} else {
		binary.BigEndian.PutUint16(out[4:], uint16(size-header.IPv6MinimumSize))
	}
	return buffer.MakeWithView(v)
}
