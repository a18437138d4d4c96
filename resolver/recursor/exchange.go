package recursor

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/upstream"
)

const port = 53

// run is a step under way, for all who want to take it. Two equal questions are
// never on the wire at once: guessing would be worth twice as much (RFC 5452 §5).
type run struct {
	done chan struct{} // closed when f and err are there
	f    finding
	err  error
}

// steps are the steps under way.
type steps struct {
	mu      sync.Mutex
	running map[step]*run
}

// run takes a step, or takes part in it. Steps never wait for other steps, so
// that two cannot wait for each other.
func (w *work) run(k step, addrs []netip.Addr) (finding, error) {
	for {
		s := &w.r.steps
		s.mu.Lock()
		other := s.running[k]
		if other == nil {
			mine := &run{done: make(chan struct{}), err: errServers}
			if s.running == nil {
				s.running = map[step]*run{}
			}
			s.running[k] = mine
			s.mu.Unlock()
			return w.lead(k, mine, addrs)
		}
		s.mu.Unlock()
		select {
		case <-w.ctx.Done():
			return finding{}, w.ctx.Err()
		case <-other.done:
		}
		if !errors.Is(other.err, errBudget) && !errors.Is(other.err, context.Canceled) && !errors.Is(other.err, context.DeadlineExceeded) {
			return other.f, other.err
		} // its leader came to the end of his means; we have our own
	}
}

func (w *work) lead(k step, mine *run, addrs []netip.Addr) (finding, error) {
	defer func() {
		w.r.steps.mu.Lock()
		delete(w.r.steps.running, k)
		w.r.steps.mu.Unlock()
		close(mine.done)
	}()
	mine.f, mine.err = w.exchange(k, addrs)
	return mine.f, mine.err
}

// trial is one server being asked.
type trial struct {
	addr netip.Addr
	f    finding
	err  error
}

// exchange asks servers, the best first, the next one too when one fails or
// thinks for longer than it usually does, and gives the first answer that is one.
func (w *work) exchange(k step, addrs []netip.Addr) (finding, error) {
	order := w.r.servers.order(k.zone, addrs, time.Now())
	if len(order) == 0 {
		return finding{}, errServers
	}
	plan := slices.Concat(order, order, order)[:min(maxTries, 3*len(order))]
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	results := make(chan trial, len(plan)) // room for all: nobody waits to deliver
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	running, last, useless, asked := 0, error(errServers), map[netip.Addr]bool{}, map[netip.Addr]bool{}
	start := func() {
		for len(plan) > 0 && useless[plan[0]] {
			plan = plan[1:]
		}
		if len(plan) == 0 || running >= maxWaiting {
			return
		}
		a := plan[0]
		plan, running = plan[1:], running+1
		s := w.r.servers.view(place{a, k.zone})
		mix := !asked[a] && s.folds < foldLimit // who was silent may know small letters only
		asked[a] = true
		go func() { results <- w.attempt(ctx, k, a, mix, s.wait()) }()
		timer.Reset(s.wait())
	}
	for start(); running > 0; {
		select {
		case <-ctx.Done():
			return finding{}, ctx.Err()
		case <-timer.C:
			start()
		case t := <-results:
			running--
			if t.err == nil {
				return t.f, nil
			}
			if errors.Is(t.err, errBudget) {
				return finding{}, t.err
			}
			if !errors.Is(t.err, context.DeadlineExceeded) { // what is not silence would be said again
				useless[t.addr], last = true, t.err
			}
			start()
		}
	}
	return finding{}, settle(last)
}

// settle tells a world that is out of reach from a zone that does not answer.
func settle(err error) error {
	for _, e := range []error{syscall.ENETUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT} {
		if errors.Is(err, e) {
			return upstream.ErrUnreachable
		}
	}
	return err
}

// attempt asks one server, and notes how it did.
func (w *work) attempt(ctx context.Context, k step, a netip.Addr, mix bool, wait time.Duration) trial {
	p, begin := place{a, k.zone}, time.Now()
	msg, err := w.talk(ctx, k, p, mix)
	now := time.Now()
	if err != nil {
		if errors.Is(err, errBudget) || ctx.Err() != nil && now.Sub(begin) < wait {
			return trial{a, finding{}, err} // says nothing about the server
		}
		w.r.servers.missed(p, begin, now, err)
		if ctx.Err() == nil && silent(err) {
			err = context.DeadlineExceeded
		}
		return trial{a, finding{}, err}
	}
	w.r.servers.good(p, begin, now)
	w.r.answered(now)
	f, err := read(k, msg, w.r.opt.Refuse)
	var bad *fault
	if errors.As(err, &bad) && !k.part { // some refuse names they have no records of
		w.r.servers.change(p, func(s *server) {
			if bad.lame {
				s.lame = now.Add(lameTime)
			}
			if bad.refused {
				s.refused = now.Add(lameTime)
			}
		})
	}
	return trial{a, f, err}
}

func silent(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// talk exchanges messages with one server until there is a reply: over TCP when
// it does not fit or somebody seems to be forging, without EDNS when the server
// does not know it (RFC 6891 §7). Each message is paid for.
func (w *work) talk(ctx context.Context, k step, p place, mix bool) (*dns.Msg, error) {
	s := w.r.servers.view(p)
	addr := netip.AddrPortFrom(p.addr, port).String()
	edns, network := !s.plain, "udp"
	for range 4 { // UDP, TCP, and each without EDNS
		if w.budget.queries.Add(1) > maxQueries {
			return nil, errBudget
		}
		msg, err := upstream.Ask(ctx, w.r.opt.Dial, network, addr, build(k, edns), mix, patience)
		switch {
		case network == "udp" && upstream.Doubtful(err):
			network = "tcp"
			w.r.servers.change(p, func(s *server) { s.folds++ })
		case err != nil:
			return nil, err
		case msg.Truncated && network == "udp":
			network = "tcp"
		case msg.Truncated:
			return nil, &fault{why: "a server cuts its answers off, over TCP too"}
		case edns && upstream.RefusedEDNS(msg):
			edns = false
		default:
			if !edns && (msg.Rcode == dns.RcodeSuccess || msg.Rcode == dns.RcodeNameError) {
				w.r.servers.change(p, func(s *server) { s.plain = true })
			}
			return msg, nil
		}
	}
	return nil, &fault{why: "a server understands no question: " + strconv.Itoa(int(k.qtype))}
}

// build makes the query: no recursion is desired, and nothing of the client is
// in it (RFC 7871 would have its address told).
func build(k step, edns bool) *dns.Msg {
	m := &dns.Msg{Question: []dns.Question{{Name: k.name, Qtype: k.qtype, Qclass: dns.ClassINET}}}
	if edns {
		m.SetEdns0(maxDatagram, true)
	}
	return m
}
