package codec

import "unicode/utf8"

// Printable reports that p is valid UTF-8 without control characters other
// than white space: the whole of it reads as text.
func Printable(p []byte) bool {
	for i := 0; i < len(p); {
		c := p[i]
		if c < utf8.RuneSelf {
			if c < 0x20 && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && n == 1 || r >= 0x80 && r < 0xa0 || r >= 0xe000 && r <= 0xf8ff || r >= 0xf0000 {
			return false
		}
		i += n
	}
	return true
}

// Texty reports that p may be shown as text although a few control characters
// or a cut rune spoil it: at least 90 in 100 bytes are printable ASCII or part
// of valid UTF-8.
func Texty(p []byte) bool {
	bad := 0
	for i := 0; i < len(p); {
		c := p[i]
		if c < utf8.RuneSelf {
			if c < 0x20 && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
				bad++
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && n == 1 {
			bad++
		}
		i += n
	}
	return bad*10 <= len(p)
}

// HighEntropy reports that the bytes of p are spread as evenly as those of a
// cipher or a random source: the chi-square statistic against the uniform
// spread stays within six deviations. It says nothing below 48 bytes.
func HighEntropy(p []byte) bool {
	if len(p) < 48 {
		return false
	}
	var count [256]int
	for _, c := range p {
		count[c]++
	}
	want := float64(len(p)) / 256
	var chi float64
	for _, n := range count {
		d := float64(n) - want
		chi += d * d / want
	}
	return chi < 255+6*22.6
}

// RepeatedBlocks gives how many of the 16-byte blocks of p are copies of an
// earlier block, in percent. A block cipher in ECB mode shows there.
func RepeatedBlocks(p []byte) int {
	n := len(p) / 16
	if n < 4 || len(p)%16 != 0 {
		return 0
	}
	seen := make(map[[16]byte]bool, n)
	again := 0
	for i := range n {
		var b [16]byte
		copy(b[:], p[i*16:])
		if seen[b] {
			again++
		}
		seen[b] = true
	}
	return again * 100 / n
}
