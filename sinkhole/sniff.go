package sinkhole

import (
	"bytes"

	"nightlatch/hello/clienthello"
)

// speaks is what the first bytes of a connection look like.
type speaks uint8

const (
	speaksNothing speaks = iota // no byte came
	speaksRaw                   // none of the below
	speaksTLS
	speaksHTTP1
	speaksHTTP2 // prior knowledge, RFC 9113 §3.3
)

const (
	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" // RFC 9113 §3.4

	// maxMethod bounds a method name: the longest registered one has 17 letters.
	maxMethod = 24

	// maxBlank is how many CR and LF a client may send before a request
	// line (RFC 9112 §2.2).
	maxBlank = 4
)

// sniff waits for the first bytes until it is certain what they are. A client
// that stops short of that, by its end or the clock, speaks raw bytes.
func (x *session) sniff() speaks {
	x.within(x.s.limits.Hello)
	for {
		seen := x.conn.seen()
		k, certain := classify(seen)
		if certain {
			return k
		}
		if x.err = x.conn.more(); x.err != nil {
			return giveUp(x.conn.seen())
		}
	}
}

// giveUp names a connection that ended before it was certain. What began as
// TLS stays TLS, so that half a ClientHello is told as that.
func giveUp(b []byte) speaks {
	switch {
	case len(b) == 0:
		return speaksNothing
	case len(b) >= 3 && clienthello.Sniff(b) == clienthello.ErrShort:
		return speaksTLS
	}
	return speaksRaw
}

// classify names the protocol of a connection by its first bytes; certain is
// false while more bytes could change the answer.
func classify(b []byte) (k speaks, certain bool) {
	if len(b) == 0 {
		return speaksNothing, false
	}
	switch clienthello.Sniff(b) {
	case nil:
		return speaksTLS, true
	case clienthello.ErrShort:
		return speaksRaw, false
	}
	n := min(len(b), len(preface))
	if string(b[:n]) == preface[:n] {
		return speaksHTTP2, n == len(preface)
	}
	switch requestLine(skipBlank(b)) {
	case isHTTP:
		return speaksHTTP1, true
	case mayBeHTTP:
		return speaksRaw, false
	}
	return speaksRaw, true
}

type likeness uint8

const (
	notHTTP likeness = iota
	mayBeHTTP
	isHTTP
)

// requestLine tells whether bytes begin with a request line (RFC 9112 §3): a
// method, a space, a target without control characters, and HTTP/1.x.
func requestLine(b []byte) likeness {
	line, _, whole := bytes.Cut(b, []byte("\n"))
	method, rest, spaced := bytes.Cut(line, []byte(" "))
	if len(method) > maxMethod || bytes.ContainsFunc(method, notMethod) || spaced && len(method) == 0 {
		return notHTTP
	}
	if bytes.ContainsFunc(rest, func(r rune) bool { return r < ' ' && r != '\r' || r == 0x7f }) {
		return notHTTP
	}
	if !whole {
		return mayBeHTTP
	}
	target, version, ok := bytes.Cut(bytes.TrimSuffix(rest, []byte("\r")), []byte(" HTTP/1."))
	if !ok || len(target) == 0 || len(version) != 1 || version[0] < '0' || version[0] > '9' {
		return notHTTP
	}
	return isHTTP
}

// notMethod: registered methods are capitals and hyphens, and some SDK's
// hand-written client sends them in small letters.
func notMethod(r rune) bool {
	return !('A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || r == '-' || r == '_')
}

// skipBlank leaves out the empty lines that may stand before a request line.
func skipBlank(b []byte) []byte {
	for i := 0; i < maxBlank && len(b) > 0 && (b[0] == '\r' || b[0] == '\n'); i++ {
		b = b[1:]
	}
	return b
}

// headEnd is the length of the request head at the start of b with its empty
// line, or 0 when it is not all there. Lines may end in a bare LF (RFC 9112 §2.2).
func headEnd(b []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return 0
		}
		at += i + 1
		rest := b[at:]
		if bytes.HasPrefix(rest, []byte("\r\n")) {
			return at + 2
		}
		if bytes.HasPrefix(rest, []byte("\n")) {
			return at + 1
		}
	}
}
