package sinkhole

import (
	"sync"
	"time"
)

const (
	// refusalLife is how long a client that refused our certificate is left
	// alone. An owner who installs the authority waits an hour at most.
	refusalLife = time.Hour

	// silentLimit: a client that hangs up on our certificate without an alert
	// this often in a row has refused it. One or two may be a browser that
	// opened a connection in advance.
	silentLimit = 3

	// maxRefusals bounds the table of device x host.
	maxRefusals = 4096
)

// refusals remembers which device refuses our certificate for which host, so
// that the sinkhole does not offer it again and again. It is safe for
// concurrent use.
type refusals struct {
	now func() time.Time

	mu    sync.Mutex
	table map[refusalKey]refusal
}

type refusalKey struct{ device, name string }

type refusal struct {
	silent int       // hang-ups in a row without an alert
	until  time.Time // zero while not refused
	seen   time.Time
}

// active tells whether a device is known to refuse a host at present.
func (r *refusals) active(device, name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	e, ok := r.table[refusalKey{device, name}]
	return ok && now.Before(e.until) && e.until.Sub(now) <= refusalLife // a clock set back must not prolong it
}

// add notes a refusal: by an alert it counts at once, silent ones by number.
func (r *refusals) add(device, name string, alert bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, key := r.now(), refusalKey{device, name}
	e, ok := r.table[key]
	if !ok && len(r.table) >= maxRefusals {
		r.evict(now)
	}
	e.silent++
	e.seen = now
	if alert || e.silent >= silentLimit {
		e.until, e.silent = now.Add(refusalLife), 0
	}
	r.table[key] = e
}

// clear forgets what was noted: the client trusted us.
func (r *refusals) clear(device, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.table, refusalKey{device, name})
}

// evict makes room: everything that is over, or else any one entry.
func (r *refusals) evict(now time.Time) {
	for k, e := range r.table {
		if now.Sub(e.seen) > refusalLife {
			delete(r.table, k)
		}
	}
	for k := range r.table {
		if len(r.table) < maxRefusals {
			return
		}
		delete(r.table, k)
	}
}
