package blocklists

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNativePatterns(t *testing.T) {
	s := Compile(parseText(t, Source{Name: "l", Format: Native}, `
rules:
  - {domain: "cdn*.x.example", match: wildcard, why: edge}
  - {domain: "*-ads.*", match: wildcard}
  - {domain: "^t[0-9]+\\.example$", match: regex, action: drop}
  - {domain: "*.below.example", match: below}
  - domain: "*.sub.example"
    match: wildcard
allow:
  - cdn7.x.example
`))
	for name, want := range map[string]string{
		"cdn1.x.example": "pattern 3 edge", "CDN1.a.x.example.": "pattern 3 edge", "a.cdn1.x.example": "", "cdn7.x.example": "allow subtree 10 ",
		"my-ads.example": "pattern 4 ", "x.my-ads.a.b": "pattern 4 ", "my-ads": "", "t12.example": "pattern 5 ", "a.t12.example": "",
		"x.below.example": "below 6 ", "below.example": "", "x.sub.example": "pattern 7 ", "sub.example": "",
	} {
		got := ""
		if r, ok := s.Match(name, Selection{}); ok {
			got = fmt.Sprintf("%s %d %s", r.Match, r.Line, r.Why)
			if r.Allow {
				got = "allow " + got
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestNativeLimits(t *testing.T) {
	s := Compile(parseText(t, Source{Name: "l", Format: Native}, `
rules:
  - {domain: types.example, types: [HTTPS, type64]}
  - {domain: one.example, types: aaaa}
  - {domain: day.example, until: 2026-12-31}
  - {domain: moment.example, until: 2026-12-31T18:00:00+02:00}
allow:
  - {domain: a.day.example, until: 2026-12-30}
`))
	east := time.FixedZone("east", 9*3600)
	at := func(d, h int, z *time.Location) time.Time { return time.Date(2026, 12, d, h, 30, 0, 0, z) }
	for _, c := range []struct {
		q    Query
		want int // line; 0 is pass
	}{
		{Query{Name: "types.example", Type: 65}, 3}, {Query{Name: "x.types.example", Type: 64}, 3}, {Query{Name: "types.example", Type: 1}, 0}, {Query{Name: "types.example"}, 0},
		{Query{Name: "one.example", Type: 28}, 4},
		{Query{Name: "day.example"}, 5}, // no clock: nothing is past
		{Query{Name: "day.example", Now: at(31, 23, time.UTC)}, 5}, {Query{Name: "day.example", Now: at(32, 0, time.UTC)}, 0},
		{Query{Name: "day.example", Now: at(31, 23, east)}, 5}, {Query{Name: "day.example", Now: at(32, 0, east)}, 0}, // the day is the owner's
		{Query{Name: "moment.example", Now: at(31, 15, time.UTC)}, 6}, {Query{Name: "moment.example", Now: at(31, 16, time.UTC)}, 0},
		{Query{Name: "a.day.example", Now: at(30, 1, time.UTC)}, 8}, {Query{Name: "a.day.example", Now: at(31, 1, time.UTC)}, 5},
	} {
		r, _ := s.Ask(c.q, Selection{})
		if r.Line != c.want {
			t.Errorf("%+v: line %d, want %d", c.q, r.Line, c.want)
		}
	}
}

func TestNativeUntilAddress(t *testing.T) {
	s := Compile(parseText(t, Source{Name: "l", Format: Native}, "rules:\n  - {domain: 192.0.2.0/24, until: 2026-12-31}\n  - 192.0.0.0/16\n"))
	a, day := netip.MustParseAddr("192.0.2.1"), time.Date(2026, 12, 31, 12, 0, 0, 0, time.UTC)
	for now, want := range map[time.Time]int{{}: 2, day: 2, day.AddDate(0, 0, 1): 3} {
		if r, ok := s.AskAddr(a, now, Selection{}); !ok || r.Line != want {
			t.Errorf("%v: line %d, want %d", now, r.Line, want)
		}
	}
}

func TestNativeGroups(t *testing.T) {
	l := parseText(t, Source{Name: "l", Format: Native}, `action: deny
rules:
  - group: analytics of MIUI
    category: analytics
    match: exact
    action: sink
    source: a-list#1
    rules:
      - a.example
      - domain: b.example
        match: subtree
        action: drop
        category: ads
      - 192.0.2.1
      - =e.example
      - "*.f.example"
  - c.example
allow:
  - why: needed
    rules: [d.example]
`)
	got := ""
	for r := range l.Rules() {
		got += fmt.Sprintln(r.Line, r.Match, r.Text, r.Allow, r.Action, r.Category, r.Source, r.Why)
	}
	want := `9 exact a.example false sink analytics a-list#1 
10 subtree b.example false drop ads a-list#1 
15 exact =e.example false sink analytics a-list#1 
16 below *.f.example false sink analytics a-list#1 
17 subtree c.example false deny   
20 subtree d.example true default   needed
`
	if lines := strings.SplitAfter(got, "\n"); len(lines) != 8 || !strings.HasPrefix(lines[2], "14 address 192.0.2.1") || lines[0]+lines[1]+strings.Join(lines[3:], "") != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

// tree writes files and gives the path of the first.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		p := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, files[0])
}

func TestNativeInclude(t *testing.T) {
	path := tree(t, "mine.yaml", "name: Mine\ninclude:\n  - sub/a.yaml\n  - b.yml\naction: drop\nrules: [mine.example]\n",
		"sub/a.yaml", "name: A\ninclude: [deep/c.yaml, ../b.yml]\nrules:\n  - a.example\n", "sub/deep/c.yaml", "allow: [c.example]\n", "b.yml", "action: sink\nrules:\n  -  b.example\n")
	l, err := ParseFile(Source{Name: "mine"}, path)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for r := range l.Rules() {
		got += fmt.Sprintln(r.List, r.File, r.Line, r.Domain, r.Allow, r.Action)
	}
	want := "mine  6 mine.example false drop\nmine sub/a.yaml 4 a.example false drop\nmine sub/deep/c.yaml 1 c.example true default\nmine b.yml 3 b.example false sink\n"
	if got != want || l.Title != "Mine" || !slices.Equal(l.Report.Included, []string{"sub/a.yaml", "sub/deep/c.yaml", "b.yml"}) {
		t.Errorf("%q %v\ngot:\n%swant:\n%s", l.Title, l.Report.Included, got, want)
	}
}

func TestNativeIncludeErrors(t *testing.T) {
	chain := []string{"mine.yaml", "include: 0.yaml"}
	for i := range 20 {
		chain = append(chain, fmt.Sprint(i, ".yaml"), fmt.Sprintf("include: %d.yaml", i+1))
	}
	many := []string{"mine.yaml", "include:\n"}
	for i := range 100 {
		many[1] += fmt.Sprintf("  - m%d.yaml\n", i)
		many = append(many, fmt.Sprintf("m%d.yaml", i), "rules: [a.example]")
	}
	big := strings.Repeat("# "+strings.Repeat("x", 1000)+"\n", 1500)
	for want, files := range map[string][]string{
		`mine.yaml:1:10: "../x.yaml" is not in the folder of the list`:                              {"mine.yaml", "include: ../x.yaml"},
		`mine.yaml:1:10: "/etc/x.yaml" is not in the folder of the list`:                            {"mine.yaml", "include: /etc/x.yaml"},
		`mine.yaml:1:10: "x.txt" is no .yaml file: only lists of this format can be included`:       {"mine.yaml", "include: x.txt"},
		`mine.yaml:1:10: include: openat gone.yaml: no such file or directory`:                      {"mine.yaml", "include: gone.yaml"},
		`sub/b.yaml:1:11: "b.yaml" includes itself`:                                                 {"mine.yaml", "include: sub/a.yaml", "sub/a.yaml", "include: b.yaml", "sub/b.yaml", "include: [b.yaml]"},
		`sub/a.yaml:2:5: "a b" is not a domain name: the character ' '; one name an entry`:          {"mine.yaml", "include: sub/a.yaml", "sub/a.yaml", "rules:\n  - a b"},
		`7.yaml:1:10: more than 8 files include one another in a row`:                               chain,
		`mine.yaml:66:5: more than 64 files are included`:                                           many,
		`larger than 2 MiB: a native list is written by hand; give large lists as domains or hosts`: {"mine.yaml", "include: [a.yaml, b.yaml]", "a.yaml", big, "b.yaml", big},
	} {
		path := tree(t, files...)
		_, err := ParseFile(Source{Name: "mine"}, path)
		if err == nil {
			t.Errorf("no error, want %s", want)
			continue
		}
		if got := strings.ReplaceAll(err.Error(), filepath.Dir(path)+"/", ""); !strings.HasSuffix(got, want) {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
	out := tree(t, "secret.yaml", "rules: [secret.example]", "in/mine.yaml", "include: link.yaml")
	link := filepath.Join(filepath.Dir(out), "in", "link.yaml")
	if err := os.Symlink(out, link); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseFile(Source{Name: "mine"}, filepath.Join(filepath.Dir(link), "mine.yaml")); err == nil || !strings.Contains(err.Error(), "escapes") {
		t.Errorf("a link out of the folder was followed: %v", err)
	}
	self := tree(t, "mine.yaml", "include: [mine.yaml]\nrules: [a.example]")
	if _, err := ParseFile(Source{Name: "mine"}, self); err == nil || !strings.Contains(err.Error(), "includes itself") {
		t.Errorf("a list that includes itself: %v", err)
	}
}

// TestNativeSchema: the schema knows the keys that the reader knows, and no others.
func TestNativeSchema(t *testing.T) {
	type object struct {
		Properties map[string]any
		Defs       map[string]object `json:"$defs"`
		Enum       []string
	}
	var schema object
	if err := json.Unmarshal([]byte(NativeSchema()), &schema); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ text, prefix string }{
		"":      {"%s: x", `unknown key "%s"`},
		"rule":  {"rules:\n  - {domain: a.b, %s: x}", `unknown key "%s"`},
		"group": {"rules:\n  - {rules: [a.b], %s: x}", `unknown key "%s"`},
	} {
		o := schema
		if what != "" {
			o = schema.Defs[what]
		}
		_, err := Parse(Source{Name: "l", Format: Native}, strings.NewReader(fmt.Sprintf(c.text, "zzzzz")))
		_, known, _ := strings.Cut(fmt.Sprint(err), "known are ")
		got := slices.Sorted(maps.Keys(o.Properties))
		if want := strings.Split(known, ", "); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: the schema has %v, the reader %v", what, got, want)
		}
	}
	for def, text := range map[string]string{"match": "rules: [{domain: a*a.b, match: %s}]", "action": "action: %s"} {
		for _, word := range schema.Defs[def].Enum {
			if _, err := Parse(Source{Name: "l", Format: Native}, strings.NewReader(fmt.Sprintf(text, word))); err != nil && strings.Contains(err.Error(), "must be") {
				t.Errorf("%s %s: %v", def, word, err)
			}
		}
	}
}
