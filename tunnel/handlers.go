// Package tunnel is the rootless data path: a WireGuard endpoint on a
// user-space network stack. It authenticates every packet to a device, asks
// the policy about every flow, answers or forwards it through host sockets,
// and knows nothing of what stands behind its [Handlers].
package tunnel

import (
	"context"
	"io"
	"net"
	"net/netip"

	"nightlatch/policy"
)

// Handlers are the doors out of the tunnel. All must be safe for concurrent
// use; a nil door closes what would go through it.
type Handlers struct {
	// DNS answers one wire-format query that a device sent to port 53 of any
	// address. network is udp or tcp. A nil answer means silence.
	DNS func(ctx context.Context, f policy.Flow, network string, wire []byte) []byte

	// DNSNow answers a datagram's query if that takes no waiting; ok is false
	// for all others, which go to DNS. It runs on WireGuard's receive goroutine
	// and must keep nothing of wire. Nil leaves all to DNS.
	DNSNow func(f policy.Flow, wire []byte) (answer []byte, ok bool)

	// NameOf tells by which name a device reached an address; exact means the
	// address belongs to that name alone. Empty when it never asked.
	NameOf func(d policy.Device, addr netip.Addr) (name string, exact bool)

	// Sink takes over a TCP flow whose verdict is Sink and returns when it ends.
	Sink func(ctx context.Context, f policy.Flow, c net.Conn)

	// SinkPacket takes one datagram of a UDP flow whose verdict is Sink, and may
	// give one to send back; what is not taken is refused with an unreachable.
	// It runs on WireGuard's receive goroutine: it must not wait, and must keep
	// nothing of payload. Nil refuses all.
	SinkPacket func(f policy.Flow, payload []byte) (answer []byte, taken bool)

	// Observe reads along with a TCP flow whose verdict is Observe: it is given
	// what the device sends, after that was forwarded, and closed at the end.
	// Its writes must not wait, and their errors mean nothing. Nil: nobody does.
	Observe func(ctx context.Context, f policy.Flow) io.WriteCloser

	// Dial opens a TCP connection to an address the guard has passed. Nil means
	// a host socket that is guarded once more at the moment of the dial.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// ListenPacket opens the host socket of a UDP mapping: network is udp4 or
	// udp6. Nil means an ordinary host socket. Tests put a small internet here.
	ListenPacket func(ctx context.Context, network string) (net.PacketConn, error)
}
