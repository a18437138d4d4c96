package decoder

import (
	"fmt"
	"maps"
	"slices"
	"testing"
)

// recallPayloads is how many payloads are made. Of what is planted at least so
// many in a thousand are found without known values, and with them.
const (
	recallPayloads = 300
	recallBlank    = 975
	recallKnowing  = 980
)

// TestRecall makes payloads and prints how much of what was planted is found,
// by structure, by encoding and by kind, with and without known values.
func TestRecall(t *testing.T) {
	blank, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]*[2]score{}
	count := func(row string, known int, found bool) {
		if table[row] == nil {
			table[row] = &[2]score{}
		}
		table[row][known].add(found)
	}
	misses := 0
	for seed := range uint64(recallPayloads) {
		g := makePayload(seed)
		knowing, err := New(Options{Known: ownerOf(g.fields)})
		if err != nil {
			t.Fatal(err)
		}
		for known, d := range []*Decoder{blank, knowing} {
			r := d.Decode(g.raw)
			for _, f := range g.fields {
				if known == 0 && (f.kind == "ssid" || f.name == "account" && f.kind != "email") {
					continue
				}
				ok := f.got(r)
				for _, row := range g.rows {
					count(row, known, ok)
				}
				count("kind "+f.kind, known, ok)
				count("all", known, ok)
				if !ok {
					if misses++; misses < 40 {
						t.Logf("seed %d known %d: missed %s %s=%q in %v: %s %v", seed, known, f.kind, f.name, f.value, g.rows, r.Verdict, r.Flags)
					}
				}
			}
		}
	}
	for _, row := range slices.Sorted(maps.Keys(table)) {
		s := table[row]
		t.Logf("%-26s found %5d of %5d   knowing %5d of %5d", row, s[0].found, s[0].all, s[1].found, s[1].all)
	}
	for known, floor := range []int{recallBlank, recallKnowing} {
		if s := table["all"][known]; s.found*1000 < s.all*floor {
			t.Errorf("found %d of %d, want %d in a thousand", s.found, s.all, floor)
		}
	}
}

type generated struct {
	raw    []byte
	fields []planted
	rows   []string
}

func makePayload(seed uint64) generated {
	m := newMaker(seed)
	g := generated{fields: m.person()}
	s := structures[m.IntN(len(structures))]
	all := append(slices.Clone(g.fields), m.filler()...)
	m.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	body := s.write(m, all)
	g.rows = []string{"structure " + s.name}
	text := s.text
	for range m.IntN(4) {
		w := wrappers[m.IntN(len(wrappers))]
		if w.in == 't' && !text {
			continue
		}
		body, text = w.wrap(m, body), w.out == 't'
		g.rows = append(g.rows, "wrapper "+w.name)
	}
	w := whole[m.IntN(len(whole))]
	if w.name == "xor" && !text {
		w = whole[0]
	}
	body = w.wrap(body)
	g.rows = append(g.rows, "whole "+w.name)
	head := "POST /v1/events HTTP/1.1\r\nHost: t.vendor.example\r\n" + w.header
	if m.IntN(3) == 0 {
		g.rows = append(g.rows, "transfer chunked")
		g.raw = fmt.Appendf(nil, "%sTransfer-Encoding: chunked\r\n\r\n%s", head, chunks(string(body), 1+m.IntN(60)))
	} else {
		g.raw = fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", head, len(body), body)
	}
	return g
}
