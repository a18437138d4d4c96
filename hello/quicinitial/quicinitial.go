// Package quicinitial reads the first packets of a QUIC connection: the Initial
// packets in which a client sends its TLS ClientHello, encrypted with keys that
// anyone on the path can derive (RFC 9001 §5.2). It speaks versions 1 (RFC 9000)
// and 2 (RFC 9369), and can say "connection refused" in a client's own terms. It
// is pure, reads hostile bytes, and holds no more than a ClientHello may have.
package quicinitial

import (
	"encoding/binary"
	"errors"
)

// Versions of QUIC that are read.
const (
	Version1 uint32 = 0x00000001 // RFC 9000
	Version2 uint32 = 0x6b3343cf // RFC 9369
)

// MinDatagram is the size to which a client pads what carries its first
// Initial packets (RFC 9000 §14.1).
const MinDatagram = 1200

// maxID is the longest connection ID (RFC 9000 §17.2).
const maxID = 20

var (
	// ErrNotInitial: the bytes do not begin a client's Initial packet.
	ErrNotInitial = errors.New("quicinitial: not an Initial packet")

	// ErrVersion: a QUIC packet with a long header, of a version that is not read.
	ErrVersion = errors.New("quicinitial: a version that is not read")

	// ErrMalformed: an Initial packet that breaks its lengths, cannot be
	// decrypted, or holds what an Initial packet must not.
	ErrMalformed = errors.New("quicinitial: malformed")
)

// Packet is one Initial packet of a client, decrypted.
type Packet struct {
	Version uint32
	DCID    []byte // the connection ID the client chose for the server
	SCID    []byte // the client's own
	Number  uint32 // its lowest 32 bits
	Frames  []byte // the payload
}

// header is a long header up to its protected part.
type header struct {
	version    uint32
	dcid, scid []byte
	number     int // where the packet number begins
	end        int // where the packet ends
}

// Open reads the Initial packet at the start of a datagram and decrypts it with
// the keys that follow from the connection ID in it: that holds until the
// server has answered. rest is what stands behind it, which may be another
// packet (RFC 9000 §12.2). With ErrVersion the packet's version and connection
// IDs are given. The datagram is not changed.
func Open(datagram []byte) (p Packet, rest []byte, err error) {
	h, err := parse(datagram)
	p = Packet{Version: h.version, DCID: h.dcid, SCID: h.scid}
	if err != nil {
		return p, nil, err
	}
	k := derive(h.version, h.dcid, false)
	p.Number, p.Frames, err = k.open(datagram[:h.end], h.number)
	if err != nil {
		return p, nil, err
	}
	return p, datagram[h.end:], nil
}

// parse reads the part of the header that is not protected (RFC 9000 §17.2.2).
func parse(b []byte) (h header, err error) {
	const long, fixed = 0x80, 0x40
	if len(b) < 7 || b[0]&(long|fixed) != long|fixed {
		return h, ErrNotInitial
	}
	h.version = binary.BigEndian.Uint32(b[1:])
	r := reader{b: b, at: 5}
	h.dcid = r.bytes(int(r.byte()))
	h.scid = r.bytes(int(r.byte()))
	switch {
	case h.version == 0: // version negotiation: a server's
		return h, ErrNotInitial
	case r.bad || len(h.dcid) > maxID || len(h.scid) > maxID:
		return header{version: h.version}, ErrNotInitial
	case h.version != Version1 && h.version != Version2:
		return h, ErrVersion
	case b[0]>>4&3 != initialType(h.version):
		return h, ErrNotInitial
	}
	r.bytes(int(r.varint())) // token
	length := r.varint()
	h.number = r.at
	if r.bad || length > uint64(len(b)-r.at) {
		return h, ErrMalformed
	}
	h.end = r.at + int(length)
	return h, nil
}

// initialType is the packet type of the version (RFC 9000 §17.2, RFC 9369 §3.2).
func initialType(version uint32) byte {
	if version == Version2 {
		return 1
	}
	return 0
}

// reader walks bytes; reading past the end makes it bad for good.
type reader struct {
	b   []byte
	at  int
	bad bool
}

func (r *reader) bytes(n int) []byte {
	if r.bad || n < 0 || n > len(r.b)-r.at {
		r.bad = true
		return nil
	}
	out := r.b[r.at : r.at+n : r.at+n]
	r.at += n
	return out
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// varint reads a variable-length integer (RFC 9000 §16), below 2^62.
func (r *reader) varint() uint64 {
	first := r.byte()
	rest := r.bytes(1<<(first>>6) - 1)
	v := uint64(first & 0x3f)
	for _, c := range rest {
		v = v<<8 | uint64(c)
	}
	if r.bad {
		return 0
	}
	return v
}

func (r *reader) ended() bool { return r.bad || r.at == len(r.b) }

// appendVarint writes a variable-length integer below 2^30.
func appendVarint(b []byte, v uint32) []byte {
	switch {
	case v < 1<<6:
		return append(b, byte(v))
	case v < 1<<14:
		return binary.BigEndian.AppendUint16(b, uint16(v)|1<<14)
	}
	return binary.BigEndian.AppendUint32(b, v|2<<30)
}
