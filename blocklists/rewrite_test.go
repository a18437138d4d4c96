package blocklists

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"nightlatch/blocklists/syntax"
)

// answerOf writes what a Set says to a question: pass, or the line that decides,
// with allow before it, and what the answer is made of.
func answerOf(s *Set, q Query) string {
	r, ok := s.Ask(q, Selection{})
	if !ok {
		return "pass"
	}
	out := fmt.Sprintf("%s:%d", r.List, r.Line)
	if r.Allow {
		out = "allow " + out
	}
	for i, w := range s.Rewrites(q, Selection{}) {
		out += map[bool]string{true: " => ", false: " + "}[i == 0] + w.Rewrite.String()
	}
	return out
}

func TestRewrites(t *testing.T) {
	const adguard = `||a.test^$dnsrewrite=192.0.2.1
||a.test^$dnsrewrite=192.0.2.2
||a.test^$dnsrewrite=192.0.2.1,important
||mixed.test^$dnsrewrite=192.0.2.1
||mixed.test^$dnsrewrite=REFUSED
||mixed.test^$dnsrewrite=Safe.Example.
||a.b.mixed.test^$dnsrewrite=REFUSED
||parent.test^
@@||parent.test^
||parent.test^$dnsrewrite=NXDOMAIN
||gone.test^$dnsrewrite=192.0.2.3
@@||gone.test^$dnsrewrite
||gone.test^
||kept.test^$dnsrewrite=192.0.2.4,important
@@||kept.test^$dnsrewrite
||one.test^$dnsrewrite=safe.example
||one.test^$dnsrewrite=NOERROR;TXT;a\,b
@@||one.test^$dnsrewrite=NOERROR;CNAME;safe.example
||mom.test^$dnsrewrite=192.0.2.5,client=Mom
/^rx[0-9]\.test$/$dnsrewrite=2001:db8::5
||bad.test^$dnsrewrite=192.0.2.6
||bad.test^$dnsrewrite=192.0.2.6,badfilter
||plainexc.test^$dnsrewrite=192.0.2.7
@@||plainexc.test^
`
	const zone = `$ORIGIN rpz.example.
@ SOA a. b. 1 2 3 4 5
two.test 60 A 192.0.2.1
two.test A 192.0.2.2
two.test TXT "a  b" "c;\"d"
*.test CNAME .
*.in.test A 192.0.2.3
cname.test CNAME garden.example.
*.star.test CNAME *.garden.example.
rel.test CNAME walled
tcp.test CNAME rpz-tcp-only.
32.5.0.0.10.rpz-client-ip CNAME rpz-passthru.
8.0.0.0.10.rpz-client-ip CNAME rpz-drop.
24.7.0.0.10.rpz-client-ip CNAME rpz-tcp-only.
24.0.0.7.10.rpz-client-ip CNAME rpz-tcp-only.
`
	const own = "rules:\n  - own.test\n  - a.test\nallow:\n  - mixed.test\n"
	parse := func(name string, own bool, text string) *List {
		return parseText(t, Source{Name: name, Own: own}, text)
	}
	ag, z := Compile(parse("ag", false, adguard)), Compile(parse("zone", false, zone))
	both := Compile(parse("ag", false, adguard), parse("own", true, own))
	ownAG := Compile(parse("ag", false, adguard), parse("mine", true, "@@||a.test^$dnsrewrite\n||gone.test^$dnsrewrite=192.0.2.9\n"))
	ip := netip.MustParseAddr
	for _, c := range []struct {
		set  *Set
		q    Query
		want string
	}{
		{ag, Query{Name: "X.A.test."}, "ag:1 => A 192.0.2.1 + A 192.0.2.2"},
		{ag, Query{Name: "a.test", Type: 28}, "ag:1 => A 192.0.2.1 + A 192.0.2.2"},
		{ag, Query{Name: "mixed.test"}, "ag:6 => CNAME safe.example"},
		{ag, Query{Name: "a.b.mixed.test"}, "ag:6 => CNAME safe.example"},
		{ag, Query{Name: "parent.test"}, "ag:10 => NXDOMAIN"},
		{ag, Query{Name: "parent.test", NoRewrites: true}, "allow ag:9"},
		{ag, Query{Name: "gone.test"}, "ag:13"},
		{ag, Query{Name: "kept.test"}, "ag:14 => A 192.0.2.4"},
		{ag, Query{Name: "one.test"}, "ag:17 => TXT a,b"},
		{ag, Query{Name: "mom.test"}, "pass"},
		{ag, Query{Name: "mom.test", Client: "Mom"}, "ag:19 => A 192.0.2.5"},
		{ag, Query{Name: "rx1.test"}, "ag:20 => AAAA 2001:db8::5"},
		{ag, Query{Name: "bad.test"}, "pass"},
		{ag, Query{Name: "plainexc.test"}, "ag:23 => A 192.0.2.7"},
		{both, Query{Name: "a.test"}, "own:3"},
		{both, Query{Name: "mixed.test"}, "allow own:5"},
		{both, Query{Name: "parent.test"}, "ag:10 => NXDOMAIN"},
		{ownAG, Query{Name: "a.test"}, "pass"},
		{ownAG, Query{Name: "gone.test"}, "mine:2 => A 192.0.2.9"},
		{z, Query{Name: "two.test", Type: 1}, "zone:3 => A 192.0.2.1 + A 192.0.2.2"},
		{z, Query{Name: "two.test", Type: 16}, "zone:5 => TXT a  bc;\"d"},
		{z, Query{Name: "two.test", Type: 28}, "pass"}, // and not the wildcard above it
		{z, Query{Name: "two.test"}, "pass"},
		{z, Query{Name: "three.test", Type: 28}, "zone:6"},
		{z, Query{Name: "x.in.test", Type: 1}, "zone:7 => A 192.0.2.3"},
		{z, Query{Name: "x.in.test", Type: 28}, "pass"},
		{z, Query{Name: "cname.test", Type: 28}, "zone:8 => CNAME garden.example"},
		{z, Query{Name: "cname.test", NoRewrites: true}, "pass"},
		{z, Query{Name: "q.star.test"}, "zone:9 => CNAME *.garden.example"},
		{z, Query{Name: "rel.test"}, "zone:10 => CNAME walled.rpz.example"},
		{z, Query{Name: "tcp.test"}, "zone:11 => TCP only"},
		{z, Query{Name: "three.test", Addr: ip("10.0.0.5")}, "allow zone:12"},
		{z, Query{Name: "three.test", Addr: ip("10.0.0.6")}, "zone:13"},
		{z, Query{Name: "other.example", Addr: ip("::ffff:10.0.0.6")}, "zone:13"},
		{z, Query{Name: "other.example", Addr: ip("10.7.0.6")}, "zone:15 => TCP only"},
		{z, Query{Name: "other.example", Addr: ip("192.0.2.1")}, "pass"},
		{z, Query{Name: "other.example", Addr: ip("10.0.0.6"), NoRewrites: true}, "pass"},
	} {
		if got := answerOf(c.set, c.q); got != c.want {
			t.Errorf("%+v: %s, want %s", c.q, got, c.want)
		}
	}
	if n := z.lists[0].Report.Clients; n != 3 {
		t.Errorf("%d client rules, want 3: %+v", n, z.lists[0].Report.Ignored)
	}
}

