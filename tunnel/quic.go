package tunnel

import (
	"time"

	"nightlatch/policy"
	"nightlatch/tunnel/opening"
)

const (
	// maxHeld bounds the datagrams that are kept back until a ClientHello is whole.
	// Clients send its parts at once; when one is lost they send all again, and
	// then nothing is kept back any longer.
	maxHeld = 4

	// initialRate is how many datagrams of one device that begin QUIC connections
	// are read in a second: each takes some microseconds.
	initialRate = 1000
)

// quicOpening is a QUIC connection whose ClientHello is still coming. It belongs
// to the receive goroutine of its device.
type quicOpening struct {
	initials opening.Initials
	held     [][]byte
	passing  bool // nothing is kept back any longer
}

// mayOpen tells at a glance whether a datagram may be an Initial packet
// (RFC 9000 §17.2).
func mayOpen(data []byte) bool { return len(data) >= 7 && data[0]&0xc0 == 0xc0 }

// openQUIC reads one of the first datagrams of a flow and forwards what need not
// wait. It tells whether the datagram is done with, as handleUDP does.
func (t *Tunnel) openQUIC(m *mapping, uf *udpFlow, data []byte, now time.Time) bool {
	if !uf.peer.mayRead(now) {
		t.stats.overLimit.Add(1)
		return true // lost, as on any network; it is sent again
	}
	o := uf.opening
	w, done := o.initials.Add(data)
	if done {
		uf.opening = nil
		if w.Kind != opening.Unknown {
			if v := uf.says(w, now); v.Action.Stops() {
				return t.refuseQUIC(m, uf, o, v)
			}
		}
	}
	o.held = append(o.held, data)
	if !done && !o.passing && len(o.held) < maxHeld && !o.initials.Waiting() {
		return true
	}
	o.passing = true
	held := o.held
	o.held = nil
	for _, d := range held {
		if handled := t.forwardUDP(m, uf, d, now); !handled {
			return false
		}
	}
	return true
}

// refuseQUIC ends a connection as a server does that does not want it, so that
// the client falls back to TCP at once.
func (t *Tunnel) refuseQUIC(m *mapping, uf *udpFlow, o *quicOpening, v policy.Verdict) bool {
	m.take(uf.Dst)
	uf.refused()
	if answer := o.initials.Refuse(); answer != nil && v.Action == policy.Deny {
		t.writeUDP(uf.Dst, uf.Src, answer)
		return true
	}
	return v.Action == policy.Drop
}

// mayRead counts the Initial packets of a second; it belongs to the receive
// goroutine of the device.
func (p *peer) mayRead(now time.Time) bool {
	if second := now.Unix(); p.initialSecond != second {
		p.initialSecond, p.initials = second, 0
	}
	p.initials++
	return p.initials <= initialRate
}
