package sinkhole

import (
	"hash/maphash"
	"sync"
	"time"

	"nightlatch/decoder"
	"nightlatch/journal"
)

// maxFolds bounds the captures that are remembered to find their repeats;
// beyond it captures are recorded one by one. foldFindings bounds what is kept
// of each, so that the whole table stays below 32 MiB whatever is sent.
const (
	maxFolds     = 1024
	foldFindings = 16
)

// folds finds captures that repeat one that was recorded shortly before. It
// is safe for concurrent use.
type folds struct {
	seed   maphash.Seed
	window time.Duration

	mu    sync.Mutex
	table map[uint64]*fold
}

// fold is a recorded capture and the repeats that were left out since.
type fold struct {
	capture  journal.Capture // the latest one, without its sample
	recorded time.Time
	repeats  int
}

func newFolds(window time.Duration) *folds {
	return &folds{seed: maphash.MakeSeed(), window: window, table: map[uint64]*fold{}}
}

// see takes note of a capture. It is to be recorded when it is new, or when
// its last record is a window old; repeats are those that were left out.
func (t *folds) see(key uint64, c journal.Capture) (repeats int, record bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.table[key]
	if f == nil {
		if len(t.table) < maxFolds {
			t.table[key] = &fold{capture: c, recorded: c.Time}
		}
		return 0, true
	}
	result := f.capture.Result
	f.capture = c
	f.capture.Result = result
	if age := c.Time.Sub(f.recorded); age >= 0 && age < t.window { // a clock set back ends the window
		f.repeats++
		return 0, false
	}
	repeats, f.repeats, f.recorded = f.repeats, 0, c.Time
	return repeats, true
}

// decoded keeps what a capture gave away for the record of its repeats:
// the first findings, and no layers, which hold the payload.
func (t *folds) decoded(key uint64, r decoder.Result) {
	r.Layers = nil
	few := make([]decoder.Finding, min(len(r.Findings), foldFindings))
	for i := range few {
		f := r.Findings[i]
		f.Value, f.Path = cut(f.Value, maxField), cut(f.Path, maxField)
		few[i] = f
	}
	r.Findings = few
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.table[key]; f != nil {
		f.capture.Result = r
	}
}

// forget drops a capture that was not recorded after all.
func (t *folds) forget(key uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.table[key]; f != nil && f.repeats == 0 {
		delete(t.table, key)
	}
}

// sweep ends the windows that are over, or all of them, and gives a capture
// for each that had repeats: it is the last of them and stands for the others.
// What still repeats stays folded; what does not is forgotten.
func (t *folds) sweep(now time.Time, all bool) (out []journal.Capture) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, f := range t.table {
		age := now.Sub(f.recorded)
		if !all && age >= 0 && age < t.window {
			continue
		}
		if f.repeats == 0 || all {
			delete(t.table, key)
		}
		if f.repeats > 0 {
			f.capture.Repeats = f.repeats - 1
			out = append(out, f.capture)
			f.repeats, f.recorded = 0, now
		}
	}
	return out
}

const (
	// burst is how many seconds' worth of captures a device may send at once:
	// an SDK that was offline empties its queue.
	burst = 5

	// maxBuckets bounds the devices that are counted; a home has a few dozen.
	maxBuckets = 1024
)

// rates counts the captures of each device. It is safe for concurrent use.
type rates struct {
	perSecond float64

	mu    sync.Mutex
	table map[string]*bucket
}

type bucket struct {
	tokens float64
	at     time.Time
	lost   int
}

// allow tells whether a device may have another capture recorded.
func (r *rates) allow(device string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.table[device]
	if b == nil {
		if len(r.table) >= maxBuckets {
			return false
		}
		b = &bucket{tokens: r.perSecond * burst, at: now}
		r.table[device] = b
	}
	b.tokens = min(r.perSecond*burst, b.tokens+r.perSecond*max(0, now.Sub(b.at).Seconds()))
	b.at = now
	if b.tokens < 1 {
		b.lost++
		return false
	}
	b.tokens--
	return true
}

// sweep gives how many captures of each device were left out since the last
// sweep, and forgets devices that are quiet.
func (r *rates) sweep(now time.Time) map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lost map[string]int
	for device, b := range r.table {
		if b.lost > 0 {
			if lost == nil {
				lost = map[string]int{}
			}
			lost[device], b.lost = b.lost, 0
		} else if now.Sub(b.at) > burst*time.Second {
			delete(r.table, device)
		}
	}
	return lost
}
