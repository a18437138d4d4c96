package quicinitial

import (
	"slices"

	"nightlatch/hello/clienthello"
)

// maxPieces bounds the gaps in a ClientHello that is still arriving: clients
// cut it into a dozen pieces to keep middleboxes from relying on its form.
const maxPieces = 64

// Assembly joins the pieces of a ClientHello that came in CRYPTO frames, in any
// order, over any number of packets. The zero value is empty. It is not safe
// for concurrent use.
type Assembly struct {
	data   []byte // of the handshake, up to the furthest byte that came
	pieces []piece
}

// piece is a part of data that has come: from is in it, to is not.
type piece struct{ from, to int }

// Frame types that a client may send in an Initial packet (RFC 9000 §12.4).
const (
	framePadding = 0x00
	framePing    = 0x01
	frameAck     = 0x02
	frameAckECN  = 0x03
	frameCrypto  = 0x06
	frameClose   = 0x1c
)

// Add takes in the frames of one packet. fresh tells whether they brought
// bytes that had not come before. ErrMalformed means that they are not what a
// client may send; what came before is kept.
func (a *Assembly) Add(frames []byte) (fresh bool, err error) {
	r := reader{b: frames}
	for !r.ended() {
		switch kind := r.varint(); kind {
		case framePadding, framePing:
		case frameAck, frameAckECN:
			skipAck(&r, kind)
		case frameCrypto:
			offset, data := r.varint(), r.bytes(int(r.varint()))
			if r.bad || offset > clienthello.MaxMessage || int(offset)+len(data) > clienthello.MaxMessage {
				return fresh, ErrMalformed
			}
			more, err := a.put(int(offset), data)
			if err != nil {
				return fresh, err
			}
			fresh = fresh || more
		case frameClose:
			r.varint()
			r.varint()
			r.bytes(int(r.varint()))
		default:
			return fresh, ErrMalformed
		}
	}
	if r.bad {
		return fresh, ErrMalformed
	}
	return fresh, nil
}

// skipAck passes over an ACK frame (RFC 9000 §19.3).
func skipAck(r *reader, kind uint64) {
	r.varint()
	r.varint()
	ranges := r.varint()
	r.varint()
	for ; ranges > 0 && !r.ended(); ranges-- {
		r.varint()
		r.varint()
	}
	if kind == frameAckECN {
		r.varint()
		r.varint()
		r.varint()
	}
	r.bad = r.bad || ranges > 0
}

// put copies a piece to its place.
func (a *Assembly) put(at int, data []byte) (fresh bool, err error) {
	p := piece{at, at + len(data)}
	if len(data) == 0 || slices.ContainsFunc(a.pieces, func(q piece) bool { return q.from <= p.from && p.to <= q.to }) {
		return false, nil
	}
	if p.to > len(a.data) {
		a.data = append(a.data, make([]byte, p.to-len(a.data))...)
	}
	copy(a.data[at:], data)
	out := a.pieces[:0:0]
	for _, q := range a.pieces {
		if q.to < p.from || p.to < q.from {
			out = append(out, q)
		} else {
			p = piece{min(p.from, q.from), max(p.to, q.to)}
		}
	}
	if out = append(out, p); len(out) > maxPieces {
		return false, ErrMalformed
	}
	a.pieces = out
	return true, nil
}

// Hello is the whole handshake message with its four-byte header, for
// clienthello.Parse; it is false while parts of it are missing.
func (a *Assembly) Hello() ([]byte, bool) {
	for _, p := range a.pieces {
		if p.from != 0 || p.to < 4 {
			continue
		}
		size := 4 + int(a.data[1])<<16 + int(a.data[2])<<8 + int(a.data[3])
		if p.to >= size {
			return a.data[:size], true
		}
	}
	return nil, false
}

// Size is how many bytes are held.
func (a *Assembly) Size() int { return len(a.data) }
