package codec

import (
	"strings"
	"unicode/utf16"
)

const (
	lzBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
	lzURI    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-$"
)

// LZString inflates what lz-string's compressToBase64 or
// compressToEncodedURIComponent made of a text: LZW over UTF-16 units, six
// bits a character. At most limit units come out.
func LZString(s []byte, limit int) ([]byte, bool) {
	alphabet := lzBase64
	if strings.ContainsAny(string(s), "-$") {
		alphabet = lzURI
	}
	var table [256]byte
	for i := range len(alphabet) {
		table[alphabet[i]] = byte(i) + 1
	}
	bits := make([]byte, 0, len(s))
	for _, c := range s {
		if c == ' ' {
			c = '+'
		}
		if table[c] == 0 {
			return nil, false
		}
		bits = append(bits, table[c]-1)
	}
	r := lzReader{in: bits}
	out, ok := r.run(limit)
	if !ok {
		return nil, false
	}
	return []byte(string(utf16.Decode(out))), true
}

// lzReader takes bits off six-bit characters, the highest first, and builds
// numbers of them, the lowest first.
type lzReader struct {
	in  []byte
	pos int
	out bool // the input has run out
}

func (r *lzReader) bits(n int) int {
	v := 0
	for i := range n {
		if r.pos/6 >= len(r.in) {
			r.out = true
			return 0
		}
		v |= int(r.in[r.pos/6]>>(5-r.pos%6)&1) << i
		r.pos++
	}
	return v
}

// maxWidth bounds the width of a code: no dictionary grows further than its
// input feeds it.
const maxWidth = 20

// run is the LZW loop of lz-string: codes 0 and 1 bring a new character of 8
// or 16 bits, code 2 ends the text, the others are entries of the dictionary.
func (r *lzReader) run(limit int) ([]uint16, bool) {
	dict := make([][]uint16, 3, 256)
	first, ok := r.char(r.bits(2))
	if !ok {
		return nil, false
	}
	dict = append(dict, first)
	last, out := first, append([]uint16(nil), first...)
	left, width := 4, 3
	for !r.out && len(out) < limit && width <= maxWidth {
		code := r.bits(width)
		if code == 2 {
			return out, true
		}
		if code < 2 {
			c, ok := r.char(code)
			if !ok {
				return nil, false
			}
			dict = append(dict, c)
			code = len(dict) - 1
			if left--; left == 0 {
				left, width = 1<<width, width+1
			}
		}
		entry, ok := lzEntry(dict, code, last)
		if !ok || len(out)+len(entry) > limit {
			return nil, false
		}
		out = append(out, entry...)
		dict = append(dict, append(last[:len(last):len(last)], entry[0]))
		last = entry
		if left--; left == 0 {
			left, width = 1<<width, width+1
		}
	}
	return nil, false
}

// char reads a new character: code 0 has 8 bits, code 1 has 16.
func (r *lzReader) char(code int) ([]uint16, bool) {
	switch code {
	case 0:
		return []uint16{uint16(r.bits(8))}, !r.out
	case 1:
		return []uint16{uint16(r.bits(16))}, !r.out
	}
	return nil, false
}

// lzEntry looks a code up; the one about to be made is the last text and its
// own first character.
func lzEntry(dict [][]uint16, code int, last []uint16) ([]uint16, bool) {
	switch {
	case code < len(dict) && dict[code] != nil:
		return dict[code], true
	case code == len(dict):
		return append(last[:len(last):len(last)], last[0]), true
	}
	return nil, false
}
