package resolver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"

	"nightlatch/journal"
	"nightlatch/resolver/cache"
	"nightlatch/resolver/dnssec"
	"nightlatch/resolver/upstream"
)

// Validation says what is done about DNSSEC.
type Validation uint8

const (
	// ValidateNever takes answers as they come.
	ValidateNever Validation = iota
	// ValidateWhenOffered validates, unless the upstreams do not hand on what
	// validation needs: the signed keys of the root. That is told, and tried
	// again every 30 seconds; once the root was seen, nothing less is taken.
	ValidateWhenOffered
	// ValidateAlways answers SERVFAIL when an answer cannot be validated.
	ValidateAlways
)

// trust is validation, and what is known about whether it can be done.
type trust struct {
	mode  Validation
	chain *dnssec.Validator
	ready chan struct{} // closed when the root was tried for the first time
	told  bool          // used by prime alone
}

// primeWait is how long a question waits at a start for the root's keys.
const primeWait = time.Second

// newTrust makes the validator of a resolver; nil when nothing is validated.
func (r *Resolver) newTrust(o Options) (*trust, error) {
	if o.Validation == ValidateNever {
		return nil, nil
	}
	anchors := dnssec.RootAnchors()
	if o.Anchors != "" {
		var err error
		if anchors, err = dnssec.ParseAnchors(o.Anchors); err != nil {
			return nil, fmt.Errorf("resolver: trust anchors: %w", err)
		}
	}
	t := &trust{mode: o.Validation, ready: make(chan struct{})}
	t.chain = dnssec.New(dnssec.Options{Ask: r.link, Anchors: anchors, Negative: o.Unsigned, Now: o.CertTime})
	return t, nil
}

// While the root cannot be had it is tried again, the first time soon: at a
// start the network may not be there yet.
const (
	primeSoon  = 3 * time.Second
	primeEvery = 30 * time.Second
)

// prime fetches the root's keys until they are good, and tells what stands in
// the way.
func (r *Resolver) prime(ctx context.Context) {
	t := r.trust
	for first, wait := true, primeSoon; ; first, wait = false, primeEvery {
		err := t.chain.Prime(ctx)
		if first {
			close(t.ready)
		}
		if err == nil {
			if t.told {
				r.notice(journal.Info, "DNSSEC: answers are validated again")
			}
			return
		}
		if ctx.Err() == nil && !first && !t.told && r.anyUp() { // that no upstream answers is told by itself
			t.told = true
			r.notice(journal.Warn, t.trouble(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (t *trust) trouble(err error) string {
	if t.mode == ValidateAlways || t.chain.Offered() {
		return fmt.Sprintf("DNSSEC: no answer can be validated: %s; check the clock and the upstreams", err)
	}
	return fmt.Sprintf("DNSSEC: answers are not validated, since the upstreams do not hand on what that needs: %s; "+
		"choose others in dns.upstreams, or say dns.dnssec: off", err)
}

// anyUp tells whether some upstream is well.
func (r *Resolver) anyUp() bool {
	return slices.ContainsFunc(r.group.Status(), func(s upstream.Status) bool { return s.Up })
}

// waives tells whether an answer that cannot be validated is taken all the same.
func (t *trust) waives(ctx context.Context) bool {
	if t.mode != ValidateWhenOffered {
		return false
	}
	wait := time.NewTimer(primeWait)
	defer wait.Stop()
	select {
	case <-t.ready:
	case <-wait.C:
	case <-ctx.Done():
	}
	return !t.chain.Offered()
}

// outward is the question that is asked of the upstreams in place of q. What is
// validated here is fetched with its signatures, and unjudged (RFC 6840 §5.9).
func (r *Resolver) outward(q upstream.Question) upstream.Question {
	if r.trust != nil && !q.CD {
		q.DO, q.CD = true, true
	}
	return q
}

// read makes an Answer of an upstream's reply to q, and validates it. One that
// is bogus becomes a failure that says why.
func (r *Resolver) read(ctx context.Context, q upstream.Question, rep upstream.Reply) (*cache.Answer, error) {
	if r.trust == nil || q.CD || r.forwarded(cache.Canonical(q.Name)) != nil || r.trust.waives(ctx) {
		return cache.Read(q.Name, q.Type, q.DO, rep.Msg, rep.Upstream, r.limits, time.Now())
	}
	a, err := cache.Read(q.Name, q.Type, true, rep.Msg, rep.Upstream, r.limits, time.Now())
	if err != nil || a.Fail {
		return a, err
	}
	res := r.trust.chain.Validate(ctx, q.Name, q.Type, a.RCode, a.Answer, a.Authority)
	if res.Status == dnssec.Bogus || res.Status == dnssec.Indeterminate {
		r.counts.bogus.Add(1)
		f := cache.Failure(res.EDE, rep.Upstream, failTTL, time.Now())
		f.Why, f.Bogus = res.Reason, res.Status == dnssec.Bogus
		return f, nil
	}
	if !q.DO { // the same records without their signatures
		if a, err = cache.Read(q.Name, q.Type, false, rep.Msg, rep.Upstream, r.limits, time.Now()); err != nil {
			return nil, err
		}
	}
	a.Secure = res.Status == dnssec.Secure
	if a.EDE < 0 {
		a.EDE, a.Why = res.EDE, res.Reason
	}
	return a, nil
}

// link fetches one link of a chain of trust, from memory where it is there.
func (r *Resolver) link(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	q, err := newQuery(name, qtype)
	if err != nil {
		return nil, err
	}
	q.DO, q.CD, q.key.DO, q.key.CD = true, true, true, true
	a, _ := r.lookup(ctx, q)
	switch {
	case a == nil:
		return nil, ctx.Err()
	case a.Fail && a.Upstream == "":
		return nil, errors.New("no upstream answers")
	case a.Fail:
		return nil, errors.New("the upstreams answer with a failure")
	}
	return &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: a.RCode}, Answer: a.Answer, Ns: a.Authority}, nil
}

// proofs keeps of an authority section what proves a denial, such as that no
// name is nearer than the wildcard a CNAME came from.
func proofs(rrs []dns.RR) []dns.RR {
	var out []dns.RR
	for _, rr := range rrs {
		kind := rr.Header().Rrtype
		if sig, ok := rr.(*dns.RRSIG); ok {
			kind = sig.TypeCovered
		}
		if kind == dns.TypeNSEC || kind == dns.TypeNSEC3 {
			out = append(out, rr)
		}
	}
	return out
}
