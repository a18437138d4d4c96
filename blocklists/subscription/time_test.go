package subscription

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// piped is a network whose every server is serve, over pipes: time stands still
// for it when nobody has anything to do.
func piped(serve func(ctx context.Context, c net.Conn)) func(t *testing.T) Network {
	return func(t *testing.T) Network {
		return Network{
			Refuse: home,
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				here, there := net.Pipe()
				go func() {
					defer there.Close()
					if _, err := http.ReadRequest(bufio.NewReader(there)); err == nil {
						serve(t.Context(), there)
					}
				}()
				return here, nil
			},
		}
	}
}

func pause(ctx context.Context, d time.Duration) { wait(ctx, d) }

// TestSlow: nobody can hold an update for longer than the bounds say.
func TestSlow(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
	for name, c := range map[string]struct {
		serve func(ctx context.Context, c net.Conn)
		want  string
		after time.Duration
	}{
		"silent": {func(ctx context.Context, c net.Conn) { pause(ctx, time.Hour) }, "192.0.2.7 does not answer in time", stall},
		"stalled": {func(ctx context.Context, c net.Conn) {
			fmt.Fprint(c, head, names(9))
			pause(ctx, time.Hour)
		}, "192.0.2.7: nothing has come for 30s", stall},
		"trickle": {func(ctx context.Context, c net.Conn) {
			fmt.Fprint(c, head)
			for i := 0; i < 1000000; i++ {
				if pause(ctx, stall-time.Second); ctx.Err() != nil {
					return
				}
				if _, err := c.Write([]byte("a")); err != nil {
					return
				}
			}
		}, "192.0.2.7: it is not done after 10m0s", maxTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := NewStore(t.TempDir(), piped(c.serve)(t))
				begin := time.Now()
				_, err := s.Update(t.Context(), Subscription{Name: "l", Address: "http://192.0.2.7/x", Read: read}, nil)
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v; want %q", err, c.want)
				}
				if took := time.Since(begin); took != c.after {
					t.Errorf("it took %s, want %s", took, c.after)
				}
				if files, _ := os.ReadDir(s.folder); len(files) != 1 {
					t.Errorf("%v are left", files)
				}
			})
		})
	}
}

// TestSlowButSteady: a slow line is no fault as long as something comes.
func TestSlowButSteady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := names(200)
		s := NewStore(t.TempDir(), piped(func(ctx context.Context, c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(text))
			for part := range slices.Chunk([]byte(text), 500) {
				pause(ctx, stall-time.Second)
				c.Write(part)
			}
		})(t))
		c, err := s.Update(t.Context(), Subscription{Name: "l", Address: "http://192.0.2.7/x", Read: read}, nil)
		if err != nil || c.After.InUse.Summary.Rules != 200 {
			t.Errorf("%v %+v", err, c.After)
		}
	})
}

// TestDeadAddress: the next address of a host is tried.
func TestDeadAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := piped(func(_ context.Context, c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(names(5)), names(5))
		})(t)
		live := n.Dial
		n.Lookup = func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, nil
		}
		n.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "192.0.2.1:80" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return live(ctx, network, address)
		}
		begin := time.Now()
		_, err := NewStore(t.TempDir(), n).Update(t.Context(), Subscription{Name: "l", Address: "http://lists.example/x", Read: read}, nil)
		if err != nil || time.Since(begin) != dialTime {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})
}

// shelf is an updater's world: states in memory, and what each update will bring.
type shelf struct {
	wanted []Subscription
	states map[string]State
	brings map[string]func() error
	log    []string
	busy   bool
	t      *testing.T
}

