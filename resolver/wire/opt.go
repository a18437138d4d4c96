package wire

import (
	"encoding/binary"
	"iter"
)

// Options walks the options of an OPT record, code and data. It ends at
// what is no option.
func Options(opts []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(opts) >= 4 && 4+count(opts, 2) <= len(opts) {
			n := 4 + count(opts, 2)
			if !yield(binary.BigEndian.Uint16(opts), opts[4:n:n]) {
				return
			}
			opts = opts[n:]
		}
	}
}

// FindOPT gives the offset of the OPT record of a message that ends with it, as
// our own do; false when there is none, or something behind it.
func FindOPT(msg []byte) (at int, ok bool) {
	if len(msg) < HeaderLen {
		return 0, false
	}
	p := HeaderLen
	for range count(msg, 4) {
		if p = skipName(msg, p); p < 0 || p+4 > len(msg) {
			return 0, false
		}
		p += 4
	}
	for n := count(msg, 6) + count(msg, 8) + count(msg, 10); n > 0; n-- {
		start := p
		if p = skipName(msg, p); p < 0 || p+optFixed > len(msg) {
			return 0, false
		}
		kind := count(msg, p)
		if p += optFixed + count(msg, p+8); p > len(msg) {
			return 0, false
		}
		if kind == typeOPT {
			return start, n == 1 && p == len(msg) && msg[start] == 0
		}
	}
	return 0, false
}
