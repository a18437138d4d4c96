package spec

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

func TestSpecStamp(t *testing.T) {
	stamp := "sdns://AgMAAAAAAAAABzkuOS45LjkgKhX11qy258CQGt5Ou8dDsszUiQMrRuFkLwaTaDABJYoSZG5zOS5xdWFkOS5uZXQ6NDQzCi9kbnMtcXVlcnk"
	s, err := Parse(stamp)
	if err != nil || s.URL() != "https://dns9.quad9.net/dns-query" || s.Addrs[0].String() != "9.9.9.9:443" || len(s.Pins.Certs) != 1 || s.Text != stamp {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestSpecPins(t *testing.T) {
	sum := sha256.Sum256([]byte("key"))
	pin := pinKey + base64.StdEncoding.EncodeToString(sum[:])
	s, err := Parse("quic://dns.example#192.0.2.1," + pin + ",192.0.2.2")
	if err != nil || len(s.Addrs) != 2 || len(s.Pins.Keys) != 1 || s.Pins.Keys[0] != sum {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := Parse("tls://dns.example#" + strings.Repeat(pin+",", maxPins+1)); err == nil {
		t.Error("too many pins are fine")
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"192.0.2.1", "udp 192.0.2.1 [192.0.2.1:53]"},
		{"192.0.2.1:5353", "udp 192.0.2.1 [192.0.2.1:5353]"},
		{"2001:db8::1", "udp 2001:db8::1 [[2001:db8::1]:53]"},
		{"[2001:db8::1]:5353", "udp 2001:db8::1 [[2001:db8::1]:5353]"},
		{"udp://192.0.2.1:53", "udp 192.0.2.1 [192.0.2.1:53]"},
		{"tcp://[2001:db8::1]", "tcp 2001:db8::1 [[2001:db8::1]:53]"},
		{"tls://dns.quad9.net#9.9.9.9", "tls dns.quad9.net [9.9.9.9:853]"},
		{"tls://dns.quad9.net:8853#9.9.9.9", "tls dns.quad9.net [9.9.9.9:8853]"},
		{"tls://9.9.9.9", "tls 9.9.9.9 [9.9.9.9:853]"},
		{"https://dns.quad9.net/dns-query#9.9.9.9,149.112.112.112", "https dns.quad9.net/dns-query [9.9.9.9:443 149.112.112.112:443]"},
		{"tls://dns.quad9.net", "tls dns.quad9.net []"},
		{"quic://dns.adguard-dns.com", "quic dns.adguard-dns.com []"},
		{"quic://9.9.9.9:784", "quic 9.9.9.9 [9.9.9.9:784]"},
		{"h3://dns.google#8.8.8.8", "h3 dns.google/dns-query [8.8.8.8:443]"},
		{"https://[2001:db8::1]:8443/x%20y", "https 2001:db8::1/x%20y [[2001:db8::1]:8443]"},
		{"https://dns.quad9.net#9.9.9.9,2620:fe::fe", "https dns.quad9.net/dns-query [9.9.9.9:443 [2620:fe::fe]:443]"},
	} {
		s, err := Parse(c.in)
		if got := fmt.Sprint(s.Scheme, " ", s.Host, s.Path, " ", s.Addrs); err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", c.in, got, err, c.want)
		}
	}
	for in, want := range map[string]string{
		"":                                  "begins with none of",
		"dns.quad9.net":                     "begins with none of",
		"ftp://192.0.2.1":                   "begins with none of",
		"udp://router.home":                 "write its addresses after a #",
		"tcp://router.home":                 "write its addresses after a #",
		"tls://a b":                         "not an address and not a URL",
		"tls://a..b":                        "neither a name nor an address",
		"quic://192.0.2.1/path":             "only a host",
		"sdns://":                           "ends too early",
		"sdns://AQcAAAAAAAAA":               "DNSCrypt",
		"tls://a#ech=xx":                    "not an ECHConfigList",
		"tls://a#ech=AAAAAA==,ech=AAAAAA==": "there are two",
		"tls://a#pin-sha256=xx":             "SHA-256 sum of a key",
		"udp://192.0.2.1#pin-sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=": "nothing is encrypted here",
		"tls://":                 "names no host",
		"tls://a#nonsense":       `"nonsense" after #`,
		"udp://192.0.2.1:0":      "not between 1 and 65535",
		"udp://192.0.2.1:70000":  "",
		"udp://192.0.2.1/path":   "only a host",
		"https://me@host/#1.1.1": "only a host",
	} {
		if _, err := Parse(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q in it", in, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"192.0.2.1", "[2001:db8::1]:5353", "https://dns.quad9.net/dns-query#9.9.9.9,149.112.112.112", "tls://a#pin-sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"quic://dns.example:784", "h3://[2001:db8::1]/q", "sdns://AgMAAAAAAAAABzkuOS45LjkgKhX11qy258CQGt5Ou8dDsszUiQMrRuFkLwaTaDABJYoSZG5zOS5xdWFkOS5uZXQ6NDQzCi9kbnMtcXVlcnk",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s, err := Parse(in)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		if s.Host == "" || s.Port == 0 || len(s.Addrs) == 0 && !s.Encrypted() || len(s.Addrs) > MaxAddrs {
			t.Errorf("%q: %+v", in, s)
		}
	})
}
