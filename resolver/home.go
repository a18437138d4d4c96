package resolver

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/cache"
	"nightlatch/resolver/special"
	"nightlatch/resolver/upstream"
)

// forward is the upstreams of one part of the tree of names.
type forward struct {
	zone  string // canonical, without the final dot
	group asker
}

// forwards makes the groups of upstreams that know parts of the tree, the
// deepest part first.
func (r *Resolver) forwards(o Options) error {
	for _, zone := range slices.Sorted(maps.Keys(o.Forward)) {
		name := cache.Canonical(zone)
		if _, ok := dns.IsDomainName(name); !ok || name == "." {
			return fmt.Errorf("resolver: %q is no name to forward", zone)
		}
		group, err := r.open(upstream.Options{
			Upstreams: o.Forward[zone], Strategy: o.Strategy, Bootstrap: o.Bootstrap, RootCAs: o.RootCAs, CertTime: o.CertTime, Dial: o.Dial,
			Step: o.UpstreamStep, Deadline: o.UpstreamLimit, Log: r.log,
		})
		if err != nil {
			return fmt.Errorf("resolver: forward %s: %w", zone, err)
		}
		r.parts = append(r.parts, forward{name, group})
	}
	slices.SortFunc(r.parts, func(a, b forward) int { return cmp.Compare(len(b.zone), len(a.zone)) })
	return nil
}

// forwarded gives the upstreams of the part of the tree that a name lies in;
// nil when they are the usual ones.
func (r *Resolver) forwarded(name string) asker {
	for _, p := range r.parts {
		if special.Below(name, p.zone) {
			return p.group
		}
	}
	return nil
}

// exchange asks whoever knows a name.
func (r *Resolver) exchange(ctx context.Context, q upstream.Question) (upstream.Reply, error) {
	if len(r.parts) > 0 {
		if g := r.forwarded(cache.Canonical(q.Name)); g != nil {
			return g.Exchange(ctx, q)
		}
	}
	return r.group.Exchange(ctx, q)
}

// special is what the registries say about a name, unless the owner forwards it
// to somebody who knows better.
func (r *Resolver) special(name string) (string, special.Kind) {
	if len(r.parts) > 0 && r.forwarded(name) != nil {
		return "", special.Ordinary
	}
	return special.Find(name)
}

// isLocal tells whether a name is one of the home's.
func (r *Resolver) isLocal(name string) bool {
	if r.opt.Local != nil && r.opt.Local(name) != nil {
		return true
	}
	return r.opt.Names != nil && r.opt.Names.Load().Has(name)
}

// named answers the names the owner gave. An alias is followed, into the world
// too.
func (r *Resolver) named(ctx context.Context, q *query) (reply, bool) {
	if r.opt.Names == nil {
		return reply{}, false
	}
	names, rep, at := r.opt.Names.Load(), reply{ede: -1}, q.name
	if !names.Has(at) || r.opt.Local != nil && r.opt.Local(at) != nil { // the gateway's own come first
		return reply{}, false
	}
	for range maxChase {
		rrs, ok := names.Find(at, q.Type)
		if !ok {
			return r.outside(ctx, q, rep, at), true
		}
		next := ""
		for _, rr := range rrs {
			rr = dns.Copy(rr)
			rr.Header().Name = dns.Fqdn(at) // a wildcard's record carries the wildcard
			rep.answer = append(rep.answer, rr)
			_, data, _ := strings.Cut(strings.TrimPrefix(rr.String(), rr.Header().String()), "\t")
			rep.shown = append(rep.shown, cmp.Or(data, strings.TrimPrefix(rr.String(), rr.Header().String())))
			if c, alias := rr.(*dns.CNAME); alias && q.Type != dns.TypeCNAME {
				next = cache.Canonical(c.Target)
			}
		}
		if next == "" {
			break
		}
		at = next
	}
	if len(rep.answer) == 0 {
		return r.nodata(q.fqdn), true
	}
	return rep, true
}

// outside completes an alias of the home's that leads into the world.
func (r *Resolver) outside(ctx context.Context, q *query, rep reply, target string) reply {
	next, err := newQuery(dns.Fqdn(target), q.Type)
	if err != nil {
		return rep
	}
	if _, kind := r.special(target); kind != special.Ordinary {
		return rep
	}
	next.flow, next.DO, next.CD, next.key.DO, next.key.CD = q.flow, q.DO, q.CD, q.DO, q.CD
	a, _ := r.lookup(ctx, next)
	if a == nil {
		return failed(dns.ExtendedErrorCodeOther, "the question was given up")
	}
	answer, authority := a.Sections(time.Now(), 0)
	rep.rcode, rep.ede, rep.upstream = a.RCode, a.EDE, a.Upstream
	rep.answer, rep.authority = append(rep.answer, answer...), authority
	rep.shown = append(rep.shown, a.Shown...)
	r.names.learn(q.flow.Device.Key, q.name, a.Addrs, q.now)
	return rep
}
