// Package bind is the UDP side of a WireGuard device: sockets on chosen
// addresses, read and written in batches of a chosen size, with the kernel's
// segmentation offloads where it has them. WireGuard's own bind can do neither:
// it listens on every address and always holds 128 buffers of 64 KiB.
package bind

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.zx2c4.com/wireguard/conn"
)

// MaxBatch is the largest useful batch: what WireGuard's device hands over.
const MaxBatch = conn.IdealBatchSize

// socketBuffer is what the kernel may hold for us in each direction while we
// are busy: 4 MiB is 30 ms at 1 Gbit/s. The kernel's own limit cuts it.
const socketBuffer = 4 << 20

// Bind is a [conn.Bind]. It is safe for concurrent use.
type Bind struct {
	addrs []netip.AddrPort
	batch int
	pool  sync.Pool // *outbox
	seen  arrivals

	mu     sync.Mutex
	held   []*socket // bound by Listen, not yet given to a device
	open   []*socket
	v4, v6 *socket // the first of each family: where a conversation begins
}

// New makes a bind for these addresses (none: every address, any port) with
// batches of 1 to [MaxBatch] packets. It opens nothing yet.
func New(addrs []netip.AddrPort, batch int) *Bind {
	if len(addrs) == 0 {
		addrs = []netip.AddrPort{
			netip.AddrPortFrom(netip.IPv4Unspecified(), 0),
			netip.AddrPortFrom(netip.IPv6Unspecified(), 0),
		}
	}
	b := &Bind{addrs: addrs, batch: max(1, min(batch, MaxBatch))}
	b.pool.New = func() any { return newOutbox(b.batch) }
	return b
}

// BatchSize implements [conn.Bind].
func (b *Bind) BatchSize() int { return b.batch }

// SetMark implements [conn.Bind]; it does nothing, as marks need privileges.
func (b *Bind) SetMark(uint32) error { return nil }

// Listen binds the sockets before any device runs, so that a port in use is
// known at start, and returns the port. The first [Bind.Open] takes them over.
func (b *Bind) Listen() (port uint16, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held, err = b.listen(0); err != nil {
		return 0, err
	}
	return b.held[0].port(), nil
}

// Open implements [conn.Bind]. port is used where the configured one is 0.
func (b *Bind) Open(port uint16) ([]conn.ReceiveFunc, uint16, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.open) > 0 {
		return nil, 0, conn.ErrBindAlreadyOpen
	}
	socks := b.held
	b.held = nil
	if socks == nil {
		var err error
		if socks, err = b.listen(port); err != nil {
			return nil, 0, err
		}
	}
	b.open = socks
	var fns []conn.ReceiveFunc
	for _, s := range socks {
		if s.v6 && b.v6 == nil {
			b.v6 = s
		}
		if !s.v6 && b.v4 == nil {
			b.v4 = s
		}
		fns = append(fns, b.counted(newInbox(s, b.batch).receive))
	}
	return fns, socks[0].port(), nil
}

// Close implements [conn.Bind]. Sockets that no device has taken yet stay.
func (b *Bind) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for _, s := range b.open {
		errs = append(errs, s.conn.Close())
	}
	b.open, b.v4, b.v6 = nil, nil, nil
	return errors.Join(errs...)
}

// Release closes everything, taken or not: for a gateway that never ran.
func (b *Bind) Release() error {
	b.mu.Lock()
	b.open, b.held = append(b.open, b.held...), nil
	b.mu.Unlock()
	return b.Close()
}

// ParseEndpoint implements [conn.Bind].
func (b *Bind) ParseEndpoint(s string) (conn.Endpoint, error) {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return nil, fmt.Errorf("bind: endpoint: %w", err)
	}
	return &endpoint{dst: netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())}, nil
}

// chosenTries bounds the search for a free port that is free in both families.
const chosenTries = 32

