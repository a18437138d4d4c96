package host

import (
	"net"
	"net/netip"
)

// WriteTo sends a datagram from a UDP socket.
func WriteTo(pc net.PacketConn, data []byte, dst netip.AddrPort) error {
	if c, ok := pc.(*net.UDPConn); ok {
		_, err := c.WriteToUDPAddrPort(data, dst)
		return err
	}
	_, err := pc.WriteTo(data, net.UDPAddrFromAddrPort(dst))
	return err
}

// ReadFrom receives a datagram; the sender's IPv4 address is never in IPv6's form.
func ReadFrom(pc net.PacketConn, b []byte) (int, netip.AddrPort, error) {
	if c, ok := pc.(*net.UDPConn); ok {
		n, from, err := c.ReadFromUDPAddrPort(b)
		return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
	}
	n, addr, err := pc.ReadFrom(b)
	ua, ok := addr.(*net.UDPAddr)
	if !ok {
		return n, netip.AddrPort{}, err
	}
	from := ua.AddrPort()
	return n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), err
}
