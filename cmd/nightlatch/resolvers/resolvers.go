// Package resolvers is the resolver of every device: one for most of them, and
// another for each list of upstreams that the owner gave to some device. Each
// has a memory of its own, so that what one upstream says is never told to a
// device that was to ask another; names, policy and journal are the same.
package resolvers

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"nightlatch/policy"
	"nightlatch/resolver"
)

// Set is the resolvers of all devices. It is safe for concurrent use.
type Set struct {
	all   []*resolver.Resolver          // the first is the usual one
	named map[string]*resolver.Resolver // by device, for those with upstreams of their own
}

// New makes the resolvers; own gives the upstreams of devices, by name, that
// have their own. They open no connection. The memory of the other resolvers is
// not kept over a restart.
func New(o resolver.Options, own map[string][]string) (*Set, error) {
	usual, err := resolver.New(o)
	if err != nil {
		return nil, err
	}
	s := &Set{all: []*resolver.Resolver{usual}, named: map[string]*resolver.Resolver{}}
	same := map[string]*resolver.Resolver{strings.Join(o.Upstreams, "\n"): usual}
	for _, device := range slices.Sorted(maps.Keys(own)) {
		if len(own[device]) == 0 {
			continue
		}
		key := strings.Join(own[device], "\n")
		r := same[key]
		if r == nil {
			other := o
			other.Upstreams, other.CacheFile = own[device], ""
			if r, err = resolver.New(other); err != nil {
				return nil, fmt.Errorf("upstreams of %s: %w", device, err)
			}
			same[key], s.all = r, append(s.all, r)
		}
		s.named[device] = r
	}
	return s, nil
}

// of gives the resolver of a device.
func (s *Set) of(d policy.Device) *resolver.Resolver {
	if r := s.named[d.Name]; r != nil {
		return r
	}
	return s.all[0]
}

// ServeDNS answers a query; see [resolver.Resolver.ServeDNS].
func (s *Set) ServeDNS(ctx context.Context, f policy.Flow, network string, wire []byte) []byte {
	return s.of(f.Device).ServeDNS(ctx, f, network, wire)
}

// ServeDeclined answers a query that ServeNow left; see
// [resolver.Resolver.ServeDeclined].
func (s *Set) ServeDeclined(ctx context.Context, f policy.Flow, network string, wire []byte) []byte {
	return s.of(f.Device).ServeDeclined(ctx, f, network, wire)
}

// ServeNow answers what is known already; see [resolver.Resolver.ServeNow].
func (s *Set) ServeNow(f policy.Flow, wire []byte) ([]byte, bool) {
	return s.of(f.Device).ServeNow(f, wire)
}

// NameOf tells by which name a device last reached an address.
func (s *Set) NameOf(d policy.Device, a netip.Addr) (name string, exact bool) {
	return s.of(d).NameOf(d, a)
}

// LookupHost looks up a name for the gateway itself, by the usual upstreams.
func (s *Set) LookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	return s.all[0].LookupHost(ctx, host)
}

// Flush forgets all answers of all resolvers.
func (s *Set) Flush() {
	for _, r := range s.all {
		r.Flush()
	}
}

// Run waits for the end of ctx, then ends every question and connection of all
// resolvers. It returns the first error.
func (s *Set) Run(ctx context.Context) error {
	errs := make([]error, len(s.all))
	var wg sync.WaitGroup
	for i, r := range s.all {
		wg.Go(func() { errs[i] = r.Run(ctx) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Stats gives the counts of all resolvers together, and the upstreams of each;
// an upstream that several have stands there for each of them.
func (s *Set) Stats() resolver.Stats {
	out := s.all[0].Stats()
	for _, r := range s.all[1:] {
		t := r.Stats()
		out.Queries, out.Fast, out.Cached, out.Stale = out.Queries+t.Queries, out.Fast+t.Fast, out.Cached+t.Cached, out.Stale+t.Stale
		out.Proved, out.Ahead, out.Made, out.Blocked = out.Proved+t.Proved, out.Ahead+t.Ahead, out.Made+t.Made, out.Blocked+t.Blocked
		out.Failed, out.Malformed, out.Dropped = out.Failed+t.Failed, out.Malformed+t.Malformed, out.Dropped+t.Dropped
		out.Bogus, out.Panics, out.InFlight = out.Bogus+t.Bogus, out.Panics+t.Panics, out.InFlight+t.InFlight
		out.Cache.Entries, out.Cache.Bytes = out.Cache.Entries+t.Cache.Entries, out.Cache.Bytes+t.Cache.Bytes
		out.Cache.Evicted += t.Cache.Evicted
		out.Upstreams = append(out.Upstreams, t.Upstreams...)
	}
	return out
}
