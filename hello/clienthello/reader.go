package clienthello

import "encoding/binary"

// reader walks length-prefixed bytes. Reading past the end breaks it for
// good: everything after gives zeros, and broken says so. A broken reader is
// nil, an ended one is empty but not nil, so it is one slice and no allocation.
type reader []byte

func (r *reader) broken() bool { return *r == nil }
func (r *reader) ended() bool  { return len(*r) == 0 }

// bytes takes the next n bytes, or breaks the reader.
func (r *reader) bytes(n int) reader {
	if len(*r) < n || *r == nil {
		*r = nil
		return nil
	}
	out := (*r)[:n:n]
	*r = (*r)[n:]
	return out
}

func (r *reader) u8() uint8 {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// vec8 takes a vector with a length of one byte (RFC 8446 §3.4).
func (r *reader) vec8() reader { n := int(r.u8()); return r.bytes(n) }

// vec16 takes a vector with a length of two bytes.
func (r *reader) vec16() reader { n := int(r.u16()); return r.bytes(n) }

// u16s reads the rest as two-byte numbers; a last odd byte is left.
func (r reader) u16s() []uint16 {
	if len(r) < 2 {
		return nil
	}
	out := make([]uint16, 0, len(r)/2)
	for len(r) >= 2 {
		out = append(out, r.u16())
	}
	return out
}
