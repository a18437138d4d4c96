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
	// poorLimit replies in a row that were no answer, while another server had
	// one: then it rests. A few broken names are not the server's fault.
	poorLimit = 8
	// measureEvery: so often a server that is not in use is asked as well, beside
	// the others, to see how quick it is now.
	measureEvery = 30 * time.Second
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
	loss    float64   // share of questions without an answer, the recent ones counting most
	times   latencies // of recent answers
	asked   time.Time // when it was last asked to see how quick it is
	poor    int       // answers in a row that were no help where another server's was
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
	h.hard, h.soft, h.downs, h.probing, h.poor, h.lastErr = 0, 0, 0, false, 0, ""
	h.loss -= h.loss / 8
	h.took(took)
}

func (h *health) took(d time.Duration) {
	if h.rtt == 0 {
		h.rtt = d
	}
	h.rtt += (d - h.rtt) / 8 // as TCP smooths it, RFC 6298 §2
	h.times.add(d)
}

// vain notes a reply that is no answer (SERVFAIL, REFUSED, a referral): the
// server is there, but a rest for giving such replies goes on.
func (h *health) vain(begin, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queries++
	h.heard = now
	h.hard, h.soft, h.probing, h.lastErr = 0, 0, false, ""
	h.took(now.Sub(begin))
	switch {
	case h.poor < poorLimit:
		h.downs = 0
	case !now.Before(h.until):
		h.rest(now, "it answers with failures where others know the answer")
	}
}

// beaten notes that another server knew what this one did not. Often in a row,
// and it is asked last for a while: it may have lost its own upstream, or
// refuse us.
func (h *health) beaten(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.poor++; h.poor >= poorLimit && h.downs == 0 {
		h.gone = false
		h.rest(now, "it answers with failures where others know the answer")
	}
}

// rest begins a rest, or a longer one.
func (h *health) rest(now time.Time, why string) {
	h.until = now.Add(min(lastRest, firstRest<<min(h.downs, 10)))
	h.downs++
	h.lastErr = why
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
	h.loss += (1 - h.loss) / 8
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
	h.rest(now, why)
	h.hard, h.soft = 0, 0
}

// idle ends a trial that said nothing of a server's health, because another
// server won. That it took longer than took is known all the same, or the
// slower half of its answers would be forgotten.
func (h *health) idle(took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.probing = false
	if h.rtt > 0 && took > h.rtt {
		h.took(took)
	}
}

// expect is how long an answer is likely to take, failures counted as a wait
// of step.
func (h *health) expect(step time.Duration) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rtt == 0 {
		return step // nobody knows yet
	}
	return h.rtt + time.Duration(h.loss*float64(step))
}

// tail is the time within which nearly all answers come; 0 while too few came
// to tell.
func (h *health) tail() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.times.n < enough {
		return 0
	}
	return h.times.p95
}

// unmeasured tells, once in measureEvery, that nobody asked for so long how
// quick a server is.
func (h *health) unmeasured(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.asked
	if h.heard.After(last) {
		last = h.heard
	}
	if now.Sub(last) < measureEvery {
		return false
	}
	h.asked = now
	return true
}

// Status is how one upstream is doing.
type Status struct {
	Name     string // as the owner wrote it
	Up       bool
	RTT      time.Duration // smoothed time to an answer; 0 before the first
	P50, P95 time.Duration // half, and nineteen of twenty, of the recent answers came within; 0 before the first
	Queries  uint64
	Failures uint64
	Err      string // the last failure, while it is the last word
}

func (h *health) status(name string) Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Status{
		Name: name, Up: h.downs == 0, RTT: h.rtt, P50: h.times.p50, P95: h.times.p95,
		Queries: h.queries, Failures: h.failures, Err: h.lastErr,
	}
}
