// Package wire reads and edits DNS messages as bytes. It judges a query
// strictly, without allocation, and finds the fields of a packed answer that
// age. It is pure and never panics, whatever the bytes.
package wire

import "encoding/binary"

// Sizes of RFC 1035 §4.1.1 and §2.3.4, and of RFC 6891 §6.1.2.
const (
	HeaderLen = 12  // octets of a message header
	MaxName   = 255 // octets of a name in wire form, length bytes included
	maxLabel  = 63
	optFixed  = 10 // TYPE, CLASS, TTL and RDLENGTH of a record
)

// Numbers of the registry that the parser itself must know.
const (
	typeOPT     = 41
	typeTKEY    = 249
	typeMAILA   = 254
	classIN     = 1
	flagQR      = 0x80 // third octet
	flagRD      = 0x01
	flagAD      = 0x20 // fourth octet
	flagCD      = 0x10
	opcodeMask  = 0x78
	opcodeQuery = 0
)

// Fault is what is wrong with a query: how it must be answered instead of
// being resolved.
type Fault uint8

const (
	OK      Fault = iota // nothing is wrong
	Silence              // not a query at all: no answer may be given
	FormErr              // RCODE 1: the bytes are no well-formed query
	NotImp               // RCODE 4: an opcode we do not speak
	Refused              // RCODE 5: a class, a transfer or a meta type we do not serve
	BadVers              // extended RCODE 16: an EDNS version above 0 (RFC 6891 §6.1.3)
)

// Query is what a query says. Name aliases the bytes it was parsed from.
type Query struct {
	ID      uint16
	Opcode  uint8
	RD, CD  bool
	Name    []byte // QNAME in wire form, case as sent, the final zero included
	Type    uint16
	Class   uint16
	End     int // offset of the first octet after the question; 0 when no question was read
	EDNS    bool
	Size    int // UDP payload size the client takes: 512 without EDNS (RFC 6891 §6.2.3)
	Version uint8
	DO      bool
	Options []byte // of its OPT record, each whole; aliases the bytes
	AD      bool   // the client wants to hear of authentic data (RFC 6840 §5.7)
}

// Parse reads one query strictly: one question, nothing in the answer and
// authority sections, at most one OPT record and that at the root, options
// that fit, and not an octet more. With a fault other than OK and Silence the
// ID, the opcode and RD are those of the message, and End tells whether the
// question can be repeated.
func Parse(b []byte) (q Query, f Fault) {
	q.Size = 512
	if len(b) < 3 || b[2]&flagQR != 0 {
		return q, Silence // it cannot be told from a response, or is one
	}
	q.ID = binary.BigEndian.Uint16(b)
	q.Opcode = b[2] & opcodeMask >> 3
	q.RD = b[2]&flagRD != 0
	if len(b) < HeaderLen {
		return q, FormErr
	}
	q.AD, q.CD = b[3]&flagAD != 0, b[3]&flagCD != 0
	if q.Opcode != opcodeQuery {
		return q, NotImp
	}
	if count(b, 4) != 1 || count(b, 6) != 0 || count(b, 8) != 0 {
		return q, FormErr
	}
	if !q.question(b) || !q.additional(b) {
		return q, FormErr
	}
	return q, q.judge()
}

func count(b []byte, at int) int { return int(binary.BigEndian.Uint16(b[at:])) }

// question reads an uncompressed QNAME: the first name of a message has
// nothing before it that a pointer could mean.
func (q *Query) question(b []byte) bool {
	p := HeaderLen
	for {
		if p >= len(b) {
			return false
		}
		l := int(b[p])
		p++
		if l == 0 {
			break
		}
		if l > maxLabel || p+l > len(b) || p+l-HeaderLen >= MaxName {
			return false
		}
		p += l
	}
	if p+4 > len(b) {
		return false
	}
	q.Name = b[HeaderLen:p:p]
	q.Type = binary.BigEndian.Uint16(b[p:])
	q.Class = binary.BigEndian.Uint16(b[p+2:])
	q.End = p + 4
	return true
}

// additional reads the additional section; of its records only OPT means
// something to us.
func (q *Query) additional(b []byte) bool {
	p := q.End
	for range count(b, 10) {
		start := p
		p = skipName(b, p)
		if p < 0 || p+optFixed > len(b) {
			return false
		}
		fixed := p
		p += optFixed + count(b, p+8)
		if p > len(b) {
			return false
		}
		if count(b, fixed) == typeOPT && !q.opt(b[start:p], fixed-start) {
			return false
		}
	}
	return p == len(b)
}

// opt reads one OPT record (RFC 6891 §6.1.2); a second one is an error
// (§6.1.1), and so is an owner that is not the root.
func (q *Query) opt(rr []byte, fixed int) bool {
	if q.EDNS || fixed != 1 || rr[0] != 0 {
		return false
	}
	q.EDNS = true
	q.Size = max(512, count(rr, fixed+2)) // §6.2.3: below 512 means 512
	q.Version = rr[fixed+5]
	q.DO = rr[fixed+6]&0x80 != 0
	q.Options = rr[fixed+optFixed:]
	for opts := q.Options; len(opts) > 0; {
		if len(opts) < 4 || 4+count(opts, 2) > len(opts) {
			return false
		}
		opts = opts[4+count(opts, 2):]
	}
	return true
}

func (q *Query) judge() Fault {
	switch {
	case q.Version > 0:
		return BadVers
	case q.Type == 0 || q.Type == typeOPT:
		return FormErr
	case q.Class != classIN:
		return Refused
	case q.Type >= typeTKEY && q.Type <= typeMAILA: // TKEY, TSIG, IXFR, AXFR, MAILB, MAILA
		return Refused
	}
	return OK
}

// skipName gives the offset after the name at p, or -1. Pointers are not
// followed: a pointer ends a name.
func skipName(b []byte, p int) int {
	for n := 0; p < len(b); {
		l := int(b[p])
		switch {
		case l == 0:
			return p + 1
		case l >= 0xc0:
			if p+2 > len(b) {
				return -1
			}
			return p + 2
		case l > maxLabel:
			return -1
		}
		p += 1 + l
		if n += 1 + l; n >= MaxName {
			return -1
		}
	}
	return -1
}
