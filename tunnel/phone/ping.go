package phone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/waiter"

	"nightlatch/tunnel/netstack"
)

const pingTimeout = 5 * time.Second

// Ping sends one echo request to addr and waits for its reply, at most 5 s or
// until ctx ends.
func (p *Phone) Ping(ctx context.Context, addr netip.Addr) (time.Duration, error) {
	took, err := p.ping(ctx, addr)
	if err != nil {
		return 0, fmt.Errorf("phone: ping %v: %w", addr, err)
	}
	return took, nil
}

func (p *Phone) ping(ctx context.Context, addr netip.Addr) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	proto := header.ICMPv4ProtocolNumber
	if addr.Is6() {
		proto = header.ICMPv6ProtocolNumber
	}
	var queue waiter.Queue
	ep, err := p.stack.NewEndpoint(proto, netstack.Protocol(addr), &queue)
	if err != nil {
		return 0, errors.New(err.String())
	}
	defer ep.Close()
	if err := ep.Connect(netstack.FullAddr(netip.AddrPortFrom(addr, 0))); err != nil {
		return 0, errors.New(err.String())
	}
	entry, ready := waiter.NewChannelEntry(waiter.ReadableEvents | waiter.EventErr)
	queue.EventRegister(&entry)
	defer queue.EventUnregister(&entry)
	began := time.Now()
	if _, err := ep.Write(bytes.NewReader(echoRequest(addr.Is6())), tcpip.WriteOptions{}); err != nil {
		return 0, errors.New(err.String())
	}
	for {
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("no reply within %v", time.Since(began).Round(10*time.Millisecond))
		case <-ready:
			var reply bytes.Buffer
			_, err := ep.Read(&reply, tcpip.ReadOptions{})
			if _, again := err.(*tcpip.ErrWouldBlock); again {
				continue
			}
			if err != nil {
				return 0, errors.New(err.String())
			}
			return time.Since(began), nil
		}
	}
}

// echoRequest is an ICMP echo request; the stack fills in identifier and checksum.
func echoRequest(v6 bool) []byte {
	b := append([]byte{byte(header.ICMPv4Echo), 0, 0, 0, 0, 0, 0, 1}, "nightlatch"...)
	if v6 {
		b[0] = byte(header.ICMPv6EchoRequest)
	}
	return b
}
