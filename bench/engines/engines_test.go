package engines

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/AdguardTeam/urlfilter"
	"github.com/AdguardTeam/urlfilter/filterlist"
	"github.com/v2fly/v2ray-core/v5/common/strmatcher"

	"nightlatch/blocklists"
)

const (
	dataDir = "../../../shared/data"
	rounds  = 5                      // of each question, side after side; the median counts
	asked   = 100_000                // names of a round, as far as a round's time allows
	atMost  = 500 * time.Millisecond // a round: some engines look at many rules for a name
)

// engine is something that knows a million names with all below them.
type engine struct {
	name  string
	match func(name string) bool
	built time.Duration
	bytes float64 // of heap a rule
	keep  any
}

func read(t *testing.T, name string) []byte {
	f, err := os.Open(filepath.Join(dataDir, name))
	if err != nil {
		t.Skipf("the data pack is not here: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func lines(text []byte) []string {
	var out []string
	for sc := bufio.NewScanner(bytes.NewReader(text)); sc.Scan(); {
		out = append(out, sc.Text())
	}
	return out
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// measure builds an engine and weighs it.
func measure(name string, n int, build func() (func(string) bool, any)) engine {
	before, begun := heap(), time.Now()
	match, keep := build()
	built := time.Since(begun)
	return engine{name, match, built, (float64(heap()) - float64(before)) / float64(n), keep}
}

// parse is a Set in memory, and opened one from its compiled form.
func parse(t *testing.T, text []byte) *blocklists.List {
	l, err := blocklists.Parse(blocklists.Source{Name: "m", Format: blocklists.Domains, Match: new(blocklists.Subtree)}, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func set(s *blocklists.Set) (func(string) bool, any) {
	return func(n string) bool { _, ok := s.Match(n, blocklists.Selection{}); return ok }, s
}

func engines(t *testing.T, text []byte, names []string) []engine {
	path := filepath.Join(t.TempDir(), "lists")
	b, err := blocklists.NewBuilder(path)
	if err != nil {
		t.Fatal(err)
	}
	kept := measure("nightlatch, compiled to a file", len(names), func() (func(string) bool, any) {
		if err := b.Add(parse(t, text), ""); err != nil {
			t.Fatal(err)
		}
		s, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		return set(s)
	})
	return []engine{
		measure("nightlatch, opened", len(names), func() (func(string) bool, any) {
			s, err := blocklists.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			return set(s)
		}),
		kept,
		measure("Go map of strings", len(names), func() (func(string) bool, any) {
			m := make(map[string]struct{}, len(names))
			for _, n := range names {
				m[strings.Clone(n)] = struct{}{}
			}
			return func(n string) bool {
				for {
					if _, ok := m[n]; ok {
						return true
					}
					_, rest, ok := strings.Cut(n, ".")
					if !ok {
						return false
					}
					n = rest
				}
			}, m
		}),
		measure("v2ray-core strmatcher (minimal perfect hash)", len(names), func() (func(string) bool, any) {
			g := strmatcher.NewMphMatcherGroup()
			for _, n := range names {
				g.AddDomainMatcher(strmatcher.DomainMatcher(strings.Clone(n)), 1)
			}
			if err := g.Build(); err != nil {
				t.Fatal(err)
			}
			return g.MatchAny, g
		}),
		measure("AdGuard urlfilter", len(names), func() (func(string) bool, any) {
			var b strings.Builder
			for _, n := range names {
				fmt.Fprintf(&b, "||%s^\n", n)
			}
			s, err := filterlist.NewRuleStorage([]filterlist.Interface{filterlist.NewString(&filterlist.StringConfig{RulesText: b.String(), ID: 1, IgnoreCosmetic: true})})
			if err != nil {
				t.Fatal(err)
			}
			e := urlfilter.NewDNSEngine(s)
			return func(n string) bool { _, ok := e.Match(n); return ok }, []any{e, s}
		}),
	}
}

// ask gives the nanoseconds that a name costs.
func ask(e *engine, names []string) float64 {
	begun, n := time.Now(), 0
	for n < asked && time.Since(begun) < atMost {
		for range 1000 {
			e.match(names[n%len(names)])
			n++
		}
	}
	return float64(time.Since(begun).Nanoseconds()) / float64(n)
}

// TestEngines prints the table.
func TestEngines(t *testing.T) {
	text := read(t, "load/domains-1m.txt.gz")
	names := lines(text)
	d := rand.New(rand.NewPCG(1, 2))
	var hits, misses, work []string
	for range asked {
		n := names[d.IntN(len(names))]
		hits = append(hits, "www."+n)
		misses = append(misses, fmt.Sprintf("www.q%d.%s.test", d.Uint32(), n[:min(len(n), 8)]))
	}
	for _, l := range lines(read(t, "workload-100k.txt.gz")) {
		n, _, _ := strings.Cut(l, " ")
		work = append(work, n)
	}
	all := engines(t, text, names)
	cost := make([][3][]float64, len(all))
	for range rounds {
		for i := range all {
			for j, q := range [][]string{hits, misses, work} {
				cost[i][j] = append(cost[i][j], ask(&all[i], q))
			}
		}
	}
	median := func(i, j int) float64 {
		slices.Sort(cost[i][j])
		return cost[i][j][rounds/2]
	}
	const baseline = 2 // the map
	fmt.Printf("a million names, each with all below it; %d names a round, median of %d rounds, side after side; in brackets the share of the Go map's\n\n", asked, rounds)
	fmt.Println("| engine | ready after | heap a rule | hit, random | miss, random | workload |")
	fmt.Println("|---|---|---|---|---|---|")
	for i, e := range all {
		if !e.match("www."+names[500]) || e.match("www.example.test") {
			t.Errorf("%s gives a wrong answer", e.name)
		}
		fmt.Printf("| %s | %.0f ms | %.1f B |", e.name, float64(e.built.Microseconds())/1000, e.bytes)
		for j := range 3 {
			fmt.Printf(" %.0f ns (%.2f) |", median(i, j), median(i, j)/median(baseline, j))
		}
		fmt.Println()
	}
	runtime.KeepAlive(all)
}
