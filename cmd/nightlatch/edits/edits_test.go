package edits

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"nightlatch/blocklists"
	"nightlatch/config/edit"
)

func TestParseSubject(t *testing.T) {
	for _, c := range []struct{ word, written, covers, note string }{
		{"ads.example", "ads.example", "ads.example and everything below it", ""},
		{" ADS.example. ", "ads.example", "ads.example and everything below it", ""},
		{"*.ads.example", "*.ads.example", "everything below ads.example", ""},
		{"=ads.example", "=ads.example", "ads.example alone", ""},
		{"Bücher.example", "bücher.example", "bücher.example (xn--bcher-kva.example) and everything below it", ""},
		{"http://ads.example/a?b#c", "ads.example", "ads.example and everything below it", "took ads.example out of http://ads.example/a?b#c"},
		{"https://[2001:db8::1]:8443/", "2001:db8::1", "2001:db8::1", "took 2001:db8::1 out of https://[2001:db8::1]:8443/"},
		{"ads.example/path", "ads.example", "ads.example and everything below it", "took ads.example out of ads.example/path"},
		{"ads.example:443", "ads.example", "ads.example and everything below it", "took ads.example out of ads.example:443"},
		{"203.0.113.7", "203.0.113.7", "203.0.113.7", ""},
		{"2001:db8::/32", "2001:db8::/32", "2001:db8::/32", ""},
		{"203.0.113.0/24", "203.0.113.0/24", "203.0.113.0/24", ""},
		{"_dns.ads.example", "_dns.ads.example", "_dns.ads.example and everything below it", ""},
	} {
		s, err := parseSubject(c.word, false)
		if err != nil || s.written != c.written || s.covers() != c.covers || s.note != c.note {
			t.Errorf("%q: %+v, %q, %v", c.word, s, s.covers(), err)
		}
	}
	for _, word := range []string{"", ".", "*", "*.", "a..b", "a b", "||a.example^", "/ads/", "a*.example", "me@a.example", "http://", strings.Repeat("a", 64), "\x00"} {
		if s, err := parseSubject(word, false); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %+v, %v", word, s, err)
		}
	}
}

func TestWide(t *testing.T) {
	for word, want := range map[string]bool{
		"com": true, "*.com": true, "=com": false, "co.uk": true, "example.co.uk": false, "github.io": true, "x.github.io": false,
		"lan": true, "example.com": false, "0.0.0.0/0": true, "::/0": true, "203.0.113.0/24": false, "xn--p1ai": true,
	} {
		s, err := parseSubject(word, false)
		if err != nil || (s.wide() != "") != want {
			t.Errorf("%s: %q, %v", word, s.wide(), err)
		}
	}
}

// A rule that a command wrote is understood by the list parser, and by the
// command that reads it again.
func FuzzParseSubject(f *testing.F) {
	for _, word := range []string{"ads.example", "*.a.example", "https://ü.example:1/x", "203.0.113.7/8", "=a", "||a^", "a:b: c", "[::1]:3", "\u212a.example"} {
		f.Add(word, "why: # not", false)
	}
	f.Fuzz(func(t *testing.T, word, why string, exact bool) {
		about, err := parseSubject(word, exact)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		until := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
		r := &rule{Does: "block", about: about, section: "rules", plain: true, Why: strings.ToValidUTF8(why, ""), Devices: []string{"phone"}, Until: &until}
		text, err := r.put("x.yaml", []byte(overlayHead), time.Time{}, &outcome{})
		if err != nil {
			t.Fatalf("%q: %v", word, err)
		}
		again, err := parseOverlay("x.yaml", text, time.Time{})
		if err != nil || len(again) != 1 || !again[0].about.same(about) || again[0].Why != r.Why || !again[0].plain || !again[0].Until.Equal(until) {
			t.Fatalf("%q: %+v, %v\n%s", word, again, err, text)
		}
		if same, err := r.put("x.yaml", text, time.Time{}, &outcome{}); err != nil || !bytes.Equal(same, text) {
			t.Errorf("%q: the same rule again changed the text: %v\n%s", word, err, same)
		}
	})
}

func TestPast(t *testing.T) {
	for _, c := range []struct{ old, new string }{
		{"", "a\n"}, {"a\n", ""}, {"a\nb\n", "a\nc\nb\n"}, {"a\na\n", "a\n"}, {"a", "a\nb"}, {"é\n", "è\n"}, {"a\nb", "c\nb"}, {"a\r\nb\r\n", "a\r\n"},
		{"a\na\na\n", "a\na\na\na\n"}, {"x\na\n", "a\n"},
	} {
		r := edit.Result{Old: []byte(c.old), New: []byte(c.new)}
		p := pastOf(change{file: overlayName}, r, time.Now())
		back, err := p.back(r.New)
		if err != nil || string(back) != c.old || !utf8.ValidString(p.Old) {
			t.Errorf("%q, %q: %q, %v, %+v", c.old, c.new, back, err, p)
		}
		if _, err := p.back([]byte(c.new + "#")); err == nil {
			t.Errorf("%q, %q: took back what was edited since", c.old, c.new)
		}
	}
	if got := readPast([]byte("{\"file\":\"a\"}\nnonsense\n{}\n{\"file\":\"b\"}")); len(got) != 2 || got[1].File != "b" {
		t.Errorf("%+v", got)
	}
}

// What a command writes is covered by the schema's own reader: every verb.
func TestItems(t *testing.T) {
	for _, does := range []string{"block", "allow", "sink", "observe"} {
		about, err := parseSubject("*.ads.example", false)
		if err != nil {
			t.Fatal(err)
		}
		r := &rule{Does: does, about: about, section: "rules", Devices: []string{"phone", "tablet"}, Why: "a: b"}
		if does == "allow" {
			r.section = "allow"
		}
		l, err := blocklists.Parse(blocklists.Source{Name: "overlay", Format: blocklists.Native, Overlay: true}, strings.NewReader(r.section+":\n"+r.item()))
		if err != nil {
			t.Fatal(err)
		}
		rules := slices.Collect(l.Rules())
		if len(rules) != 1 || rules[0].Allow != (does == "allow") || rules[0].Match != blocklists.Below || rules[0].Why != "a: b" {
			t.Errorf("%s: %+v", does, rules)
		}
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		10 * time.Minute: "10m", time.Hour: "1h", 90 * time.Minute: "1h30m", 24 * time.Hour: "1d", 48 * time.Hour: "2d", 90 * time.Second: "1m30s",
		time.Hour + 5*time.Second: "1h0m5s", 25 * time.Hour: "25h", 20 * time.Minute: "20m", 10 * time.Second: "10s",
	} {
		if got := short(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
