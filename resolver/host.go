package resolver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/cache"
	"nightlatch/resolver/special"
	"nightlatch/resolver/wire"
)

// LookupHost finds the addresses of a name for the gateway itself, such as the
// host of a list: from memory, or from the upstreams, IPv4 first. No policy is
// asked, so that a name is found even while a list stops it for every device; and
// private addresses are given as they are. Special names ("localhost", ".local")
// are not looked up: they mean nothing to an upstream. It returns within the
// upstream deadline, sooner when ctx ends.
func (r *Resolver) LookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	name := cache.Canonical(host)
	packed := make([]byte, 256) // RFC 1035 §3.1: a name has 255 octets at most
	n, err := dns.PackDomainName(dns.Fqdn(name), packed, 0, nil, false)
	if _, kind := special.Find(name); err != nil || len(name) < 2 || kind != special.Ordinary {
		return nil, errors.New("it is no name of the public DNS")
	}
	types := []uint16{dns.TypeA, dns.TypeAAAA}
	answers := make([]*cache.Answer, len(types))
	done := make(chan int, len(types))
	for i, t := range types {
		q := &query{now: time.Now(), name: name, fqdn: dns.Fqdn(name)}
		q.Type = t
		q.key = cache.Key{Name: string(wire.AppendLower(nil, packed[:n])), Type: t}
		go func() {
			answers[i], _ = r.lookup(ctx, q)
			done <- i
		}()
	}
	for range types {
		<-done // lookup ends with ctx
	}
	return addresses(answers, types)
}

// addresses joins what was found. Half an answer is one; without any, what the
// upstreams said tells why.
func addresses(answers []*cache.Answer, types []uint16) ([]netip.Addr, error) {
	var out []netip.Addr
	var failed error
	exists := false
	for i, a := range answers {
		switch {
		case a == nil:
			failed = errors.New("the question was given up")
		case a.Fail:
			failed = fmt.Errorf("no upstream could tell its %s records", dns.Type(types[i]))
			if text := cmp.Or(a.Why, edeText(a.EDE)); text != "" {
				failed = errors.New(text)
			}
		default:
			exists = exists || a.RCode == dns.RcodeSuccess
			out = append(out, a.Addrs...)
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case failed != nil:
		return nil, failed
	case exists:
		return nil, errors.New("it has no address")
	}
	return nil, errors.New("there is no such name")
}
