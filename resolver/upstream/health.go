package upstream

import (
	"sync"
	"time"
)

const (
	// A server is down after hardLimit failures in a row that say so (refused,
	// unreachable, bad certificate), or softLimit that may be bad luck (silence).
	hardLimit = 2
	softLimit = 3
	// It is tried again after firstRest, then after twice as long each time, up
	// to lastRest: a home's uplink that comes back is used within seconds.
	firstRest = 500 * time.Millisecond
	lastRest  = 15 * time.Second
)

// health remembers how a server has been doing.
type health struct {
	mu      sync.Mutex
	hard    int // failures in a row
	soft    int
	downs   int       // rests in a row; 0 means it is well
	until   time.Time // the end of the rest
	gone    bool      // it rests because it said so, not because it was silent
	heard   time.Time // when it last answered
	probing bool      // somebody is trying it
	rtt     time.Duration
	lastErr string

	queries, failures uint64
}

// state is how a server stands in the order of trial.
type state uint8

const (
	well    state = iota
	due           // it was down, and its rest is over
	resting       // it was silent: ask it when there is nobody else
	gone          // it cannot be reached: leave it alone
)

func (h *health) state(now time.Time) state {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.downs == 0:
		return well
	case !now.Before(h.until):
		return due
	case h.gone:
		return gone
	}
	return resting
}

// probe lets one question at a time find out whether a server is back.
func (h *health) probe(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.probing || h.downs == 0 || now.Before(h.until) {
		return false
	}
	h.probing = true
	return true
}

// good notes an answer to a question asked at begin.
func (h *health) good(begin, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	took := now.Sub(begin)
	h.queries++
	h.heard = now
	h.hard, h.soft, h.downs, h.probing, h.lastErr = 0, 0, 0, false, ""
	if h.rtt == 0 {
		h.rtt = took
	}
	h.rtt += (took - h.rtt) / 8 // as TCP smooths it, RFC 6298 §2
}

// bad notes the failure of a question asked at begin. Silence says nothing
// about a server that answered others in the meantime: the name was dead, not
// the server. And while a server rests, what was still under way says nothing
// new.
func (h *health) bad(begin, now time.Time, hard bool, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queries++
	h.failures++
	h.probing, h.lastErr = false, why
	switch {
	case hard:
		h.hard++
	case h.heard.Before(begin):
		h.soft++
	}
	if h.downs > 0 && now.Before(h.until) || h.downs == 0 && h.hard < hardLimit && h.soft < softLimit {
		return
	}
	h.gone = hard
	h.until = now.Add(min(lastRest, firstRest<<min(h.downs, 10)))
	h.downs++
	h.hard, h.soft = 0, 0
}

// idle ends a trial that said nothing, because another server won.
func (h *health) idle() {
	h.mu.Lock()
	h.probing = false
	h.mu.Unlock()
}

// Status is how one upstream is doing.
type Status struct {
	Name     string // as the owner wrote it
	Up       bool
	RTT      time.Duration // smoothed time to an answer; 0 before the first
	Queries  uint64
	Failures uint64
	Err      string // the last failure, while it is the last word
}

func (h *health) status(name string) Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Status{name, h.downs == 0, h.rtt, h.queries, h.failures, h.lastErr}
}
