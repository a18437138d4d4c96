package decoder

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shared holds the vectors; a clone without them still has its own tests.
const shared = "../../shared/payloads"

// unknownFloor is what is found without known values; it may only rise.
const unknownFloor = 153

type manifest struct {
	Vectors []vector `json:"vectors"`
}

type vector struct {
	ID          string   `json:"id"`
	File        string   `json:"file"`
	Group       string   `json:"group"`
	Verdict     string   `json:"verdict"`
	MustFind    []item   `json:"must_find"`
	MustNotFind []item   `json:"must_not_find"`
	ExpectFlags []string `json:"expect_flags"`
}

type item struct {
	Kind     string `json:"kind"`
	Value    string `json:"value"`
	Form     string `json:"form"`
	Observed string `json:"observed"`
	Match    string `json:"match"`
	Needs    string `json:"needs"`
	Why      string `json:"why"`
	Steps    []struct {
		Op string `json:"op"`
	} `json:"steps"`
}

func readManifest() (m manifest, err error) {
	data, err := os.ReadFile(filepath.Join(shared, "manifest.json"))
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(data, &m)
}

func loadVectors(t testing.TB) (manifest, map[string][]string) {
	t.Helper()
	m, err := readManifest()
	if err != nil {
		t.Skip("the shared payload vectors are not here: ", err)
	}
	data, err := os.ReadFile(filepath.Join(shared, "known_values.json"))
	if err != nil {
		t.Fatal(err)
	}
	known, err := ParseKnown(data)
	if err != nil {
		t.Fatal(err)
	}
	return m, known
}

func readVector(t testing.TB, v vector) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(shared, v.File))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// has reports a finding of the item's kind and value that may be shown.
func has(r Result, it item) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool {
		if f.Confidence < Likely || f.Kind != it.Kind && it.Kind != "*" {
			return false
		}
		if it.Value == "*" || f.Value == it.Value {
			return true
		}
		return it.Match == "contains" && strings.Contains(f.Value, it.Value)
	})
}

type tally struct{ found, missed, false, verdicts, flags int }

// alphabet opens the one vector whose key only its owner can know.
const alphabet = `- name: own alphabet
  hosts: [t.vendor.example]
  open:
    - flag: known-key-available
      data: form:d | base64(qogjOuCRNkfil5p4SQ3LAmxGKZTdesvB6z_YPahMI9t80rJyHW1DEwFbc7nUVX2-)
`

// TestVectors prints the table by group and holds what was reached: everything.
func TestVectors(t *testing.T) {
	m, known := loadVectors(t)
	d, err := New(Options{Known: known, Vendors: map[string][]byte{"own.yaml": []byte(alphabet)}})
	if err != nil {
		t.Fatal(err)
	}
	groups := map[string]*tally{}
	for _, v := range m.Vectors {
		if groups[v.Group] == nil {
			groups[v.Group] = &tally{}
		}
		g, r := groups[v.Group], d.Decode(readVector(t, v))
		g.items(t, v, r, func(item) bool { return true })
		want := v.Verdict
		if want == Opaque && len(v.MustFind) > 0 {
			want = Leak // with the keys it can be read
		}
		g.words(t, v, r, want)
	}
	report(t, groups)
}

// TestVectorsNoKeys is the same without vendor keys: what needs one is opaque.
func TestVectorsNoKeys(t *testing.T) {
	m, known := loadVectors(t)
	d, err := New(Options{Known: known, NoKeys: true})
	if err != nil {
		t.Fatal(err)
	}
	groups := map[string]*tally{}
	for _, v := range m.Vectors {
		if groups[v.Group] == nil {
			groups[v.Group] = &tally{}
		}
		g, r := groups[v.Group], d.Decode(readVector(t, v))
		g.items(t, v, r, func(it item) bool { return it.Needs == "" || it.Needs == "known-value" })
		g.words(t, v, r, v.Verdict)
	}
	report(t, groups)
}

// TestVectorsUnknown is without known values: nothing that must not be found
// may be, and of what needs no known value nearly all is.
func TestVectorsUnknown(t *testing.T) {
	m, _ := loadVectors(t)
	d, err := New(Options{Vendors: map[string][]byte{"own.yaml": []byte(alphabet)}})
	if err != nil {
		t.Fatal(err)
	}
	var found, all int
	for _, v := range m.Vectors {
		r := d.Decode(readVector(t, v))
		for _, it := range v.MustFind {
			if it.Needs == "known-value" {
				continue
			}
			if it.Kind == "canary_url" {
				it.Kind = "url" // without the canary it is an address like any other
			}
			if all++; has(r, it) {
				found++
			} else {
				t.Logf("%s: not without known values: %s %q", v.ID, it.Kind, it.Value)
			}
		}
		for _, it := range v.MustNotFind {
			if has(r, it) {
				t.Errorf("%s: found %s %q: %s", v.ID, it.Kind, it.Value, it.Why)
			}
		}
	}
	t.Logf("without known values: %d of %d", found, all)
	if found < unknownFloor {
		t.Errorf("found %d items without known values, it was %d", found, unknownFloor)
	}
}

func (g *tally) items(t *testing.T, v vector, r Result, due func(item) bool) {
	for _, it := range v.MustFind {
		switch {
		case !due(it):
		case has(r, it):
			g.found++
		default:
			g.missed++
			t.Errorf("%s: missed %s %q (needs %q)", v.ID, it.Kind, it.Value, it.Needs)
		}
	}
	for _, it := range v.MustNotFind {
		if has(r, it) {
			g.false++
			t.Errorf("%s: found %s %q: %s", v.ID, it.Kind, it.Value, it.Why)
		}
	}
}

func (g *tally) words(t *testing.T, v vector, r Result, verdict string) {
	if r.Verdict != verdict {
		t.Errorf("%s: verdict %s, want %s (flags %v)", v.ID, r.Verdict, verdict, r.Flags)
	} else {
		g.verdicts++
	}
	for _, f := range v.ExpectFlags {
		if slices.Contains(r.Flags, f) {
			g.flags++
		} else {
			t.Errorf("%s: no flag %s in %v", v.ID, f, r.Flags)
		}
	}
}

func report(t *testing.T, groups map[string]*tally) {
	for _, name := range []string{"sdk", "encoding", "negative", "robustness"} {
		if g := groups[name]; g != nil {
			t.Logf("%-10s found %3d  missed %3d  false %3d  verdicts %2d  flags %2d", name, g.found, g.missed, g.false, g.verdicts, g.flags)
		}
	}
}
