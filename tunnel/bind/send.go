package bind

import (
	"errors"
	"net"
	"slices"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.zx2c4.com/wireguard/conn"
)

const (
	maxJoined   = 64                 // packets in one segmented datagram, the kernel's limit
	maxJoinedV4 = 1<<16 - 1 - 20 - 8 // bytes of payload it may carry over IPv4; IPv6 allows more
)

// outbox is the scratch space of one Send.
type outbox struct{ msgs []ipv4.Message }

func newOutbox(batch int) *outbox {
	o := &outbox{msgs: make([]ipv4.Message, batch)}
	for i := range o.msgs {
		o.msgs[i].Buffers = make([][]byte, 0, 1)
		o.msgs[i].OOB = make([]byte, 0, oobSize)
	}
	return o
}

// Send implements [conn.Bind].
func (b *Bind) Send(bufs [][]byte, to conn.Endpoint) error {
	ep, ok := to.(*endpoint)
	if !ok {
		return conn.ErrWrongEndpointType
	}
	s := b.socketFor(ep)
	if s == nil {
		return net.ErrClosed
	}
	b.seen.sent(bufs)
	o := b.pool.Get().(*outbox)
	defer b.pool.Put(o)
	addr := net.UDPAddrFromAddrPort(ep.dst)
	for len(bufs) > 0 {
		n := min(len(bufs), b.batch)
		if err := s.send(o, bufs[:n], ep, addr); err != nil {
			return err
		}
		bufs = bufs[n:]
	}
	return nil
}

// socketFor finds the socket a peer came in by, while it is open.
func (b *Bind) socketFor(ep *endpoint) *socket {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ep.sock != nil && slices.Contains(b.open, ep.sock) {
		return ep.sock
	}
	if ep.dst.Addr().Is4() {
		return b.v4
	}
	return b.v6
}

// send tries the kernel's offloads first and falls back to plain packets: a
// network card without checksum offload, a path with a small MTU, or a source
// address that the host has lost must not stop the tunnel. Packets sent twice
// in between are dropped by WireGuard's replay window.
func (s *socket) send(o *outbox, bufs [][]byte, ep *endpoint, addr *net.UDPAddr) error {
	join := s.offload.segments.Load()
	if join || ep.src.IsValid() {
		err := s.write(o.fill(bufs, ep, addr, join))
		if err == nil || errors.Is(err, net.ErrClosed) {
			return err
		}
		if errors.Is(err, syscall.EIO) { // the card cannot do checksums (udp_send_skb)
			s.offload.segments.Store(false)
		}
	}
	return s.write(o.fill(bufs, &endpoint{dst: ep.dst}, addr, false))
}

func (s *socket) write(msgs []ipv4.Message) error {
	for len(msgs) > 0 {
		n, err := s.pc.WriteBatch(msgs, 0)
		if err != nil {
			return err
		}
		msgs = msgs[n:]
	}
	return nil
}

// fill lays the packets out as messages: with join, runs of equal size (the
// last may be shorter) become one message that the kernel cuts again.
func (o *outbox) fill(bufs [][]byte, ep *endpoint, addr *net.UDPAddr, join bool) []ipv4.Message {
	n := 0
	for len(bufs) > 0 {
		k := 1
		if join {
			k = run(bufs)
		}
		m := &o.msgs[n]
		m.Addr = addr
		m.Buffers = append(m.Buffers[:0], bufs[:k]...)
		size := 0
		if k > 1 {
			size = len(bufs[0])
		}
		m.OOB = appendOOB(m.OOB[:0], size, ep.src)
		bufs = bufs[k:]
		n++
	}
	return o.msgs[:n]
}

// run counts the leading packets that can travel as one segmented datagram.
func run(bufs [][]byte) int {
	size, total := len(bufs[0]), len(bufs[0])
	n := 1
	for n < len(bufs) && n < maxJoined {
		l := len(bufs[n])
		if l > size || total+l > maxJoinedV4 {
			break
		}
		total += l
		n++
		if l < size { // a shorter one ends the run
			break
		}
	}
	return n
}
