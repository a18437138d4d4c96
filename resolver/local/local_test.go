package local

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// text shows what a name has.
func text(n *Names, name string, qtype uint16) string {
	rrs, ok := n.Find(name, qtype)
	if !ok {
		return "unknown"
	}
	var out []string
	for _, rr := range rrs {
		out = append(out, strings.Join(strings.Fields(rr.String())[3:], " "))
	}
	return strings.Join(out, ", ")
}

func TestNames(t *testing.T) {
	var b Builder
	if err := b.Host("Phone.nightlatch.internal", netip.MustParseAddr("10.88.0.2"), netip.MustParseAddr("fd00::2")); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"nas.home.arpa A 192.168.1.5", "nas.home.arpa. 60 IN TXT \"of many words\"", "*.dev.home.arpa A 192.168.1.6",
		"kept.dev.home.arpa MX 10 nas.home.arpa", "www.home.arpa CNAME nas.home.arpa", "_http._tcp.home.arpa SRV 0 0 80 nas.home.arpa",
		"second.home.arpa A 192.168.1.5"} {
		if err := b.Record(line); err != nil {
			t.Fatal(err)
		}
	}
	if errs := b.Hosts("# mine\n192.168.1.7 printer printer.home.arpa # in the hall\n\nfe80::1%eth0 router\n192.168.1.7\nx y\n", "home.arpa"); len(errs) != 2 ||
		!strings.Contains(errs[0].Error(), "line 5") || !strings.Contains(errs[1].Error(), "line 6") {
		t.Errorf("hosts: %v", errs)
	}
	n := b.Names()
	for _, c := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"phone.nightlatch.internal", dns.TypeA, "A 10.88.0.2"},
		{"phone.nightlatch.internal", dns.TypeAAAA, "AAAA fd00::2"},
		{"phone.nightlatch.internal", dns.TypeTXT, ""},
		{"nightlatch.internal", dns.TypeA, "unknown"},
		{"2.0.88.10.in-addr.arpa", dns.TypePTR, "PTR phone.nightlatch.internal."},
		{"5.1.168.192.in-addr.arpa", dns.TypePTR, "PTR nas.home.arpa."}, // the first name stays
		{"nas.home.arpa", dns.TypeTXT, "TXT \"of many words\""},
		{"www.home.arpa", dns.TypeA, "CNAME nas.home.arpa."},
		{"a.b.dev.home.arpa", dns.TypeA, "A 192.168.1.6"},
		{"dev.home.arpa", dns.TypeA, "unknown"},
		{"kept.dev.home.arpa", dns.TypeA, ""},
		{"x.kept.dev.home.arpa", dns.TypeA, "unknown"}, // RFC 4592 §2.2.1
		{"printer", dns.TypeA, "A 192.168.1.7"},
		{"printer.home.arpa", dns.TypeA, "A 192.168.1.7"},
		{"router.home.arpa", dns.TypeAAAA, "AAAA fe80::1"},
		{"elsewhere.example", dns.TypeA, "unknown"},
	} {
		if got := text(n, c.name, c.qtype); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.name, dns.Type(c.qtype), got, c.want)
		}
		if n.Has(c.name) != (c.want != "unknown") {
			t.Errorf("%s: Has says %v", c.name, n.Has(c.name))
		}
	}
	var none *Names
	if none.Has("x") {
		t.Error("nothing has names")
	}
}

func TestRecordErrors(t *testing.T) {
	var b Builder
	if err := b.Record("a.example CNAME b.example"); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"nas":                       "NAME TYPE DATA",
		"nas A 1.2.3":               "NAME TYPE DATA",
		"":                          "NAME TYPE DATA",
		"example SOA a b 1 2 3 4 5": "make a zone",
		"a.example A 192.0.2.1":     "alias",
		"$INCLUDE /etc/passwd":      "NAME TYPE DATA",
	} {
		if err := b.Record(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
	if err := b.Host("no name at all..", netip.MustParseAddr("192.0.2.1")); err == nil {
		t.Error("a name that is none is taken")
	}
}

func FuzzRecord(f *testing.F) {
	f.Add("nas.home.arpa A 192.168.1.5")
	f.Add("*.x 60 IN HTTPS 1 . alpn=h2")
	f.Fuzz(func(t *testing.T, line string) {
		var b Builder
		if b.Record(line) != nil {
			return
		}
		m := new(dns.Msg)
		for name, set := range b.Names().sets {
			b.Names().Has(name)
			for _, rrs := range set {
				m.Answer = append(m.Answer, rrs...)
			}
		}
		if _, err := m.Pack(); err != nil {
			t.Skip() // told when it is asked for
		}
	})
}
