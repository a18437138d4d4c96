package opening

import (
	"nightlatch/hello/clienthello"
	"nightlatch/hello/quicinitial"
)

// maxInitials bounds the Initial packets in which a ClientHello is looked for:
// post-quantum ones take two, and each may be sent again.
const maxInitials = 16

// Initials reads the datagrams with which a client opens a QUIC connection,
// until its ClientHello is whole. The zero value is ready.
type Initials struct {
	hello   quicinitial.Assembly
	last    quicinitial.Packet
	packets int
	waiting bool
}

// Add takes in the next datagram and keeps nothing of it. done: what there is to
// know is known, and Add must not be called again; words of kind [Unknown] mean
// that it is not QUIC, or of a version that is not read.
func (q *Initials) Add(datagram []byte) (w Words, done bool) {
	for first := true; len(datagram) > 0; first = false {
		p, rest, err := quicinitial.Open(datagram)
		if err != nil {
			return Words{}, first // what stands behind an Initial packet may be of another kind
		}
		fresh, err := q.hello.Add(p.Frames)
		if err != nil {
			return Words{Kind: Unreadable}, true
		}
		q.last, q.waiting, datagram = p, !fresh, rest
		q.last.DCID, q.last.SCID = append([]byte(nil), p.DCID...), append([]byte(nil), p.SCID...)
		if msg, whole := q.hello.Hello(); whole {
			h, err := clienthello.Parse(msg)
			if err != nil {
				return Words{Kind: Unreadable}, true
			}
			return Words{Kind: QUIC, Name: Name(h.SNI), ECH: h.ECH}, true
		}
		if q.packets++; q.packets > maxInitials {
			return Words{Kind: Unreadable}, true
		}
	}
	return Words{}, false
}

// Waiting tells whether the last packet brought nothing new: the client waits
// for an answer to what it has sent.
func (q *Initials) Waiting() bool { return q.waiting }

// Refuse makes the datagram with which a server refuses the connection; nil when
// no packet was read.
func (q *Initials) Refuse() []byte { return quicinitial.Refuse(q.last) }
