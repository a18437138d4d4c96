package subscription

import (
	"context"
	"fmt"
	"time"
)

// Updater keeps subscriptions fresh in the background. Its fields are not changed
// once it runs.
type Updater struct {
	// Wanted gives the subscriptions as of now; a reload may change them.
	Wanted func() []Subscription
	// State tells what is known about one of them.
	State func(Subscription) State
	// Update fetches one of them.
	Update func(context.Context, Subscription) (Change, error)
	// Changed hears that a new copy is in use.
	Changed func()
	// Tell hears what an owner should know: one line when things turn bad, with bad
	// set, and one when they are well again. Nothing is told twice.
	Tell func(bad bool, line string)
}

const (
	startPause = time.Second      // let the gateway begin its work first
	between    = 2 * time.Second  // from one list to the next
	look       = 15 * time.Second // how soon a subscription that is new in the config is noticed
)

// Run updates the lists that are due, one at a time, until ctx ends. It never
// fails: what goes wrong is told, and tried again.
func (u *Updater) Run(ctx context.Context) error {
	unsaved := map[string]State{} // what could not be kept on disk, or all would be tried again at once
	pause := startPause
	for wait(ctx, pause) {
		sub, at, ok := u.next(unsaved)
		if now := time.Now(); !ok || at.After(now) {
			if pause = look; ok {
				pause = min(pause, at.Sub(now))
			}
			continue
		}
		u.update(ctx, sub, unsaved)
		pause = between
	}
	return nil
}

// wait tells whether ctx still goes on after a while.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// next finds the subscription that is due first.
func (u *Updater) next(unsaved map[string]State) (first Subscription, at time.Time, ok bool) {
	now := time.Now()
	for _, sub := range u.Wanted() {
		st := u.state(sub, unsaved)
		if due := Due(sub, st, now); !ok || due.Before(at) {
			first, at, ok = sub, due, true
		}
	}
	return first, at, ok
}

func (u *Updater) state(sub Subscription, unsaved map[string]State) State {
	st := u.State(sub)
	if mem, ok := unsaved[sub.Name]; ok && mem.Attempt.Time.After(st.Attempt.Time) {
		return mem
	}
	return st
}

func (u *Updater) update(ctx context.Context, sub Subscription, unsaved map[string]State) {
	before := u.state(sub, unsaved)
	c, err := u.Update(ctx, sub)
	if ctx.Err() != nil {
		return
	}
	if c.After.Attempt.Time.IsZero() { // it did not come so far as to make a state
		c.After = before
		c.After.Attempt = Attempt{Time: time.Now(), Address: sub.Address, Outcome: Failed, Failures: before.Attempt.Failures + 1}
		if err != nil {
			c.After.Attempt.Problem = err.Error()
		}
	}
	delete(unsaved, sub.Name)
	if err != nil {
		unsaved[sub.Name] = c.After // harmless when it was saved
	}
	if c.After.Attempt.Outcome == Updated {
		u.Changed()
	}
	if bad, line := News(sub, before, c.After); line != "" {
		u.Tell(bad, line)
	}
}

// News puts into one line what an owner should know of the step from one state
// to the next; empty when the one is as the other. bad tells whether something
// is wrong now.
func News(sub Subscription, before, after State) (bad bool, line string) {
	was, is := before.Attempt.Outcome, after.Attempt.Outcome
	switch {
	case is == Failed && was != Failed:
		line = fmt.Sprintf("%s was not updated: %s", sub.Name, after.Attempt.Problem)
		if after.InUse == nil {
			return true, line + "; there is no copy of it yet"
		}
		return true, line + "; the copy of " + after.InUse.Fetched.Format("2 January") + " stays in use"
	case is == Waiting && (before.Held == nil || after.Held.SHA256 != before.Held.SHA256):
		return true, fmt.Sprintf("the new copy of %s is held back: it %s; nightlatch lists accept %s takes it", sub.Name, after.Held.Why, sub.Name)
	case was == Failed && is != Failed:
		return false, sub.Name + " could be updated again"
	case before.Held != nil && after.Held == nil:
		return false, "the newest copy of " + sub.Name + " is sound again and in use"
	}
	return false, ""
}
