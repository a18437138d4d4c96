package listen

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reusePort: several sockets may share an address, and the kernel deals the
// datagrams out by client (SO_REUSEPORT, socket(7)).
const reusePort = true

const (
	batchSize = 64              // datagrams in one system call
	nameSize  = 28              // octets of a sockaddr_in6, the longer one
	oobSize   = 48              // of a control message with an in6_pktinfo
	rcvBuffer = 4 << 20         // octets the kernel may keep while we answer others
	pause     = time.Second / 4 // after an error that is nobody's datagram, such as no memory
)

// socket is one UDP socket. With wild it is bound to every address, and each
// datagram tells to which one it came, so that the answer comes from there.
type socket struct {
	conn  *net.UDPConn
	raw   syscall.RawConn
	local netip.AddrPort
	wild  bool
}

// openUDP opens the socket number n of an address.
func openUDP(at netip.AddrPort, n int) (*socket, error) {
	s := &socket{wild: at.Addr().IsUnspecified()}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if cerr := raw.Control(func(fd uintptr) { err = s.prepare(int(fd), at, n) }); cerr != nil {
			return cerr
		}
		return err
	}}
	pc, err := lc.ListenPacket(context.Background(), family("udp", at), at.String())
	if err != nil {
		return nil, err
	}
	s.conn = pc.(*net.UDPConn)
	_ = s.conn.SetReadBuffer(rcvBuffer) // as much of it as the system allows
	s.local = addrPort(s.conn.LocalAddr())
	s.raw, err = s.conn.SyscallConn()
	return s, err
}

// prepare sets the options of a socket before it is bound. The first one of an
// address whose port is known is opened without SO_REUSEPORT for a moment, as
// otherwise another server of the same user would share the questions with us
// and nobody would be told.
func (s *socket) prepare(fd int, at netip.AddrPort, n int) error {
	if n == 0 && at.Port() != 0 {
		if err := probe(at); err != nil {
			return err
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return err
	}
	switch {
	case !s.wild:
		return nil
	case at.Addr().Is4():
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
}

func probe(at netip.AddrPort) error {
	c, err := net.ListenUDP(family("udp", at), net.UDPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	return c.Close()
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	unix.Msghdr
	size uint32
}

// batch is the memory of one reader: what comes in, and what goes out.
type batch struct {
	in, out   [batchSize]mmsghdr
	iov, send [batchSize]unix.Iovec
	names     [batchSize][nameSize]byte
	oobs      [batchSize][oobSize]byte
	data      [batchSize][bufferSize]byte
}

func newBatch(wild bool) *batch {
	b := &batch{}
	for i := range b.in {
		b.iov[i].Base = &b.data[i][0]
		b.iov[i].SetLen(bufferSize)
		b.in[i].Iov = &b.iov[i]
		b.in[i].SetIovlen(1)
		b.out[i].Iov = &b.send[i]
		b.out[i].SetIovlen(1)
		b.ready(i, wild)
	}
	return b
}

// ready makes a place ready for another datagram.
func (b *batch) ready(i int, wild bool) {
	b.in[i].Name, b.in[i].Namelen = &b.names[i][0], nameSize
	if wild {
		b.in[i].Control = &b.oobs[i][0]
		b.in[i].SetControllen(oobSize)
	}
}

// answer puts an answer to datagram i into place k of what goes out.
func (b *batch) answer(k, i int, out []byte) {
	b.send[k].Base = &out[0]
	b.send[k].SetLen(len(out))
	b.out[k].Name, b.out[k].Namelen = b.in[i].Name, b.in[i].Namelen
	b.out[k].Control, b.out[k].Controllen = b.in[i].Control, b.in[i].Controllen
}

// receive waits for datagrams and takes as many as there are.
func (s *socket) receive(b *batch) (n int, err error) {
	var errno syscall.Errno
	err = s.raw.Read(func(fd uintptr) bool {
		r, _, e := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.in[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
		n, errno = int(r), e
		return e != unix.EAGAIN
	})
	if err == nil && errno != 0 {
		return 0, errno
	}
	return n, err
}

// transmit sends the first k answers. One that the kernel refuses (no route,
// a firewall) is left out.
func (s *socket) transmit(out []mmsghdr) {
	for len(out) > 0 {
		n := 1
		err := s.raw.Write(func(fd uintptr) bool {
			r, _, e := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&out[0])), uintptr(len(out)), unix.MSG_DONTWAIT, 0, 0)
			if e == 0 {
				n = max(int(r), 1)
			}
			return e != unix.EAGAIN
		})
		if err != nil {
			return // closed
		}
		out = out[n:]
	}
}

// serveUDP answers the datagrams of one socket until it is closed.
func (s *Server) serveUDP(ctx context.Context, sock *socket) error {
	b, r := newBatch(sock.wild), &reader{s: s}
	for {
		n, err := sock.receive(b)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil { // an ICMP error of an earlier answer, or no memory
			if errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ENOBUFS) {
				wait(ctx, pause)
			}
			n = 0
		}
		now, k := time.Now(), 0
		for i := range n {
			if out := s.datagram(ctx, sock, r, b, i, now); len(out) > 0 {
				b.answer(k, i, out)
				k++
			}
		}
		s.counts.asked[overUDP].Add(uint64(n))
		sock.transmit(b.out[:k])
		for i := range n {
			b.ready(i, sock.wild)
		}
		clear(b.send[:k]) // the answers are garbage now
	}
}

