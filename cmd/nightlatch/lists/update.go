package lists

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/blocklists/subscription"
	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
)

// Tries of one command: a person waits.
const (
	maxTries   = 3
	firstPause = time.Second
)

// updated is what an update made of one list, as scripts see it.
type updated struct {
	Name    string             `json:"name"`
	Outcome string             `json:"outcome"` // updated, unchanged, held or failed
	Problem string             `json:"problem,omitempty"`
	Rules   int                `json:"rules"` // in use now
	State   subscription.State `json:"state"`
}

func updateCommand(a *cli.App, g Gateway) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "update [NAME...]",
		Short: "Fetch subscribed lists now, all of them or some",
		Long: `Ask for subscribed lists anew, whether they are due or not. What fails leaves
the copy in use as it is, and a copy that lost most of its rules waits until
nightlatch lists accept takes it. It works with and without a running gateway.
Exit code 1: not every list could be updated.`,
		Example: "  nightlatch lists update\n  nightlatch lists update hagezi-pro --json",
		RunE: func(c *cobra.Command, args []string) error {
			h, err := a.NeedHome()
			if err != nil {
				return err
			}
			u, err := newUpdate(c.Context(), a, g, h)
			if err != nil {
				return err
			}
			defer u.end()
			if asJSON {
				u.say = func(string, ...any) {}
			}
			subs, err := u.chosen(args)
			if err != nil {
				return err
			}
			done, err := u.all(c.Context(), subs)
			if err != nil {
				return err
			}
			if asJSON {
				if err := json.NewEncoder(a.Stdout).Encode(map[string][]updated{"lists": done}); err != nil {
					return err
				}
			}
			return u.verdict(c.Context(), done)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// update is one run of a command that fetches.
type update struct {
	app   *cli.App
	g     Gateway
	s     *home.Settings
	store *subscription.Store
	say   func(format string, args ...any) // a line for people
	end   func()
}

func newUpdate(ctx context.Context, a *cli.App, g Gateway, h home.Home) (*update, error) {
	cfg, err := h.LoadConfig()
	if err != nil {
		return nil, err
	}
	n, end, err := g.network(ctx, h, cfg)
	if err != nil {
		return nil, err
	}
	return &update{
		app: a, g: g, s: &home.Settings{Home: h, Config: cfg}, store: subscription.NewStore(h.ListsDir(), n), end: end,
		say: func(format string, args ...any) { fmt.Fprintf(a.Stdout, format+"\n", args...) },
	}, nil
}

// chosen gives the subscriptions with these names; no names give all.
func (u *update) chosen(names []string) ([]subscription.Subscription, error) {
	if len(names) == 0 {
		return u.s.Home.Subscriptions(u.s.Config), nil
	}
	var out []subscription.Subscription
	for _, name := range names {
		sub, err := u.s.Home.SubscriptionNamed(u.s.Config, name)
		if err != nil {
			return nil, err
		}
		out = append(out, sub)
	}
	return out, nil
}

// all fetches one list after another. The error is that of an interrupt.
func (u *update) all(ctx context.Context, subs []subscription.Subscription) ([]updated, error) {
	done := []updated{}
	if len(subs) == 0 {
		u.say("nothing is subscribed to; nightlatch lists catalogue names well-known lists")
	}
	for _, sub := range subs {
		c, err := u.one(ctx, sub)
		if ctx.Err() != nil {
			return done, ctx.Err()
		}
		r := updated{Name: sub.Name, Outcome: string(c.After.Attempt.Outcome), State: c.After}
		if c.After.InUse != nil {
			r.Rules = c.After.InUse.Summary.Rules
		}
		switch {
		case err != nil:
			r.Outcome, r.Problem = string(subscription.Failed), err.Error()
		case c.After.Attempt.Outcome == subscription.Waiting:
			r.Problem = fmt.Sprintf("the new copy is held back: it %s; nightlatch lists accept %s takes it", c.After.Held.Why, sub.Name)
		}
		u.tell(&r, c)
		done = append(done, r)
	}
	return done, nil
}

// one fetches a list, again when the failure may pass.
func (u *update) one(ctx context.Context, sub subscription.Subscription) (subscription.Change, error) {
	m := startMeter(u.app.Stderr, sub.Name)
	defer m.end()
	pause := firstPause
	for try := 1; ; try++ {
		c, err := u.store.Update(ctx, sub, m.heard)
		var f *subscription.Failure
		if err == nil || ctx.Err() != nil || try == maxTries || !errors.As(err, &f) || f.Lasting {
			return c, err
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return c, ctx.Err()
		}
		pause *= 2
	}
}

// tell prints what came of one list.
func (u *update) tell(r *updated, c subscription.Change) {
	switch {
	case r.Problem != "" && c.After.InUse != nil:
		u.say("%s: %s: %s; the copy of %s stays in use", r.Name, r.Outcome, r.Problem, c.After.InUse.Fetched.Local().Format("2 Jan"))
	case r.Problem != "":
		u.say("%s: %s: %s; there is no copy of it yet", r.Name, r.Outcome, r.Problem)
	case c.After.Attempt.Outcome == subscription.Updated && c.Before.InUse != nil:
		u.say("%s: updated: %s (%+d), %s", r.Name, count(r.Rules, "rule"), r.Rules-c.Before.InUse.Summary.Rules, cli.Bytes(uint64(c.After.InUse.Wire)))
	case c.After.Attempt.Outcome == subscription.Updated:
		u.say("%s: fetched: %s, %s", r.Name, count(r.Rules, "rule"), cli.Bytes(uint64(c.After.InUse.Wire)))
	default:
		u.say("%s: unchanged: %s", r.Name, count(r.Rules, "rule"))
	}
}

// verdict lets a running gateway take what is new, and fails when something did.
func (u *update) verdict(ctx context.Context, done []updated) error {
	var fresh, wrong bool
	for _, r := range done {
		fresh = fresh || r.Outcome == string(subscription.Updated)
		wrong = wrong || r.Problem != ""
	}
	if fresh {
		if err := u.g.Reload(ctx, u.s.Home); err != nil {
			return err
		}
	}
	if wrong {
		return cli.ErrSilent
	}
	return nil
}

func acceptCommand(a *cli.App, g Gateway) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "accept NAME",
		Short: "Take the copy of a list that was held back",
		Long: `Put the copy of a subscribed list in force that the shrink guard holds back: it
lost most of its rules, or reads as something else than before. nightlatch
lists show NAME says what is in it and why it waits.`,
		Example: "  nightlatch lists accept hagezi-pro",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := a.NeedHome()
			if err != nil {
				return err
			}
			cfg, err := h.LoadConfig()
			if err != nil {
				return err
			}
			sub, err := h.SubscriptionNamed(cfg, args[0])
			if err != nil {
				return err
			}
			change, err := subscription.NewStore(h.ListsDir(), subscription.Network{}).Accept(sub)
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(a.Stdout).Encode(change.After)
			} else {
				_, err = fmt.Fprintf(a.Stdout, "%s: the new copy is in use: %s\n", sub.Name, count(change.After.InUse.Summary.Rules, "rule"))
			}
			return errors.Join(err, g.Reload(c.Context(), h))
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the new state as one JSON object")
	return c
}
