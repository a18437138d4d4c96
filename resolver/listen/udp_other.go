//go:build !linux

package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// reusePort: on these systems it does not deal datagrams out evenly, or is not
// there.
const reusePort = false

// pause follows an error that is nobody's datagram.
const pause = time.Second / 4

// socket is one UDP socket.
type socket struct {
	conn  *net.UDPConn
	local netip.AddrPort
}

// openUDP opens the socket of an address.
func openUDP(at netip.AddrPort, _ int) (*socket, error) {
	c, err := net.ListenUDP(family("udp", at), net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	return &socket{conn: c, local: addrPort(c.LocalAddr())}, nil
}

// serveUDP answers the datagrams of one socket until it is closed. On a host
// with several addresses in one network the system chooses from which one.
func (s *Server) serveUDP(ctx context.Context, sock *socket) error {
	r, buf := &reader{s: s}, make([]byte, bufferSize)
	for {
		n, src, err := sock.conn.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil: // on Windows also a datagram that is too long, or an ICMP error
			s.counts.malformed.Add(1)
			if n == 0 {
				wait(ctx, pause)
			}
			continue
		}
		to := src
		src = netip.AddrPortFrom(src.Addr().Unmap(), src.Port())
		s.counts.asked[overUDP].Add(1)
		send := func(out []byte) { _, _ = sock.conn.WriteToUDPAddrPort(out, to) }
		out, waits := r.take(src, sock.local, buf[:n], time.Now())
		switch {
		case waits:
			r.later(ctx, buf[:n], send)
		case out != nil:
			send(out)
		}
	}
}
