// Package tree works on places in the tree of names. Names are in presentation
// form, lower case, with the final dot.
package tree

import (
	"bytes"

	"github.com/miekg/dns"
)

// Suffix gives the last n labels of a canonical name.
func Suffix(name string, n int) string {
	starts := dns.Split(name)
	if n <= 0 {
		return "."
	}
	if n >= len(starts) {
		return name
	}
	return name[starts[len(starts)-n]:]
}

// Common counts the labels that two names share, from the root on.
func Common(a, b string) int { return dns.CompareDomainName(a, b) }

// Wildcard gives the wildcard below a name.
func Wildcard(name string) string {
	if name == "." {
		return "*."
	}
	return "*." + name
}

// Compare orders names as zones do (RFC 4034 §6.1): label by label from the
// root, each as octets in lower case.
func Compare(a, b string) int {
	var bufA, bufB [256]byte
	x, y := split(bufA[:], a), split(bufB[:], b)
	for i, j := len(x)-1, len(y)-1; i >= 0 && j >= 0; i, j = i-1, j-1 {
		if c := bytes.Compare(x[i], y[j]); c != 0 {
			return c
		}
	}
	return len(x) - len(y)
}

// split gives the labels of a name in wire form and lower case. A name that has
// none, being malformed, gives none.
func split(buf []byte, name string) [][]byte {
	n, err := dns.PackDomainName(dns.CanonicalName(name), buf, 0, nil, false)
	if err != nil {
		return nil
	}
	var out [][]byte
	for at := 0; at < n && buf[at] != 0; {
		end := at + 1 + int(buf[at])
		label := buf[at+1 : end]
		for i, c := range label {
			if 'A' <= c && c <= 'Z' { // a letter that was written \065
				label[i] = c + 'a' - 'A'
			}
		}
		out = append(out, label)
		at = end
	}
	return out
}

// Labels counts the labels of a name as signatures do: without a leading "*".
func Labels(name string) int {
	n := dns.CountLabel(name)
	if len(name) > 1 && name[:2] == "*." {
		n--
	}
	return n
}

// Key gives a string for a name such that strings compare as [Compare] orders
// the names: its labels from the root on, each ended by a zero octet. A name
// that is malformed has the key of the root, which is empty.
func Key(name string) string {
	var buf [256]byte
	labels := split(buf[:], name)
	out := make([]byte, 0, 2*len(name))
	for i := len(labels) - 1; i >= 0; i-- {
		for _, c := range labels[i] {
			switch c { // an octet that is zero must stand above the end of a label
			case 0, 1:
				out = append(out, 1, c+1)
			default:
				out = append(out, c)
			}
		}
		out = append(out, 0)
	}
	return string(out)
}
