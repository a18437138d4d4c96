package bind

import (
	"errors"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.zx2c4.com/wireguard/conn"
)

const (
	maxDatagram = 1<<16 - 1
	// packetsPerSlot guesses how many packets the kernel joins into one datagram,
	// so that a read fills a batch with few 64 KiB buffers.
	packetsPerSlot = 16
)

// inbox reads one socket for the device's receive goroutine; it has one owner.
type inbox struct {
	s    *socket
	msgs []ipv4.Message // into the device's buffers, or our own when the kernel joins packets
	have int            // messages read
	at   int            // message being split
	off  int            // bytes of it already handed out
	last *endpoint
}

func newInbox(s *socket, batch int) *inbox {
	in := &inbox{s: s}
	slots := batch
	if s.offload.joins {
		slots = max(1, batch/packetsPerSlot)
	}
	if !batches() {
		slots = 1
	}
	in.msgs = make([]ipv4.Message, slots)
	for i := range in.msgs {
		in.msgs[i].Buffers = make([][]byte, 1)
		in.msgs[i].OOB = make([]byte, oobSize)
		if s.offload.joins {
			in.msgs[i].Buffers[0] = make([]byte, maxDatagram)
		}
	}
	return in
}

// receive is a [conn.ReceiveFunc].
func (in *inbox) receive(bufs [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
	if !in.s.offload.joins {
		return in.receivePlain(bufs, sizes, eps)
	}
	for {
		if n := in.split(bufs, sizes, eps); n > 0 {
			return n, nil
		}
		if err := in.read(in.msgs); err != nil {
			return 0, err
		}
	}
}

func (in *inbox) receivePlain(bufs [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
	msgs := in.msgs[:min(len(bufs), len(in.msgs))]
	for i := range msgs {
		msgs[i].Buffers[0] = bufs[i]
	}
	if err := in.read(msgs); err != nil {
		return 0, err
	}
	for i := range in.have {
		_, src := parseOOB(msgs[i].OOB[:msgs[i].NN])
		sizes[i], eps[i] = msgs[i].N, in.endpoint(&msgs[i], src)
	}
	return in.have, nil
}

func (in *inbox) read(msgs []ipv4.Message) error {
	in.have, in.at, in.off = 0, 0, 0
	n, err := in.s.pc.ReadBatch(msgs, 0)
	if err != nil {
		if errors.Is(err, net.ErrClosed) {
			return net.ErrClosed
		}
		return err
	}
	in.have = n
	return nil
}

// split copies out as many packets as fit; what is left waits for the next call.
func (in *inbox) split(bufs [][]byte, sizes []int, eps []conn.Endpoint) (n int) {
	for in.at < in.have && n < len(bufs) {
		m := &in.msgs[in.at]
		size, src := parseOOB(m.OOB[:m.NN])
		if size <= 0 {
			size = max(m.N, 1)
		}
		ep := in.endpoint(m, src)
		for in.off < m.N && n < len(bufs) {
			end := min(in.off+size, m.N)
			sizes[n] = copy(bufs[n], m.Buffers[0][in.off:end])
			eps[n] = ep
			in.off = end
			n++
		}
		if in.off >= m.N {
			in.at, in.off = in.at+1, 0
		}
	}
	return n
}

// endpoint makes the endpoint of a message, or finds the last one to be it.
func (in *inbox) endpoint(m *ipv4.Message, src netip.Addr) *endpoint {
	ua, ok := m.Addr.(*net.UDPAddr)
	if !ok {
		return &endpoint{sock: in.s}
	}
	ap := ua.AddrPort()
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	if in.last == nil || in.last.dst != ap || in.last.src != src {
		in.last = &endpoint{dst: ap, src: src, sock: in.s}
	}
	return in.last
}
