package lists

import (
	"context"
	"crypto/x509"
	"net/netip"
	"time"

	"nightlatch/blocklists/subscription"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config"
	"nightlatch/policy"
	"nightlatch/resolver"
	"nightlatch/tunnel/guard"
)

// Gateway is what these commands need of the program around them.
type Gateway struct {
	Version string
	// Reload tells a running gateway that lists or config have changed; none
	// running is fine.
	Reload func(context.Context, home.Home) error
	// Roots gives the certificates that upstreams are checked against; nil means
	// the system's.
	Roots func(home.Home, *config.Config) (*x509.CertPool, error)
}

// Network is how lists are fetched: hosts are looked up by lookup, and only
// public addresses are connected to.
func Network(version string, lookup func(context.Context, string) ([]netip.Addr, error)) subscription.Network {
	g, _ := guard.New(guard.Options{}) // without the host's own addresses it still knows every private network
	return subscription.Network{
		Lookup: lookup,
		Refuse: func(a netip.Addr) string {
			_ = g.Refresh() // the host's addresses change; the last reading stays on error
			why, _ := g.Check(a)
			return why
		},
		Agent: "nightlatch/" + version + " (refreshes blocklists)",
	}
}

// network is Network for a command of its own: it asks the config's upstreams.
// end gives their connections back.
func (g Gateway) network(ctx context.Context, h home.Home, cfg *config.Config) (n subscription.Network, end func(), err error) {
	roots, err := g.Roots(h, cfg)
	if err != nil {
		return n, nil, err
	}
	hints, err := home.RootHints(h.Dir, cfg)
	if err != nil {
		return n, nil, err
	}
	r, err := resolver.New(resolver.Options{
		Policy: new(policy.Current), Upstreams: cfg.DNS.Upstreams, Bootstrap: cfg.DNS.Bootstrap, RootHints: hints, RootCAs: roots, // no policy: lookups of the gateway itself ask none
		UpstreamLimit: 10 * time.Second, // a person waits, not a phone
	})
	if err != nil {
		return n, nil, err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(run) }() // it only waits, and never fails
	return Network(g.Version, r.LookupHost), func() { cancel(); <-done }, nil
}
