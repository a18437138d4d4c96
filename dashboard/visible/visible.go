// Package visible makes text safe to look at: what could deceive an eye or a
// terminal becomes letters that everyone can see.
package visible

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// maxMarks is how many combining marks may stand on one letter: enough for
// Vietnamese, too few to paint over the lines above.
const maxMarks = 2

// Text makes visible what could deceive the eye: control characters,
// bidirectional overrides, invisible letters, heaps of marks and broken UTF-8
// become text like \u202e. It is the last step of every page, so that no
// template and no value can forget it. Line feeds and tabs stay.
func Text(b []byte) []byte {
	if plain(b) {
		return b
	}
	out := make([]byte, 0, len(b)+len(b)/8)
	marks := 0
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if unicode.Is(unicode.M, r) {
			marks++
		} else {
			marks = 0
		}
		switch {
		case r == utf8.RuneError && n == 1:
			out = fmt.Appendf(out, `\x%02x`, b[0])
		case r == '\n' || r == '\t', Honest(r) && marks <= maxMarks:
			out = append(out, b[:n]...)
		default:
			out = escaped(out, r)
		}
		b = b[n:]
	}
	return out
}

func plain(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf || c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// Honest tells whether a letter shows itself. A few that Unicode counts as
// letters are blank.
func Honest(r rune) bool {
	switch r {
	case 0x115f, 0x1160, 0x2800, 0x3164, 0xffa0:
		return false
	}
	return unicode.IsPrint(r)
}

// escaped appends r as JSON spells it: \u202e, or a surrogate pair.
func escaped(out []byte, r rune) []byte {
	if r <= 0xffff {
		return fmt.Appendf(out, `\u%04x`, r)
	}
	r -= 0x10000
	return fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
}

// Cut keeps the first n runes of s, and says so when there were more.
func Cut(s string, n int) string {
	i := 0
	for at := range s {
		if i == n {
			return s[:at] + "…"
		}
		i++
	}
	return s
}

// JSON escapes unprintable letters. In encoded JSON they stand inside
// strings alone, and broken UTF-8 was replaced by the encoder.
func JSON(b []byte) []byte {
	if plain(b) {
		return b
	}
	out := make([]byte, 0, len(b)+len(b)/8)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == '\n' || Honest(r) {
			out = append(out, b[:n]...)
		} else {
			out = escaped(out, r)
		}
		b = b[n:]
	}
	return out
}
