// Package stamp reads DNS stamps: all that is needed to reach a resolver, in
// one sdns:// word (draft-denis-dns-stamps-01). It is pure, and bounded by the
// length of the word.
package stamp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Prefix is what every stamp begins with.
const Prefix = "sdns://"

// maxLen bounds a stamp; real ones have a few hundred characters.
const maxLen = 4096

// Stamp is a resolver as a stamp describes it.
type Stamp struct {
	Scheme string     // udp, tls, https or quic
	Addr   netip.Addr // where it is; invalid when the stamp leaves that to be asked for
	Port   uint16
	Host   string // the name of its certificate; its address when the stamp gives no name
	Path   string // https only, with the leading slash

	// Certs are SHA-256 sums of certificates without their signatures (the
	// TBSCertificate of RFC 5280 §4.1), one of which must be in the chain; none
	// means that any will do.
	Certs [][32]byte
}

// The protocols of stamps. Those that are named here only are refused by name.
const (
	plain       = 0x00
	dnscrypt    = 0x01
	doh         = 0x02
	dot         = 0x03
	doq         = 0x04
	odoh        = 0x05
	cryptRelay  = 0x81
	odohRelay   = 0x85
	propsLength = 8 // what the operator promises: not needed to reach it
)

var errShort = errors.New("the stamp ends too early, or a length in it is wrong")

// Parse reads a stamp. The error says in words which kind cannot be used, or
// what does not fit.
func Parse(text string) (Stamp, error) {
	body, ok := strings.CutPrefix(text, Prefix)
	switch {
	case !ok:
		return Stamp{}, errors.New("a stamp begins with " + Prefix)
	case len(text) > maxLen:
		return Stamp{}, fmt.Errorf("a stamp has at most %d characters", maxLen)
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(body, "="))
	if err != nil {
		return Stamp{}, errors.New("the stamp is damaged: not base64url (RFC 4648 §5)")
	}
	if len(b) == 0 {
		return Stamp{}, errShort
	}
	switch b[0] {
	case plain, doh, dot, doq:
	case dnscrypt, cryptRelay:
		return Stamp{}, errors.New("a stamp of DNSCrypt, which is not spoken here; most such operators offer DNS over HTTPS as well")
	case odoh, odohRelay:
		return Stamp{}, errors.New("a stamp of Oblivious DNS over HTTPS, which is not spoken here")
	default:
		return Stamp{}, fmt.Errorf("a stamp of an unknown protocol (%#02x)", b[0])
	}
	if len(b) < 1+propsLength {
		return Stamp{}, errShort
	}
	return read(b[0], &field{rest: b[1+propsLength:]})
}

func read(proto byte, f *field) (Stamp, error) {
	s := Stamp{Scheme: map[byte]string{plain: "udp", doh: "https", dot: "tls", doq: "quic"}[proto]}
	s.Port = map[byte]uint16{plain: 53, doh: 443, dot: 853, doq: 853}[proto]
	addr := f.next()
	if proto != plain {
		for _, sum := range f.list() {
			if len(sum) == 0 {
				continue // how "none" is written
			}
			if len(sum) != 32 {
				return Stamp{}, fmt.Errorf("the stamp pins a certificate by %d bytes; a SHA-256 sum has 32", len(sum))
			}
			s.Certs = append(s.Certs, [32]byte([]byte(sum)))
		}
		s.Host = f.next()
	}
	if proto == doh {
		s.Path = f.next()
	}
	if len(f.rest) > 0 && proto != plain {
		f.list() // resolvers to ask for the host: the owner's are asked instead
	}
	if f.bad || len(f.rest) > 0 {
		return Stamp{}, errShort
	}
	return s, s.fit(addr)
}

// fit brings address, name and port together.
func (s *Stamp) fit(addr string) error {
	host, port, err := split(s.Host, s.Port)
	if err != nil {
		return err
	}
	where, port, err := split(addr, port)
	if err != nil {
		return err
	}
	s.Host, s.Port = host, port
	if where != "" {
		a, err := netip.ParseAddr(where)
		if err != nil || a.Zone() != "" {
			return fmt.Errorf("the stamp's address %q is not an IP address", where)
		}
		if s.Addr = a.Unmap(); s.Host == "" {
			s.Host = s.Addr.String()
		}
	}
	if s.Host == "" {
		return errors.New("the stamp names neither an address nor a host")
	}
	if strings.ContainsAny(s.Host, "/?#@ \t\r\n\x00") {
		return fmt.Errorf("the stamp's host %q is not a name", s.Host)
	}
	if s.Path != "" && s.Path[0] != '/' {
		return fmt.Errorf("the stamp's path %q does not begin with a slash", s.Path)
	}
	return nil
}

// split takes a port off, and the brackets of an IPv6 address.
func split(s string, port uint16) (string, uint16, error) {
	host := s
	bare := strings.Count(s, ":") > 1 && s[0] != '[' // an IPv6 address without a port
	if i := strings.LastIndexByte(s, ':'); !bare && i > strings.LastIndexByte(s, ']') {
		n, err := strconv.ParseUint(s[i+1:], 10, 16)
		if err != nil || n == 0 {
			return "", 0, fmt.Errorf("the stamp's port %q is not between 1 and 65535", s[i+1:])
		}
		host, port = s[:i], uint16(n)
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if host, ok = strings.CutSuffix(inner, "]"); !ok {
			return "", 0, fmt.Errorf("the stamp's address %q lacks a bracket", s)
		}
	}
	return host, port, nil
}

// field walks over the length-prefixed parts of a stamp.
type field struct {
	rest []byte
	bad  bool
}

// next reads LP(x): a length and so many bytes.
func (f *field) next() string {
	s, _ := f.part(0xff)
	return s
}

// list reads VLP(x, ...): as LP, with the highest bit of a length set when
// another follows.
func (f *field) list() []string {
	var out []string
	for more := true; more && !f.bad; {
		var s string
		s, more = f.part(0x7f)
		out = append(out, s)
	}
	return out
}

func (f *field) part(mask byte) (s string, more bool) {
	if len(f.rest) == 0 {
		f.bad = true
		return "", false
	}
	n := int(f.rest[0] & mask)
	more = f.rest[0]&^mask != 0
	if len(f.rest) < 1+n {
		f.bad = true
		return "", false
	}
	s, f.rest = string(f.rest[1:1+n]), f.rest[1+n:]
	return s, more
}
