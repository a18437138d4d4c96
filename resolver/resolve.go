package resolver

import (
	"context"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"nightlatch/policy"
	"nightlatch/resolver/cache"
	"nightlatch/resolver/special"
)

// fromCache is what journal.Query.Upstream says of remembered answers.
const fromCache = "cache"

// protoICMP is the IANA number of a protocol without ports.
const protoICMP = 1

// staleTTL is what a stale answer is worth (RFC 8767 §4).
const staleTTL = 30 * time.Second

// resolve is the whole of it, in order: names that are answered here, the
// verdict, what the world says, and the verdict on that.
func (r *Resolver) resolve(ctx context.Context, q *query) reply {
	if rep, ok := r.named(ctx, q); ok {
		r.counts.made.Add(1)
		return rep
	}
	if rep, ok := r.own(q); ok {
		r.counts.made.Add(1)
		return rep
	}
	p := r.judge()
	if p == nil {
		return failed(dns.ExtendedErrorCodeNotReady, "no policy is loaded yet")
	}
	v := p.Name(q.flow.Device, q.name, q.Type, q.now)
	if v.Action.Stops() {
		return r.stop(q, v, "")
	}
	if v.Action == policy.Rewrite {
		if rep, ok := r.rewrite(ctx, p, q, v); ok {
			return rep
		}
	}
	if rep, ok := r.canary(q, v); ok {
		r.counts.made.Add(1)
		return rep
	}
	if q.Type == dns.TypeANY {
		return minimal(q)
	}
	a, how := r.lookup(ctx, q)
	if a == nil { // the client went away
		return failed(dns.ExtendedErrorCodeOther, "the question was given up")
	}
	if rep, stopped := r.inspect(p, q, v, a); stopped {
		return rep
	}
	r.names.learn(q.flow.Device.Key, q.name, a.Addrs, q.now)
	return r.truthful(a, v, how)
}

// truthful passes an answer on as it is.
func (r *Resolver) truthful(a *cache.Answer, v policy.Verdict, how source) reply {
	rep := reply{rcode: a.RCode, ede: a.EDE, secure: a.Secure, verdict: v, shown: a.Shown, upstream: a.Upstream}
	limit := time.Duration(0)
	switch how {
	case fetched:
	case remembered:
		r.counts.cached.Add(1)
		rep.upstream = fromCache
	case outlived:
		r.counts.stale.Add(1)
		rep.upstream, limit, rep.secure = fromCache, staleTTL, false // its signatures may have ended
		rep.ede = int(dns.ExtendedErrorCodeStaleAnswer)
		if a.RCode == dns.RcodeNameError {
			rep.ede = int(dns.ExtendedErrorCodeStaleNXDOMAINAnswer)
		}
	}
	rep.answer, rep.authority = a.Sections(time.Now(), limit)
	if rep.text = a.Why; rep.text == "" || how == outlived {
		rep.text = edeText(rep.ede)
	}
	return rep
}

// edeText explains the codes that we give without a rule behind them.
func edeText(code int) string {
	switch code {
	case -1:
		return ""
	case int(dns.ExtendedErrorCodeStaleAnswer), int(dns.ExtendedErrorCodeStaleNXDOMAINAnswer):
		return "no upstream answered; this was true before"
	case int(dns.ExtendedErrorCodeNoReachableAuthority):
		return "no upstream answered in time"
	case int(dns.ExtendedErrorCodeNetworkError):
		return "no upstream can be reached"
	case int(dns.ExtendedErrorCodeInvalidData):
		return "the upstream's answer makes no sense"
	case int(dns.ExtendedErrorCodeNotReady):
		return "too many questions are under way, or the gateway is stopping"
	}
	return "as the upstream says"
}

// inspect puts everything an answer leads to before the policy: names behind
// the name (CNAME cloaking) and addresses. A name the owner allowed by a rule
// is allowed with whatever stands behind it.
func (r *Resolver) inspect(p judge, q *query, own policy.Verdict, a *cache.Answer) (reply, bool) {
	v, through := r.behind(p, q.flow.Device, q.name, q.Type, q.now, own, a)
	if v.Action == policy.Pass {
		return reply{}, false
	}
	rep := reply{}
	if v.Reason == privateReason {
		rep = r.nodata(q.fqdn)
		rep.verdict, rep.ede, rep.text = v, int(dns.ExtendedErrorCodeBlocked), "a public name with a private address"
	} else {
		rep = r.stop(q, v, through)
	}
	rep.upstream = a.Upstream
	return rep, true
}

// behind is the verdict on what an answer leads to, and the name it is about
// when it is about a name.
func (r *Resolver) behind(p judge, d policy.Device, name string, qtype uint16, now time.Time, own policy.Verdict, a *cache.Answer) (policy.Verdict, string) {
	if !own.Wanted() {
		for _, t := range a.Targets {
			if v := p.Name(d, t, qtype, now); v.Action.Stops() {
				return v, t
			}
		}
		for _, addr := range a.Addrs {
			// Asked as a ping, so that lists speak and ports do not.
			f := policy.Flow{Device: d, Proto: protoICMP, Dst: netip.AddrPortFrom(addr, 0), Name: name}
			if v := p.Flow(f, now); v.Action.Stops() {
				return v, ""
			}
		}
	}
	for _, addr := range a.Addrs {
		if special.Private(addr) && !r.mayBePrivate(name) {
			return policy.Verdict{Action: policy.Deny, Reason: privateReason}, ""
		}
	}
	return policy.Verdict{}, ""
}
