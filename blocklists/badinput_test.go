package blocklists

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// repeated gives a text again and again, size bytes of it.
type repeated struct {
	text string
	size int
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && r.at < r.size {
		part := copy(p[n:], r.text[r.at%len(r.text):])
		n, r.at = n+part, r.at+part
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// bomb is size bytes of a text, packed.
func bomb(t *testing.T, text string, size int) io.Reader {
	t.Helper()
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(z, &repeated{text: text, size: size}); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return &packed
}

// TestBombs: what is larger than it looks is refused with one line, and takes
// little memory until then.
func TestBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("gigabytes")
	}
	line := strings.Repeat("a", 1<<20)
	for name, c := range map[string]struct {
		in   io.Reader
		want string
	}{
		"a line of 2 GB":                {&repeated{text: line, size: 2 << 30}, "larger than 512 MiB"},
		"a YAML list of 2 GB":           {&repeated{text: "rules: [a.example]\n" + line, size: 2 << 30}, "larger than 2 MiB"},
		"a packed line of 600 MB":       {bomb(t, line, 600<<20), "larger than 512 MiB"},
		"20 million packed empty lines": {bomb(t, strings.Repeat("\n", 1<<16), 20<<20), "more than 16777216 lines"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse(Source{Name: "x", Format: map[bool]Format{true: Native, false: Domains}[strings.Contains(name, "YAML")]}, c.in)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 300 {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
			t.Errorf("%s: %d MiB were allocated", name, used>>20)
		}
	}
}

// TestStrangeThings: each is refused in words that help, whatever format was asked for.
func TestStrangeThings(t *testing.T) {
	utf16 := func(s string) string {
		out := "\xff\xfe"
		for _, c := range s {
			out += string(c) + "\x00"
		}
		return out
	}
	for text, want := range map[string]string{
		utf16("||a.example^\n"):              "it is UTF-16; save it as UTF-8",
		"a.example\n\x00\x00\x00b.example\n": "it is binary",
		"  <html><body>404":                  "it is a web page",
		"<HEAD>":                             "it is a web page",
		"404: Not Found":                     "none of its 1 lines is a rule",
		"{\"message\":\"gone\"}":             "none of its 1 lines is a rule",
		"Error 503 Backend fetch failed\n\nGuru Meditation:": "none of its 2 lines is a rule",
	} {
		for _, format := range []Format{Auto, Hosts, Domains, Adblock} {
			_, err := Parse(Source{Name: "x", Format: format}, strings.NewReader(text))
			if err == nil || !strings.Contains(err.Error(), want) {
				if format != Auto && strings.HasPrefix(want, "none") {
					continue // a wrong format may find another reason
				}
				t.Errorf("%q as %s: %v, want %s", text, format, err, want)
			}
		}
	}
}

// TestNothingStopsEverything: no format has a way to stop all names, or what is no
// name; and the line is told.
func TestNothingStopsEverything(t *testing.T) {
	long := strings.Repeat("a.", 127) + "example"
	label := strings.Repeat("a", 64) + ".example"
	for format, lines := range map[Format][]string{
		Hosts:    {"0.0.0.0 .", "0.0.0.0 *", "0.0.0.0 " + long, "0.0.0.0 a..b", "0.0.0.0 " + label},
		Domains:  {".", "*", "*.", "..", long, label, "a b"},
		Wildcard: {".", "*", "*.", "*.*"},
		Adblock: {"||.^", "||^", "||", "*", "||*^", ".", "^", "|", "*.*", "||*.*^", "/./", "/.*/", "//", "/(/", "/a(?=b)/", "||" + long + "^", "||" + label + "^",
			"@@", "$important", "$$", "||a.example^$denyallow=", "||*^$important", "**"},
		DNSMasq: {"address=/#/0.0.0.0", "local=//", "local=/./", "address=/" + long + "/", "local=/*/"},
		RPZ: {". CNAME .", "* CNAME .", "*. CNAME .", long + " CNAME .", "0.0.0.0.0.rpz-ip CNAME .", "32.1.2.0.rpz-ip CNAME .", "99.1.2.0.192.rpz-ip CNAME .",
			"24.1.2.0.192.rpz-ip CNAME .", "0.zz.rpz-ip CNAME .", "a.rpz-nsdname CNAME .", "0.0.0.0.0.rpz-client-ip CNAME .", "a..b CNAME ."},
		IP: {"0.0.0.0/0", "::/0", "::ffff:0:0/96", "1.2.3", "1.2.3.4/33", "example", "fe80::1%eth0"},
	} {
		for _, line := range lines {
			good := map[Format]string{Hosts: "0.0.0.0 good.example", Domains: "good.example", Wildcard: "good.example", Adblock: "||good.example^", DNSMasq: "local=/good.example/", RPZ: "good.example CNAME .", IP: "192.0.2.1"}[format]
			l, err := Parse(Source{Name: "x", Format: format}, strings.NewReader(good+"\n"+line+"\n"))
			if err != nil {
				t.Errorf("%s %q: %v", format, line, err)
				continue
			}
			s := Compile(l)
			if r, ok := s.Match("stranger.invalid", Selection{}); ok {
				t.Errorf("%s %q stops any name by %+v", format, line, r)
			}
			if l.Len() != 1 || l.Report.IgnoredLines() != 1 && line != "/a(?=b)/" && line != "$$" {
				t.Errorf("%s %q: %d rules, %d lines told: %+v", format, line, l.Len(), l.Report.IgnoredLines(), l.Report.Ignored)
			}
		}
	}
	for _, line := range []string{".", "'*'", "'*.'", long, label, "0.0.0.0/0", "'::/0'"} {
		if l, err := Parse(Source{Name: "x", Format: Native}, strings.NewReader("rules:\n  - "+line+"\n")); err == nil {
			t.Errorf("native %q: %d rules", line, l.Len())
		}
	}
}

// TestMillionWithOneBadLine: the bad line in the middle is told with its number,
// and costs itself.
func TestMillionWithOneBadLine(t *testing.T) {
	if testing.Short() {
		t.Skip("a million lines")
	}
	pr, pw := io.Pipe()
	go func() {
		for i := range 1_000_000 {
			if i == 500_000 {
				fmt.Fprintln(pw, "||this is, sadly, no rule^")
			} else {
				fmt.Fprintf(pw, "||n%d.example^\n", i)
			}
		}
		pw.Close()
	}()
	l, err := Parse(Source{Name: "x"}, pr)
	if err != nil || l.Len() != 999_999 || l.Report.IgnoredLines() != 1 || l.Report.Ignored[0].Examples[0].Line != 500_001 {
		t.Fatalf("%v, %+v", err, l)
	}
}
