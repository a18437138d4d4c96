//go:build bench && linux

package dns

import (
	"context"
	"net/netip"
	"os"

	"nightlatch/blocklists"
	"nightlatch/policy"
	"nightlatch/resolver"
	"nightlatch/resolver/listen"
)

// bare is nightlatch's resolver behind its listener and nothing else, so that
// the table shows what the journal costs. Nobody should run it so.
func bare(at, upstream, list string) error {
	f, err := os.Open(list)
	if err != nil {
		return err
	}
	defer f.Close()
	null, _ := blocklists.ParseReply("null")
	l, err := blocklists.Parse(blocklists.Source{Name: "big", Format: blocklists.Domains, Action: blocklists.ActionDeny, Reply: null}, f)
	if err != nil {
		return err
	}
	p, err := policy.New(policy.Options{Set: blocklists.Compile(l)})
	if err != nil {
		return err
	}
	var current policy.Current
	current.Store(p)
	r, err := resolver.New(resolver.Options{Policy: &current, Upstreams: []string{"udp://" + upstream}})
	if err != nil {
		return err
	}
	addr, err := netip.ParseAddrPort(at)
	if err != nil {
		return err
	}
	s, err := listen.New(listen.Options{Plain: []netip.AddrPort{addr}, Resolver: r})
	if err != nil {
		return err
	}
	ctx := context.Background()
	go func() { _ = r.Run(ctx) }()
	return s.Run(ctx)
}
