package listen

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
)

// The PROXY protocol, version 2 (haproxy.org, proxy-protocol.txt §2.2).
const (
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyFixed     = 16   // octets before the addresses
	maxProxy       = 2048 // octets behind them: addresses take 36, the rest is TLVs we skip
)

var errProxy = errors.New("no PROXY header of version 2")

// proxied is what a PROXY header says. Both addresses are invalid when the proxy
// speaks for itself, or of a client without an IP address.
type proxied struct{ src, dst netip.AddrPort }

// readProxy reads one header, and not an octet more.
func readProxy(r io.Reader) (p proxied, err error) {
	var head [proxyFixed]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return p, err
	}
	size := int(binary.BigEndian.Uint16(head[14:]))
	if string(head[:12]) != proxySignature || head[12]>>4 != 2 || head[12]&0xf > 1 || size > maxProxy {
		return p, errProxy
	}
	rest := make([]byte, size)
	if _, err := io.ReadFull(r, rest); err != nil {
		return p, err
	}
	if head[12]&0xf == 0 { // LOCAL: a health check of the proxy's own
		return p, nil
	}
	switch head[13] {
	case 0x11: // TCP over IPv4
		if size < 12 {
			return p, errProxy
		}
		p.src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest)), binary.BigEndian.Uint16(rest[8:]))
		p.dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest[4:])), binary.BigEndian.Uint16(rest[10:]))
	case 0x21: // TCP over IPv6
		if size < 36 {
			return p, errProxy
		}
		p.src = netip.AddrPortFrom(netip.AddrFrom16([16]byte(rest)).Unmap(), binary.BigEndian.Uint16(rest[32:]))
		p.dst = netip.AddrPortFrom(netip.AddrFrom16([16]byte(rest[16:])).Unmap(), binary.BigEndian.Uint16(rest[34:]))
	case 0x00, 0x31: // unknown, or a local socket
	default:
		return p, errProxy // UDP is not what came
	}
	return p, nil
}
