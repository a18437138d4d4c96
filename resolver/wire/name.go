package wire

import "encoding/binary"

// AppendLower appends a wire-form name with A-Z made small (RFC 4343): the
// form in which names are compared. Length octets are below 64 and so are
// never mistaken for letters.
func AppendLower(dst, name []byte) []byte {
	n := len(dst)
	dst = append(dst, name...)
	for i, c := range dst[n:] {
		if c-'A' < 26 {
			dst[n+i] = c | 0x20
		}
	}
	return dst
}

// AppendText appends the presentation form of an uncompressed wire-form name,
// lower case and without the final dot; the root is ".". Octets that would be
// mistaken for something else are escaped as in RFC 1035 §5.1.
func AppendText(dst, name []byte) []byte {
	if len(name) <= 1 {
		return append(dst, '.')
	}
	for p := 0; p < len(name) && name[p] != 0; {
		l := int(name[p])
		if p > 0 {
			dst = append(dst, '.')
		}
		for _, c := range name[p+1 : min(p+1+l, len(name))] {
			dst = appendOctet(dst, c)
		}
		p += 1 + l
	}
	return dst
}

func appendOctet(dst []byte, c byte) []byte {
	switch {
	case c-'A' < 26:
		return append(dst, c|0x20)
	case c < '!' && c != ' ' || c > '~':
		return append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
	}
	switch c {
	case '.', ' ', '\'', '@', ';', '(', ')', '"', '\\':
		return append(dst, '\\', c)
	}
	return append(dst, c)
}

// TTLs gives the offsets of the TTL field of every record of a well-formed
// message, OPT left out, and reports whether the message could be walked.
func TTLs(msg []byte) (offsets []uint16, ok bool) {
	if len(msg) < HeaderLen || len(msg) > 0xffff {
		return nil, false
	}
	p := HeaderLen
	for range count(msg, 4) {
		if p = skipName(msg, p); p < 0 || p+4 > len(msg) {
			return nil, false
		}
		p += 4
	}
	for range count(msg, 6) + count(msg, 8) + count(msg, 10) {
		if p = skipName(msg, p); p < 0 || p+optFixed > len(msg) {
			return nil, false
		}
		if binary.BigEndian.Uint16(msg[p:]) != typeOPT {
			offsets = append(offsets, uint16(p+4))
		}
		if p += optFixed + count(msg, p+8); p > len(msg) {
			return nil, false
		}
	}
	return offsets, true
}
