package decoder

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mask gives the value of a finding as it may be kept: the first and last
// characters of an identifier, the host of an address, the first letter of
// words. The length stays, so that two values can be told apart.
func Mask(f Finding) string {
	v := Safe(f.Value)
	switch f.Kind {
	case "model", "android_version", "carrier", "build_fingerprint", "locale":
		return v // shared by many thousands
	case "email":
		if local, domain, ok := strings.Cut(v, "@"); ok {
			return maskEnds(local, 1, 0) + "@" + maskEnds(domain, 1, 4)
		}
	case "url", "canary_url":
		if scheme, rest, ok := strings.Cut(v, "://"); ok {
			host, tail, _ := strings.Cut(rest, "/")
			return scheme + "://" + maskEnds(host, 3, 4) + strings.Repeat("*", min(utf8.RuneCountInString(tail), 12))
		}
	}
	return maskEnds(v, 2, 2)
}

// maskEnds keeps some runes at both ends if at least as many are hidden.
func maskEnds(v string, head, tail int) string {
	r := []rune(v)
	if len(r) < 2*(head+tail) {
		head, tail = min(1, len(r)/2), 0
	}
	hidden := len(r) - head - tail
	if hidden > 40 {
		return string(r[:head]) + strings.Repeat("*", 40) + "..." + string(r[len(r)-tail:])
	}
	return string(r[:head]) + strings.Repeat("*", hidden) + string(r[len(r)-tail:])
}

// Safe makes text from a payload harmless for a terminal and for a log: control
// characters, invalid bytes and the marks that change the writing direction are
// written as escapes. HTML must still be escaped by whoever writes HTML.
func Safe(s string) string {
	clean := true
	for _, r := range s {
		if !visible(r) {
			clean = false
			break
		}
	}
	if clean && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case visible(r):
			b.WriteString(s[i : i+n])
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

// visible reports a rune that shows itself and changes nothing around it.
func visible(r rune) bool {
	switch {
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x061c, r == 0xfeff, r == 0x2028, r == 0x2029:
		return false
	}
	return r == ' ' || unicode.IsGraphic(r)
}

// Excerpt gives at most max runes of data, made [Safe], around the first place
// where value stands; without such a place, its beginning.
func Excerpt(data []byte, value string, max int) string {
	s := string(data[:min(len(data), 1<<20)])
	if at := strings.Index(s, value); value != "" && at > max/3 {
		s = "..." + strings.ToValidUTF8(s[at-max/3:], "")
	}
	r := []rune(s[:min(len(s), 4*max)])
	if len(r) > max {
		return Safe(string(r[:max])) + "..."
	}
	return Safe(string(r))
}
