package sinkhole

import (
	"crypto/tls"
	"net"
)

// alertRecord is the length of an alert that is not encrypted: a record header
// of five octets, level and description (RFC 8446 §5.1, §6).
const alertRecord = 7

// tail remembers the last octets that were read from a connection.
//
// In TLS 1.3 a client that refuses a certificate may send its alert before it
// has switched to encrypted records, as OpenSSL does. crypto/tls then reports
// a bad record MAC of our own; the alert itself is the truth to tell.
type tail struct {
	net.Conn
	last [alertRecord]byte
}

func (t *tail) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	switch fresh := b[:max(n, 0)]; {
	case n >= alertRecord:
		copy(t.last[:], fresh[n-alertRecord:])
	case n > 0:
		copy(t.last[:], t.last[n:])
		copy(t.last[alertRecord-n:], fresh)
	}
	return n, err
}

// plainAlert gives the alert that the client sent last, unencrypted.
func (t *tail) plainAlert() (alert tls.AlertError, ok bool) {
	const recordAlert, warning, fatal = 21, 1, 2
	r := t.last
	if r[0] != recordAlert || r[1] != 3 || r[3] != 0 || r[4] != 2 || r[5] != warning && r[5] != fatal {
		return 0, false
	}
	return tls.AlertError(r[6]), true
}
