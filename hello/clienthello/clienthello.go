// Package clienthello reads the first message of a TLS connection: what the
// client asks for before anything is encrypted. It is pure, reads hostile
// bytes, and allocates no more than the message it was given.
package clienthello

import (
	"encoding/binary"
	"errors"
	"strconv"
)

const (
	// MaxMessage bounds a ClientHello. Post-quantum key shares and padding
	// bring real ones to 2 KiB; pre-shared keys to a few more.
	MaxMessage = 32 << 10

	// MaxRaw bounds the records that carry one ClientHello: fragments of
	// a single byte are legal (RFC 8446 §5.1) and cost six bytes each.
	MaxRaw = 64 << 10

	recordHeader    = 5
	maxRecord       = 1 << 14 // RFC 8446 §5.1: plaintext fragments
	typeHandshake   = 22
	typeClientHello = 1
)

// Extension numbers that are read here.
const (
	extServerName        = 0
	extSignatureAlgs     = 13
	extALPN              = 16
	extSupportedVersions = 43
	extECH               = 0xfe0d
)

var (
	// ErrShort: the bytes are the beginning of a ClientHello, more are needed.
	ErrShort = errors.New("clienthello: incomplete")

	// ErrNotTLS: the bytes do not begin a TLS handshake.
	ErrNotTLS = errors.New("clienthello: not a TLS handshake")

	// ErrMalformed: a TLS handshake begins, but the ClientHello breaks its own lengths.
	ErrMalformed = errors.New("clienthello: malformed")
)

// Hello is what a ClientHello says. Lists are in the client's order and hold
// GREASE values (RFC 8701) as they were sent.
type Hello struct {
	Version    uint16   // legacy_version (RFC 8446 §4.1.2)
	Versions   []uint16 // the supported_versions extension; empty when absent
	Ciphers    []uint16
	Extensions []uint16 // every extension number
	HasSNI     bool     // the server_name extension is there
	SNI        string   // the first host_name in it, as sent
	ALPN       []string // may hold any bytes
	SigAlgs    []uint16 // the signature_algorithms extension
	ECH        bool     // an encrypted_client_hello extension, real or GREASE
}

// Sniff tells whether bytes begin a TLS handshake whose first message is a
// ClientHello: ErrShort when too few have come to tell, ErrNotTLS when not,
// nil when they do (which does not yet mean that the message is complete).
func Sniff(b []byte) error {
	ok := []func(byte) bool{
		func(c byte) bool { return c == typeHandshake },
		func(c byte) bool { return c == 3 }, // SSL 3.0 to TLS 1.3 all say 3.x
		func(c byte) bool { return c <= 4 },
		func(c byte) bool { return c <= maxRecord>>8 },
		nil, // low byte of the length
		func(c byte) bool { return c == typeClientHello },
	}
	for i, fits := range ok {
		if i >= len(b) {
			return ErrShort
		}
		if fits != nil && !fits(b[i]) {
			return ErrNotTLS
		}
	}
	return nil
}

// Message joins the handshake message that stands at the start of a stream of
// TLS records, in however many fragments it came (RFC 8446 §5.1), with its
// four-byte header. used is how many bytes of b it took. Errors are
// ErrShort, ErrNotTLS and ErrMalformed.
func Message(b []byte) (msg []byte, used int, err error) {
	if err := Sniff(b); err != nil {
		return nil, 0, err
	}
	for used < MaxRaw {
		rest := b[used:]
		if len(rest) < recordHeader {
			return nil, 0, ErrShort
		}
		n := int(binary.BigEndian.Uint16(rest[3:]))
		if rest[0] != typeHandshake || rest[1] != 3 || n == 0 || n > maxRecord {
			return nil, 0, ErrMalformed
		}
		part := rest[recordHeader:min(len(rest), recordHeader+n)]
		msg = append(msg, part...)
		used += recordHeader + len(part)
		if want, ok := wanted(msg); ok && want > MaxMessage {
			return nil, 0, ErrMalformed
		} else if ok && len(msg) >= want {
			return msg[:want], used, nil
		}
		if len(part) < n {
			return nil, 0, ErrShort
		}
	}
	return nil, 0, ErrMalformed
}

// wanted is the length the message header announces, header included.
func wanted(msg []byte) (int, bool) {
	if len(msg) < 4 {
		return 0, false
	}
	return 4 + int(msg[1])<<16 + int(msg[2])<<8 + int(msg[3]), true
}

// Parse reads a ClientHello handshake message with its four-byte header.
func Parse(msg []byte) (*Hello, error) {
	want, ok := wanted(msg)
	if !ok || want != len(msg) || msg[0] != typeClientHello {
		return nil, ErrMalformed
	}
	r := reader(msg[4:])
	h := &Hello{Version: r.u16()}
	r.bytes(32)    // random
	r.vec8()       // legacy_session_id
	c := r.vec16() // cipher_suites
	r.vec8()       // legacy_compression_methods
	if r.broken() || len(c)%2 != 0 {
		return nil, ErrMalformed
	}
	h.Ciphers = c.u16s()
	if r.ended() { // no extensions: TLS 1.2 and older (RFC 5246 §7.4.1.2)
		return h, nil
	}
	exts := r.vec16()
	if r.broken() || !r.ended() {
		return nil, ErrMalformed
	}
	for !exts.ended() {
		id, data := exts.u16(), exts.vec16()
		if exts.broken() || !h.extension(id, data) {
			return nil, ErrMalformed
		}
	}
	return h, nil
}

// extension takes in one extension; false when its inside is malformed.
func (h *Hello) extension(id uint16, data reader) bool {
	h.Extensions = append(h.Extensions, id)
	switch id {
	case extServerName: // RFC 6066 §3
		h.HasSNI = true
		list := data.vec16()
		for !list.ended() {
			kind, name := list.u8(), list.vec16()
			if kind == 0 && h.SNI == "" && !list.broken() {
				h.SNI = string(name)
			}
		}
		return !list.broken()
	case extALPN: // RFC 7301 §3.1
		list := data.vec16()
		for !list.ended() {
			p := list.vec8()
			if !list.broken() {
				h.ALPN = append(h.ALPN, string(p))
			}
		}
		return !list.broken()
	case extSignatureAlgs: // RFC 8446 §4.2.3
		h.SigAlgs = data.vec16().u16s()
	case extSupportedVersions: // RFC 8446 §4.2.1
		h.Versions = data.vec8().u16s()
	case extECH:
		h.ECH = true
	}
	return !data.broken()
}

// Best is the highest version the client offers, GREASE ignored.
func (h *Hello) Best() uint16 {
	best := uint16(0)
	for _, v := range h.Versions {
		if !grease(v) {
			best = max(best, v)
		}
	}
	if best == 0 {
		return h.Version
	}
	return best
}

// VersionName is a protocol version in words: "TLS 1.3".
func VersionName(v uint16) string {
	switch v {
	case 0x0300:
		return "SSL 3.0"
	case 0x0301, 0x0302, 0x0303, 0x0304:
		return "TLS 1." + strconv.Itoa(int(v-0x0301))
	}
	return "unknown (0x" + strconv.FormatUint(uint64(v), 16) + ")"
}

// grease tells the values of RFC 8701 §2: both bytes alike, low nibble a.
func grease(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }
