package decoder

import (
	"slices"
	"strings"
	"testing"
)

// TestReplay follows the path of every finding once more: the value must stand
// at its end, and every codec of its chain on the way.
func TestReplay(t *testing.T) {
	m, known := loadVectors(t)
	d, err := New(Options{Known: known})
	if err != nil {
		t.Fatal(err)
	}
	raws := [][]byte{}
	for _, v := range m.Vectors {
		raws = append(raws, readVector(t, v))
	}
	for seed := range uint64(150) {
		raws = append(raws, makePayload(seed).raw)
	}
	followed := 0
	for _, raw := range raws {
		for _, f := range d.Decode(raw).Findings {
			r, ok := d.Replay(raw, f.Path)
			if !ok {
				t.Errorf("nothing stands at %s (%s)", f.Path, f.Kind)
				continue
			}
			followed++
			holds := func(v string) bool {
				v = strings.ToLower(v)
				return strings.Contains(v, strings.ToLower(f.Value)) || f.Observed != "" && strings.Contains(v, strings.ToLower(f.Observed))
			}
			whole := strings.Join(r.Values, ",")
			if !holds(whole) && !holds(f.Path) {
				t.Errorf("%s: no %s %q at its end: %q", f.Path, f.Kind, f.Value, Safe(whole))
			}
			for _, l := range r.Layers {
				if !slices.Contains(f.Chain, l.Codec) {
					t.Errorf("%s: the way goes by %s", f.Path, l.Codec)
				}
			}
		}
	}
	t.Logf("%d findings followed", followed)
	if _, ok := d.Replay(raws[0], "body/gzip/json:/nowhere"); ok {
		t.Error("something stands nowhere")
	}
}