// listen opens every address; b.mu is held. A host without IPv6 is normal, so
// a wildcard may fail as long as another succeeds.
func (b *Bind) listen(port uint16) (socks []*socket, err error) {
	for range chosenTries {
		if socks, err = b.listenOnce(port); err == nil || port != 0 || !errors.Is(err, syscall.EADDRINUSE) {
			return socks, err
		}
	}
	return nil, err
}

func (b *Bind) listenOnce(port uint16) (socks []*socket, err error) {
	var missing error
	for _, ap := range b.addrs {
		if ap.Port() != 0 {
			port = ap.Port()
		}
		s, err := listenSocket(netip.AddrPortFrom(ap.Addr(), port))
		switch {
		case err == nil:
			socks, port = append(socks, s), s.port()
		case ap.Addr().IsUnspecified() && noFamily(err):
			missing = err
		default:
			for _, s := range socks {
				s.conn.Close()
			}
			return nil, err
		}
	}
	if len(socks) == 0 {
		return nil, missing
	}
	return socks, nil
}

// noFamily: the host has no such address family.
func noFamily(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) ||
		errors.Is(err, syscall.EPROTONOSUPPORT)
}

// socket is one UDP socket and what the kernel does for it.
type socket struct {
	conn    *net.UDPConn
	pc      batchConn
	v6      bool
	offload offload
}

type batchConn interface {
	ReadBatch([]ipv4.Message, int) (int, error)
	WriteBatch([]ipv4.Message, int) (int, error)
}

func listenSocket(ap netip.AddrPort) (*socket, error) {
	s := &socket{v6: ap.Addr().Is6() && !ap.Addr().Is4In6()}
	network := "udp4"
	if s.v6 {
		network = "udp6"
	}
	var err error
	if s.conn, err = net.ListenUDP(network, net.UDPAddrFromAddrPort(ap)); err != nil {
		return nil, listenError(ap, err)
	}
	s.conn.SetReadBuffer(socketBuffer) // best effort: the kernel cuts it to its own limit
	s.conn.SetWriteBuffer(socketBuffer)
	if s.v6 {
		s.pc = ipv6.NewPacketConn(s.conn)
	} else {
		s.pc = ipv4.NewPacketConn(s.conn)
	}
	s.offload.detect(s.conn, s.v6, ap.Addr().IsUnspecified())
	return s, nil
}

// listenError says what to do about the usual troubles.
func listenError(ap netip.AddrPort, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("udp port %d is in use by another program: stop it or choose another port: %w", ap.Port(), err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("udp port %d may not be opened: choose one above 1023: %w", ap.Port(), err)
	case errors.Is(err, syscall.EADDRNOTAVAIL) && !ap.Addr().IsUnspecified():
		return fmt.Errorf("udp %v: this host has no such address: %w", ap, err)
	}
	return fmt.Errorf("udp %v: %w", ap, err)
}

func (s *socket) port() uint16 { return s.conn.LocalAddr().(*net.UDPAddr).AddrPort().Port() }

// endpoint is where a peer is, and by which of our sockets and addresses it
// reached us: answers must leave from there, or NATs on the way drop them.
// It is immutable, as one is shared by all packets of a batch.
type endpoint struct {
	dst  netip.AddrPort
	src  netip.Addr // invalid: the kernel chooses
	sock *socket    // nil: the first of the family
}

func (e *endpoint) ClearSrc()           {}
func (e *endpoint) SrcToString() string { return e.src.String() }
func (e *endpoint) DstToString() string { return e.dst.String() }
func (e *endpoint) DstIP() netip.Addr   { return e.dst.Addr() }
func (e *endpoint) SrcIP() netip.Addr   { return e.src }

// DstToBytes feeds the cookie of WireGuard's flood protection.
func (e *endpoint) DstToBytes() []byte {
	b, _ := e.dst.MarshalBinary()
	return b
}

// batches tells whether this system reads and writes several packets a call.
func batches() bool { return runtime.GOOS == "linux" || runtime.GOOS == "android" }
