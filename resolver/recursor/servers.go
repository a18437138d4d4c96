package recursor

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// A server that was never asked is thought to answer within guess, and given
	// firstWait before the next one is asked too.
	guess     = 150 * time.Millisecond
	firstWait = 500 * time.Millisecond
	minWait   = 100 * time.Millisecond
	maxWait   = 1500 * time.Millisecond
	// band: servers whose times differ by less are asked in turn, so that a
	// forger cannot tell which one it is (RFC 5452 §9.2), and all stay known.
	band = 80 * time.Millisecond
	// missLimit silences in a row, and a server rests: firstRest, and twice as
	// long each time, up to lastRest.
	missLimit = 3
	firstRest = 500 * time.Millisecond
	lastRest  = 15 * time.Second
	// quietRest bounds the rest while nobody else answers either: then it is the
	// way out of the house that is broken, and it may be mended any moment.
	quietRest = 2 * time.Second
	// lameTime is how long a server is left alone that does not serve a zone.
	lameTime = time.Minute
	// foldLimit names that came back in other letters: the server does not keep
	// them.
	foldLimit = 3
	// familyLimit silences in a row of one address family, and familyRest.
	familyLimit = 4
	familyRest  = time.Minute
	// forget is how long a server is remembered after it was last asked.
	forget     = 15 * time.Minute
	maxServers = 8192 // about 150 B each
)

// place is one server in its duty for one zone: a server that is silent about
// one zone may serve others well.
type place struct {
	addr netip.Addr
	zone string
}

// server is what is known about one.
type server struct {
	srtt, dev time.Duration // as TCP smooths them, RFC 6298 §2; 0 before the first answer
	heard     time.Time
	misses    int
	rests     int
	until     time.Time // the end of its rest
	lame      time.Time // it does not serve the zone, until then
	refused   time.Time // it refused a question: others are asked first, until then
	plain     bool      // it does not know EDNS
	folds     int
	used      time.Time
}

// wait is how long the server may think before the next one is asked too.
func (s *server) wait() time.Duration {
	d := firstWait
	if s.srtt > 0 {
		d = min(max(s.srtt+4*s.dev, minWait), maxWait)
	}
	return min(d<<min(s.misses, 3), maxWait)
}

// family is how one address family is doing.
type family struct {
	misses int
	heard  time.Time
	until  time.Time
}

// servers remembers servers. It is safe for concurrent use.
type servers struct {
	mu       sync.Mutex
	table    map[place]*server
	families [2]family // IPv4, IPv6
	heard    time.Time // when any of them last answered
}

func newServers() *servers { return &servers{table: map[place]*server{}} }

func (m *servers) family(a netip.Addr) *family {
	if a.Is4() {
		return &m.families[0]
	}
	return &m.families[1]
}

// of gives the entry of a server, to be used with the lock held.
func (m *servers) of(p place, now time.Time) *server {
	s := m.table[p]
	if s != nil && now.Sub(s.used) < forget {
		s.used = now
		return s
	}
	if len(m.table) >= maxServers {
		for q, old := range m.table {
			if now.Sub(old.used) >= forget || len(m.table) > maxServers*3/4 {
				delete(m.table, q)
			}
		}
	}
	s = &server{used: now}
	m.table[p] = s
	return s
}

// view gives what is known about a server.
func (m *servers) view(p place) server {
	m.mu.Lock()
	defer m.mu.Unlock()
	return *m.of(p, time.Now())
}

// order gives the addresses to ask for a zone, the best first. Those that rest
// or are lame are left out.
func (m *servers) order(zone string, addrs []netip.Addr, now time.Time) []netip.Addr {
	m.mu.Lock()
	defer m.mu.Unlock()
	score := map[netip.Addr]time.Duration{}
	var out []netip.Addr
	for _, a := range addrs {
		s := m.of(place{a, zone}, now)
		if now.Before(s.until) || now.Before(s.lame) || slices.Contains(out, a) {
			continue
		}
		d := cmp.Or(s.srtt, guess)
		if s.misses > 0 || s.rests > 0 || now.Before(s.refused) {
			d += s.wait()
		}
		if now.Before(m.family(a).until) {
			d += time.Minute // after everything else
		}
		score[a] = d + rand.N(band)
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b netip.Addr) int { return cmp.Compare(score[a], score[b]) })
	return out
}

// works tells which address families there is hope for: A first, unless only
// AAAA is.
func (m *servers) works(now time.Time) (four, six bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	four, six = !now.Before(m.families[0].until), !now.Before(m.families[1].until)
	if !four && !six {
		return true, true
	}
	return four, six
}

// good notes an answer to a question that was asked at begin.
func (m *servers) good(p place, begin, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.family(p.addr)
	f.misses, f.heard, f.until, m.heard = 0, now, time.Time{}, now
	s, took := m.of(p, now), max(now.Sub(begin), time.Microsecond)
	s.heard, s.misses, s.rests, s.until = now, 0, 0, time.Time{}
	if s.srtt == 0 {
		s.srtt, s.dev = took, took/2
		return
	}
	s.dev += ((s.srtt - took).Abs() - s.dev) / 4
	s.srtt += (took - s.srtt) / 8
}

// missed notes silence, or a connection that failed. It says nothing about a
// server that answered others in the meantime.
func (m *servers) missed(p place, begin, now time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.family(p.addr)
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return // our own descriptors are used up
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EAFNOSUPPORT):
		f.until = now.Add(familyRest) // there is no way out of this house
		return
	}
	if f.heard.Before(begin) {
		if f.misses++; f.misses >= familyLimit {
			f.until = now.Add(familyRest)
		}
	}
	s := m.of(p, now)
	if !s.heard.Before(begin) || now.Before(s.until) {
		return
	}
	longest := lastRest
	if m.heard.Before(begin) {
		longest = quietRest
	}
	if s.misses++; s.misses >= missLimit {
		s.until = now.Add(min(longest, firstRest<<min(s.rests, 10)))
		s.rests++
	}
}

// change edits what is known about a server.
func (m *servers) change(p place, edit func(*server)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	edit(m.of(p, time.Now()))
}
