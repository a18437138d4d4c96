package blocklists

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// oracle answers as the package comment says, the slow way: every rule of every
// list is looked at, with nothing but the rules as they are handed out.
func oracle(lists []*List, chosen func(int) bool, name string) (Rule, bool) {
	type candidate struct {
		rule Rule
		key  []int
	}
	var all []candidate
	for i, l := range lists {
		if !chosen(i) {
			continue
		}
		n := 0
		for r := range l.Rules() {
			n++
			if oracleCovers(l, r, name) {
				all = append(all, candidate{r, append(oracleKey(l, r), -i, -n)})
			}
		}
	}
	if len(all) == 0 {
		return Rule{}, false
	}
	best := slices.MaxFunc(all, func(a, b candidate) int { return slices.Compare(a.key, b.key) })
	return best.rule, true
}

func oracleCovers(l *List, r Rule, name string) bool {
	if strings.Contains(r.Text, "$dnstype") {
		return false // Match does not know the type, so a rule for one does not hold
	}
	below := strings.HasSuffix(name, "."+r.Domain)
	switch r.Match {
	case Exact:
		return name == r.Domain
	case Below:
		return below && !oracleShadowed(l, r, name)
	case Subtree:
		return below || name == r.Domain
	}
	return false
}

// oracleShadowed: in a zone, a name with an exact record and no wildcard of its
// own ends the reach of a wildcard above it.
func oracleShadowed(l *List, wild Rule, name string) bool {
	if l.Report.Format != RPZ {
		return false
	}
	rules := slices.Collect(l.Rules())
	for _, r := range rules {
		if r.Match != Exact || !strings.HasSuffix(name, "."+r.Domain) || !strings.HasSuffix(r.Domain, "."+wild.Domain) {
			continue
		}
		if !slices.ContainsFunc(rules, func(o Rule) bool { return o.Match == Below && o.Domain == r.Domain }) {
			return true
		}
	}
	return false
}

// oracleKey orders rules: the larger key wins.
func oracleKey(l *List, r Rule) []int {
	one := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	class := 0
	if l.Report.Format == Adblock {
		important, exception := strings.Contains(r.Text, "$important"), strings.HasPrefix(r.Text, "@@")
		switch {
		case important && exception:
			class = 3
		case important:
			class = 2
		case exception:
			class = 1
		}
	}
	return []int{one(l.Own), class, len(r.Domain), one(r.Match == Exact), one(r.Allow)}
}

// dice makes small random worlds: few labels, so that names meet often.
type dice struct{ *rand.Rand }

func (d dice) name() string {
	labels := make([]string, 1+d.IntN(4))
	for i := range labels {
		labels[i] = string(rune('a' + d.IntN(3)))
	}
	return strings.Join(labels, ".")
}

func (d dice) list(t *testing.T, i int) *List {
	forms := map[Format][]string{
		Native:  {"- %s", "- =%s", "- \"*.%s\"", "- {domain: %s, match: exact, why: x}"},
		Adblock: {"||%s^", "@@||%s^", "|%s^", "@@|%s^", "||%s^$important", "@@||%s^$important", "||*.%s^", "||%s^$dnstype=TXT"},
		Hosts:   {"0.0.0.0 %s", "192.0.2.1 %s # comment"},
		Domains: {"%s", "*.%s"},
		DNSMasq: {"local=/%s/", "address=/%s/0.0.0.0", "server=/%s/192.0.2.1"},
		RPZ:     {"%s CNAME .", "*.%s CNAME .", "%s CNAME rpz-passthru.", "*.%s CNAME rpz-passthru."},
	}
	format := []Format{Native, Native, Adblock, Adblock, Hosts, Domains, DNSMasq, RPZ}[d.IntN(8)]
	var text strings.Builder
	section := func(head string, n int) {
		text.WriteString(head)
		for range n {
			fmt.Fprintf(&text, forms[format][d.IntN(len(forms[format]))]+"\n", d.name())
		}
	}
	if format == Native {
		section("rules:\n", 1+d.IntN(8))
		section("allow:\n", d.IntN(6))
	} else {
		section("", 1+d.IntN(12))
	}
	return parseText(t, Source{Name: fmt.Sprint("list", i), Format: format, Own: d.IntN(4) == 0}, text.String())
}

// TestPrecedence holds the Set against the oracle in thousands of small worlds.
func TestPrecedence(t *testing.T) {
	seed := rand.Uint64()
	d := dice{rand.New(rand.NewPCG(seed, 1))}
	hits := 0
	for range 3000 {
		var lists []*List
		var chosen []string
		for i := range 1 + d.IntN(4) {
			lists = append(lists, d.list(t, i))
			if i == 0 || d.IntN(3) > 0 {
				chosen = append(chosen, lists[i].Name)
			}
		}
		s := Compile(lists...)
		in, err := s.Select(chosen...)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			name := d.name()
			got, gotOK := s.Match(name, in)
			want, wantOK := oracle(lists, func(i int) bool { return slices.Contains(chosen, lists[i].Name) }, name)
			if wantOK {
				hits++
			}
			if got != want || gotOK != wantOK {
				for _, l := range lists {
					t.Logf("%s %s own=%v: %v", l.Name, l.Report.Format, l.Own, slices.Collect(l.Rules()))
				}
				t.Fatalf("seed %d, %s in %v: %+v %v, the oracle says %+v %v", seed, name, chosen, got, gotOK, want, wantOK)
			}
		}
	}
	if hits < 10000 {
		t.Errorf("only %d names met a rule", hits)
	}
}
