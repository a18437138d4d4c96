package codec

import "bytes"

// Base64 decodes text in the standard or the URL alphabet, or a mixture of
// both, with or without padding (RFC 4648 §4, §5). White space is skipped, but
// in text of a single line a blank is the '+' a form decoder has made it of. It
// reports false when a character or the length does not fit.
func Base64(s []byte) ([]byte, bool) {
	out := make([]byte, 0, len(s)*3/4+3)
	var acc uint32
	var n, pad, total int
	wrapped := bytes.ContainsAny(s, "\r\n\t")
	for _, c := range s {
		v := base64Value(c)
		if c == ' ' && !wrapped {
			v = 62
		}
		switch {
		case v < 64:
			if pad > 0 {
				return nil, false
			}
			acc, n, total = acc<<6|uint32(v), n+1, total+1
			if n == 4 {
				out = append(out, byte(acc>>16), byte(acc>>8), byte(acc))
				acc, n = 0, 0
			}
		case v == isSpace:
		case v == isPad:
			pad++
		default:
			return nil, false
		}
	}
	if total == 0 || n == 1 && total < longBase64 || pad > 2 || pad > 0 && (n+pad)%4 != 0 {
		return nil, false
	}
	switch n {
	case 2:
		out = append(out, byte(acc>>4))
	case 3:
		out = append(out, byte(acc>>10), byte(acc>>2))
	}
	return out, true
}

// longBase64 is the number of characters from which a text that ends one short
// of a group is taken for base64 that was cut off: the last character is lost.
const longBase64 = 48

const (
	isSpace = 64 + iota
	isPad
	isOther
)

func base64Value(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c - 'A'
	case c >= 'a' && c <= 'z':
		return c - 'a' + 26
	case c >= '0' && c <= '9':
		return c - '0' + 52
	case c == '+' || c == '-':
		return 62
	case c == '/' || c == '_':
		return 63
	case c == '\r' || c == '\n' || c == '\t' || c == ' ':
		return isSpace
	case c == '=':
		return isPad
	}
	return isOther
}

// Base64With decodes with an alphabet of 64 characters of the owner's own.
func Base64With(s []byte, alphabet string) ([]byte, bool) {
	if len(alphabet) != 64 {
		return nil, false
	}
	const std = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	var table [256]byte
	for i := range 64 {
		table[alphabet[i]] = std[i]
	}
	plain := make([]byte, len(s))
	for i, c := range s {
		switch {
		case table[c] != 0:
			plain[i] = table[c]
		case c == '=' || c == '\r' || c == '\n':
			plain[i] = c
		default:
			return nil, false
		}
	}
	return Base64(plain)
}

// Hex decodes hexadecimal text of either case; white space is skipped.
func Hex(s []byte) ([]byte, bool) {
	out := make([]byte, 0, len(s)/2)
	var acc byte
	odd := false
	for _, c := range s {
		v := HexValue(c)
		if v > 15 {
			if base64Value(c) == isSpace {
				continue
			}
			return nil, false
		}
		if acc = acc<<4 | v; odd {
			out = append(out, acc)
		}
		odd = !odd
	}
	return out, !odd && len(out) > 0
}

// HexValue gives the value of a hexadecimal digit, or 255.
func HexValue(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// Percent undoes percent-encoding (RFC 3986 §2.1). A '%' that begins no
// escape stands for itself. The second result is the number of escapes.
func Percent(s []byte) ([]byte, int) { return percent(s, false) }

// FormValue undoes the encoding of one name or value of a form, where '+'
// stands for a blank.
func FormValue(s []byte) []byte {
	out, _ := percent(s, true)
	return out
}

func percent(s []byte, plus bool) ([]byte, int) {
	at := 0
	for at < len(s) && s[at] != '%' && (!plus || s[at] != '+') {
		at++
	}
	if at == len(s) {
		return s, 0
	}
	out := append(make([]byte, 0, len(s)), s[:at]...)
	escapes := 0
	for i := at; i < len(s); i++ {
		switch {
		case s[i] == '%' && i+2 < len(s) && HexValue(s[i+1]) < 16 && HexValue(s[i+2]) < 16:
			out = append(out, HexValue(s[i+1])<<4|HexValue(s[i+2]))
			i += 2
			escapes++
		case plus && s[i] == '+':
			out = append(out, ' ')
		default:
			out = append(out, s[i])
		}
	}
	return out, escapes
}
