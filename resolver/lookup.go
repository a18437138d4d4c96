package resolver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/cache"
	"nightlatch/resolver/recursor"
	"nightlatch/resolver/special"
	"nightlatch/resolver/upstream"
)

// patience is how long a client waits for news when something stale is at hand
// (RFC 8767 §5: 1.8 seconds).
const patience = 1800 * time.Millisecond

// source is where an answer came from.
type source uint8

const (
	fetched    source = iota
	remembered        // fresh, from memory
	outlived          // stale, from memory
)

// staleRetry is how long a failure keeps a question from being asked again while
// something stale is at hand (RFC 8767 §5: 30 seconds).
const staleRetry = 30 * time.Second

// flight is one question under way at the upstreams, for all who ask it.
type flight struct {
	done   chan struct{} // closed when answer is there
	answer *cache.Answer
	cancel context.CancelFunc
	device [32]byte // that began it
	begun  time.Time
	spare  bool // something older is at hand should it fail
}

// lookup finds the truth: in memory, or by asking, or in memory again when
// asking failed. nil only when ctx ended first.
func (r *Resolver) lookup(ctx context.Context, q *query) (*cache.Answer, source) {
	known, ok, ending := r.truth.Get(q.key, q.now)
	if ok && known.Fresh(q.now) {
		if ending {
			r.ahead(q.key, known.Name)
		}
		return known, remembered
	}
	if a := r.derived(q); a != nil {
		r.truth.Put(q.key, a)
		return a, remembered
	}
	if !ok { // what was known to be there is not denied by an older proof
		if a := r.proved(q); a != nil {
			return a, remembered
		}
	}
	if f, bad, _ := r.failures.Get(q.key, q.now); bad {
		if ok && !f.Bogus {
			return known, outlived
		}
		return f, remembered
	}
	f := r.join(ctx, q, ok)
	if f == nil {
		if ok {
			return known, outlived
		}
		return cache.Failure(int(dns.ExtendedErrorCodeNotReady), "", 0, q.now), fetched
	}
	var enough <-chan time.Time
	if ok {
		t := time.NewTimer(patience - q.now.Sub(f.begun)) // of the first who asked; the others have waited with it
		defer t.Stop()
		enough = t.C
	}
	select {
	case <-f.done:
		if f.answer.Fail && !f.answer.Bogus && ok {
			return known, outlived
		}
		return f.answer, fetched
	case <-enough:
		return known, outlived // the flight goes on, and puts right what is known (RFC 8767 §5)
	case <-ctx.Done():
		return nil, fetched
	}
}

// join takes part in the flight for this question, or starts it. Flights live
// on when a client leaves: the next one will want the answer too. nil when
// there are too many, or the resolver has ended. spare tells that an older
// answer is at hand.
func (r *Resolver) join(ctx context.Context, q *query, spare bool) *flight {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.flights[q.key]; f != nil {
		return f
	}
	device := q.flow.Device.Key
	if r.closed || len(r.flights) >= maxFlights || r.begun[device] >= deviceFlights {
		r.counts.dropped.Add(1)
		return nil
	}
	fctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // the upstreams have a deadline of their own
	f := &flight{done: make(chan struct{}), cancel: cancel, device: device, begun: q.now, spare: spare}
	r.flights[q.key] = f
	r.begun[device]++
	question := upstream.Question{Name: q.fqdn, Type: q.Type, DO: q.DO, CD: q.CD}
	go r.fly(fctx, f, q.key, question)
	return f
}

func (r *Resolver) fly(ctx context.Context, f *flight, k cache.Key, question upstream.Question) {
	defer f.cancel()
	f.answer = r.ask(ctx, question)
	if f.answer.Fail {
		if f.spare && f.answer.TTL > 0 && !f.answer.Bogus {
			f.answer.TTL = staleRetry
		}
		r.failures.Put(k, f.answer)
	} else {
		r.truth.Put(k, f.answer)
	}
	r.mu.Lock()
	delete(r.flights, k)
	if r.begun[f.device]--; r.begun[f.device] <= 0 {
		delete(r.begun, f.device)
	}
	r.mu.Unlock()
	close(f.done)
}

// ask makes an Answer of whatever the upstreams do, a panic over their bytes
// included.
func (r *Resolver) ask(ctx context.Context, q upstream.Question) (a *cache.Answer) {
	defer func() {
		if p := recover(); p != nil {
			r.counts.panics.Add(1)
			r.log.Error("resolver: an upstream's answer caused a panic", "panic", p, "name", q.Name, "stack", string(debug.Stack()))
			a = cache.Failure(int(dns.ExtendedErrorCodeInvalidData), "", failTTL, time.Now())
		}
	}()
	ctx, cancel := context.WithTimeout(recursor.Share(ctx), r.chaseLimit())
	defer cancel()
	outward := r.outward(q)
	reply, err := r.exchange(ctx, outward)
	if err == nil {
		err = r.chase(ctx, outward, reply.Msg)
	}
	if err == nil {
		if a, err = r.read(ctx, q, reply); err == nil {
			return a
		}
		err = fmt.Errorf("upstream %s: %w", reply.Upstream, err)
	}
	code, ttl := failure(err)
	r.log.Debug("a question failed", "name", q.Name, "type", dns.Type(q.Type).String(), "err", err)
	return cache.Failure(int(code), reply.Upstream, ttl, time.Now())
}

// maxChase bounds the questions that one question may lead to (RFC 9520 and
// CVE-2020-12662 tell what happens without).
const maxChase = 8

// chaseLimit is when a question and all that it leads to is given up: stubs
// must hear of a failure before they stop waiting.
func (r *Resolver) chaseLimit() time.Duration {
	if r.opt.UpstreamLimit > 0 {
		return r.opt.UpstreamLimit
	}
	return defaultLimit
}

// chase completes an answer that ends in a CNAME and says nothing about its
// target, as a resolver must (RFC 1034 §5.3.3) and some forwarders do not: the
// target is asked for in turn. What comes in is read like one answer, so that
// only the chain is kept. Names that are answered here are not asked for.
func (r *Resolver) chase(ctx context.Context, q upstream.Question, msg *dns.Msg) error {
	name := q.Name
	for range maxChase {
		target := cache.Dangling(name, q.Type, msg)
		if target == "" {
			return nil
		}
		plain := cache.Canonical(target)
		if _, kind := r.special(plain); kind != special.Ordinary || r.isLocal(plain) {
			return nil
		}
		q.Name = target
		next, err := r.exchange(ctx, q)
		if err != nil {
			return err
		}
		msg.Answer = append(msg.Answer, next.Msg.Answer...)
		msg.Ns = append(proofs(msg.Ns), next.Msg.Ns...)
		msg.Extra, msg.Rcode = next.Msg.Extra, next.Msg.Rcode // RFC 6604 §3: that of the last name
	}
	if cache.Dangling(name, q.Type, msg) != "" {
		return cache.ErrChain
	}
	return nil
}

// failure says which Extended DNS Error a failed question ends with, and for
// how long it is remembered (RFC 9520 §3.2). That nobody can be reached is
// remembered per upstream, not per name: when the network is back, all names
// are.
func failure(err error) (code uint16, ttl time.Duration) {
	switch {
	case errors.Is(err, upstream.ErrUnreachable):
		return dns.ExtendedErrorCodeNetworkError, 0
	case errors.Is(err, cache.ErrChain), errors.Is(err, cache.ErrRecords):
		return dns.ExtendedErrorCodeInvalidData, failTTL
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return dns.ExtendedErrorCodeNoReachableAuthority, failTTL
	}
	return dns.ExtendedErrorCodeNetworkError, time.Second
}
