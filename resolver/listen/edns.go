package listen

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/wire"
)

// padBlock is the size that encrypted answers are filled up to a multiple of
// (RFC 8467 §4.1).
const padBlock = 468

// wants is what the options of a query ask of us.
type wants struct {
	edns      bool
	size      int    // octets of a datagram that the client takes
	cookie    []byte // its COOKIE option; nil when there is none
	badCookie bool
	keepalive bool
}

// readWants reads the options of a query. Bytes that are no query want
// nothing: what is wrong with them is for the resolver to say.
func readWants(b []byte) (w wants) {
	w.size = 512
	if len(b) < wire.HeaderLen || b[10]|b[11] == 0 {
		return w // no additional record, no EDNS
	}
	if n := len(b) - 11; b[10] == 0 && b[11] == 1 && n > wire.HeaderLen+4 && b[n] == 0 && b[n+1] == 0 && b[n+2] == byte(dns.TypeOPT) && b[n+9]|b[n+10] == 0 {
		// An OPT record without options, or something that ends like one and so has
		// no say here either.
		return wants{edns: true, size: max(512, int(binary.BigEndian.Uint16(b[n+3:])))}
	}
	q, fault := wire.Parse(b)
	if fault == wire.Silence || fault == wire.FormErr {
		return w
	}
	w.edns, w.size = q.EDNS, q.Size
	for code, data := range wire.Options(q.Options) {
		switch code {
		case dns.EDNS0COOKIE:
			if w.cookie == nil { // RFC 7873 §5.2: the first counts
				w.cookie, w.badCookie = data[:len(data):len(data)], !wellFormed(data)
			}
		case dns.EDNS0TCPKEEPALIVE:
			w.keepalive = true
		}
	}
	return w
}

// finish adds to the OPT record of an answer what belongs to the way it goes:
// cookie, the time a connection is kept, and padding. What does not
// fit into a datagram is left out, and where it must not be, the answer is cut
// instead.
func (s *Server) finish(out []byte, w *wants, over way, addr netip.Addr) []byte {
	if !w.edns || out == nil || over == overUDP && w.cookie == nil {
		return out
	}
	at, ok := wire.FindOPT(out)
	if !ok {
		return out
	}
	limit := maxMessage
	if over == overUDP {
		limit = min(w.size, maxDatagram)
	}
	if w.cookie != nil && !w.badCookie && !over.secret() {
		var c [cookieLen]byte
		if len(out)+4+cookieLen > limit {
			out, at = cut(out, at)
		}
		out = option(out, at, dns.EDNS0COOKIE, s.cookies.append(c[:0], w.cookie, addr))
	}
	if w.keepalive && over.stream() && len(out)+6 <= limit {
		// RFC 7828 §3.3.1: in units of 100 ms
		out = option(out, at, dns.EDNS0TCPKEEPALIVE, binary.BigEndian.AppendUint16(nil, uint16(idlePatience/(100*time.Millisecond))))
	}
	if over.secret() && len(out)+4 <= limit {
		full := min((len(out)+4+padBlock-1)/padBlock*padBlock, limit)
		out = option(out, at, dns.EDNS0PADDING, make([]byte, full-len(out)-4))
	}
	return out
}

// option appends one option to the OPT record at the end of a message.
func option(out []byte, at int, code uint16, data []byte) []byte {
	out = binary.BigEndian.AppendUint16(out, code)
	out = binary.BigEndian.AppendUint16(out, uint16(len(data)))
	out = append(out, data...)
	binary.BigEndian.PutUint16(out[at+9:], uint16(len(out)-at-11))
	return out
}

// cut takes the records and the options out of an answer, so that its client
// asks again over TCP (RFC 2181 §9).
func cut(out []byte, at int) ([]byte, int) {
	q, ok := questionEnd(out)
	if !ok {
		return out, at
	}
	short := append(make([]byte, 0, q+11+64), out[:q]...)
	short[2] |= 0x02 // TC
	clear(short[6:10])
	short = append(short, out[at:at+11]...)
	clear(short[len(short)-2:])
	return short, q
}

// questionEnd gives the offset behind the question of a message of ours.
func questionEnd(b []byte) (int, bool) {
	p := wire.HeaderLen
	for p < len(b) && b[p] != 0 {
		p += 1 + int(b[p])
	}
	return p + 5, p+5 <= len(b)
}

// truncated answers a query with nothing but TC: ask again over TCP. nil when
// the bytes are no query.
func truncated(b []byte) []byte {
	q, fault := wire.Parse(b)
	if fault != wire.OK {
		return nil
	}
	out := append([]byte(nil), b[:q.End]...)
	out[2] = 0x82 | b[2]&0x01
	out[3] = 0x80 | b[3]&0x10
	clear(out[6:wire.HeaderLen])
	return out
}

// failure answers a query with nothing but an RCODE below 16; nil when the
// bytes are no query.
func failure(b []byte, rcode byte) []byte {
	out := truncated(b)
	if out != nil {
		out[2] &^= 0x02
		out[3] |= rcode
	}
	return out
}
