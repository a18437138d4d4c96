package blocklists

import (
	"compress/gzip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestInspect(t *testing.T) {
	guard, err := NeverBlock()
	if err != nil {
		t.Fatal(err)
	}
	l := parsed(t, Source{Name: "l", Format: Native}, `
rules:
  - ads.example
  - x.ads.example                            # 4 wider
  - =ads.example                             # 5 wider: the name is in its own subtree
  - ads.example                              # 6 duplicate
  - {domain: y.ads.example, action: drop}
  - {domain: old.example, until: 2020-01-01} # 8 past
  - {domain: "/path$", match: regex}         # 9 impossible
  - {domain: "a..*.example", match: wildcard} # 10 impossible
  - connectivitycheck.gstatic.com
  - lists.example
  - {domain: z.ads.example, types: A}
allow:
  - b.example
  - c.b.example                              # 16 wider
`)
	i := Inspect(l, guard, "cdn.lists.example", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	want := map[string][]int{uselessWider: {4, 5, 16}, uselessPast: {8}, uselessNone: {9, 10}}
	for _, g := range i.Useless {
		var lines []int
		for _, e := range g.Examples {
			lines = append(lines, e.Line)
		}
		if !slices.Equal(lines, want[g.Reason]) || g.Count != len(lines) {
			t.Errorf("%s: %v, want %v", g.Reason, lines, want[g.Reason])
		}
		delete(want, g.Reason)
	}
	if len(want) > 0 || i.Duplicates != 1 || len(i.Crossings) != 1 || i.OwnHost == nil || i.OwnHost.Line != 12 {
		t.Errorf("missing %v in %+v", want, i)
	}
	words := strings.Join(i.Words(), "\n")
	for _, part := range []string{"1 rules stand twice", "line 8, old.example", "stops connectivitycheck.gstatic.com", "stops the server it comes from: line 12, lists.example"} {
		if !strings.Contains(words, part) {
			t.Errorf("%q is not in\n%s", part, words)
		}
	}
}

// TestInspectExceptions: in AdGuard's syntax an exception comes before any block
// that is not important, however much wider it is.
func TestInspectExceptions(t *testing.T) {
	l := parsed(t, Source{Name: "l", Format: Adblock}, "@@||a.example^\n||x.a.example^\n||y.a.example^$important\n||b.example^\n")
	i := Inspect(l, nil, "", time.Time{})
	if len(i.Useless) != 1 || i.Useless[0].Reason != uselessFirst || i.Useless[0].Count != 1 || i.Useless[0].Examples[0].Line != 2 {
		t.Errorf("%+v", i.Useless)
	}
}

func TestReportWords(t *testing.T) {
	l := parsed(t, Source{Name: "l"}, "||a.example^\n||b.example^$third-party\n||c*d.example^\n@@||e.example^\n||192.0.2.1^\nx\x1b[2J ^\n")
	words := strings.Join(l.Report.Words(), "\n")
	for _, part := range []string{"6 lines read as adblock (found out from its content)", "3 rules stop something, 1 let through; among them 1 about addresses, 1 patterns", "2 lines left out:", "line 2, ||b.example^$third-party", `x\x1b[2J ^`} {
		if !strings.Contains(words, part) {
			t.Errorf("%q is not in\n%s", part, words)
		}
	}
	d := parsed(t, Source{Name: "l"}, "a.example\nb.example\n")
	if words := strings.Join(d.Report.Words(), "\n"); !strings.Contains(words, "a bare name means the name alone") {
		t.Error(words)
	}
}

// TestInspectRealLists looks at whole lists: it must end, and find what is known.
func TestInspectRealLists(t *testing.T) {
	guard, err := NeverBlock()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("../../shared/data/hagezi/adblock/native.xiaomi.txt")
	if err != nil {
		t.Skip("the data pack is not there:", err)
	}
	defer f.Close()
	l, err := Parse(Source{Name: "xiaomi"}, f)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, c := range Inspect(l, guard, "", time.Time{}).Crossings {
		found = found || c.Name.Domain == "find.api.micloud.xiaomi.net"
	}
	if !found {
		t.Error("it is not told that the list stops Find Device")
	}
}

func BenchmarkInspect(b *testing.B) {
	f, err := os.Open("../../shared/data/load/domains-1m.txt.gz")
	if err != nil {
		b.Skip("the data pack is not there:", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		b.Fatal(err)
	}
	l, err := Parse(Source{Name: "m", Match: new(Subtree)}, z)
	if err != nil {
		b.Fatal(err)
	}
	guard, err := NeverBlock()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		Inspect(l, guard, "", time.Time{})
	}
}
