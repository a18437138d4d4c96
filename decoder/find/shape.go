package find

import "strings"

// Checks of shape alone. They say what a value may be, never what it is.

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) > 0
}

func isHex(s string) bool {
	for i := range len(s) {
		if !hexDigit(s[i]) {
			return false
		}
	}
	return len(s) > 0
}

func hexDigit(c byte) bool {
	c = lower(c)
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
}

// isUUID reports the 8-4-4-4-12 form of RFC 9562 §4.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
		} else if !isHex(s[i : i+1]) {
			return false
		}
	}
	return true
}

// isMAC reports six groups of two hex digits, joined by ':' or by '-'.
func isMAC(s string) bool {
	if len(s) != 17 {
		return false
	}
	for i := range len(s) {
		if i%3 == 2 {
			if s[i] != s[2] || s[i] != ':' && s[i] != '-' {
				return false
			}
		} else if !isHex(s[i : i+1]) {
			return false
		}
	}
	return true
}

// luhn checks the last digit (ISO/IEC 7812-1, annex B).
func luhn(s string) bool {
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// dull reports values that stand for "none": a constant or a counting run of
// digits, as emulators, zeroed ids and placeholders have them.
func dull(s string) bool {
	if strings.ContainsAny(s, "-:.") {
		s = strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(s, "-", ""), ":", ""), ".", "")
	}
	s = strings.ToLower(s)
	var seen [256]bool
	kinds := 0
	for i := range len(s) {
		if !seen[s[i]] {
			seen[s[i]] = true
			kinds++
		}
	}
	return kinds <= 2 ||
		strings.HasPrefix("0123456789abcdef0123456789abcdef", s) ||
		strings.HasPrefix("1234567890abcdef1234567890abcdef", s) || strings.HasPrefix("12345678901234567890", s)
}
