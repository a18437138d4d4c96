// Package fold keeps what happens again and again from filling the journal: an
// app that is refused tries again at once, and again. The first is told, the
// rest is counted, and whoever insists is made to wait a little. It is pure but
// for a lock; the time is handed in.
package fold

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"nightlatch/journal"
)

const (
	// Time: the same refusal within a minute of the first is only counted.
	Time = time.Minute
	// Max bounds the different refusals remembered for one device.
	Max = 1024

	// patient refusals are answered at once: a page asks for several things at a
	// time. Each one after them waits twice as long, up to longest, which is below
	// the time after which apps take a server for dead.
	patient = 4
	longest = 8 * time.Second
)

// Refusals are the refused flows of one device. The zero value is ready; it is
// safe for concurrent use.
type Refusals struct {
	mu    sync.Mutex
	table map[key]*folded
}

type key struct {
	proto, name string
	dst         netip.AddrPort
}

type folded struct {
	first journal.Flow
	until time.Time
	more  int
}

// Fold takes in a refusal. fresh: it is the first of its kind in a while. full:
// there is no room to remember it, and it is not fresh either. again is how many of its kind came
// before it.
func (r *Refusals) Fold(e journal.Flow, now time.Time) (fresh, full bool, again int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := key{e.Proto, e.Name, e.Dst}
	if f, ok := r.table[k]; ok && now.Before(f.until) {
		f.more++
		return false, false, f.more
	}
	if len(r.table) >= Max {
		return false, true, 0
	}
	if r.table == nil {
		r.table = map[key]*folded{}
	}
	r.table[k] = &folded{first: e, until: now.Add(Time)}
	return true, false, 0
}

// Unfold gives the events that stand for the folded ones whose time is over.
func (r *Refusals) Unfold(now time.Time) (out []journal.Flow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, f := range r.table {
		if now.Before(f.until) {
			continue
		}
		delete(r.table, k)
		if f.more > 0 {
			e := f.first
			e.Time = now
			e.Err = fmt.Sprintf("%d more times in %v", f.more, Time)
			out = append(out, e)
		}
	}
	return out
}

// Delay is how long the answer waits to a refusal that came again so many times;
// step is the first wait.
func Delay(again int, step time.Duration) time.Duration {
	if again <= patient || step <= 0 {
		return 0
	}
	return min(step<<min(again-patient-1, 16), longest)
}

// NoticeEvery keeps a limit that is hit all day from filling the journal.
const NoticeEvery = 10 * time.Minute

// Notices remembers what the owner was told lately; bounded by devices times
// kinds. The zero value is ready; it is safe for concurrent use.
type Notices struct {
	mu   sync.Mutex
	last map[[2]string]time.Time
}

// Due tells whether a notice of a kind about a device may be told again, every
// time has passed since the last one.
func (n *Notices) Due(device, kind string, now time.Time, every time.Duration) bool {
	k := [2]string{device, kind}
	n.mu.Lock()
	defer n.mu.Unlock()
	if last, told := n.last[k]; told && now.Sub(last) < every {
		return false
	}
	if n.last == nil {
		n.last = map[[2]string]time.Time{}
	}
	n.last[k] = now
	return true
}
