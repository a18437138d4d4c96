package door

import (
	"net/netip"
	"sync"
	"testing"
	"time"
)

const testToken = "a-token-of-twenty-six-char"

func TestGuessesAtOnceAreCounted(t *testing.T) {
	d := New(testToken)
	now := time.Unix(1e9, 0)
	var wg sync.WaitGroup
	var mu sync.Mutex
	looked := 0
	for range 200 {
		wg.Go(func() {
			if ok, wait := d.Knock(netip.MustParseAddr("10.66.0.2"), "wrong", now); !ok && wait == 0 {
				mu.Lock()
				looked++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if looked != FreeGuesses-1 {
		t.Errorf("%d guesses went without a wait, want %d", looked, FreeGuesses-1)
	}
}

func TestGuessersAreBounded(t *testing.T) {
	d := New(testToken)
	now := time.Unix(1e9, 0)
	for i := range maxGuessers + 300 {
		now = now.Add(time.Second)
		d.Knock(netip.AddrFrom4([4]byte{10, 66, byte(i >> 8), byte(i)}), "wrong", now)
	}
	if len(d.guessers) > maxGuessers {
		t.Errorf("%d addresses are remembered", len(d.guessers))
	}
	if _, newest := d.guessers[household(netip.AddrFrom4([4]byte{10, 66, byte((maxGuessers + 299) >> 8), byte((maxGuessers + 299) & 255)}))]; !newest {
		t.Error("the newest guesser was forgotten in place of the oldest")
	}
	a, b := household(netip.MustParseAddr("fd66::1")), household(netip.MustParseAddr("fd66::ffff:1"))
	if a != b || a == household(netip.MustParseAddr("fd66:0:0:1::1")) {
		t.Error("an IPv6 guesser is not a /64")
	}
	if household(netip.MustParseAddr("::ffff:10.0.0.1")) != household(netip.MustParseAddr("10.0.0.1")) {
		t.Error("a mapped address is another guesser")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	d := New(testToken)
	now := time.Unix(1e9, 0)
	var ids []string
	for range maxSessions + 5 {
		now = now.Add(time.Second)
		ids = append(ids, d.Begin(now))
		d.Admits(ids[0], now, true) // the first one stays in use
	}
	if len(d.sessions) != maxSessions {
		t.Errorf("%d sessions", len(d.sessions))
	}
	if !d.Admits(ids[0], now, true) || d.Admits(ids[1], now, true) || !d.Admits(ids[len(ids)-1], now, true) {
		t.Error("not the session idle longest made room")
	}
}

func TestDeadSessionsAreForgotten(t *testing.T) {
	d := New(testToken)
	now := time.Unix(1e9, 0)
	asked := d.Begin(now)
	d.Begin(now)
	if !d.Admits(asked, now.Add(Idle-1), false) || d.Admits(asked, now.Add(Idle), false) || len(d.sessions) != 1 {
		t.Errorf("a session that was asked about stays: %d", len(d.sessions))
	}
	d.Begin(now.Add(Idle))
	if len(d.sessions) != 1 {
		t.Errorf("%d sessions where one lives", len(d.sessions))
	}
}
