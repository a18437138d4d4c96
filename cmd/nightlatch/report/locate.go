package report

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"nightlatch/cmd/nightlatch/home"
	"nightlatch/dashboard/report"
	"nightlatch/resolver/upstream"
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
	group, err := upstream.New(upstream.Options{Upstreams: s.Config.DNS.Upstreams, Bootstrap: s.Config.DNS.Bootstrap, RootCAs: pool})
	if err != nil {
		return fmt.Errorf("dns.upstreams: %w", err)
	}
	defer group.Close()
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	places := make(chan struct{}, askedAtOne)
	for _, name := range b.Unlocated(maxAsked) {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			for _, qtype := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
				addrs := ask(ctx, group, name, qtype)
				mu.Lock()
				b.Located(name, addrs)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return nil
}

// ask gives the addresses in one answer.
func ask(ctx context.Context, group *upstream.Group, name string, qtype dnsmessage.Type) []netip.Addr {
	reply, err := group.Exchange(ctx, upstream.Question{Name: name + ".", Type: uint16(qtype)})
	if err != nil || reply.Msg == nil {
		return nil
	}
	wire, err := reply.Msg.Pack()
	if err != nil {
		return nil
	}
	var m dnsmessage.Message
	if m.Unpack(wire) != nil {
		return nil
	}
	var out []netip.Addr
	for _, rr := range m.Answers {
		switch a := rr.Body.(type) {
		case *dnsmessage.AResource:
			out = append(out, netip.AddrFrom4(a.A))
		case *dnsmessage.AAAAResource:
			out = append(out, netip.AddrFrom16(a.AAAA))
		}
	}
	return out
}
