package decoder

import "encoding/binary"

// isTLS reports a TLS handshake record that begins with a ClientHello (RFC
// 8446 §5.1, §4).
func isTLS(p []byte) bool {
	return len(p) > 43 && p[0] == 22 && p[1] == 3 && p[2] <= 4 && p[5] == 1 &&
		int(p[6])<<16|int(p[7])<<8|int(p[8])+4 <= 1<<16
}

// sni gives the server name a ClientHello asks for (RFC 6066 §3), or "".
func sni(p []byte) string {
	p = p[5+4:]
	cut := func(width int) ([]byte, bool) {
		if len(p) < width {
			return nil, false
		}
		n := int(p[0])
		if width == 2 {
			n = int(binary.BigEndian.Uint16(p))
		}
		if n > len(p)-width {
			return nil, false
		}
		v := p[width : width+n]
		p = p[width+n:]
		return v, true
	}
	if len(p) < 34 {
		return ""
	}
	p = p[34:] // version and random
	for _, width := range []int{1, 2, 1} {
		if _, ok := cut(width); !ok {
			return ""
		}
	}
	ext, ok := cut(2)
	for p = ext; ok && len(p) >= 4; {
		kind := binary.BigEndian.Uint16(p)
		p = p[2:]
		var body []byte
		if body, ok = cut(2); ok && kind == 0 && len(body) > 5 && body[2] == 0 {
			if n := int(binary.BigEndian.Uint16(body[3:])); n <= len(body)-5 {
				return string(body[5 : 5+n])
			}
		}
	}
	return ""
}
