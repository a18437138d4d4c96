package recursor

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/upstream"
)

// work is the answering of one question: how far it is, and what it may spend.
type work struct {
	r      *Recursor
	ctx    context.Context
	budget *budget
	wanted []string // servers' names whose addresses are being looked up, outermost first
}

// RFC 9156 §2.3 bounds the questions that minimising adds.
const (
	minimiseCount = 10 // MAX_MINIMISE_COUNT
	minimiseOne   = 4  // MINIMISE_ONE_LAB: so many times, one label is added
)

// longer tells how many labels the next minimised question has, when have are
// known and asked were asked, of a name of all labels.
func longer(have, all, asked int) int {
	switch {
	case asked >= minimiseCount:
		return all
	case asked < minimiseOne:
		return min(have+1, all)
	}
	left := minimiseCount - asked
	return min(have+max(1, (all-have+left-1)/left), all)
}

// resolve finds the answer to a question, from the nearest zone that is known
// downwards. name is in lower case with the final dot.
func (w *work) resolve(name string, qtype uint16) (*dns.Msg, error) {
	all := dns.CountLabel(name)
	target := all
	if qtype == dns.TypeDS && all > 0 {
		target-- // the zone above answers (RFC 4035 §3.1.4.1)
	}
	z, have := w.nearest(suffix(name, target))
	asked, again := 0, false
	begin := time.Now()
	for range maxSteps {
		n := longer(have, all, asked)
		k := step{zone: z.name, name: suffix(name, n), qtype: dns.TypeA} // RFC 9156 §2.1 hides the type as well
		if k.part = n < all; !k.part {
			k.qtype = qtype
		}
		asked++
		f, err := w.ask(z, k)
		switch {
		case w.ctx.Err() != nil:
			return nil, w.ctx.Err()
		case errors.Is(err, errBudget), errors.Is(err, upstream.ErrUnreachable):
			return nil, err
		case err != nil && k.part && said(err):
			asked = minimiseCount // some servers know no names but their own: they are told the whole of it
		case err != nil && !again && z.name != "." && begin.Sub(z.stored) > time.Minute:
			// The zone may have moved: its parent knows.
			w.r.zones.drop(z.name)
			z, have = w.nearest(suffix(z.name, dns.CountLabel(z.name)-1))
			asked, again = 0, true
		case err != nil:
			return nil, err
		case f.kind == referral:
			z = f.child
			w.r.zones.put(z, time.Now())
			have = dns.CountLabel(z.name)
		case k.part && f.kind == nxdomain && !f.signed, k.part && f.aliased(k):
			asked = minimiseCount // not every server knows RFC 8020; and below an alias no zone begins
		case !k.part, f.kind == nxdomain: // a proof that nothing is here proves that nothing is below (RFC 8020 §2)
			return f.msg.Copy(), nil // others may have taken part in the step
		default:
			have = n
			w.r.zones.none(k.name, z.name, time.Now())
		}
	}
	return nil, errBudget
}

// said tells whether a server answered, though with nothing useful.
func said(err error) bool {
	var f *fault
	return errors.As(err, &f)
}

// nearest gives the deepest zone that is known above a name, or at it, and how
// much of the name is known to lie in it.
func (w *work) nearest(name string) (*delegation, int) {
	if z, have := w.r.zones.nearest(name, time.Now()); z != nil {
		return z, have
	}
	return w.root(), 0
}

