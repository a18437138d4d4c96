package sinkhole

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"nightlatch/decoder"
	"nightlatch/journal"
)

// TestSampling: of one kind a minute's worth is recorded, of another kind as
// well, and what proves something always.
func TestSampling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := build(t, func(o *Options) { o.Limits.Shape = 10 })
		proof := &provingDecoder{}
		b.SetDecoder(proof)
		send := func(n int, path string) {
			for i := range n {
				b.takeRaw(t.Context(), journal.Capture{Time: time.Now(), Device: "redmi", Name: sunk, Path: fmt.Sprintf(path, 10_000+i)}, body{sample: fmt.Append(nil, path, i)})
			}
		}
		expect := func(captured, sampled uint64) {
			t.Helper()
			if st := b.Stats(); st.Captured != captured || st.Sampled != sampled {
				t.Errorf("captured %d sampled %d, want %d and %d", st.Captured, st.Sampled, captured, sampled)
			}
		}
		send(50, "/track/%d/x?t=1")
		expect(10, 40)
		send(5, "/other/%d") // another kind
		expect(15, 40)
		proof.proves = true
		send(20, "/track/%d/y?t=1") // one more kind, told by its last part
		expect(35, 40)
		send(20, "/track/%d/x?t=2")
		expect(55, 40)
		proof.proves = false
		<-time.After(shapeWindow)
		send(50, "/track/%d/x?t=3")
		expect(65, 80)
		<-time.After(shapeWindow)
		b.sweep(true)
		told := 0
		for _, e := range b.tape.events {
			if n, ok := e.(journal.Notice); ok && n.Device == "redmi" && n.Level == journal.Info {
				told++
			}
		}
		if told != 1 || len(b.shapes.table) != 0 || len(b.folds.table) != 0 {
			t.Errorf("told %d times, %d kinds and %d folds left", told, len(b.shapes.table), len(b.folds.table))
		}
	})
}

type provingDecoder struct {
	fakeDecoder
	proves bool
}

func (d *provingDecoder) Decode(raw []byte) decoder.Result {
	if d.proves {
		return decoder.Result{Findings: []decoder.Finding{{Kind: "imei", Value: "1", Confidence: decoder.Proved}}}
	}
	return decoder.Result{}
}