// TestRewriteValues: a value that is not valid leaves the whole rule out.
func TestRewriteValues(t *testing.T) {
	for value, want := range map[string]string{
		"192.0.2.1": "A 192.0.2.1", "2001:DB8::1": "AAAA 2001:db8::1", "safe.example": "CNAME safe.example", "B\u00fccher.example": "CNAME xn--bcher-kva.example",
		"NXDOMAIN": "NXDOMAIN", "NOERROR": "NOERROR", "REFUSED;;": "REFUSED", "nxdomain;A;home": "NXDOMAIN", "NOERROR;;": "NOERROR",
		"NOERROR;A;192.0.2.1": "A 192.0.2.1", "noerror;aaaa;::1": "AAAA ::1", "NOERROR;CNAME;a.example.": "CNAME a.example", "NOERROR;TXT;a;b": "TXT a;b",
		"NOERROR;MX;10 mail.example": "MX 10 mail.example", "NOERROR;SRV;1 2 3 a.example": "SRV 1 2 3 a.example", "NOERROR;PTR;a.example.": "PTR a.example.",
		"NOERROR;HTTPS;1 . alpn=h3": "HTTPS 1 . alpn=h3", "NOERROR;SVCB;0 a.example": "SVCB 0 a.example",
		"": "NOERROR", "nxdomain": "CNAME nxdomain", "NOPE": "", "NOTIMP": "", "SVCB": "", "NOERROR;A": "", "NOERROR;A;": "", "NOERROR;;192.0.2.1": "", "NOERROR;A;::1": "", "NOERROR;AAAA;192.0.2.1": "",
		"NOERROR;AAAA;fe80::1%eth0": "", "NOERROR;CNAME;a b": "", "NOERROR;CNAME;localhost": "CNAME localhost", "NOERROR;CNAME;a..b": "", "NOERROR;MX;mail.example": "", "NOERROR;MX;99999 m.example": "",
		"NOERROR;SRV;1 2 a.example": "", "NOERROR;TYPE65;x": "", "NOERROR;NS;a.example": "", "FLORB;A;192.0.2.1": "", "http://a.example": "", "NOERROR;TXT;": "", "a.example/x": "",
		"NOERROR;TXT;" + strings.Repeat("x", 2000): "", "NOERROR;HTTPS;x .": "", "NOERROR;HTTPS;1": "",
	} {
		l := parseText(t, Source{Name: "l", Format: Adblock}, "||ok.example^\n||a.test^$dnsrewrite="+value+"\n")
		got := ""
		for r := range l.Rules() {
			if r.Rewrite != nil {
				got = r.Rewrite.String()
			}
		}
		if got != want || want == "" && (l.Len() != 1 || l.Report.IgnoredLines() != 1) {
			t.Errorf("%q: %q, want %q (%d rules, %+v)", value, got, want, l.Len(), l.Report.Ignored)
		}
	}
}

