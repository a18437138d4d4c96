package home

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"nightlatch/blocklists"
	"nightlatch/blocklists/subscription"
	"nightlatch/config"
)

// ListsDir holds the copies of subscribed lists.
func (h Home) ListsDir() string { return h.Path(copies) }

const copies = "lists"

// Subscriptions gives what a config subscribes to, ready to be fetched.
func (h Home) Subscriptions(cfg *config.Config) []subscription.Subscription {
	var out []subscription.Subscription
	for _, s := range cfg.Lists.Subscriptions {
		out = append(out, h.Subscription(s))
	}
	return out
}

// Subscription gives one that may not be in the config yet.
func (h Home) Subscription(s config.Subscription) subscription.Subscription {
	address := s.URL
	if !subscription.Remote(address) {
		address = config.Resolve(h.Dir, address)
	}
	src := subscribedSource(s)
	return subscription.Subscription{
		Name: s.Name, Address: address, SHA256: strings.ToLower(s.SHA256), Every: time.Duration(s.Every),
		Read: func(path string) (subscription.Summary, error) {
			l, err := blocklists.ParseFile(src, path)
			if err != nil {
				return subscription.Summary{}, err
			}
			r := &l.Report
			sum := subscription.Summary{Format: string(r.Format), Lines: r.Lines, Rules: l.Len(), Ignored: r.IgnoredLines()}
			if len(r.Ignored) > 0 {
				sum.Why = r.Ignored[0].Reason
			}
			return sum, nil
		},
	}
}

// SubscriptionNamed finds one by its name; the error says the nearest there is.
func (h Home) SubscriptionNamed(cfg *config.Config, name string) (subscription.Subscription, error) {
	i := slices.IndexFunc(cfg.Lists.Subscriptions, func(s config.Subscription) bool { return s.Name == name })
	if i < 0 {
		var known []string
		for _, s := range cfg.Lists.Subscriptions {
			known = append(known, s.Name)
		}
		if len(known) == 0 {
			return subscription.Subscription{}, fmt.Errorf("nothing is subscribed to; nightlatch lists add NAME does it, nightlatch lists catalogue names well-known lists")
		}
		return subscription.Subscription{}, fmt.Errorf("no subscription is called %q; known are %s", name, strings.Join(known, ", "))
	}
	return h.Subscription(cfg.Lists.Subscriptions[i]), nil
}

func subscribedSource(s config.Subscription) blocklists.Source {
	return fileSource(config.ListFile{Name: s.Name, Format: s.Format, Match: s.Match, Action: s.Action, Answer: s.Answer})
}

// addSubscribed reads the copies of subscribed lists: no network is needed. A list
// without a copy yet stands there with no rules, so that a device may name it.
func (s *Lists) addSubscribed(cfg *config.Config, dir string, old *Lists) {
	store := subscription.NewStore(filepath.Join(dir, copies), subscription.Network{})
	for _, sub := range cfg.Lists.Subscriptions {
		if path := store.Copy(sub.Name); !absent(path) {
			src := subscribedSource(sub)
			src.MayBreak = mayBreak(cfg, sub.Name)
			s.add(src, path, old)
		}
		if !s.has(sub.Name) {
			s.parts.standIn(&blocklists.List{Name: sub.Name, Title: sub.Name, About: "not fetched yet",
				Report: blocklists.Report{Format: blocklists.Format(cmp.Or(sub.Format, string(blocklists.Auto)))}})
		}
	}
}