// ask puts a step to a zone's servers: to those whose addresses are known, and
// then, one name after another, to those that have to be looked up.
func (w *work) ask(z *delegation, k step) (finding, error) {
	err := error(errNobody)
	addrs, open := w.known(z)
	fetches := maxFetch
	if len(w.wanted) > 0 {
		fetches = maxNested
	}
	for {
		if len(addrs) > 0 {
			var f finding
			if f, err = w.run(k, addrs); err == nil {
				w.adopt(z, f)
				return f, nil
			}
			if w.ctx.Err() != nil || errors.Is(err, errBudget) {
				return finding{}, err
			}
			if k.round++; k.round == 1 && errors.Is(err, upstream.ErrUnreachable) {
				_, open = w.known(z) // the other family's addresses may be of use
			}
		}
		for addrs = nil; len(addrs) == 0; open = open[1:] {
			if len(open) == 0 {
				return finding{}, err
			}
			h := open[0]
			if addrs = h.addrs; len(addrs) > 0 {
				continue // a spare
			}
			if fetches--; fetches < 0 {
				return finding{}, err
			}
			addrs = w.fetch(h.name)
		}
	}
}

// known gives the addresses of a zone's servers that are at hand, and the
// servers that are left for later.
func (w *work) known(z *delegation) (addrs []netip.Addr, open []host) {
	now := time.Now()
	four, six := w.r.servers.works(now)
	var spare []host
	for _, i := range rand.Perm(len(z.hosts)) {
		h := z.hosts[i]
		if len(h.addrs) == 0 {
			a, seen := w.r.zones.host(h.name, now)
			if seen && len(a.addrs) == 0 || !seen && dns.IsSubDomain(z.name, h.name) && z.name != "." {
				continue // it has none, or only it could tell
			}
			if !a.half || a.reaches(four, six) {
				h.addrs = a.addrs
			}
		}
		switch {
		case h.spare:
			spare = append(spare, h)
		case len(h.addrs) > 0:
			addrs = append(addrs, h.addrs...)
		default:
			open = append(open, h)
		}
	}
	return addrs, append(open, spare...)
}

// adopt remembers the servers that a zone names itself.
func (w *work) adopt(z *delegation, f finding) {
	if z.own || z.name == "." || len(f.own) == 0 {
		return
	}
	if now := time.Now(); w.r.zones.get(z.name, now) == z {
		w.r.zones.put(z.adopt(f.own), now)
	}
}

// fetch looks up the addresses of a server: those of one family, while it
// works. An alias is none (RFC 2181 §10.3). A name that is being looked up
// already waits for nobody (TsuNAME).
func (w *work) fetch(name string) []netip.Addr {
	now := time.Now()
	four, six := w.r.servers.works(now)
	old, known := w.r.zones.host(name, now)
	if known && (!old.half || old.reaches(four, six)) {
		return old.addrs
	}
	if slices.Contains(w.wanted, name) || len(w.wanted) >= maxDepth || w.budget.fetches.Add(1) > maxFetches {
		return nil
	}
	sub := *w
	sub.wanted = append(slices.Clone(w.wanted), name)
	found, sure := address{addrs: old.addrs, expires: now.Add(badLife)}, len(sub.wanted) == 1
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		if qtype == dns.TypeA && !four || qtype == dns.TypeAAAA && !six {
			found.half = !known
			continue
		}
		msg, err := sub.resolve(name, qtype)
		if w.ctx.Err() != nil || errors.Is(err, errBudget) || errors.Is(err, upstream.ErrUnreachable) {
			return nil
		}
		if err != nil {
			continue
		}
		if more := addresses(name, msg.Answer, w.r.opt.Refuse); len(more) > 0 {
			found.addrs, found.expires, sure = slices.Concat(found.addrs, more), now.Add(lifeOf(msg.Answer)), true
			found.half = found.half || !known && qtype == dns.TypeA
			break
		}
		if msg.Rcode == dns.RcodeNameError {
			break
		}
	}
	if sure { // that nothing was found deep down may be due to what is being looked up further up
		w.r.zones.putHost(name, found, now)
	}
	return found.addrs
}

// lifeOf is how long records may be remembered.
func lifeOf(rrs []dns.RR) time.Duration {
	ttl := uint32(1<<31 - 1)
	for _, rr := range rrs {
		ttl = min(ttl, rr.Header().Ttl)
	}
	return life(ttl)
}
