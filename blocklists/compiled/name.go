package compiled

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// MaxName is how long a key may be, in bytes: a name of 255 octets on the wire
// (RFC 1035 §2.3.4) in text, without its final dot.
const MaxName = 253

// Name is a name to be looked for, with its dots found. It lives on the stack of
// whoever asks.
type Name struct {
	text string
	dots [4]uint64 // a bit for every byte that is a dot
}

const (
	everyByte = 0x0101_0101_0101_0101
	topBits   = 0x80 * everyByte
)

// NewName takes a name; one final dot is fine. It is false for a name that has
// upper-case letters, is not ASCII, empty or too long: see [Lower]. Eight bytes are
// done at a time, where they lie.
func NewName(name string) (q Name, ok bool) {
	if len(name) > 0 && name[len(name)-1] == '.' {
		name = name[:len(name)-1]
	}
	if len(name) == 0 || len(name) > MaxName {
		return q, false
	}
	q.text = name
	var bad uint64
	for i := 0; i < len(name); i += 8 {
		w := q.word(i)
		// For bytes below 0x80 no sum carries into the next byte.
		upper := (w + (0x80-'A')*everyByte) ^ (w + (0x7f-'Z')*everyByte)
		bad |= w | upper
		dot := ^((w ^ '.'*everyByte) + 0x7f*everyByte) & topBits
		q.dots[i>>6&3] |= dot >> 7 * 0x0102_0408_1020_4080 >> 56 << (i & 63) // the top bits, side by side
	}
	return q, bad&topBits == 0
}

// word gives the eight bytes from at on; those beyond the end are zero.
func (q *Name) word(at int) uint64 {
	b := unsafe.Slice(unsafe.StringData(q.text), len(q.text)) // only to be read
	if at+8 <= len(b) {
		return binary.LittleEndian.Uint64(b[at:])
	}
	return before(b, at, len(b))
}

// before gives the bytes from start up to end, fewer than eight; the others are
// zero. No byte outside the name is read.
func before(b []byte, start, end int) uint64 {
	if end >= 8 && end <= len(b) {
		return binary.LittleEndian.Uint64(b[end-8:]) >> (8 * uint(8-(end-start))) // all of it when there is none
	}
	var w uint64
	for i := end - 1; i >= start; i-- {
		w = w<<8 | uint64(b[i])
	}
	return w
}

// Lower copies an ASCII name in lower case; it refuses others.
func Lower(dst *[MaxName + 1]byte, name string) (lower string, ok bool) {
	if len(name) > len(dst) {
		return "", false
	}
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		} else if c >= 0x80 {
			return "", false
		}
		dst[i] = c
	}
	return view(dst[:len(name)]), true
}

// raw takes the bytes of a prefix; they must not change as long as it is used.
func raw(key []byte) Name { return Name{text: view(key)} }

// Bytes gives the name, only to be read.
func (q *Name) Bytes() []byte { return unsafe.Slice(unsafe.StringData(q.text), len(q.text)) }

// Secrets of the hash that are not secret: odd numbers with bits evenly spread
// (from the digits of pi and e).
const (
	mulWord = 0x243f_6a88_85a3_08d3
	mulEnd  = 0xb7e1_5162_8aed_2a6b
)

// label adds a label to the hash of what stands to its right, by multiplying to
// 128 bits and folding. So one pass from the end gives the hash of every suffix.
func (q *Name) label(h uint64, start, end int) uint64 {
	b := unsafe.Slice(unsafe.StringData(q.text), len(q.text))
	size := uint64(end - start)
	for ; end-start >= 8; start += 8 {
		hi, lo := bits.Mul64(h^binary.LittleEndian.Uint64(b[start:]), mulWord)
		h = hi ^ lo
	}
	hi, lo := bits.Mul64(h^before(b, start, end), mulEnd^size<<32^size)
	return hi ^ lo
}

// whole gives the hash of the name alone.
func (q *Name) whole(seed uint64) uint64 {
	w := Walk{h: seed, end: len(q.text), dots: q.dots, word: (len(q.text) - 1) >> 6}
	for w.fill(q) {
	}
	return w.h
}

// batch is how many suffixes are looked at together: more than nearly every name
// has, so that the memory of all of them is asked for before any is waited for.
const batch = 8

// Walk goes through the suffixes of a name, from the last label to the whole.
type Walk struct {
	Find Find // of the suffix at hand

	start [batch]int
	hash  [batch]uint64
	marks [batch]uint64
	n     int // how many of these are in use
	at    int // the next one

	h    uint64
	end  int // where the next label ends; -1 when the name is done
	dots [4]uint64
	word int // the word of dots at which the search goes on
}

// Suffix gives the suffix at hand.
func (w *Walk) Suffix(q *Name) []byte { return q.Bytes()[w.start[(w.at-1)&(batch-1)]:] }

// fill hashes the next suffixes; false when there are none left.
func (w *Walk) fill(q *Name) bool {
	if w.end < 0 {
		return false
	}
	w.at = 0
	n := 0
	for ; n < batch && w.end >= 0; n++ {
		for w.word > 0 && w.dots[w.word&3] == 0 {
			w.word--
		}
		start, end := 0, w.end
		if d := w.dots[w.word&3]; d != 0 {
			bit := bits.Len64(d) - 1
			w.dots[w.word&3] = d &^ (1 << bit)
			start = w.word<<6 + bit + 1
		}
		w.end = start - 1 // of the label to the left; -1 when there is none
		w.h = q.label(w.h, start, end)
		w.start[n], w.hash[n] = start, w.h
	}
	w.n = n
	return true
}
