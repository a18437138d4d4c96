package host

import (
	"context"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// ICMP's protocol numbers, by which messages are parsed.
const protoICMP, protoICMPv6 = 1, 58

// Ping asks dst through an unprivileged ICMP socket and waits for the reply, at
// most limit or until ctx ends. The identifier is the kernel's. The error is
// os.ErrPermission where the kernel allows no such socket
// (net.ipv4.ping_group_range).
func Ping(ctx context.Context, dst netip.Addr, seq int, data []byte, limit time.Duration) error {
	network, local, proto := "udp4", "0.0.0.0", protoICMP
	var request, reply icmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	if dst.Is6() {
		network, local, proto = "udp6", "::", protoICMPv6
		request, reply = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	c, err := icmp.ListenPacket(network, local)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	c.SetDeadline(time.Now().Add(limit))
	wire, err := (&icmp.Message{Type: request, Body: &icmp.Echo{Seq: seq, Data: data}}).Marshal(nil)
	if err != nil {
		return err
	}
	if _, err := c.WriteTo(wire, &net.UDPAddr{IP: dst.AsSlice()}); err != nil {
		return err
	}
	buf := make([]byte, len(wire)+256)
	for {
		n, _, err := c.ReadFrom(buf)
		if err != nil {
			return err
		}
		m, err := icmp.ParseMessage(proto, buf[:n])
		if err != nil || m.Type != reply {
			continue
		}
		if r, ok := m.Body.(*icmp.Echo); ok && r.Seq == seq {
			return nil
		}
	}
}
