package blocklists

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// seeds are small lists of every format, with what is awkward in each.
var seeds = map[Format][]string{
	Native: {
		"name: X\nowner: Y\nabout: z\naction: sink\nrules:\n  - a.example\n  - =b.example\n  - \"*.c.example\"\n  - 192.0.2.1\n  - 2001:db8::/32\n" +
			"  - domain: d.example\n    match: exact\n    category: ads\n    why: w\n    breaks: b\n    source: s\n    action: drop\nallow:\n  - x.a.example\n",
		"answer: nodata\ninclude: x.yaml\nrules:\n  - {answer: 'cname:b.example', decode: {param: p, encodings: [base64, gzip]}, devices: [a, 10.0.0.1], risk: may-break, confidence: listed, rules: [a.example]}\n" +
			"  - {domain: c.example, answer: [192.0.2.1, '::1'], action: observe, until: 2030-01-01, types: [A, TYPE65]}\n  - {domain: 'a*b.example', match: wildcard, answer: null}\n",
		"a: &a [*a]", "rules: [*x]", "rules: &r [a.b]\nallow: *r", "- a", "rules:\n\t- a", "rules: {a: b}", "rules: [[]]", "---\n---\n", "\"", "? [a]: b", "rules: [a.b, 1, ~, true, 1.5]",
	},
	Hosts:    {"127.0.0.1 localhost\n::1 ip6-localhost\n0.0.0.0 a.example b.example # c\n:: d.example\n192.0.2.7\te.example\n# x\nbare.example\n", "\xef\xbb\xbf0.0.0.0 a.example\r\n"},
	Domains:  {"a.example\n*.b.example\n# c\nB\u00fccher.example\n192.0.2.0/24\n"},
	Wildcard: {"*.a.example\nb.example"},
	Adblock: {"[Adblock Plus]\n! t\n||a.example^\n@@||b.a.example^$important\n|c.example^\nd.example\n||e*.example^\n/^f[0-9]+\\.example$/\n||g.example^$badfilter\n||g.example^\n" +
		"||h.example^$denyallow=x.h.example,dnstype=~A|AAAA\n||i.example^$client='a\\'b'\nj##.ad\n||192.0.2.1^\n||\n@@||\n$$\n*\n||*^\n/x/y\n||k.example^$third-party\n||l.example^$dnsrewrite=192.0.2.1\n@@||l.example^$dnsrewrite\n||m.example^$dnsrewrite=NOERROR;MX;1 n.example\n-frag-ment.\n"},
	DNSMasq: {"local=/a.example/\naddress=/b.example/c.example/0.0.0.0\nserver=/d.example/192.0.2.1\naddress=/#/0.0.0.0\nserver=192.0.2.1\ncache-size=5\n"},
	RPZ: {"$TTL 300\n@ IN SOA a. b. ( 1 2 3\n 4 5 )\n IN NS localhost.\na.example CNAME .\n*.a.example CNAME *.\nb.example 60 IN CNAME rpz-passthru.\n32.1.2.0.192.rpz-ip CNAME .\n" +
		"128.1.zz.db8.2001.rpz-ip CNAME .\nc.example A 192.0.2.1\nc.example 9 TXT \"a;b\" c ; d\ne.example CNAME *.f.example.\n8.0.0.0.10.rpz-client-ip CNAME rpz-tcp-only.\n$ORIGIN x.\nd CNAME rpz-drop.\n* CNAME .\n"},
	IP: {"192.0.2.1\n2001:db8::/32\n0.0.0.0/0\n::ffff:192.0.2.1 # c\n"},
}

// fuzzFormat is the body of every fuzz target: whatever comes in, a list is
// refused with an error or is whole, and it stops nothing it does not name.
func fuzzFormat(f *testing.F, format Format) {
	for _, of := range seeds {
		for _, s := range of {
			f.Add([]byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			return
		}
		l, err := Parse(Source{Name: "fuzz", Format: format}, bytes.NewReader(text))
		if err != nil {
			checkError(t, err, text)
			return
		}
		checkList(t, l)
	})
}

func checkError(t *testing.T, err error, text []byte) {
	if strings.ContainsAny(err.Error(), "\n\x00\x1b") || len(err.Error()) > 1000 {
		t.Errorf("the error is not one short line: %q", err)
	}
	var at *SyntaxError
	if errors.As(err, &at) && (at.Line < 1 || at.Line > bytes.Count(text, []byte("\n"))+bytes.Count(text, []byte("\r"))+2) {
		t.Errorf("an error at line %d of %q", at.Line, text)
	}
}

