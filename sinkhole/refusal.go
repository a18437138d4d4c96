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

	// maxRefusals bounds the table of device x host x client.
	maxRefusals = 4096
)

// refusals remembers which client of which device refuses our certificate for
// which host, so that the sinkhole does not offer it again and again. Clients
// are told apart by their JA4: on one phone the browser may trust the owner's
// authority while an SDK that talks to the same host does not. It is safe for
// concurrent use.
type refusals struct {
	now func() time.Time

	mu    sync.Mutex
	table map[client]refusal
}

type client struct{ device, name, ja4 string }

type refusal struct {
	silent  int       // hang-ups in a row without an alert
	until   time.Time // zero while not refused
	trusted time.Time // when it last sent something inside our TLS
	seen    time.Time
}

// active tells whether a client is known to refuse a host at present.
func (r *refusals) active(c client) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	e, ok := r.table[c]
	return ok && now.Before(e.until) && e.until.Sub(now) <= refusalLife // a clock set back must not prolong it
}

// add notes a refusal: by an alert it counts at once, silent ones by number,
// and not at all for a client that was read a short while ago: such a one
// opens connections in advance.
func (r *refusals) add(c client, alert bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	e := r.entry(c, now)
	if !alert && now.Sub(e.trusted) < refusalLife {
		return
	}
	e.silent++
	if alert || e.silent >= silentLimit {
		e.until, e.silent = now.Add(refusalLife), 0
	}
	r.table[c] = e
}

// trust notes that a client sent something inside our TLS.
func (r *refusals) trust(c client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	e := r.entry(c, now)
	e.trusted, e.silent, e.until = now, 0, time.Time{}
	r.table[c] = e
}

// clear forgets every refusal.
func (r *refusals) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.table)
}

// entry is what is known of a client, with room made for a new one. The
// caller holds the lock.
func (r *refusals) entry(c client, now time.Time) refusal {
	e, ok := r.table[c]
	if !ok && len(r.table) >= maxRefusals {
		r.evict(now)
	}
	e.seen = now
	return e
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
