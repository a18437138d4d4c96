package phone

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/waiter"

	"nightlatch/tunnel/netstack"
)

// exchangeTimeout bounds a DNS exchange whose context has no deadline.
const exchangeTimeout = 5 * time.Second

// DialContext opens a connection through the tunnel: network is tcp or udp,
// with an optional 4 or 6; a host name is asked of the phone's DNS servers.
func (p *Phone) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("phone: dial %s: %w", address, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("phone: dial %s: port: %w", address, err)
	}
	addrs, err := p.lookup(ctx, network, host)
	if err != nil {
		return nil, fmt.Errorf("phone: dial %s: %w", address, err)
	}
	var errs []error
	for _, a := range addrs {
		c, err := p.dial(ctx, network, netip.AddrPortFrom(a, uint16(port)))
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("phone: dial %s: %w", address, errors.Join(errs...))
}

func (p *Phone) lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	family := "ip"
	if last := network[len(network)-1:]; last == "4" || last == "6" {
		family += last
	}
	addrs, err := p.Resolver().LookupNetIP(ctx, family, host)
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, err
}

func (p *Phone) dial(ctx context.Context, network string, ap netip.AddrPort) (net.Conn, error) {
	full, proto := netstack.FullAddr(ap), netstack.Protocol(ap.Addr())
	switch {
	case strings.HasPrefix(network, "tcp"):
		return gonet.DialContextTCP(ctx, p.stack.Stack, full, proto)
	case strings.HasPrefix(network, "udp"):
		return p.dialUDP(full, proto)
	}
	return nil, net.UnknownNetworkError(network)
}

// dialUDP makes a connected UDP socket whose Read ends with "connection
// refused" when the gateway answers port unreachable, as on a real phone.
func (p *Phone) dialUDP(to tcpip.FullAddress, proto tcpip.NetworkProtocolNumber) (net.Conn, error) {
	queue := new(waiter.Queue)
	ep, err := p.stack.NewEndpoint(header.UDPProtocolNumber, proto, queue)
	if err != nil {
		return nil, errors.New(err.String())
	}
	// gonet wakes a reader for data only; an ICMP error must wake it too, from
	// another goroutine, as the queue is locked while it tells us.
	wake := waiter.NewFunctionEntry(waiter.EventErr, func(waiter.EventMask) {
		go queue.Notify(waiter.ReadableEvents)
	})
	queue.EventRegister(&wake)
	if err := ep.Connect(to); err != nil {
		ep.Close()
		return nil, errors.New(err.String())
	}
	return gonet.NewUDPConn(queue, ep), nil
}

// ListenPacket opens a UDP socket on the phone that may write to any address;
// network is udp4 or udp6.
func (p *Phone) ListenPacket(network string) (net.PacketConn, error) {
	for _, a := range p.cfg.Addrs {
		if a.Is4() != (network == "udp4") {
			continue
		}
		local := netstack.FullAddr(netip.AddrPortFrom(a, 0))
		c, err := gonet.DialUDP(p.stack.Stack, &local, nil, netstack.Protocol(a))
		if err != nil {
			return nil, fmt.Errorf("phone: listen: %w", err)
		}
		return c, nil
	}
	return nil, fmt.Errorf("phone: listen: no address for %s", network)
}

// Resolver asks the DNS servers of the phone's config, through the tunnel.
func (p *Phone) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		if len(p.cfg.DNS) == 0 {
			return nil, errors.New("the config names no DNS server")
		}
		return p.dial(ctx, network, netip.AddrPortFrom(p.cfg.DNS[0], 53))
	}}
}

// Exchange sends one wire-format DNS query to server over udp or tcp and gives
// the wire-format answer; for udp only an answer with the same id counts.
func (p *Phone) Exchange(ctx context.Context, network string, server netip.AddrPort, query []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	c, err := p.dial(ctx, network, server)
	if err != nil {
		return nil, fmt.Errorf("phone: dns %s %v: %w", network, server, err)
	}
	defer c.Close()
	if d, ok := ctx.Deadline(); ok {
		c.SetDeadline(d)
	}
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	answer, err := exchange(c, strings.HasPrefix(network, "tcp"), query)
	if err != nil {
		return nil, fmt.Errorf("phone: dns %s %v: %w", network, server, err)
	}
	return answer, nil
}

func exchange(c net.Conn, stream bool, query []byte) ([]byte, error) {
	if stream { // RFC 1035 §4.2.2
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
			return nil, err
		}
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return nil, err
		}
		answer := make([]byte, binary.BigEndian.Uint16(size[:]))
		_, err := io.ReadFull(c, answer)
		return answer, err
	}
	if _, err := c.Write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, 1<<16)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return nil, err
		}
		if n >= 2 && len(query) >= 2 && buf[0] == query[0] && buf[1] == query[1] {
			return buf[:n:n], nil
		}
	}
}

// HTTPClient is a client whose connections go through the tunnel; conf may be
// nil. Its idle connections end with the phone.
func (p *Phone) HTTPClient(conf *tls.Config) *http.Client {
	t := &http.Transport{DialContext: p.DialContext, TLSClientConfig: conf, ForceAttemptHTTP2: true}
	p.mu.Lock()
	p.closes = append(p.closes, t.CloseIdleConnections)
	p.mu.Unlock()
	return &http.Client{Transport: t, Timeout: time.Minute}
}