func checkList(t *testing.T, l *List) {
	rules := slices.Collect(l.Rules())
	if rep := l.Report; len(rules) != l.Len() || rep.Blocks+rep.Allows != l.Len() {
		t.Fatalf("%d rules, Len %d, report %+v", len(rules), l.Len(), rep)
	}
	s := Compile(l)
	for _, r := range rules {
		checkRule(t, l, r)
		if r.Match == Pattern || r.Match == Address {
			continue
		}
		for _, name := range []string{r.Domain, "a." + r.Domain, "q.w." + r.Domain} {
			if l.Report.Limited+l.Report.Patterns+l.Report.Rewrites+l.Report.Clients > 0 || len(name) > maxName {
				continue // the oracle does not know these
			}
			got, ok := s.Match(name, Selection{})
			want, wantOK := oracle([]*List{l}, func(int) bool { return true }, name)
			if ok != wantOK || l.Report.Format != Adblock && (got.Domain != want.Domain || got.Allow != want.Allow) {
				t.Fatalf("%s: %+v %v, the oracle says %+v %v", name, got, ok, want, wantOK)
			}
		}
	}
	checkRewrites(t, s, rules)
	if r, ok := s.Match("qqq.nothing-names-this.zz", Selection{}); ok && r.Match != Pattern && !strings.HasSuffix("qqq.nothing-names-this.zz", r.Domain) {
		t.Fatalf("%+v stops a name it does not name", r)
	}
}

// checkRewrites: what Rewrites gives begins with what Ask gives, and Match never
// gives a rule that answers in another way than to stop.
func checkRewrites(t *testing.T, s *Set, rules []Rule) {
	for _, r := range rules {
		if r.Domain == "" {
			continue
		}
		q := Query{Name: inside(r), Type: 1, Addr: netip.MustParseAddr("10.1.2.3")}
		got, ok := s.Ask(q, Selection{})
		all := s.Rewrites(q, Selection{})
		if ok && got.Rewrite != nil && (len(all) == 0 || all[0] != got) || got.Rewrite == nil && all != nil {
			t.Fatalf("%s: Ask gives %+v, Rewrites %+v", q.Name, got, all)
		}
		if m, _ := s.Match(q.Name, Selection{}); m.Rewrite != nil && !m.Rewrite.Stops() {
			t.Fatalf("%s: Match gives %+v", q.Name, m)
		}
	}
}

func checkRule(t *testing.T, l *List, r Rule) {
	if r.Line < 1 || r.List != "fuzz" || len(r.Text) > maxText || !utf8.ValidString(r.Text) {
		t.Fatalf("rule %+v", r)
	}
	switch r.Match {
	case Address:
		if !r.Prefix.IsValid() || r.Prefix != r.Prefix.Masked() || r.Domain != "" || r.Prefix.Bits() == 0 && l.Report.Format != Native {
			t.Fatalf("address rule %+v", r)
		}
	case Client:
		if !r.Prefix.IsValid() || r.Prefix.Bits() == 0 || r.Domain != "" {
			t.Fatalf("client rule %+v", r)
		}
	case Pattern:
		if r.Domain != "" {
			t.Fatalf("pattern %+v", r)
		}
	default:
		if c, err := Canonical(r.Domain); err != nil || c != r.Domain {
			t.Fatalf("%+v: the name is not canonical: %q %v", r, c, err)
		}
	}
}

func FuzzAuto(f *testing.F)    { fuzzFormat(f, Auto) }
func FuzzNative(f *testing.F)  { fuzzFormat(f, Native) }
func FuzzHosts(f *testing.F)   { fuzzFormat(f, Hosts) }
func FuzzDomains(f *testing.F) { fuzzFormat(f, Domains) }
func FuzzAdblock(f *testing.F) { fuzzFormat(f, Adblock) }
func FuzzDNSMasq(f *testing.F) { fuzzFormat(f, DNSMasq) }
func FuzzRPZ(f *testing.F)     { fuzzFormat(f, RPZ) }
func FuzzIP(f *testing.F)      { fuzzFormat(f, IP) }

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"A.Example.", "b\u00fccher.example", "..", "a..b", strings.Repeat("a", 64), strings.Repeat("a.", 127), "_x.y", "\u3002", "xn--a", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		c, err := Canonical(name)
		if err != nil {
			return
		}
		if again, err := Canonical(c); err != nil || again != c {
			t.Errorf("%q gives %q gives %q, %v", name, c, again, err)
		}
		if len(c) > maxName || c != strings.ToLower(c) {
			t.Errorf("%q gives %q", name, c)
		}
	})
}
