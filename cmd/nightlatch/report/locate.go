package report

import (
	"context"
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"nightlatch/cmd/nightlatch/home"
	"nightlatch/dashboard/report"
	"nightlatch/policy"
	"nightlatch/resolver"
)

// Bounds of asking where servers are.
const (
	maxAsked   = 200              // names; those that would have received most come first
	askedAtOne = 8                // at a time
	askWithin  = 60 * time.Second // all of them
)

// Roots gives the certificates that encrypted upstreams are checked against.
type Roots func(*home.Settings) (*x509.CertPool, error)

// locate asks the configured upstreams for the addresses of stopped servers,
// and tells the report. A name without an answer stays without a place.
func locate(ctx context.Context, s *home.Settings, roots Roots, b *report.Builder) error {
	pool, err := roots(s)
	if err != nil {
		return err
	}
	hints, err := home.RootHints(s.Home.Dir, s.Config)
	if err != nil {
		return err
	}
	r, err := resolver.New(resolver.Options{Policy: new(policy.Current), // none is asked: the names are stopped, and wanted all the same
		Upstreams: s.Config.DNS.Upstreams, Bootstrap: s.Config.DNS.Bootstrap, RootHints: hints, RootCAs: pool})
	if err != nil {
		return fmt.Errorf("dns.upstreams: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = r.Run(ctx) }() // it only waits, and never fails
	defer func() { cancel(); <-ended }()
	var wg sync.WaitGroup
	var mu sync.Mutex
	places := make(chan struct{}, askedAtOne)
	for _, name := range b.Unlocated(maxAsked) {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			addrs, _ := r.LookupHost(ctx, name) // without an address there is no place
			mu.Lock()
			b.Located(name, addrs)
			mu.Unlock()
		})
	}
	wg.Wait()
	return nil
}
