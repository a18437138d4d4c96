// Package spec reads what an owner writes for one upstream: an address, a URL
// or a DNS stamp. It is pure.
package spec

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"nightlatch/resolver/upstream/stamp"
)

// Spec is one upstream as an owner writes it.
type Spec struct {
	Text   string           // as written
	Scheme string           // udp, tcp, tls, https, quic or h3
	Host   string           // the name its certificate must carry; an address is fine
	Port   uint16           // where Addrs say nothing else
	Path   string           // https and h3 only, with the leading slash
	Addrs  []netip.AddrPort // where to dial, in order of preference; empty when Host is a name that must be asked for
	Pins   Pins             // what its certificates must be
	ECH    []byte           // the ECHConfigList that hides its name in the handshake (RFC 9849 §4); empty: it is not hidden
}

// Pins narrow down which certificates a server may show, beside the usual
// check of name and authority: one of its chain must be among them. Empty
// pins say nothing.
type Pins struct {
	Keys  [][32]byte // SHA-256 of SubjectPublicKeyInfo (RFC 7858 §4.2), as pin-sha256=BASE64
	Certs [][32]byte // SHA-256 of TBSCertificate, as in DNS stamps
}

const (
	// MaxAddrs bounds the addresses of one upstream, pinned or found.
	MaxAddrs = 16
	// maxPins bounds the pins of one upstream.
	maxPins = 16
	// pinKey begins a pin after the #.
	pinKey = "pin-sha256="
	// echKey begins the keys of Encrypted Client Hello, in the form that HTTPS and
	// SVCB records have them (RFC 9848).
	echKey = "ech="
)

// ports gives the schemes with their usual ports.
func ports() map[string]uint16 {
	return map[string]uint16{"udp": 53, "tcp": 53, "tls": 853, "quic": 853, "https": 443, "h3": 443}
}

// Encrypted tells whether who answers is proved by a certificate.
func (s *Spec) Encrypted() bool { return s.Scheme != "udp" && s.Scheme != "tcp" }

// Parse reads an upstream:
//
//	https://dns.quad9.net/dns-query#9.9.9.9,149.112.112.112   DNS over HTTPS (RFC 8484)
//	h3://dns.google/dns-query#8.8.8.8                          the same over HTTP/3
//	tls://dns.quad9.net#9.9.9.9                                DNS over TLS (RFC 7858)
//	quic://dns.adguard-dns.com#94.140.14.14                    DNS over QUIC (RFC 9250)
//	udp://192.0.2.1:53, tcp://[2001:db8::1]                    plain DNS
//	192.0.2.1, 192.0.2.1:5353, 2001:db8::1                     plain UDP, TCP for long answers
//	sdns://...                                                 a DNS stamp of one of these
//
// After # stand the addresses of a host that is a name. Without them another
// upstream is asked, for whoever answers the phones' questions cannot ask
// itself. pin-sha256=BASE64 beside them pins a key, ech=BASE64 hides the name. A port may follow the host
// (853 for tls and quic, 443 for https and h3, 53 otherwise).
func Parse(text string) (Spec, error) {
	s, err := parse(text)
	if err != nil {
		return Spec{}, fmt.Errorf("upstream %q: %w", text, err)
	}
	return s, nil
}

func parse(text string) (Spec, error) {
	s := Spec{Text: text}
	if ap, ok := parseAddr(text, 53); ok {
		s.Scheme, s.Host, s.Port, s.Addrs = "udp", ap.Addr().String(), ap.Port(), []netip.AddrPort{ap}
		return s, nil
	}
	if strings.HasPrefix(text, stamp.Prefix) {
		return s, s.stamped()
	}
	u, err := url.Parse(text)
	if err != nil {
		return s, errors.New("not an address and not a URL")
	}
	port, ok := ports()[u.Scheme]
	web := u.Scheme == "https" || u.Scheme == "h3"
	switch {
	case !ok:
		return s, errors.New("it begins with none of udp://, tcp://, tls://, https://, h3://, quic:// and sdns://, and is no address")
	case u.Hostname() == "":
		return s, errors.New("it names no host")
	case u.User != nil || u.RawQuery != "" || !web && u.Path != "":
		return s, errors.New("only a host, a port, a path (https, h3) and addresses after # belong here")
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return s, fmt.Errorf("port %q is not between 1 and 65535", p)
		}
		port = uint16(n)
	}
	s.Scheme, s.Host, s.Port, s.Path = u.Scheme, u.Hostname(), port, u.EscapedPath()
	if web && s.Path == "" {
		s.Path = "/dns-query"
	}
	if err := s.after(u.Fragment); err != nil {
		return s, err
	}
	return s, s.place()
}

