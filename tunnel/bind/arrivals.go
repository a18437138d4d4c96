package bind

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
)

// Arrivals counts what came to the sockets, by kind, since they were opened. It
// is what tells a closed port (nothing arrives) from a wrong key.
type Arrivals struct {
	Packets     int64     // all of them
	Data        int64     // of sessions, also of those that are over
	Initiations int64     // handshakes begun by someone who knows the gateway's public key
	WrongKey    int64     // handshakes meant for another gateway's key (mac1 does not fit)
	Garbage     int64     // not WireGuard at all
	Answered    int64     // handshakes that were answered: of a known device, with a clock that goes on
	Last        time.Time // when the last packet came; zero: never
}

// Kinds and sizes of WireGuard's messages (whitepaper §5.4).
const (
	initiation, initiationSize = 1, 148
	response, responseSize     = 2, 92
	cookie, cookieSize         = 3, 64
	transport, transportLeast  = 4, 32
)

// arrivals is the counting side; safe for concurrent use. Before know nothing
// is a wrong key.
type arrivals struct {
	packets, data, initiations, wrongKey, garbage, answered, last atomic.Int64

	checker atomic.Pointer[device.CookieChecker]
}

// Know tells the gateway's public key, so that handshakes meant for another one
// can be counted apart.
func (b *Bind) Know(public [32]byte) {
	c := new(device.CookieChecker)
	c.Init(public)
	b.seen.checker.Store(c)
}

// Arrivals tells what has come so far.
func (b *Bind) Arrivals() Arrivals {
	s := &b.seen
	a := Arrivals{Packets: s.packets.Load(), Data: s.data.Load(), Initiations: s.initiations.Load(),
		WrongKey: s.wrongKey.Load(), Garbage: s.garbage.Load(), Answered: s.answered.Load()}
	if at := s.last.Load(); at != 0 {
		a.Last = time.Unix(0, at)
	}
	return a
}

// count looks at a batch that came. Almost all of it is data, which costs one
// comparison a packet.
func (s *arrivals) count(bufs [][]byte, sizes []int) {
	data := int64(0)
	for i, size := range sizes {
		b := bufs[i][:size]
		switch kind := kindOf(b); {
		case kind == transport && size >= transportLeast:
			data++
		case kind == initiation && size == initiationSize:
			s.begun(b)
		case kind == response && size == responseSize, kind == cookie && size == cookieSize:
		default:
			s.garbage.Add(1)
		}
	}
	s.packets.Add(int64(len(sizes)))
	s.data.Add(data)
	s.last.Store(time.Now().UnixNano())
}

func (s *arrivals) begun(b []byte) {
	if c := s.checker.Load(); c != nil && !c.CheckMAC1(b) {
		s.wrongKey.Add(1)
		return
	}
	s.initiations.Add(1)
}

// sent looks for answers to handshakes in what leaves; they leave alone.
func (s *arrivals) sent(bufs [][]byte) {
	if len(bufs) > 0 && len(bufs[0]) == responseSize && kindOf(bufs[0]) == response {
		s.answered.Add(1)
	}
}

// kindOf gives the kind of a message; 0 when it is none.
func kindOf(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

// counted is receive with the packets counted.
func (b *Bind) counted(receive conn.ReceiveFunc) conn.ReceiveFunc {
	return func(bufs [][]byte, sizes []int, eps []conn.Endpoint) (int, error) {
		n, err := receive(bufs, sizes, eps)
		if n > 0 {
			b.seen.count(bufs[:n], sizes[:n])
		}
		return n, err
	}
}
