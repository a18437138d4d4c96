package sinkhole

import (
	"bytes"
	"errors"
	"net/netip"
	"sync"
	"time"

	"nightlatch/hello/clienthello"
	"nightlatch/hello/quicinitial"
	"nightlatch/journal"
	"nightlatch/policy"
)

const (
	// datagramRate is how many datagrams of one device are looked at in a
	// second: reading a QUIC packet takes some microseconds.
	datagramRate = 1000

	// maxDatagrams is how many wait to be decoded; each is below 64 KiB and of
	// most only a part is kept.
	maxDatagrams = 256

	// maxDatagram is how much of a datagram is kept: whole, up to the largest
	// that fits an Ethernet frame, and the beginning of what was fragmented.
	maxDatagram = 1500

	// maxAttempts bounds the QUIC connections whose ClientHello is still
	// arriving; attemptLife is how long its parts may take: they are sent at
	// once, and again after a second at most (RFC 9002 §6.2.2).
	maxAttempts = 128
	attemptLife = 10 * time.Second
)

// Outcomes of a QUIC connection, which is never opened: clients fall back to
// TCP, where they can be answered.
const (
	OutcomeQUIC        = "QUIC refused; the client falls back to TCP"
	OutcomeQUICVersion = "QUIC of a version that is not read, refused"
)

// datagram is one that waits to be recorded.
type datagram struct {
	at      journal.Capture
	payload []byte
}

// attempts joins the ClientHellos of QUIC connections. It is safe for
// concurrent use.
type attempts struct {
	mu    sync.Mutex
	table map[attempt]*arriving
}

// attempt is a connection that is being opened: its client, the sunk address
// and the connection ID it chose.
type attempt struct {
	device   [32]byte
	src, dst netip.AddrPort
	id       string
}

type arriving struct {
	hello quicinitial.Assembly
	since time.Time
	bytes int64
}

// ServePacket takes one datagram of a device to a sunk address. It never waits
// and keeps nothing of payload. What begins a QUIC connection is recorded with
// the name it asks for, and answer then is the datagram with which a server
// refuses it; anything else is recorded as bytes and gets no answer. It is not
// taken, and best answered with port unreachable, when it is of a version of
// QUIC that is not read, or when the device sends more than is looked at. It
// fits tunnel.Handlers.SinkPacket.
func (s *Sinkhole) ServePacket(f policy.Flow, payload []byte) (answer []byte, taken bool) {
	defer s.caught("datagram", f.Name)
	if !s.packets.allow(f.Device.Name, s.now()) {
		s.counts.limited.Add(1)
		return nil, false
	}
	if f.Name == "" {
		f.Name, f.Exact = s.pool.Name(f.Dst.Addr())
	}
	at := journal.Capture{Time: s.now(), Device: f.Device.Name, Name: f.Name, Dst: f.Dst, Scheme: "udp", Size: int64(len(payload))}
	p, _, err := quicinitial.Open(payload)
	switch {
	case err == nil:
		return s.quic(f, at, p), true
	case errors.Is(err, quicinitial.ErrVersion) && len(payload) >= quicinitial.MinDatagram:
		at.Scheme, at.TLS = "quic", &journal.TLS{Outcome: OutcomeQUICVersion}
		s.enqueue(at, payload)
		return nil, false
	}
	s.enqueue(at, payload)
	return nil, true
}

// quic takes in an Initial packet. There is no answer while more of the
// ClientHello may be on its way; a packet that brings nothing new says that
// the client is waiting for one.
func (s *Sinkhole) quic(f policy.Flow, at journal.Capture, p quicinitial.Packet) []byte {
	hello, size, whole := s.attempts.add(attempt{f.Device.Key, f.Src, f.Dst, string(p.DCID)}, p, at.Size, s.now())
	if hello == nil {
		return nil
	}
	info := journal.TLS{Outcome: OutcomeQUIC}
	at.Scheme, at.TLS, at.Size = "quic", &info, size
	if h, err := clienthello.Parse(hello); whole && err == nil {
		info.SNI, info.ALPN, info.Version, info.JA4 = h.SNI, h.ALPN, clienthello.VersionName(h.Best()), h.JA4QUIC()
	}
	s.enqueue(at, hello)
	return quicinitial.Refuse(p)
}

// add joins one packet. hello is nil while more may come; it is whatever has
// come once the client repeats itself or breaks the rules.
func (a *attempts) add(key attempt, p quicinitial.Packet, size int64, now time.Time) (hello []byte, bytes int64, whole bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.table[key]
	if e == nil {
		a.makeRoom(now)
		e = &arriving{since: now}
		a.table[key] = e
	}
	e.bytes += size
	fresh, err := e.hello.Add(p.Frames)
	if hello, whole = e.hello.Hello(); whole || !fresh || err != nil {
		delete(a.table, key)
		if hello == nil {
			hello = []byte{} // refused all the same
		}
		return hello, e.bytes, whole
	}
	return nil, 0, false
}

// makeRoom forgets what has been arriving for too long, or else any one.
func (a *attempts) makeRoom(now time.Time) {
	if a.table == nil {
		a.table = map[attempt]*arriving{}
	}
	if len(a.table) < maxAttempts {
		return
	}
	for k, e := range a.table {
		if age := now.Sub(e.since); age > attemptLife || age < 0 {
			delete(a.table, k)
		}
	}
	for k := range a.table {
		if len(a.table) < maxAttempts {
			return
		}
		delete(a.table, k)
	}
}

// enqueue leaves a datagram to Run. What does not fit is counted.
func (s *Sinkhole) enqueue(at journal.Capture, payload []byte) {
	select {
	case s.datagrams <- datagram{at, bytes.Clone(payload[:min(len(payload), maxDatagram)])}:
	default:
		s.counts.limited.Add(1)
	}
}
