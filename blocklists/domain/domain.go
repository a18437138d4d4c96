// Package domain brings names into the one form in which lists keep and compare
// them.
package domain

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/idna"
)

const (
	Max = 253 // bytes of a name in text without its final dot: 255 octets on the wire (RFC 1035 §2.3.4)
	// MaxText is how many bytes are kept of a text that is shown to a person: enough
	// for any name, short enough for a log line.
	MaxText = 200

	maxLabel = 63 // bytes of a label (RFC 1035 §2.3.4)
)

var errNotName = errors.New("not a domain name")

// unicode maps as UTS 46 wants it for lookups; underscores stay, since names
// like _dns.resolver.arpa are legal in the DNS and live in lists.
var unicode = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

// Canonical gives the form in which names are kept and compared: lower case,
// Unicode as A-labels (RFC 5891), no final dot. It fails for what is no name:
// an empty label, a label over 63 bytes, a name over 255 octets, or a
// character other than letters, digits, hyphen and underscore.
func Canonical(name string) (string, error) {
	var buf [Max]byte
	n, err := Fold(buf[:], name)
	if err != nil {
		return "", fmt.Errorf("%q: %w", Clip(name), err)
	}
	if string(buf[:n]) == name {
		return name, nil
	}
	return string(buf[:n]), nil
}

// Fold writes the canonical form of name to dst (at least Max bytes)
// and gives its length. It allocates only for names that are not ASCII.
func Fold[T string | []byte](dst []byte, name T) (int, error) {
	if len(name) > 0 && name[len(name)-1] == '.' {
		name = name[:len(name)-1]
	}
	if len(name) == 0 {
		return 0, errNotName
	}
	label, n := 0, 0
	for i := range len(name) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == '.':
			if label == 0 {
				return 0, fmt.Errorf("%w: an empty label", errNotName)
			}
			label = -1
		case c >= 0x80:
			return foldUnicode(dst, string(name))
		case !nameByte(c):
			return 0, fmt.Errorf("%w: the character %q", errNotName, c)
		}
		if label++; label > maxLabel {
			return longName(dst, string(name), "a label is longer than 63 bytes")
		}
		if n == Max {
			return longName(dst, string(name), "longer than 255 octets")
		}
		dst[n] = c
		n++
	}
	if label == 0 {
		return 0, fmt.Errorf("%w: an empty label", errNotName)
	}
	return n, nil
}

// longName refuses an ASCII name for its length; a Unicode one gets its chance,
// since its A-labels can be shorter than its UTF-8.
func longName(dst []byte, name, why string) (int, error) {
	for i := range len(name) {
		if name[i] >= 0x80 {
			return foldUnicode(dst, name)
		}
	}
	return 0, fmt.Errorf("%w: %s", errNotName, why)
}

func foldUnicode(dst []byte, name string) (int, error) {
	if len(name) > 4*Max {
		return 0, fmt.Errorf("%w: longer than 255 octets", errNotName)
	}
	ascii, err := unicode.ToASCII(name)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errNotName, err)
	}
	for i := range len(ascii) {
		if ascii[i] >= 0x80 {
			return 0, errNotName
		}
	}
	return Fold(dst, ascii)
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// Clip shortens what is shown to a person or kept as the text of a rule,
// without cutting a character in two.
func Clip[T string | []byte](s T) string {
	if len(s) <= MaxText {
		return string(s)
	}
	return strings.ToValidUTF8(string(s[:MaxText]), "")
}
