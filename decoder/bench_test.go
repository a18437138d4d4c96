package decoder

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkStory is the payload of the news story: form, base64, gzip, JSON.
func BenchmarkStory(b *testing.B) {
	body := form("gzip", "1", "data_list", b64(gzHelper([]byte("["+device2+","+device2+"]"))))
	d, err := New(Options{Known: known2()})
	if err != nil {
		b.Fatal(err)
	}
	raw := post("/sa?project=b", "", string(body))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		d.Decode(raw)
	}
}

// BenchmarkVectors decodes all shared vectors but the hostile ones; the time
// of one vector is that divided by their number, which is reported.
func BenchmarkVectors(b *testing.B) {
	m, known := loadVectors(b)
	d, err := New(Options{Known: known})
	if err != nil {
		b.Fatal(err)
	}
	var raws [][]byte
	for _, v := range m.Vectors {
		if v.Verdict != Hostile {
			raws = append(raws, readVector(b, v))
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, raw := range raws {
			d.Decode(raw)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(raws)), "µs/vector")
}

// leaves20k is a JSON text of 20,000 leaves.
func leaves20k() []byte {
	var s strings.Builder
	s.WriteByte('[')
	for i := range 9_999 {
		fmt.Fprintf(&s, `{"k%d":"some value %d","n":%d},`, i%97, i*7919, i)
	}
	s.WriteString(`{"gaid":"` + gaid2 + `","n":1}]`)
	return []byte(s.String())
}

// BenchmarkNeedles is one pass of 400 needles and all detectors over 20,000
// leaves.
func BenchmarkNeedles(b *testing.B) {
	d, err := New(Options{Known: known2()})
	if err != nil {
		b.Fatal(err)
	}
	p := newPeel(d, &Request{Body: leaves20k()})
	p.request()
	b.ReportMetric(float64(d.index.Len()), "needles")
	b.ReportMetric(float64(len(p.leaves)), "leaves")
	b.ReportAllocs()
	for b.Loop() {
		if r := p.result(); len(r.Findings) == 0 {
			b.Fatal("nothing found")
		}
	}
}
