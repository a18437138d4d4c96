package upstream

import (
	"slices"
	"time"
)

const (
	// window is how many answers the percentiles are of: the last few minutes
	// of a home.
	window = 64
	// enough answers before a percentile means something.
	enough = 16
)

// latencies are the times of the last answers of a server. It needs its
// owner's lock.
type latencies struct {
	ring     [window]time.Duration
	n        int // all that were added
	p50, p95 time.Duration
}

// add notes one time. The percentiles are counted anew at every fourth only:
// this happens for each question.
func (l *latencies) add(d time.Duration) {
	l.ring[l.n%window] = d
	if l.n++; l.n > enough && l.n%4 != 0 {
		return
	}
	sorted := l.ring
	known := sorted[:min(l.n, window)]
	slices.Sort(known)
	l.p50, l.p95 = known[len(known)/2], known[len(known)*95/100]
}
