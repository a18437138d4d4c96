// Package terminal makes strings from the outside safe to print. A name or a
// payload is written by a stranger: it may hold escape sequences that recolour
// or rewrite the screen, newlines that fake another line, or direction marks
// that make text read backwards. None of that leaves this package.
package terminal

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks is how many combining marks may sit on one letter: enough for every
// living script, too few to paint over the lines above.
const maxMarks = 2

// Escape gives s with everything that is not plainly visible written out:
// control characters, escape sequences, direction marks, invisible and private
// characters and broken UTF-8 become \n, \xNN, \uNNNN or \UNNNNNNNN, and a
// backslash becomes \\ so that the result is never ambiguous. The result is
// one line. It is at most limit runes long, the last of which is then "…"; a
// limit of 0 or less means no limit.
func Escape(s string, limit int) string {
	if limit > 0 && len(s) > 4*limit+4 {
		s = s[:4*limit+4] // no rune is shorter than a byte: the cut is never seen
	}
	if plain(s) && (limit <= 0 || len(s) <= limit) {
		return s
	}
	var b strings.Builder
	marks := 0
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if unicode.Is(unicode.M, r) {
			marks++
		} else {
			marks = 0
		}
		writeRune(&b, s[:n], r, marks <= maxMarks)
		s = s[n:]
	}
	return cut(b.String(), limit)
}

// plain says that s is ASCII that needs no escape, which nearly all of it is.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '\\' {
			return false
		}
	}
	return true
}

func writeRune(b *strings.Builder, raw string, r rune, visible bool) {
	switch {
	case r == '\\':
		b.WriteString(`\\`)
	case r == utf8.RuneError && len(raw) == 1:
		b.WriteString(`\x`)
		b.WriteString(hex(raw[0]>>4) + hex(raw[0]&15))
	case visible && strconv.IsPrint(r) && !blank(r):
		b.WriteString(raw)
	default: // U+0080 to U+00FF as \u0080, so that \x80 always means a broken byte
		q := strconv.QuoteRuneToASCII(r)
		q = q[1 : len(q)-1]
		if strings.HasPrefix(q, `\x`) && r >= utf8.RuneSelf {
			q = `\u00` + q[2:]
		}
		if len(q) == 1 { // a mark that QuoteRune would print
			q = `\u00` + hex(byte(r)>>4) + hex(byte(r)&15)
		}
		b.WriteString(q)
	}
}

func hex(b byte) string { return strconv.FormatUint(uint64(b), 16) }

// blank: letters and symbols by their class that show nothing.
func blank(r rune) bool {
	switch r {
	case 0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800, 0x034F, 0x17B4, 0x17B5:
		return true
	}
	return unicode.Is(unicode.Variation_Selector, r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

func cut(s string, limit int) string {
	if limit <= 0 || utf8.RuneCountInString(s) <= limit {
		return s
	}
	n := 0
	for i := range s {
		if n == limit-1 {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// JSON gives a JSON text with the characters that encoding/json lets through
// and a terminal might act upon written as \uNNNN: DEL, the C1 controls,
// direction marks and everything else that [Escape] would write out. The
// meaning of the text does not change.
func JSON(text []byte) []byte {
	out := text[:0:0]
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if strconv.IsPrint(r) && !blank(r) && r != utf8.RuneError || r < ' ' {
			out = append(out, text[i:i+n]...) // below the space only the newlines of an indented text
		} else {
			out = appendUTF16(out, r)
		}
		i += n
	}
	return out
}

func appendUTF16(out []byte, r rune) []byte {
	unit := func(u rune) {
		out = append(out, '\\', 'u')
		for shift := 12; shift >= 0; shift -= 4 {
			out = append(out, "0123456789abcdef"[u>>shift&15])
		}
	}
	if r >= 0x10000 {
		r -= 0x10000
		unit(0xD800 + r>>10)
		unit(0xDC00 + r&0x3FF)
		return out
	}
	unit(r)
	return out
}
