// Package opening reads the first bytes that a client sends on a TCP connection
// and finds in them whom it wants to reach: the SNI of a TLS ClientHello, the
// Host of an HTTP/1 request. It is pure, reads hostile bytes in whatever pieces
// they come, and its work grows with the bytes, not with the pieces.
package opening

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"

	"nightlatch/hello/clienthello"
)

// Kind is what a connection begins with.
type Kind uint8

const (
	Unknown    Kind = iota // nothing that is read here
	TLS                    // a ClientHello
	HTTP                   // an HTTP/1 request
	QUIC                   // a ClientHello in Initial packets
	Unreadable             // a ClientHello, longer or more broken than any client sends
)

// Words are what the first bytes say.
type Words struct {
	Kind   Kind
	Name   string     // host name, lower case, no final dot; empty when there is none, or none that could be one
	Addr   netip.Addr // HTTP: the host, where it is an address
	ECH    bool       // TLS and QUIC: an encrypted hello lies inside, or bytes that look like one
	Target string     // HTTP: path and query
}

const (
	// maxHead bounds the part of a request in which a Host is looked for; servers
	// refuse heads of more than 8 to 16 KiB.
	maxHead = 16 << 10

	recordHeader = 5 // RFC 8446 §5.1
	maxBlank     = 4 // line ends before a request line (RFC 9112 §2.2)
)

// Reader takes in a stream piece by piece. The zero value is ready; it holds no
// more than a ClientHello or a request head may have.
type Reader struct {
	kind Kind
	buf  []byte // what is not worked off yet
	msg  []byte // the handshake message, out of its records
	seen int    // bytes taken in
	out  Words
}

// Add takes in the next bytes and keeps nothing of b. done: what there is to
// know is known, and Add must not be called again.
func (r *Reader) Add(b []byte) (w Words, done bool) {
	r.seen += len(b)
	r.buf = append(r.buf, b...)
	if r.kind == Unknown {
		kind, known := recognize(r.buf)
		if !known {
			return Words{}, false
		}
		r.kind = kind
	}
	r.out.Kind = r.kind
	switch r.kind {
	case TLS:
		done = r.records()
	case HTTP:
		done = r.lines()
	default:
		done = true
	}
	if done {
		r.buf, r.msg = nil, nil
		return r.out, true
	}
	return Words{}, false
}

// recognize tells what bytes begin; known is false while more could tell.
func recognize(b []byte) (k Kind, known bool) {
	switch clienthello.Sniff(b) {
	case nil:
		return TLS, true
	case clienthello.ErrShort:
		return Unknown, false
	}
	if k, known := recognizeHTTP(skipBlank(b)); k == HTTP || !known {
		return k, known
	}
	return Unknown, true
}

func recognizeHTTP(b []byte) (k Kind, known bool) {
	// Only these are waited for: other protocols may begin with words as well.
	for _, m := range [...]string{"GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "CONNECT "} {
		n := min(len(b), len(m))
		if string(b[:n]) == m[:n] {
			return HTTP, n == len(m)
		}
	}
	return Unknown, true
}

func skipBlank(b []byte) []byte {
	for i := 0; i < maxBlank && len(b) > 0 && (b[0] == '\r' || b[0] == '\n'); i++ {
		b = b[1:]
	}
	return b
}

// records takes the handshake message out of its records, in however many it
// came, and reads it when it is whole.
func (r *Reader) records() (done bool) {
	for len(r.buf) >= recordHeader {
		n := int(binary.BigEndian.Uint16(r.buf[3:]))
		if r.buf[0] != 22 || r.buf[1] != 3 || n == 0 || n > 1<<14 {
			r.out.Kind = Unreadable
			return true
		}
		if len(r.buf) < recordHeader+n {
			break
		}
		r.msg = append(r.msg, r.buf[recordHeader:recordHeader+n]...)
		r.buf = r.buf[recordHeader+n:]
		if len(r.msg) < 4 {
			continue
		}
		want := 4 + int(r.msg[1])<<16 + int(r.msg[2])<<8 + int(r.msg[3])
		if want > clienthello.MaxMessage {
			r.out.Kind = Unreadable
			return true
		}
		if len(r.msg) >= want {
			r.hello(r.msg[:want])
			return true
		}
	}
	if r.seen > 2*clienthello.MaxRaw { // records of one byte each are legal, and nobody sends them
		r.out.Kind = Unreadable
		return true
	}
	return false
}

func (r *Reader) hello(msg []byte) {
	h, err := clienthello.Parse(msg)
	if err != nil {
		r.out.Kind = Unreadable
		return
	}
	r.out.Name, r.out.ECH = Name(h.SNI), h.ECH
}

// lines reads the request line, then looks for the Host in the lines after it.
func (r *Reader) lines() (done bool) {
	for {
		line, rest, whole := bytes.Cut(r.buf, []byte("\n"))
		if !whole {
			return r.seen > maxHead
		}
		r.buf = rest
		line = bytes.TrimSuffix(line, []byte("\r"))
		switch {
		case r.out.Target == "" && len(line) == 0: // before the request line
			if r.seen > maxHead {
				return true
			}
		case r.out.Target == "":
			if !r.request(string(line)) {
				r.out = Words{} // words of another protocol
				return true
			}
			if r.out.Name != "" || r.out.Addr.IsValid() {
				return true
			}
		case len(line) == 0: // the end of the head
			return true
		default:
			if key, value, ok := bytes.Cut(line, []byte(":")); ok && strings.EqualFold(string(key), "host") {
				r.host(strings.TrimSpace(string(value)))
				return true
			}
		}
	}
}

// request reads a request line (RFC 9112 §3); the target may hold the host.
func (r *Reader) request(line string) bool {
	method, rest, _ := strings.Cut(line, " ")
	target, version, ok := strings.Cut(rest, " HTTP/1.")
	if !ok || target == "" || len(version) != 1 {
		return false
	}
	r.out.Target = target
	if method == "CONNECT" { // RFC 9112 §3.2.3
		r.host(target)
	} else if full, ok := cutScheme(target); ok { // RFC 9112 §3.2.2
		authority, path, _ := strings.Cut(full, "/")
		r.host(authority)
		r.out.Target = "/" + path
	}
	return true
}

func cutScheme(target string) (string, bool) {
	const scheme = "http://"
	if len(target) > len(scheme) && strings.EqualFold(target[:len(scheme)], scheme) {
		return target[len(scheme):], true
	}
	return "", false
}

// host takes in a host with or without a port.
func (r *Reader) host(s string) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		r.out.Addr = ap.Addr().Unmap()
		return
	}
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		r.out.Addr = a.Unmap()
		return
	}
	s, _, _ = strings.Cut(s, ":")
	r.out.Name = Name(s)
}

// Name gives a host name in the form in which names are compared; empty when
// it could not be one.
func Name(s string) string {
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	if len(s) == 0 || len(s) > 253 || strings.ContainsFunc(s, func(c rune) bool {
		return !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.')
	}) {
		return ""
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return "" // an address is no name (RFC 6066 §3)
	}
	return s
}
