package blocklists

import (
	"bytes"
	"encoding/csv"
	"net/netip"
	"strings"
	"testing"
)

// qtypes are the types that occur in verdicts.csv.
var qtypes = map[string]uint16{"A": 1, "TXT": 16, "AAAA": 28, "SVCB": 64, "HTTPS": 65}

// TestVerdicts holds the engine against what other engines were measured to do.
func TestVerdicts(t *testing.T) {
	rows, err := csv.NewReader(bytes.NewReader(dataFile(t, "verdicts.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	sets, covered, left := map[string]*Set{}, 0, 0
	for _, cells := range rows[1:] {
		row := map[string]string{}
		for i, h := range rows[0] {
			row[h] = cells[i]
		}
		if strings.Contains(row["note"], "not binding") {
			left++
			continue
		}
		covered++
		id := row["files"] + row["format"] + row["semantics"]
		if sets[id] == nil {
			sets[id] = verdictSet(t, row)
		}
		rule, got := verdictOf(t, sets[id], row)
		want := row["expected"]
		if row["format"] == "rpz" && got == "allowed" {
			got = "pass" // a passthru is how a zone says pass
		}
		if got != want {
			t.Errorf("%s %s %s: %s by %q (line %d), want %s by %q (%s)",
				row["id"], row["name"], row["qtype"], got, rule.Text, rule.Line, want, row["rule"], row["note"])
		}
		// For a line of nine hosts the oracle made a line of its own for each.
		if row["rule"] != "" && got == want && row["format"] != "hosts" && !strings.Contains(row["rule"], " + ") && rule.Text != clip(row["rule"]) {
			t.Errorf("%s %s: decided by %q, want %q", row["id"], row["name"], rule.Text, row["rule"])
		}
	}
	t.Logf("verdicts.csv: %d rows hold, not binding: %d", covered, left)
	if covered < 243 {
		t.Errorf("only %d rows were held against us", covered)
	}
}

func verdictSet(t *testing.T, row map[string]string) *Set {
	var lists []*List
	for _, f := range strings.Split(row["files"], ";") {
		src := Source{Name: f, Format: Format(row["format"])}
		if row["semantics"] == "subtree" {
			sub := Subtree
			src.Match = &sub
		}
		l, err := Parse(src, bytes.NewReader(dataFile(t, f)))
		if err != nil {
			t.Fatal(err)
		}
		lists = append(lists, l)
	}
	return Compile(lists...)
}

func verdictOf(t *testing.T, s *Set, row map[string]string) (Rule, string) {
	q := Query{Name: row["name"], Type: qtypes[row["qtype"]], Client: row["client_name"]}
	if q.Type == 0 {
		t.Fatalf("%s: type %s", row["id"], row["qtype"])
	}
	if row["client_ip"] != "" {
		q.Addr = netip.MustParseAddr(row["client_ip"])
	}
	if row["client_tags"] != "" {
		q.Tags = strings.Split(row["client_tags"], "|")
	}
	rule, ok := s.Ask(q, Selection{})
	if ip, isAddr := answerAddr(row); isAddr {
		rule, ok = s.MatchAddr(ip, Selection{})
	}
	switch {
	case !ok:
		return rule, "pass"
	case rule.Allow:
		return rule, "allowed"
	case rule.Action == ActionDrop:
		return rule, "dropped"
	case rule.Rewrite != nil && rule.Rewrite.TCP:
		return rule, "truncated"
	case rule.Rewrite != nil && (row["format"] == "adblock" || !rule.Rewrite.Stops()):
		return rule, "rewritten"
	}
	return rule, "blocked"
}

// answerAddr is the address a row asks about: its name is one, or stands for one.
func answerAddr(row map[string]string) (netip.Addr, bool) {
	name := row["name"]
	if rest, ok := strings.CutPrefix(name, "ip-"); ok && row["format"] == "rpz" {
		name = strings.ReplaceAll(strings.TrimSuffix(rest, ".any"), "-", ".")
	} else if row["is_answer"] != "1" {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(name)
	return a, err == nil
}

// names gives the names a list stops, apart by how much of the tree each covers.
func names(l *List, m Match) map[string]bool {
	out := map[string]bool{}
	for r := range l.Rules() {
		if r.Match == m && !r.Allow {
			out[r.Domain] = true
		}
	}
	return out
}

// TestEightFormats: one list, published in eight forms, must mean the same in
// those that speak of subtrees, and the same in those that speak of single names.
func TestEightFormats(t *testing.T) {
	read := func(file string, f Format) *List {
		l, err := Parse(Source{Name: file}, bytes.NewReader(dataFile(t, "hagezi/"+file)))
		if err != nil {
			t.Fatal(err)
		}
		if l.Report.Format != f || !l.Report.Detected {
			t.Errorf("%s: taken for %s", file, l.Report.Format)
		}
		if len(l.Report.Ignored) > 0 {
			t.Errorf("%s: ignored %+v", file, l.Report.Ignored)
		}
		return l
	}
	subtree := names(read("adblock/light.txt.gz", Adblock), Subtree)
	equal(t, "wildcard", names(read("wildcard/light.txt.gz", Wildcard), Subtree), subtree, 57781)
	equal(t, "dnsmasq", names(read("dnsmasq/light.txt.gz", DNSMasq), Subtree), subtree, 57781)
	zone := read("rpz/light.txt.gz", RPZ)
	equal(t, "rpz names", names(zone, Exact), subtree, 57781)
	equal(t, "rpz wildcards", names(zone, Below), subtree, 57781)
	equal(t, "onlydomains", names(read("wildcard/light-onlydomains.txt.gz", Domains), Exact), subtree, 57781)
	exact := names(read("hosts/light.txt.gz", Hosts), Exact)
	equal(t, "hosts, nine a line", names(read("hosts/light-compressed.txt.gz", Hosts), Exact), exact, 120137)
	equal(t, "domains", names(read("domains/light.txt.gz", Domains), Exact), exact, 120137)
}

func equal(t *testing.T, what string, got, want map[string]bool, size int) {
	t.Helper()
	if len(got) != size || len(want) != size {
		t.Errorf("%s: %d names against %d, want %d", what, len(got), len(want), size)
	}
	for n := range want {
		if !got[n] {
			t.Fatalf("%s: %s is missing", what, n)
		}
	}
}
