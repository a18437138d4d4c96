// Package door knows who may come in to the dashboard: it looks at tokens,
// slows down those who guess, and keeps sessions, all of it in bounded memory.
package door

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/netip"
	"sync"
	"time"
)

// Bounds of sessions and guesses.
const (
	maxSessions = 64                 // a household's browsers; the one idle longest makes room
	Idle        = 24 * time.Hour     // a session nobody used for a day is over
	Life        = 7 * 24 * time.Hour // and after a week in any case
	maxGuessers = 1024               // addresses whose failures are remembered; the oldest makes room
	FreeGuesses = 5                  // wrong tokens before the waiting begins: typing on a phone is hard
	LongestWait = 5 * time.Minute    // doubled from one second up to this
	forgetAfter = time.Hour          // without a failure, an address is a stranger again
)

// Door knows who may come in. It is safe for concurrent use. Tokens and session ids are kept and compared as
// hashes, so that comparing takes the same time whatever is wrong with them.
type Door struct {
	token [sha256.Size]byte

	mu       sync.Mutex
	sessions map[[sha256.Size]byte]session
	guessers map[netip.Prefix]guesser
}

type session struct{ begun, used time.Time }

type guesser struct {
	failures int
	last     time.Time // the latest failure
	until    time.Time // no guess is looked at before
}

// New makes a door that one token opens.
func New(token string) *Door {
	return &Door{token: sha256.Sum256([]byte(token)), sessions: map[[sha256.Size]byte]session{}, guessers: map[netip.Prefix]guesser{}}
}

// Knock looks at a token. While an address has to wait nothing is looked at,
// so that guesses made meanwhile teach nothing; looking and counting are one
// step, so that a thousand guesses at once are a thousand guesses.
func (d *Door) Knock(from netip.Addr, token string, now time.Time) (ok bool, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	who := household(from)
	g := d.guessers[who]
	if now.Sub(g.last) > forgetAfter {
		g = guesser{}
	}
	if wait = g.until.Sub(now); wait > 0 {
		return false, wait
	}
	wait = 0
	sum := sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(sum[:], d.token[:]) == 1 {
		delete(d.guessers, who)
		return true, 0
	}
	g.failures++
	g.last = now
	if over := g.failures - FreeGuesses; over >= 0 {
		wait = min(time.Second<<min(over, 20), LongestWait)
		g.until = now.Add(wait)
	}
	if _, known := d.guessers[who]; !known && len(d.guessers) >= maxGuessers {
		drop(d.guessers, func(g guesser) time.Time { return g.last })
	}
	d.guessers[who] = g
	return false, wait
}

// household is what one guesser can hold: an IPv4 address, or an IPv6 /64.
func household(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil { // no address at all: such callers share one place
		return netip.Prefix{}
	}
	return p
}

// Begin makes a session and gives its id: at least 128 random bits.
func (d *Door) Begin(now time.Time) string {
	id := rand.Text()
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, s := range d.sessions {
		if s.over(now) {
			delete(d.sessions, k)
		}
	}
	if len(d.sessions) >= maxSessions {
		drop(d.sessions, func(s session) time.Time { return s.used })
	}
	d.sessions[sha256.Sum256([]byte(id))] = session{begun: now, used: now}
	return id
}

// Admits tells whether id is a session at now; use marks it as in use.
func (d *Door) Admits(id string, now time.Time, use bool) bool {
	key := sha256.Sum256([]byte(id))
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ok := d.sessions[key]
	switch {
	case !ok:
		return false
	case s.over(now):
		delete(d.sessions, key)
		return false
	case use:
		s.used = now
		d.sessions[key] = s
	}
	return true
}

// End forgets a session; an unknown id is fine.
func (d *Door) End(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sessions, sha256.Sum256([]byte(id)))
}

func (s session) over(now time.Time) bool {
	return now.Sub(s.used) >= Idle || now.Sub(s.begun) >= Life
}

// drop removes the entry whose time is the oldest. The tables are small enough
// to be walked.
func drop[K comparable, V any](m map[K]V, at func(V) time.Time) {
	var oldest K
	var when time.Time
	for k, v := range m {
		if t := at(v); when.IsZero() || t.Before(when) {
			oldest, when = k, t
		}
	}
	delete(m, oldest)
}
