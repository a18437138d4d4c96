package sinkhole

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"nightlatch/decoder"
	"nightlatch/journal"
)

const (
	// maxShapes bounds the kinds of captures that are counted; beyond it they
	// are recorded as if each was the first of its kind.
	maxShapes = 4096

	// shapeWindow is the time in which captures of one kind are counted.
	shapeWindow = time.Minute
)

// shapes counts captures of one kind: of one device, to one host, with the
// same method, path and type. What an app sends a thousand times with other
// numbers in it is told by its first hundreds. It is safe for concurrent use.
type shapes struct {
	most int // of one kind in a window

	mu    sync.Mutex
	table map[uint64]*shape
}

type shape struct {
	device string
	since  time.Time
	n      int // seen in this window
	lost   int // left out, not told yet
}

// allow tells whether another capture of a kind is to be recorded.
func (t *shapes) allow(key uint64, device string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.table[key]
	if e == nil {
		if len(t.table) >= maxShapes {
			return true
		}
		e = &shape{device: device, since: now}
		t.table[key] = e
	}
	if age := now.Sub(e.since); age >= shapeWindow || age < 0 {
		e.since, e.n = now, 0
	}
	e.n++
	return e.n <= t.most
}

// left notes that a capture was left out.
func (t *shapes) left(key uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.table[key]; e != nil {
		e.lost++
	}
}

// sweep gives how many captures of each device were left out since the last
// sweep, and forgets kinds that do not come any more.
func (t *shapes) sweep(now time.Time) map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	lost := map[string]int{}
	for key, e := range t.table {
		if e.lost > 0 {
			lost[e.device] += e.lost
			e.lost = 0
		}
		if age := now.Sub(e.since); age >= shapeWindow || age < 0 {
			delete(t.table, key)
		}
	}
	return lost
}

// shapeOf is equal for captures of one kind.
func (s *Sinkhole) shapeOf(c journal.Capture) uint64 {
	var m maphash.Hash
	m.SetSeed(s.folds.seed)
	path, _, _ := strings.Cut(c.Path, "?")
	for part := range strings.SplitSeq(path, "/") {
		if numbered(part) {
			part = "*"
		}
		m.WriteString(part)
		m.WriteByte('/')
	}
	for _, text := range []string{c.Device, c.Name, c.Scheme, c.Method, c.ContentType} {
		m.WriteByte(0)
		m.WriteString(text)
	}
	if c.TLS != nil {
		m.WriteString(c.TLS.Outcome)
	}
	return m.Sum64()
}

// numbered: a part of a path that holds an identifier rather than a word.
func numbered(part string) bool {
	digits := 0
	for _, c := range []byte(part) {
		if '0' <= c && c <= '9' {
			digits++
		}
	}
	return digits >= 4 || len(part) >= 32
}

// telling: a payload that proves something is recorded however many came.
func telling(r decoder.Result) bool {
	return slices.ContainsFunc(r.Findings, func(f decoder.Finding) bool { return f.Confidence == decoder.Proved })
}