// TestNoRewriteCostsNothing: lists without rewrites are asked without allocation
// by both doors.
func TestNoRewriteCostsNothing(t *testing.T) {
	s := Compile(parseText(t, Source{Name: "l", Format: Adblock}, "||a.test^\n@@||b.a.test^\n||c.test^$dnsrewrite=192.0.2.1\n"))
	q := Query{Name: "b.a.test", Type: 1, Client: "Mom"}
	if n := testing.AllocsPerRun(100, func() { s.Match("x.a.test", Selection{}); s.Ask(q, Selection{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if r, ok := s.Match("c.test", Selection{}); ok {
		t.Errorf("Match gives %+v, which cannot be answered by whoever asks so", r)
	}
}

func TestTypes(t *testing.T) {
	for word, want := range map[string]uint16{"A": 1, "https": 65, "type65": 65, "TYPE65535": 65535, "TYPE0": 0, "TYPE65536": 0, "TYPE": 0, "": 0, "AA": 0} {
		if got, ok := syntax.AnyType(word); got != want && ok || ok != (want != 0) {
			t.Errorf("%q: %d %v, want %d", word, got, ok, want)
		}
	}
	if syntax.TypeName(28) != "AAAA" || syntax.TypeName(1234) != "TYPE1234" || syntax.CodeName(3) != "NXDOMAIN" || syntax.CodeName(23) != "RCODE23" {
		t.Error("names of types and codes")
	}
}