func (s *shelf) updater() *Updater {
	begin := time.Now()
	at := func() string { return time.Since(begin).Round(time.Second).String() }
	return &Updater{
		Wanted: func() []Subscription { return s.wanted },
		State:  func(sub Subscription) State { return s.states[sub.Name] },
		Update: func(ctx context.Context, sub Subscription) (Change, error) {
			if s.busy {
				s.t.Error("two updates at a time")
			}
			s.busy = true
			pause(ctx, 3*time.Second)
			s.busy = false
			before := s.states[sub.Name]
			after := before
			after.Attempt = Attempt{Time: time.Now(), Address: sub.Address, Outcome: Updated}
			after.Success, after.InUse = time.Now(), &Version{Fetched: time.Now()}
			err := error(nil)
			if bring := s.brings[sub.Name]; bring != nil {
				err = bring()
			}
			if err != nil {
				after = before
				after.Attempt = Attempt{Time: time.Now(), Address: sub.Address, Outcome: Failed, Problem: err.Error(), Failures: before.Attempt.Failures + 1}
			}
			s.states[sub.Name] = after
			s.log = append(s.log, at()+" "+sub.Name)
			return Change{before, after}, err
		},
		Changed: func() { s.log = append(s.log, "changed") },
		Tell:    func(bad bool, line string) { s.log = append(s.log, fmt.Sprintf("%v %s", bad, line)) },
	}
}

func (s *shelf) run(t *testing.T, d time.Duration) []string {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := s.updater().Run(ctx); err != nil {
		t.Error(err)
	}
	log := s.log
	s.log = nil
	return log
}

func sub(name string) Subscription { return Subscription{Name: name, Address: "https://" + name} }

// TestRunOneAtATime: at a start with nothing, every list comes soon, one after
// another; then each at its own interval.
func TestRunOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{t: t, states: map[string]State{}, wanted: []Subscription{sub("a"), sub("b"), sub("c")}}
		s.wanted[2].Every = 6 * time.Hour
		got := s.run(t, time.Minute)
		want := []string{"4s a", "changed", "9s b", "changed", "14s c", "changed"}
		if !slices.Equal(got, want) {
			t.Errorf("in the first minute: %q", got)
		}
		count := map[string]int{}
		for _, line := range s.run(t, 10*24*time.Hour) {
			if _, name, ok := strings.Cut(line, " "); ok {
				count[name]++
			}
		}
		if count["a"] < 8 || count["a"] > 12 || count["c"] < 35 || count["c"] > 46 {
			t.Errorf("in ten days: %v", count)
		}
	})
}

// TestRunFreshCopies: after a restart nothing is asked for that is fresh.
func TestRunFreshCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{t: t, states: map[string]State{}, wanted: []Subscription{sub("a")}}
		s.run(t, time.Minute)
		if got := s.run(t, 12*time.Hour); got != nil {
			t.Errorf("asked again: %q", got)
		}
		s.wanted = append(s.wanted, sub("new"))
		if got := s.run(t, time.Minute); len(got) != 2 {
			t.Errorf("a new one: %q", got)
		}
		s.wanted[0].Address = "https://elsewhere"
		if got := s.run(t, time.Minute); len(got) != 2 {
			t.Errorf("a new address: %q", got)
		}
		s.wanted = nil
		if got := s.run(t, 48*time.Hour); got != nil {
			t.Errorf("nothing is subscribed to: %q", got)
		}
	})
}

// TestRunFailures: failures are tried again ever later, and told once; so is the
// recovery.
func TestRunFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{t: t, states: map[string]State{}, brings: map[string]func() error{}, wanted: []Subscription{sub("a"), sub("well")}}
		s.run(t, time.Minute)
		down := true
		s.brings["a"] = func() error {
			if down {
				return errors.New("the server is on fire")
			}
			return nil
		}
		tries, told := 0, []string(nil)
		for _, line := range s.run(t, 3*24*time.Hour) {
			if strings.HasSuffix(line, " a") {
				tries++
			}
			if strings.HasPrefix(line, "true ") || strings.HasPrefix(line, "false ") {
				told = append(told, line)
			}
		}
		if tries < 14 || tries > 24 { // 2, 4, 8, ... minutes, then every 4 hours
			t.Errorf("%d tries in three days", tries)
		}
		if len(told) != 1 || !strings.HasPrefix(told[0], "true a was not updated: the server is on fire; the copy of 1 January stays in use") {
			t.Errorf("told %q", told)
		}
		down = false
		s.wanted = s.wanted[:1]
		got := s.run(t, 6*time.Hour)
		if len(got) != 3 || got[1] != "changed" || got[2] != "false a could be updated again" {
			t.Errorf("well again: %q", got)
		}
	})
}

