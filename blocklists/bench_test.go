package blocklists

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const dataDir = "../../shared/data"

// dataFile gives a file of the data pack, unpacked; the test is skipped where
// the pack is not.
func dataFile(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dataDir, name))
	if err != nil {
		t.Skipf("the data pack is not here: %v", err)
	}
	if !strings.HasSuffix(name, ".gz") {
		return raw
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// million is the list of a million names, and some of its names.
func million(b *testing.B) (text []byte, names []string) {
	text = dataFile(b, "load/domains-1m.txt.gz")
	sc := bufio.NewScanner(bytes.NewReader(text))
	for i := 0; sc.Scan(); i++ {
		if i%101 == 0 {
			names = append(names, sc.Text())
		}
	}
	return text, names
}

func BenchmarkCompileMillion(b *testing.B) {
	text, _ := million(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		l, err := Parse(Source{Name: "m", Format: Domains}, bytes.NewReader(text))
		if err != nil {
			b.Fatal(err)
		}
		if s := Compile(l); s.Len() != 1_000_000 {
			b.Fatal(s.Len())
		}
	}
}

// BenchmarkResident reports what a million rules weigh, beside a Go map.
func BenchmarkResident(b *testing.B) {
	text, _ := million(b)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		before := heap()
		l, err := Parse(Source{Name: "m", Format: Domains}, bytes.NewReader(text))
		if err != nil {
			b.Fatal(err)
		}
		s := Compile(l)
		after := heap()
		b.ReportMetric(float64(after-before)/float64(s.Len()), "B/rule")
		b.ReportMetric(float64(s.table.Size())/float64(s.Len()), "table-B/rule")
		runtime.KeepAlive(s)
	}
}

func BenchmarkMatch(b *testing.B) {
	text, names := million(b)
	sub := Subtree
	l, err := Parse(Source{Name: "m", Format: Domains, Match: &sub}, bytes.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	s := Compile(l)
	in, err := s.Select("m")
	if err != nil {
		b.Fatal(err)
	}
	hits, misses := make([]string, len(names)), make([]string, len(names))
	for i, n := range names {
		hits[i] = "www." + n
		misses[i] = fmt.Sprintf("www.q%d.%s.test", i, n[:min(len(n), 8)])
	}
	run := func(name string, names []string, want bool, match func(string) bool) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if match(names[i%len(names)]) != want {
					b.Fatal(names[i%len(names)])
				}
				i++
			}
		})
	}
	set := func(n string) bool { _, ok := s.Match(n, in); return ok }
	run("hit", hits, true, set)
	run("miss", misses, false, set)
	m := map[string]struct{}{}
	for r := range l.Rules() {
		m[strings.Clone(r.Domain)] = struct{}{}
	}
	inMap := func(n string) bool {
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
	}
	run("map-hit", hits, true, inMap)
	run("map-miss", misses, false, inMap)
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct {
		file   string
		format Format
	}{{"hagezi/adblock/light.txt.gz", Adblock}, {"adblock/easyprivacy.txt.gz", Adblock}, {"hosts/stevenblack-unified.txt.gz", Hosts}} {
		b.Run(strings.ReplaceAll(c.file, "/", "_"), func(b *testing.B) {
			text := dataFile(b, c.file)
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := Parse(Source{Name: "x", Format: c.format}, bytes.NewReader(text)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
