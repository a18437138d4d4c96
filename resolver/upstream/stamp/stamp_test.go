package stamp

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// lp and vlp write what the package reads: draft-denis-dns-stamps-01 §3.
func lp(s string) string { return string(rune(len(s))) + s }

func vlp(parts ...string) string {
	var b []byte
	for i, p := range parts {
		n := byte(len(p))
		if i < len(parts)-1 {
			n |= 0x80
		}
		b = append(append(b, n), p...)
	}
	return string(b)
}

func word(proto byte, rest string) string {
	return Prefix + base64.RawURLEncoding.EncodeToString([]byte(string([]byte{proto, 7, 0, 0, 0, 0, 0, 0, 0})+rest))
}

const sum = "0123456789abcdef0123456789abcdef"

func TestParse(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{word(plain, lp("192.0.2.1")), "udp 192.0.2.1:53 192.0.2.1 pins 0"},
		{word(plain, lp("[2001:db8::1]:5353")), "udp [2001:db8::1]:5353 2001:db8::1 pins 0"},
		{word(plain, lp("2001:db8::1")), "udp [2001:db8::1]:53 2001:db8::1 pins 0"},
		{word(doh, lp("192.0.2.1")+vlp(sum)+lp("dns.example")+lp("/q")), "https 192.0.2.1:443 dns.example/q pins 1"},
		{word(doh, lp("192.0.2.1:8443")+vlp(sum, sum)+lp("dns.example")+lp("/q")+vlp("9.9.9.9", "8.8.8.8")), "https 192.0.2.1:8443 dns.example/q pins 2"},
		{word(doh, lp("")+vlp("")+lp("dns.example:444")+lp("/q")), "https invalid AddrPort dns.example/q pins 0"},
		{word(doh, lp(":8443")+vlp("")+lp("dns.example")+lp("")), "https invalid AddrPort dns.example pins 0"},
		{word(dot, lp("[2001:db8::1]")+vlp("")+lp("dns.example")), "tls [2001:db8::1]:853 dns.example pins 0"},
		{word(doq, lp("192.0.2.1")+vlp("")+lp("")), "quic 192.0.2.1:853 192.0.2.1 pins 0"},
		{word(doq, lp("192.0.2.1")+vlp("")+lp("dns.example")) + "==", "quic 192.0.2.1:853 dns.example pins 0"},
	} {
		s, err := Parse(c.in)
		got := fmt.Sprintf("%s %s %s%s pins %d", s.Scheme, addrPort(s), s.Host, s.Path, len(s.Certs))
		if err != nil || got != c.want {
			t.Errorf("%q: %s, %v; want %s", c.in, got, err, c.want)
		}
	}
	if s, err := Parse(word(doh, lp(":8443")+vlp("")+lp("dns.example")+lp("/"))); err != nil || s.Port != 8443 {
		t.Errorf("port %d, %v", s.Port, err)
	}
}

func addrPort(s Stamp) string {
	if !s.Addr.IsValid() {
		return "invalid AddrPort"
	}
	if s.Addr.Is6() {
		return fmt.Sprintf("[%s]:%d", s.Addr, s.Port)
	}
	return fmt.Sprintf("%s:%d", s.Addr, s.Port)
}

// TestPublished reads a stamp as an operator published it.
func TestPublished(t *testing.T) {
	s, err := Parse("sdns://AgMAAAAAAAAABzkuOS45LjkgKhX11qy258CQGt5Ou8dDsszUiQMrRuFkLwaTaDABJYoSZG5zOS5xdWFkOS5uZXQ6NDQzCi9kbnMtcXVlcnk")
	if err != nil || s.Scheme != "https" || s.Addr.String() != "9.9.9.9" || s.Port != 443 || s.Host != "dns9.quad9.net" || s.Path != "/dns-query" || len(s.Certs) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestRefused(t *testing.T) {
	for in, want := range map[string]string{
		"https://dns.example":                          "begins with sdns://",
		"sdns://":                                      "ends too early",
		"sdns://!!!":                                   "damaged",
		"sdns://Ag":                                    "ends too early",
		Prefix + strings.Repeat("A", maxLen):           "at most",
		word(dnscrypt, ""):                             "DNSCrypt",
		word(cryptRelay, ""):                           "DNSCrypt",
		word(odoh, ""):                                 "Oblivious",
		word(odohRelay, ""):                            "Oblivious",
		word(0x42, ""):                                 "unknown protocol (0x42)",
		word(doh, lp("192.0.2.1")):                     "ends too early",
		word(plain, lp("")):                            "neither an address nor a host",
		word(plain, lp("dns.example")):                 "not an IP address",
		word(plain, lp("192.0.2.1:0")):                 "not between 1 and 65535",
		word(plain, lp("192.0.2.1:99999")):             "not between 1 and 65535",
		word(plain, lp("[2001:db8::1")):                "",
		word(plain, lp("192.0.2.1")+"x"):               "ends too early",
		word(dot, lp("192.0.2.1")+vlp("short")+lp("")): "pins a certificate by 5 bytes",
		word(dot, lp("192.0.2.1")+"\xa0"):              "ends too early",
		word(dot, lp("192.0.2.1")+vlp("")+lp("a/b")):   "not a name",
		word(doh, lp("")+vlp("")+lp("a")+lp("b")):      "does not begin with a slash",
	} {
		if s, err := Parse(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, error %v, want %q in it", in, s, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(word(doh, lp("192.0.2.1:8443")+vlp(sum, sum)+lp("dns.example")+lp("/q")+vlp("9.9.9.9")))
	f.Add(word(dot, lp("[2001:db8::1]")+vlp("")+lp("dns.example")))
	f.Add(word(plain, lp("192.0.2.1")))
	f.Fuzz(func(t *testing.T, in string) {
		s, err := Parse(in)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		if s.Host == "" || s.Port == 0 || s.Path != "" && s.Path[0] != '/' || s.Scheme == "" {
			t.Errorf("%q: %+v", in, s)
		}
	})
}
