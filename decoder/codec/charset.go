package codec

import (
	"unicode/utf16"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// UTF16 turns UTF-16 of either byte order into UTF-8 if p is plainly that: it
// begins with a byte order mark, or nine tenths of one half of its bytes are
// zero, as they are for Latin text. The name says the order.
func UTF16(p []byte) (out []byte, name string, ok bool) {
	little, big := order16(p)
	if !little && !big {
		return nil, "", false
	}
	units := make([]uint16, 0, len(p)/2)
	for i := 0; i < len(p); i += 2 {
		u := uint16(p[i]) | uint16(p[i+1])<<8
		if big {
			u = u>>8 | u<<8
		}
		if i > 0 || u != 0xfeff {
			units = append(units, u)
		}
	}
	out = []byte(string(utf16.Decode(units)))
	if name = "utf16le"; big {
		name = "utf16be"
	}
	return out, name, Printable(out)
}

// IsUTF16 reports what [UTF16] would try, without doing it.
func IsUTF16(p []byte) bool {
	little, big := order16(p)
	return little || big
}

func order16(p []byte) (little, big bool) {
	if len(p) < 8 || len(p)%2 != 0 {
		return false, false
	}
	var zero [2]int
	for i, c := range p {
		if c == 0 {
			zero[i&1]++
		}
	}
	half := len(p) / 2
	little = p[0] == 0xff && p[1] == 0xfe || zero[1]*10 >= half*9 && zero[0]*10 < half
	big = !little && (p[0] == 0xfe && p[1] == 0xff || zero[0]*10 >= half*9 && zero[1]*10 < half)
	return little, big
}

// GB18030 turns Chinese text in GB18030 or GBK into UTF-8 if all of p is
// that, and at least half of it ASCII or Han.
func GB18030(p []byte) ([]byte, bool) {
	for _, c := range p {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return nil, false
		}
	}
	out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(p)
	if err != nil || !Printable(out) {
		return nil, false
	}
	good, all := 0, 0
	for _, r := range string(out) {
		if all++; r < 0x80 || r >= 0x4e00 && r <= 0x9fff || r >= 0x3000 && r <= 0x303f || r >= 0xff00 && r <= 0xffef {
			good++
		}
		if r == 0xfffd {
			return nil, false
		}
	}
	return out, all > 0 && good*20 >= all*19
}
