package blocklists

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
	"runtime/debug"
	"strconv"
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

// keepMillion is a million names with all below them, kept in a file.
func keepMillion(b *testing.B, text []byte) (path string, s *Set) {
	path = filepath.Join(b.TempDir(), "lists")
	k, err := NewBuilder(path)
	if err != nil {
		b.Fatal(err)
	}
	l, err := Parse(Source{Name: "m", Format: Domains, Match: new(Subtree)}, bytes.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	if err := k.Add(l, ""); err != nil {
		b.Fatal(err)
	}
	if s, err = k.Finish(); err != nil {
		b.Fatal(err)
	}
	return path, s
}

// BenchmarkKeepMillion is from text to a Set that is kept and opened, the bytes
// brought to the disk.
func BenchmarkKeepMillion(b *testing.B) {
	text, _ := million(b)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		keepMillion(b, text)
	}
}

func BenchmarkOpenMillion(b *testing.B) {
	text, _ := million(b)
	path, _ := keepMillion(b, text)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(path); err != nil {
			b.Fatal(err)
		}
	}
}

func heapNow() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// workload is the questions of the data pack, in their order.
func workload(b *testing.B) (names []string) {
	for sc := bufio.NewScanner(bytes.NewReader(dataFile(b, "workload-100k.txt.gz"))); sc.Scan(); {
		name, _, _ := strings.Cut(sc.Text(), " ")
		names = append(names, name)
	}
	return names
}

// BenchmarkResident reports what a rule of a million weighs, opened: the heap and
// all that a question can read of the table, at once and after 20,000 questions
// for listed names, far more than a home has.
func BenchmarkResident(b *testing.B) {
	text, names := million(b)
	path, _ := keepMillion(b, text)
	for b.Loop() {
		before := heapNow()
		s, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		weigh := func() float64 {
			return (float64(heapNow()) - float64(before) + float64(s.table.Mapped())) / float64(s.Len())
		}
		b.ReportMetric(weigh(), "B/rule-opened")
		for _, n := range workload(b) {
			s.Match(n, Selection{})
		}
		for i := range 2000 { // as many listed names as the workload has
			s.Match(names[i*7919%len(names)], Selection{})
		}
		b.ReportMetric(weigh(), "B/rule-2000-hits")
		for i := range 9900 {
			s.Match(names[i], Selection{})
		}
		b.ReportMetric(weigh(), "B/rule-10000-hits")
		held, all := s.table.Touched()
		b.ReportMetric(float64(held)/float64(all), "touched")
		runtime.KeepAlive(s)
	}
}

// BenchmarkRefreshPeak parses and keeps a million names while a Set of them is in
// force, and reports by how much the memory of the process grows at most.
func BenchmarkRefreshPeak(b *testing.B) {
	raw, err := os.Open(filepath.Join(dataDir, "load/domains-1m.txt.gz"))
	if err != nil {
		b.Skipf("the data pack is not here: %v", err)
	}
	defer raw.Close()
	dir := b.TempDir()
	refresh := func() *Set {
		k, err := NewBuilder(filepath.Join(dir, "lists"))
		if err != nil {
			b.Fatal(err)
		}
		l, err := ParseFile(Source{Name: "m", Format: Domains}, raw.Name())
		if err == nil {
			err = k.Add(l, "")
		}
		if err != nil {
			b.Fatal(err)
		}
		l = nil
		s, err := k.Finish()
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	s := refresh()
	for b.Loop() {
		debug.FreeOSMemory()
		before := resident(b, "VmRSS:")
		if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // the peak begins anew
			b.Skipf("no peak here: %v", err)
		}
		next := refresh()
		b.ReportMetric((resident(b, "VmHWM:")-before)/(1<<20), "peak-MB")
		runtime.KeepAlive(s)
		s = next
	}
}

// resident reads a size of the process (proc_pid_status(5)), in bytes.
func resident(b *testing.B, key string) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skipf("no proc here: %v", err)
	}
	_, rest, _ := strings.Cut(string(text), key)
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kb * 1024
}

func BenchmarkMatch(b *testing.B) {
	text, _ := million(b)
	_, s := keepMillion(b, text)
	all := strings.Fields(string(text))
	var hits, misses []string
	d := rand.New(rand.NewPCG(1, 2))
	for i := range 200_000 {
		n := all[d.IntN(len(all))]
		hits = append(hits, "www."+n)
		misses = append(misses, fmt.Sprintf("www.q%d.%s.test", i, n[:min(len(n), 8)]))
	}
	m := map[string]struct{}{}
	for _, n := range all {
		m[strings.Clone(n)] = struct{}{}
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
	set := func(n string) bool { _, ok := s.Match(n, Selection{}); return ok }
	for _, c := range []struct {
		name  string
		names []string
		match func(string) bool
	}{{"hit", hits, set}, {"miss", misses, set}, {"workload", workload(b), set}, {"map-hit", hits, inMap}, {"map-miss", misses, inMap}, {"map-workload", workload(b), inMap}} {
		b.Run(c.name, func(b *testing.B) {
			for _, n := range c.names { // what a home asks it asks again
				c.match(n)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if c.match(c.names[i]); i == len(c.names)-1 {
					i = -1
				}
				i++
			}
		})
	}
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