// datagram deals with the datagram at place i.
func (s *Server) datagram(ctx context.Context, sock *socket, r *reader, b *batch, i int, now time.Time) []byte {
	h := &b.in[i]
	src, ok := sockaddr(b.names[i][:h.Namelen])
	if !ok || h.Flags&unix.MSG_TRUNC != 0 || h.size > bufferSize {
		s.counts.malformed.Add(1)
		return nil
	}
	dst := sock.local
	if sock.wild {
		if at, ok := replyFrom(b.oobs[i][:h.Controllen]); ok {
			dst = netip.AddrPortFrom(at, dst.Port())
		} else {
			h.Control = nil
			h.SetControllen(0)
		}
	}
	out, wait := r.take(src, dst, b.data[i][:h.size], now)
	if wait {
		l := &letter{sock: sock, nameLen: h.Namelen, oobLen: int(h.Controllen)}
		l.name, l.oob = b.names[i], b.oobs[i]
		r.later(ctx, b.data[i][:h.size], l.post)
	}
	return out
}

// letter is an answer that goes out by itself.
type letter struct {
	sock    *socket
	name    [nameSize]byte
	oob     [oobSize]byte
	nameLen uint32
	oobLen  int
}

func (l *letter) post(out []byte) {
	iov := unix.Iovec{Base: &out[0]}
	iov.SetLen(len(out))
	var h [1]mmsghdr
	h[0].Name, h[0].Namelen, h[0].Iov = &l.name[0], l.nameLen, &iov
	h[0].SetIovlen(1)
	if l.oobLen > 0 {
		h[0].Control = &l.oob[0]
		h[0].SetControllen(l.oobLen)
	}
	l.sock.transmit(h[:])
}

// sockaddr reads a sockaddr_in or sockaddr_in6.
func sockaddr(b []byte) (netip.AddrPort, bool) {
	if len(b) < unix.SizeofSockaddrInet4 {
		return netip.AddrPort{}, false
	}
	port := binary.BigEndian.Uint16(b[2:])
	switch binary.NativeEndian.Uint16(b) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:])), port), true
	case unix.AF_INET6:
		if len(b) >= unix.SizeofSockaddrInet6 {
			return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:])).Unmap(), port), true
		}
	}
	return netip.AddrPort{}, false
}

// replyFrom reads to which address a datagram came, and makes the control
// message one by which the answer leaves from there. The interface is kept for
// link-local addresses alone: others are routed as anything is (ip(7)).
func replyFrom(oob []byte) (netip.Addr, bool) {
	if len(oob) < unix.SizeofCmsghdr {
		return netip.Addr{}, false
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	data := oob[unix.CmsgLen(0):]
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		clear(data[:4])
		return netip.AddrFrom4([4]byte(data[4:])), true // ipi_spec_dst
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		a := netip.AddrFrom16([16]byte(data))
		if !a.IsLinkLocalUnicast() {
			clear(data[16:20])
		}
		return a, true
	}
	return netip.Addr{}, false
}
