package blocklists

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"nightlatch/blocklists/compiled"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ruleLines gives the rules of a list in a form a table can hold.
func ruleLines(l *List) string {
	var out []string
	for r := range l.Rules() {
		s := r.Match.String() + " " + r.Domain
		switch r.Match {
		case Address, Client:
			s = r.Match.String() + " " + r.Prefix.String()
		case Pattern:
			s = "pattern " + r.Text
		}
		if r.Allow {
			s = "allow " + s
		}
		if r.Answer.IsValid() {
			s += " -> " + r.Answer.String()
		}
		if r.Rewrite != nil {
			s += " => " + r.Rewrite.String()
		}
		out = append(out, s)
	}
	return strings.Join(out, "\n")
}

// ignoredLines gives what a report says was left out, by reason.
func ignoredLines(l *List) string {
	var out []string
	for _, i := range l.Report.Ignored {
		for _, e := range i.Examples {
			out = append(out, i.Reason+": "+e.Text)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func TestFormats(t *testing.T) {
	exact, sub := Exact, Subtree
	for _, c := range []struct {
		name, text     string
		src            Source
		format         Format
		rules, ignored string
	}{
		{name: "hosts", format: Hosts,
			text: "\xef\xbb\xbf# head\r\n127.0.0.1\tlocalhost\r\n::1 ip6-localhost ip6-loopback\r\n0.0.0.0 0.0.0.0\r\n0.0.0.0 A.example  b.example # two\r\n" +
				":: c.example\r\n192.0.2.7 d.example\r\nbare.example\r\n0.0.0.0 bad!name e.example\r\n0.0.0.0 *.f.example",
			rules:   "exact a.example\nexact b.example\nexact c.example\nexact d.example -> 192.0.2.7\nexact bare.example\nexact e.example",
			ignored: "not a name or a rule that is known: 0.0.0.0 *.f.example\nnot a name or a rule that is known: 0.0.0.0 bad!name e.example"},
		{name: "hosts as subtrees", format: Hosts, src: Source{Match: &sub}, text: "0.0.0.0 a.example", rules: "subtree a.example"},
		{name: "domains", format: Domains,
			text:    "# head\na.example\n*.b.example\nB\u00fccher.example # books\n_x.c.example.\n192.0.2.1\n2001:db8::/32\n0.0.0.0/0\n.\n-\nd.example/path\ne..example\n" + strings.Repeat("a", 64) + ".example\n",
			rules:   "exact a.example\nsubtree b.example\nexact xn--bcher-kva.example\nexact _x.c.example\naddress 192.0.2.1/32\naddress 2001:db8::/32\nexact -",
			ignored: "not a name or a rule that is known: .\nnot a name or a rule that is known: d.example/path\nnot a name or a rule that is known: e..example\nwould match everything: 0.0.0.0/0"},
		{name: "domains as subtrees", format: Domains, src: Source{Match: &sub}, text: "a.example\nb.example", rules: "subtree a.example\nsubtree b.example"},
		{name: "wildcard", format: Wildcard, text: "*.a.example\n*.b.example\nc.example\n*.*.d.example", rules: "subtree a.example\nsubtree b.example\nsubtree c.example",
			ignored: "not a name or a rule that is known: *.*.d.example"},
		{name: "wildcard, bare names exact", format: Wildcard, src: Source{Match: &exact}, text: "*.a.example\n*.b.example\nc.example", rules: "subtree a.example\nsubtree b.example\nexact c.example"},
		{name: "dnsmasq", format: DNSMasq,
			text: "# head\nlocal=/a.example/\naddress=/b.example/c.example/0.0.0.0\naddress=/d.example/#\naddress=/e.example/192.0.2.9\nserver=/f.example/192.0.2.1\nserver=/g.example/\n" +
				"server=192.0.2.1\naddress=/#/0.0.0.0\ncache-size=100\nlocal=/*.h.example/\nno-resolv\n",
			rules:   "subtree a.example\nsubtree b.example\nsubtree c.example\nsubtree d.example\nsubtree e.example -> 192.0.2.9\nsubtree g.example\nbelow h.example",
			ignored: "a setting, not a rule: cache-size=100\nnames an upstream, stops nothing: server=/f.example/192.0.2.1\nnames an upstream, stops nothing: server=192.0.2.1\nnot a name or a rule that is known: no-resolv\nwould match everything: address=/#/0.0.0.0"},
		{name: "rpz", format: RPZ,
			text: "$TTL 300\n@ IN SOA ns. me. (\n 1 2 ; serial\n 3 4 5 )\n  NS localhost.\nA.example CNAME .\n  TXT \"more; (of the same\"\n*.a.example 60 IN CNAME *.\nb.example IN CNAME rpz-passthru.\n" +
				"c.example CNAME rpz-drop.\nd.example CNAME garden.example.\ne.example A 192.0.2.1\nf.example A 0.0.0.0\n24.0.2.0.192.rpz-ip CNAME .\n128.1.zz.db8.2001.rpz-ip CNAME .\n1.2.0.192.rpz-ip CNAME .\n" +
				"32.1.2.0.192.rpz-client-ip CNAME .\n* CNAME .\ng.example. CNAME .\nh.example CNAME h.example.\n",
			rules: "exact a.example\nexact a.example => TXT more; (of the same\nbelow a.example => NOERROR\nallow exact b.example\nexact c.example\nexact d.example => CNAME garden.example\nexact e.example => A 192.0.2.1\nexact f.example\n" +
				"address 192.0.2.0/24\naddress 2001:db8::1/128\nclient 192.0.2.1/32\nallow exact h.example",
			ignored: "response address without a prefix length: 1.2.0.192.rpz-ip CNAME .\ntrigger that is not used: a name outside the zone: g.example. CNAME .\n" +
				"would match everything: * CNAME ."},
		{name: "rpz with its own name", format: RPZ,
			text:  "$ORIGIN rpz.local.\n@ SOA a. b. 1 2 3 4 5\na.example CNAME .\nb.example.rpz.local. CNAME .\n$ORIGIN example.rpz.local.\nc CNAME .\n",
			rules: "exact a.example\nexact b.example\nexact c.example"},
		{name: "addresses", format: IP, text: "192.0.2.1\n198.51.100.9/24 # net\n2001:db8::1\n::ffff:192.0.2.2\n0.0.0.0/0\n300.1.1.1\n",
			rules:   "address 192.0.2.1/32\naddress 198.51.100.0/24\naddress 2001:db8::1/128\naddress 192.0.2.2/32",
			ignored: "not a name or a rule that is known: 300.1.1.1\nwould match everything: 0.0.0.0/0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := parseText(t, c.src, c.text)
			if l.Report.Format != c.format || !l.Report.Detected {
				t.Errorf("taken for %s", l.Report.Format)
			}
			if got := ruleLines(l); got != c.rules {
				t.Errorf("rules:\n%s\nwant:\n%s", got, c.rules)
			}
			if got := ignoredLines(l); !strings.Contains(got, strings.Repeat("a", 64)) && got != c.ignored {
				t.Errorf("ignored:\n%s\nwant:\n%s", got, c.ignored)
			}
		})
	}
}

func TestAdblockReport(t *testing.T) {
	l := parseText(t, Source{Name: "web"}, `[Adblock Plus 2.0]
! Title: web
# comment
||a.example^
  ||b.example^
@@||c.example^|
|d.example^
e.example
*.f.example^
0.0.0.0 g.example h.example # hosts
||192.0.2.1^
||i.example^$important
||*.example^$denyallow=j.example|Bücher.example
/^k[0-9]\.example$/
||l*.example^
||m.example
||n.example/path
||o.example:8080^
||p.example^$third-party
q.example##.ad
##.ad
||r.example^$dnsrewrite=192.0.2.1
||s.example^$dnstype=NOSUCH
||y.example^$dnsrewrite=NOERROR;A;home
||*^
@@||
/lookahead(?=x)/
/path/to/thing
||t.example^x
://v.example^
|https://*.w.example^
||x.example^ # and why
||u.example^$dnstype=A,badfilter
||u.example^$dnstype=A
||u.example^
`)
	wantRules := `subtree a.example
subtree b.example
allow subtree c.example
exact d.example
exact e.example
below f.example
exact g.example
exact h.example
address 192.0.2.1/32
subtree i.example
below example
pattern /^k[0-9]\.example$/
pattern ||l*.example^
pattern ||m.example
subtree r.example => A 192.0.2.1
exact v.example
below w.example
subtree x.example
subtree u.example`
	if got := ruleLines(l); got != wantRules {
		t.Errorf("rules:\n%s\nwant:\n%s", got, wantRules)
	}
	wantIgnored := `URL path, port or query: /path/to/thing
URL path, port or query: ||n.example/path
URL path, port or query: ||o.example:8080^
cosmetic rule, for browsers: ##.ad
cosmetic rule, for browsers: q.example##.ad
modifier with a value that is not understood: dnsrewrite: ||y.example^$dnsrewrite=NOERROR;A;home
modifier with a value that is not understood: dnstype: ||s.example^$dnstype=NOSUCH
modifier: third-party: ||p.example^$third-party
regular expression that is not understood: /lookahead(?=x)/
separator inside the pattern: can never match a name: ||t.example^x
would match everything: @@||
would match everything: ||*^`
	if got := ignoredLines(l); got != wantIgnored {
		t.Errorf("ignored:\n%s\nwant:\n%s", got, wantIgnored)
	}
	r := l.Report
	if r.Blocks != 18 || r.Allows != 1 || r.Addresses != 1 || r.Patterns != 3 || r.Limited != 1 || r.Cancelled != 1 || l.Len() != 19 || r.Rewrites != 1 || r.BareNames != Exact {
		t.Errorf("%d rules, report %+v", l.Len(), r)
	}
	if r, ok := Compile(l).Match("xn--bcher-kva.example", Selection{}); ok {
		t.Errorf("a name of denyallow is stopped by %q", r.Text)
	}
}

func TestNotAList(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"page":   {"\n <!DOCTYPE html>\n<html>", "blocklists: src: not a list: it is a web page"},
		"xml":    {"<?xml version=\"1.0\"?>", "blocklists: src: not a list: it is a web page"},
		"binary": {"\x7fELF\x02\x01\x01\x00\x00", "blocklists: src: not a list: it is binary"},
		"empty":  {" \n\r\n", "blocklists: src: not a list: it is empty"},
		"prose":  {"Please log in!\nThis network is, sadly, not free.\n", `blocklists: src: not a list: none of its 2 lines is a rule, the first is line 1, "Please log in!"`},
		"json":   {"{\"error\": 404}", `blocklists: src: not a list: none of its 1 lines is a rule, the first is line 1, "{\"error\": 404}"`},
		"gzip":   {"\x1f\x8b\x08garbage", "blocklists: src: broken gzip: unexpected EOF"},
	} {
		_, err := Parse(Source{Name: "src"}, strings.NewReader(c.text))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	_, err := Parse(Source{Name: "src", Format: "host"}, strings.NewReader("x"))
	if want := `blocklists: src: unknown format "host"; did you mean "hosts"?`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestGzip(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := io.WriteString(z, "\xef\xbb\xbf||a.example^\r\n||b.example^"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	l := parseText(t, Source{Name: "z"}, packed.String())
	if l.Len() != 2 || !l.Report.Gzip || l.Report.Format != Adblock || l.Report.Lines != 2 {
		t.Errorf("%d rules, %+v", l.Len(), l.Report)
	}
	if _, err := Parse(Source{Name: "z"}, bytes.NewReader(packed.Bytes()[:packed.Len()-6])); err == nil {
		t.Error("a gzip cut short is no error")
	}
}

func TestLongLines(t *testing.T) {
	long := "||" + strings.Repeat("a", 200<<10) + "^\n"
	fits := "0.0.0.0" + strings.Repeat(" ab.example", (maxLine-8)/11) + "\n"
	l := parseText(t, Source{Name: "x", Format: Adblock}, "||one.example^\n"+long+fits+"||two.example^\n"+strings.TrimSpace(long))
	if l.Report.Lines != 5 || l.Report.IgnoredLines() != 2 || l.Report.Ignored[0].Reason != reasonLong {
		t.Errorf("report %+v", l.Report)
	}
	s := Compile(l)
	for _, n := range []string{"one.example", "two.example", "ab.example"} {
		if _, ok := s.Match(n, Selection{}); !ok {
			t.Errorf("%s passes", n)
		}
	}
}

// endless is a line that does not end.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = 'a'
	}
	e.left -= len(p)
	return len(p), nil
}

func TestTooLarge(t *testing.T) {
	_, err := Parse(Source{Name: "big", Format: Domains}, &endless{2 << 30})
	if !errors.Is(err, errTooLarge) {
		t.Errorf("a line of 2 GiB: %v", err)
	}
}

// TestOneBadLine: a bad line in the middle costs itself and nothing else.
func TestOneBadLine(t *testing.T) {
	text := strings.Repeat("0.0.0.0 a.example\n", 1000) + "0.0.0.0 b\x00\x01\xff.example\n" + strings.Repeat("0.0.0.0 c.example\n", 1000)
	l := parseText(t, Source{Name: "x", Format: Hosts}, strings.Replace(text, "\x00", "!", 1))
	if l.Len() != 2000 || l.Report.IgnoredLines() != 1 || l.Report.Ignored[0].Examples[0].Line != 1001 {
		t.Errorf("%d rules, %+v", l.Len(), l.Report)
	}
}

// TestCrowds: what would make every question slow, or the compiling of a list,
// is bounded and told.
func TestCrowds(t *testing.T) {
	var text strings.Builder
	for i := range 6000 {
		fmt.Fprintf(&text, "-frag%d-\n", i)
	}
	l := parseText(t, Source{Name: "x", Format: Adblock}, text.String())
	if l.Len() != 5000 || l.Report.IgnoredLines() != 1000 || l.Report.Ignored[0].Reason != reasonPatterns {
		t.Errorf("%d patterns, %+v", l.Len(), l.Report.Ignored)
	}
	text.Reset()
	for i := range 20_000 {
		fmt.Fprintf(&text, "||a.example^$denyallow=x%d.a.example\n", i)
	}
	info := Compile(parseText(t, Source{Name: "x", Format: Adblock}, text.String())).Lists()[0]
	if info.Rules != compiled.MaxSame || info.Crowded != 20_000-compiled.MaxSame {
		t.Errorf("%+v", info)
	}
	same := Compile(parseText(t, Source{Name: "x", Format: Domains}, strings.Repeat("a.example\n", 300_000))).Lists()[0]
	if same.Rules != 1 || same.Duplicates != 299_999 {
		t.Errorf("%+v", same)
	}
}

func TestParseFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(path, []byte("rules:\n  - a.example\nalow: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := ParseFile(Source{Name: "mine"}, path)
	if want := "blocklists: " + path + `:3:1: unknown key "alow"; did you mean "allow"?`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := ParseFile(Source{Name: "mine"}, path+".no"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestMalformedZone: hagezi's rpz/tif-ips.txt has response addresses without a
// prefix length, so it stops nothing; the report must say so.
func TestMalformedZone(t *testing.T) {
	l, err := Parse(Source{Name: "tif-ips"}, bytes.NewReader(dataFile(t, "hagezi/rpz/tif-ips.txt.gz")))
	if err != nil {
		t.Fatal(err)
	}
	if n := l.Report.IgnoredLines(); l.Len() != 0 || n != 40224 {
		t.Errorf("%d rules, %d lines left out: %+v", l.Len(), n, l.Report.Ignored)
	}
}

// TestEveryList reads each smaller list of the data pack, whatever it is, and
// tells how much of it was used.
func TestEveryList(t *testing.T) {
	files, err := filepath.Glob(dataDir + "/*/*.txt*")
	if more, _ := filepath.Glob(dataDir + "/hagezi/*/*.txt*"); err == nil {
		files = append(files, more...)
	}
	if len(files) == 0 {
		t.Skip("the data pack is not here")
	}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && info.Size() > 300<<10 {
			continue // the large ones are read by the tests of verdicts and of the eight formats
		}
		l, err := ParseFile(Source{Name: filepath.Base(f)}, f)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if n := l.Report.IgnoredLines(); n > 0 {
			t.Logf("%s: %s, %d rules, %d lines left out, most for %q", f, l.Report.Format, l.Len(), n, l.Report.Ignored[0].Reason)
		}
		s := Compile(l)
		for _, name := range []string{"nightlatch.invalid", "www.nothing-names-this.test", "com", "org"} {
			if r, ok := s.Match(name, Selection{}); ok {
				t.Errorf("%s: line %d, %q speaks about %s", f, r.Line, r.Text, name)
			}
		}
	}
}