// TestRunUnsaved: a disk that takes no state does not make the updater spin.
func TestRunUnsaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &Updater{Wanted: func() []Subscription { return []Subscription{sub("a")} }, State: func(Subscription) State { return State{} }, Changed: func() {}}
		tries, told := 0, 0
		u.Update = func(context.Context, Subscription) (Change, error) {
			tries++
			return Change{}, errors.New("no space left")
		}
		u.Tell = func(bad bool, line string) {
			if told++; !bad || !strings.Contains(line, "no space left; there is no copy of it yet") {
				t.Errorf("told %v %q", bad, line)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		u.Run(ctx)
		if tries < 5 || tries > 16 || told != 1 {
			t.Errorf("%d tries, told %d times", tries, told)
		}
	})
}

func TestDue(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s := sub("a")
	use := &Version{}
	for name, c := range map[string]struct {
		st       State
		from, to time.Duration
	}{
		"never":                   {State{}, 0, 0},
		"fresh":                   {State{Attempt: Attempt{Time: now, Address: s.Address, Outcome: Updated}, InUse: use}, 21 * time.Hour, 27 * time.Hour},
		"held":                    {State{Attempt: Attempt{Time: now, Address: s.Address, Outcome: Waiting}, Held: &Held{}}, 21 * time.Hour, 27 * time.Hour},
		"no copy":                 {State{Attempt: Attempt{Time: now, Address: s.Address, Outcome: Updated}}, 0, 0},
		"moved":                   {State{Attempt: Attempt{Time: now, Address: "x", Outcome: Updated}, InUse: use}, 0, 0},
		"clock was wrong":         {State{Attempt: Attempt{Time: now.AddDate(10, 0, 0), Address: s.Address, Outcome: Updated}, InUse: use}, 0, 0},
		"failed":                  {State{Attempt: Attempt{Time: now, Address: s.Address, Outcome: Failed, Failures: 1}}, 105 * time.Second, 135 * time.Second},
		"failed often":            {State{Attempt: Attempt{Time: now, Address: s.Address, Outcome: Failed, Failures: 1 << 40}}, 210 * time.Minute, 270 * time.Minute},
		"failed, counted wrongly": {State{Attempt: Attempt{Time: now, Address: s.Address, Outcome: Failed}}, 105 * time.Second, 135 * time.Second},
		"asked to wait":           {State{Attempt: Attempt{Time: now, Address: s.Address, Outcome: Failed, Failures: 1, NotBefore: now.Add(time.Hour)}}, time.Hour, time.Hour},
	} {
		d := Due(s, c.st, now).Sub(now)
		if d < c.from || d > c.to {
			t.Errorf("%s: due in %s, want %s to %s", name, d, c.from, c.to)
		}
		if again := Due(s, c.st, now).Sub(now); again != d {
			t.Errorf("%s: asked again, %s is %s", name, d, again)
		}
	}
	spread := map[time.Duration]bool{}
	for i := range 100 {
		name := fmt.Sprint("list", i)
		spread[Due(Subscription{Name: name}, State{Attempt: Attempt{Time: now, Outcome: Updated}, InUse: use}, now).Sub(now)] = true
	}
	if len(spread) < 80 {
		t.Errorf("a hundred lists come at %d different times", len(spread))
	}
}

func TestNewsOfHeld(t *testing.T) {
	held := func(sum string) State {
		return State{Attempt: Attempt{Outcome: Waiting}, Held: &Held{Version{SHA256: sum}, "has 3 rules; the copy in use has 100"}}
	}
	for _, c := range []struct {
		before, after State
		bad           bool
		want          string
	}{
		{State{}, held("1"), true, "the new copy of a is held back: it has 3 rules; the copy in use has 100; nightlatch lists accept a takes it"},
		{held("1"), held("1"), false, ""},
		{held("1"), held("2"), true, "the new copy of a is held back: it has 3 rules; the copy in use has 100; nightlatch lists accept a takes it"},
		{held("1"), State{Attempt: Attempt{Outcome: Unchanged}}, false, "the newest copy of a is sound again and in use"},
		{State{}, State{Attempt: Attempt{Outcome: Updated}}, false, ""},
	} {
		if bad, line := News(sub("a"), c.before, c.after); bad != c.bad || line != c.want {
			t.Errorf("%v %q, want %v %q", bad, line, c.bad, c.want)
		}
	}
}
