package upstream

import (
	"bytes"
	"crypto/rand"
	"net/netip"
	"sync"
	"time"

	"nightlatch/resolver/wire"
)

const (
	// proofs of a server that answers names in mixed case as it answers others,
	// before that is relied on.
	proofs = 3
	// foldRest is how long a server is asked in small letters when it does not.
	foldRest = time.Hour
	// foldCost is the price of a name that came back in other letters; each that
	// came back as it was sent pays one. Beyond foldLimit the server has changed.
	foldCost  = 16
	foldLimit = 3 * foldCost
)

// letters remembers whether a server repeats a name letter for letter, and
// answers it all the same. Most do, so that the case of the letters becomes
// something a forger must guess (draft-vixie-dnsext-dns0x20); nothing promises
// it.
type letters struct {
	near bool // the server is at home, where names are not mixed: see [atHome]

	mu     sync.Mutex
	proved int
	debt   int
	until  time.Time // in small letters before
}

// mode is how a server is asked.
type mode uint8

const (
	small  mode = iota
	trying      // mixed, and once more in small letters when the answer is not a good one
	mixed
)

// atHome tells whether a server is on this machine or in a private network.
// Whoever can send forgeries there also sees the letters, and it is the routers
// of homes that trip over them.
func atHome(a netip.Addr) bool {
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10).Contains(a)
}

func (l *letters) mode(now time.Time) mode {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.near || now.Before(l.until):
		return small
	case l.proved < proofs:
		return trying
	}
	return mixed
}

// kept notes a name that came back as it was sent, with an answer.
func (l *letters) kept() {
	l.mu.Lock()
	l.proved, l.debt = l.proved+1, max(0, l.debt-1)
	l.mu.Unlock()
}

// folded notes a name that came back in other letters from a server that was
// known to keep them.
func (l *letters) folded(now time.Time) {
	l.mu.Lock()
	l.debt += foldCost
	over := l.debt >= foldLimit
	l.mu.Unlock()
	if over {
		l.minds(now)
	}
}

// minds notes that the server cannot do with mixed letters.
func (l *letters) minds(now time.Time) {
	l.mu.Lock()
	l.proved, l.debt, l.until = 0, 0, now.Add(foldRest)
	l.mu.Unlock()
}

// mixCase gives the letters of the question's name a random case. A length is
// never taken for a letter: it is below 64.
func mixCase(b []byte) {
	var coin [wire.MaxName]byte
	_, _ = rand.Read(coin[:]) // never fails (Go 1.24)
	for i, c := range nameOf(b) {
		if c|0x20 >= 'a' && c|0x20 <= 'z' {
			b[wire.HeaderLen+i] ^= coin[i] & 0x20
		}
	}
}

// nameOf gives the bytes of the first question's name, empty when they are not
// all there.
func nameOf(b []byte) []byte {
	for at := wire.HeaderLen; at < len(b); {
		n := int(b[at])
		switch {
		case n == 0:
			return b[wire.HeaderLen : at+1]
		case n > 63 || at-wire.HeaderLen+n >= wire.MaxName:
			return nil
		}
		at += 1 + n
	}
	return nil
}

// unmix puts the name of a reply back as it was before mixCase, so that the
// records that point at it have their usual letters. kept tells whether the
// letters were those that were sent.
func unmix(reply, sent, was []byte) (kept bool) {
	name := nameOf(sent)
	if len(name) == 0 || !bytes.Equal(nameOf(reply), name) {
		return false
	}
	copy(reply[wire.HeaderLen:], nameOf(was))
	return true
}
