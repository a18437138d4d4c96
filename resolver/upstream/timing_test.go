package upstream

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// net.Pipe keeps the borders between writes, so it can stand for a datagram
// socket, and time in it is the bubble's.

// lab is an internet of pipes: by address, what each server does with the nth
// query it gets.
type lab map[string]func(n int, q *dns.Msg) []byte

func (l lab) dial() DialFunc {
	var mu sync.Mutex
	count := map[string]int{}
	return func(_ context.Context, network, addr string) (net.Conn, error) {
		answer := l[addr]
		if answer == nil || network != "udp" {
			return nil, syscall.ECONNREFUSED
		}
		ours, theirs := net.Pipe()
		mu.Lock()
		n := count[addr]
		count[addr]++
		mu.Unlock()
		go func() {
			defer theirs.Close()
			buf := make([]byte, 4096)
			for {
				size, err := theirs.Read(buf)
				if err != nil {
					return
				}
				q := new(dns.Msg)
				if q.Unpack(buf[:size]) == nil {
					if b := answer(n, q); b != nil {
						_, _ = theirs.Write(b)
					}
				}
			}
		}()
		return ours, nil
	}
}

func silence(int, *dns.Msg) []byte     { return nil }
func answers(_ int, q *dns.Msg) []byte { return good(q) }

func labGroup(t *testing.T, l lab, upstreams ...string) *Group {
	t.Helper()
	g, err := New(Options{Upstreams: upstreams, Dial: l.dial()})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func took(t *testing.T, g *Group) (time.Duration, error) {
	t.Helper()
	begin := time.Now()
	_, err := g.Exchange(t.Context(), example)
	return time.Since(begin), err
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := labGroup(t, lab{"192.0.2.1:53": silence}, "192.0.2.1")
		if d, err := took(t, g); !errors.Is(err, context.DeadlineExceeded) && !silent(err) || d != defaultDeadline {
			t.Errorf("%v after %v", err, d)
		}
		synctest.Wait()
	})
}

func TestLostPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := labGroup(t, lab{"192.0.2.1:53": func(n int, q *dns.Msg) []byte {
			if n == 0 {
				return nil
			}
			return good(q)
		}}, "192.0.2.1")
		if d, err := took(t, g); err != nil || d != time.Second {
			t.Errorf("%v after %v", err, d)
		}
	})
}

// TestFirstHangs: the second is asked after a step; after three such questions
// the first is left alone, but for a probe now and then beside the others.
func TestFirstHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var probes atomic.Int32
		var back atomic.Bool
		g := labGroup(t, lab{"192.0.2.2:53": answers, "192.0.2.1:53": func(_ int, q *dns.Msg) []byte {
			if probes.Add(1); back.Load() {
				return good(q)
			}
			return nil
		}}, "192.0.2.1", "192.0.2.2")
		for range softLimit {
			if d, err := took(t, g); err != nil || d != defaultStep {
				t.Errorf("%v after %v", err, d)
			}
			synctest.Wait()
		}
		probes.Store(0)
		for range 600 { // a minute
			if d, err := took(t, g); err != nil || d != 0 {
				t.Fatalf("%v after %v: the dead upstream delays", err, d)
			}
			<-time.After(100 * time.Millisecond)
		}
		synctest.Wait()
		if n := probes.Load(); n == 0 || n > 40 {
			t.Errorf("%d packets to a dead upstream in a minute", n)
		}
		back.Store(true)
		for range 400 {
			_, _ = took(t, g)
			<-time.After(100 * time.Millisecond)
		}
		if !g.Status()[0].Up {
			t.Error("it came back and nobody noticed")
		}
	})
}

// TestAllGone: when nothing can be reached, that is told at once, and the
// network's return is noticed within seconds.
func TestAllGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := lab{}
		g := labGroup(t, l, "192.0.2.1", "192.0.2.2")
		for range 100 {
			if d, err := took(t, g); err == nil || d != 0 {
				t.Fatalf("%v after %v", err, d)
			}
			<-time.After(time.Second)
		}
		l["192.0.2.1:53"] = answers
		begin := time.Now()
		for {
			if _, err := took(t, g); err == nil {
				break
			}
			<-time.After(100 * time.Millisecond)
		}
		if d := time.Since(begin); d > lastRest {
			t.Errorf("back after %v", d)
		}
	})
}

// TestDeadNamesAreNotDeath: silence about some names, while others are
// answered, does not take an upstream down.
func TestDeadNamesAreNotDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changed := 0
		l := lab{"192.0.2.1:53": func(_ int, q *dns.Msg) []byte {
			if !strings.EqualFold(q.Question[0].Name, example.Name) {
				return nil
			}
			return good(q)
		}}
		g, err := New(Options{Upstreams: []string{"192.0.2.1"}, Dial: l.dial(), Changed: func(string, bool, string) { changed++ }})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			go func() { _, _ = g.Exchange(t.Context(), Question{Name: "dead.example.", Type: 1}) }()
			<-time.After(time.Second)
			if d, err := took(t, g); err != nil || d != 0 {
				t.Errorf("%v after %v", err, d)
			}
		}
		<-time.After(10 * time.Second)
		if changed != 0 {
			t.Errorf("it was taken for dead %d times", changed)
		}
	})
}
