package main

import (
	"context"
	"crypto/x509"

	"nightlatch/blocklists/subscription"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/cmd/nightlatch/lists"
	"nightlatch/config"
	"nightlatch/journal"
)

// listGateway is what the commands about lists need of the program.
func listGateway() lists.Gateway {
	return lists.Gateway{
		Version: version, Reload: reloadRunning,
		Roots: func(h home.Home, cfg *config.Config) (*x509.CertPool, error) {
			return rootCAs(&home.Settings{Home: h, Config: cfg})
		},
	}
}

// subscribe keeps the copies of subscribed lists fresh, until ctx ends.
func (g *gateway) subscribe(ctx context.Context) error {
	g.mu.Lock()
	folder := g.settings.Home.ListsDir()
	g.mu.Unlock()
	store := subscription.NewStore(folder, lists.Network(version, g.resolver.LookupHost))
	u := subscription.Updater{
		Wanted: g.subscriptions,
		State: func(sub subscription.Subscription) subscription.State {
			st, _ := store.State(sub) // a damaged one is rebuilt; nightlatch lists tells of it
			return st
		},
		Update: func(ctx context.Context, sub subscription.Subscription) (subscription.Change, error) {
			return store.Update(ctx, sub, nil)
		},
		Changed: func() { _ = g.reload() }, // an error is told as a notice
		Tell: func(bad bool, line string) {
			level := journal.Info
			if bad {
				level = journal.Warn
			}
			g.notice(level, "blocklists", "%s", line)
		},
	}
	return u.Run(ctx)
}

// subscriptions gives what the config in force subscribes to.
func (g *gateway) subscriptions() []subscription.Subscription {
	g.mu.Lock()
	s := g.settings
	g.mu.Unlock()
	return s.Home.Subscriptions(s.Config)
}
