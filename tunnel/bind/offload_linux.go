package bind

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// offload is what the kernel does for a socket.
type offload struct {
	joins    bool        // UDP_GRO: several packets of a sender arrive as one datagram
	segments atomic.Bool // UDP_SEGMENT: one datagram leaves as several packets
}

// oobSize holds a segment size and a packet info of either family.
const oobSize = 128

// detect asks for the offloads; a kernel that lacks one says so and the plain
// way is used. Packet info is wanted on wildcard sockets, whose answers must
// leave from the address the peer wrote to.
func (o *offload) detect(c *net.UDPConn, v6, wildcard bool) {
	rc, err := c.SyscallConn()
	if err != nil {
		return
	}
	rc.Control(func(p uintptr) {
		fd := int(p)
		_, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		o.segments.Store(err == nil)
		if unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) == nil {
			// Kernels before 5.12 take the option and cannot show it; they are also
			// the ones where it misbehaves.
			on, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO)
			o.joins = err == nil && on == 1
		}
		if !wildcard {
			return
		}
		if v6 {
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		} else {
			unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
	})
}

// parseOOB reads the size of the joined packets (0: not joined) and the local
// address the datagram was sent to.
func parseOOB(oob []byte) (size int, src netip.Addr) {
	for len(oob) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return size, src
		}
		switch {
		case h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(data) >= 2:
			size = int(binary.NativeEndian.Uint16(data))
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			src = netip.AddrFrom4([4]byte(data[4:8])) // ipi_spec_dst
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			src = netip.AddrFrom16([16]byte(data[:16]))
			if src.IsLinkLocalUnicast() { // would need its interface too
				src = netip.Addr{}
			}
		}
		oob = rest
	}
	return size, src
}

// appendOOB adds control messages: cut into packets of size (0: do not), leave
// from src (invalid: as the kernel likes).
func appendOOB(oob []byte, size int, src netip.Addr) []byte {
	if size > 0 {
		oob, data := grow(oob, unix.SOL_UDP, unix.UDP_SEGMENT, 2)
		binary.NativeEndian.PutUint16(data, uint16(size))
		return appendSource(oob, src)
	}
	return appendSource(oob, src)
}

func appendSource(oob []byte, src netip.Addr) []byte {
	switch {
	case src.Is4():
		out, data := grow(oob, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		copy(data[4:8], src.AsSlice())
		return out
	case src.Is6():
		out, data := grow(oob, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		copy(data, src.AsSlice())
		return out
	}
	return oob
}

// grow appends an empty control message and gives its data to fill.
func grow(oob []byte, level, typ int32, n int) (out, data []byte) {
	at := len(oob)
	out = append(oob, make([]byte, unix.CmsgSpace(n))...)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&out[at]))
	h.Level, h.Type = level, typ
	h.SetLen(unix.CmsgLen(n))
	return out, out[at+unix.CmsgLen(0) : at+unix.CmsgLen(n)]
}