// stamped reads a stamp's upstream.
func (s *Spec) stamped() error {
	st, err := stamp.Parse(s.Text)
	if err != nil {
		return err
	}
	if len(st.Certs) > maxPins {
		return fmt.Errorf("the stamp has more than %d pins", maxPins)
	}
	s.Scheme, s.Host, s.Port, s.Path, s.Pins.Certs = st.Scheme, st.Host, st.Port, st.Path, st.Certs
	if s.Scheme == "https" && s.Path == "" {
		s.Path = "/dns-query"
	}
	if s.Path != "" {
		u, err := url.Parse(s.Path) // stamps carry paths unescaped
		if err != nil || u.IsAbs() || u.Host != "" || u.RawQuery != "" || u.Fragment != "" {
			return fmt.Errorf("the stamp's path %q is not one", s.Path)
		}
		s.Path = u.EscapedPath()
	}
	if st.Addr.IsValid() {
		s.Addrs = []netip.AddrPort{netip.AddrPortFrom(st.Addr, st.Port)}
	}
	return s.place()
}

// after reads what stands behind the #: addresses and pins.
func (s *Spec) after(list string) error {
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		if sum, ok := strings.CutPrefix(part, pinKey); ok {
			b, err := base64.StdEncoding.DecodeString(sum)
			if err != nil || len(b) != sha256.Size || len(s.Pins.Keys) == maxPins || !s.Encrypted() {
				return fmt.Errorf("%q is not the SHA-256 sum of a key in base64, or there are more than %d, or nothing is encrypted here", part, maxPins)
			}
			s.Pins.Keys = append(s.Pins.Keys, [32]byte(b))
			continue
		}
		if keys, ok := strings.CutPrefix(part, echKey); ok {
			b, err := base64.StdEncoding.DecodeString(keys)
			if err != nil || len(b) < 4 || s.ECH != nil || !s.Encrypted() {
				return fmt.Errorf("%q is not an ECHConfigList in base64, or there are two, or nothing is encrypted here", part)
			}
			s.ECH = b
			continue
		}
		ap, ok := parseAddr(part, s.Port)
		if !ok || len(s.Addrs) == MaxAddrs {
			return fmt.Errorf("%q after # is not an address, or there are more than %d", part, MaxAddrs)
		}
		s.Addrs = append(s.Addrs, ap)
	}
	return nil
}

// URL is what HTTP requests go to; its host is for the server to read, not for
// us to look up.
func (s *Spec) URL() string {
	host := s.Host
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		host = "[" + host + "]"
	}
	if s.Port != 443 {
		host += ":" + strconv.Itoa(int(s.Port))
	}
	return "https://" + host + s.Path
}

// place finds out where to dial, as far as it stands there.
func (s *Spec) place() error {
	if len(s.Addrs) > 0 {
		return nil
	}
	if a, err := netip.ParseAddr(s.Host); err == nil {
		s.Addrs = []netip.AddrPort{netip.AddrPortFrom(a.Unmap(), s.Port)}
		return nil
	}
	if !s.Encrypted() {
		// Nothing would prove that the address is the right one.
		return fmt.Errorf("%s is a name; write its addresses after a #, as in #192.0.2.1,192.0.2.2", s.Host)
	}
	if _, ok := dns.IsDomainName(s.Host); !ok || strings.ContainsAny(s.Host, `\ `) {
		return fmt.Errorf("%s is neither a name nor an address", s.Host)
	}
	return nil
}

func parseAddr(s string, port uint16) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(a.Unmap(), port), true
	}
	ap, err := netip.ParseAddrPort(s)
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), err == nil && ap.Port() != 0
}

// ErrPin is a certificate that an authority vouches for, and the owner does not.
var ErrPin = errors.New("no certificate of the server is one that the upstream pins")

// Empty tells whether any certificate will do.
func (p Pins) Empty() bool { return len(p.Keys)+len(p.Certs) == 0 }

// Check looks for a pinned certificate in the chains that were verified; it is
// meant for resumed sessions as well.
func (p Pins) Check(chains [][]*x509.Certificate) error {
	for _, chain := range chains {
		for _, c := range chain {
			if slices.Contains(p.Keys, sha256.Sum256(c.RawSubjectPublicKeyInfo)) ||
				slices.Contains(p.Certs, sha256.Sum256(c.RawTBSCertificate)) {
				return nil
			}
		}
	}
	return ErrPin
}
