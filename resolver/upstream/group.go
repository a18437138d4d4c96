// Package upstream asks other resolvers: over UDP, TCP, TLS (DoT), HTTPS (DoH,
// HTTP/2 and HTTP/3) and QUIC (DoQ), at addresses that are pinned or that
// another upstream told, and never through the system's resolver. A [Group]
// holds several of them, asks them by a strategy, goes on to the next when one
// fails, and keeps away from the dead without forgetting them.
package upstream

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go/http3"

	"nightlatch/resolver/upstream/spec"
)

const (
	// maxMembers bounds a group; more would never be reached in a query's time.
	maxMembers = 32
	// defaultStep is how long one server may think before the next is asked too.
	defaultStep = 1500 * time.Millisecond
	// defaultDeadline is the end of everything for one question: stubs wait
	// five seconds (resolv.conf(5)) and must hear of a failure before.
	defaultDeadline = 4700 * time.Millisecond
)

// Options are what a Group is made of.
type Options struct {
	Upstreams []string       // in order of preference; see [spec.Parse]
	Bootstrap []string       // who tells where hosts without an address are; empty: those Upstreams that have one
	Strategy  string         // one of [Strategies]; empty means [Failover]
	RootCAs   *x509.CertPool // who may sign certificates; nil means the system's
	Dial      DialFunc       // nil means the host's network
	Step      time.Duration  // after so long without an answer the next server is asked too; 0 means 1.5 s
	Deadline  time.Duration  // the longest a question may take; 0 means 4.7 s
	Log       *slog.Logger   // nil means silence

	// CertTime is the time by which certificates are judged; nil means now.
	CertTime func() time.Time
	// Changed hears when a server goes down or comes back; it must not block.
	Changed func(name string, up bool, why string)
}

// Group is several upstreams that answer as one. It is safe for concurrent use.
type Group struct {
	members        []*member
	bootstrap      *Group // who tells where members are; nil when they are pinned
	strategy       string
	step, deadline time.Duration
	hedges         purse
	log            *slog.Logger
	changed        func(string, bool, string)
}

type member struct {
	health
	name      string
	encrypted bool
	at        *book
	exchanger
}

// Reply is an upstream's answer.
type Reply struct {
	Msg      *dns.Msg
	Upstream string // as the owner wrote it
}

// New makes a Group; it opens no connection. An empty list is fine: every
// question then ends in [ErrUnreachable].
func New(o Options) (*Group, error) {
	strategy, err := checkStrategy(o.Strategy)
	if err != nil {
		return nil, err
	}
	g := &Group{strategy: strategy, step: o.Step, deadline: o.Deadline, log: o.Log, changed: o.Changed}
	if g.step <= 0 {
		g.step = defaultStep
	}
	if g.deadline <= 0 {
		g.deadline = defaultDeadline
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: dialTime}).DialContext
	}
	if len(o.Upstreams) > maxMembers {
		return nil, fmt.Errorf("%d upstreams: at most %d make sense", len(o.Upstreams), maxMembers)
	}
	var specs []spec.Spec
	for _, text := range o.Upstreams {
		s, err := spec.Parse(text)
		if err != nil {
			return nil, err
		}
		specs = append(specs, s)
	}
	return g, g.fill(specs, o)
}

// fill makes the members, and sees to it that somebody knows where those are
// that have no address.
func (g *Group) fill(specs []spec.Spec, o Options) error {
	if len(o.Bootstrap) > 0 {
		b, err := New(Options{Upstreams: o.Bootstrap, RootCAs: o.RootCAs, Dial: o.Dial, Step: g.step, Log: g.log, CertTime: o.CertTime})
		if err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
		g.bootstrap = b
	} else {
		g.bootstrap = &Group{strategy: Failover, step: g.step, deadline: g.deadline, log: g.log, changed: g.changed}
	}
	for _, s := range specs {
		at := &book{spec: s}
		if len(s.Addrs) == 0 {
			at.ask = g.bootstrap.Exchange
		}
		m := newMember(s, at, o)
		g.members = append(g.members, m)
		if len(o.Bootstrap) == 0 && at.ask == nil {
			g.bootstrap.members = append(g.bootstrap.members, m) // the same, with its health
		}
	}
	for _, m := range g.members {
		if m.at.ask != nil && len(g.bootstrap.members) == 0 {
			return fmt.Errorf("upstream %q: nobody could tell where %s is; write its addresses after a #, as in #9.9.9.9,149.112.112.112, "+
				"or give another upstream by its address", m.name, m.at.spec.Host)
		}
	}
	return nil
}

func newMember(s spec.Spec, at *book, o Options) *member {
	m := &member{name: s.Text, at: at, encrypted: s.Encrypted()}
	tcp := func(ctx context.Context) (net.Conn, error) { return dialAny(ctx, o.Dial, s.Addrs) }
	greeting := func(protocols ...string) *hello { return newHello(s, o.RootCAs, o.CertTime, protocols...) }
	switch s.Scheme {
	case "udp":
		m.exchanger = &plain{addr: s.Addrs[0].String(), dial: o.Dial, tcp: newStream(tcp), letters: letters{near: atHome(s.Addrs[0].Addr())}}
	case "tcp":
		m.exchanger = newStream(tcp)
	case "tls":
		hi := greeting()
		m.exchanger = newStream(func(ctx context.Context) (net.Conn, error) {
			return through(ctx, at, func(addrs []netip.AddrPort) (net.Conn, error) { return dialTLS(ctx, o.Dial, addrs, hi) })
		})
	case "quic":
		m.exchanger = newDoQ(o.Dial, at, greeting("doq"))
	case "h3":
		m.exchanger = newHTTP3(s, o.Dial, at, greeting(http3.NextProtoH3))
	default:
		m.exchanger = newHTTPS(s, o.Dial, at, greeting("h2", "http/1.1"))
	}
	return m
}

// Close ends all connections; questions under way fail.
func (g *Group) Close() {
	for _, m := range g.members {
		m.at.close()
		m.close()
	}
	if g.bootstrap != nil {
		g.bootstrap.Close()
	}
}

// Status tells how each upstream is doing, in the owner's order.
func (g *Group) Status() []Status {
	out := make([]Status, len(g.members))
	for i, m := range g.members {
		out[i] = m.status(m.name)
	}
	return out
}

type outcome struct {
	m   *member
	msg *dns.Msg
	err error
}

// Exchange asks as the strategy says; the next server too when one fails or
// thinks for too long; and returns the first conclusive reply. A SERVFAIL or
// REFUSED of all is returned as it is. It ends with ctx, and by itself at the
// deadline.
func (g *Group) Exchange(ctx context.Context, q Question) (Reply, error) {
	p := g.plan(time.Now())
	if len(p.order) == 0 {
		return Reply{}, ErrUnreachable
	}
	g.hedges.earn()
	ctx, cancel := context.WithTimeout(ctx, g.deadline)
	defer cancel()
	a := &asking{g: g, ctx: ctx, q: q, plan: p, results: make(chan outcome, len(p.order)+1)} // room for all: nobody waits to deliver
	a.timer = time.NewTimer(p.wait)
	defer a.timer.Stop()
	for range p.first {
		a.next()
	}
	if p.aside != nil {
		a.beside(p.aside)
	}
	return a.wait()
}

// asking is one question on its way through a group.
type asking struct {
	g       *Group
	ctx     context.Context
	q       Question
	plan    plan
	begun   int // of the plan's order
	running int
	timer   *time.Timer
	results chan outcome
}

// next asks one server more.
func (a *asking) next() {
	if a.begun == len(a.plan.order) {
		return
	}
	m, wait := a.plan.order[a.begun], a.g.step
	if a.begun < a.plan.first {
		wait = a.plan.wait
	}
	a.begun, a.running = a.begun+1, a.running+1
	go func() { a.results <- a.g.ask(a.ctx, m, a.q) }()
	a.timer.Reset(wait)
}

// beside asks a server to see how it is doing. It is not called off when
// another answers first, or it would never get the time to show that.
func (a *asking) beside(m *member) {
	a.plan.order = slices.DeleteFunc(a.plan.order, func(o *member) bool { return o == m })
	ctx, stop := context.WithTimeout(context.WithoutCancel(a.ctx), a.g.step)
	a.running++
	go func() {
		defer stop()
		a.results <- a.g.ask(ctx, m, a.q)
	}()
}

// late is called when a server thinks for too long.
func (a *asking) late() {
	if a.plan.hedge {
		if a.plan.hedge = false; !a.g.hedges.pay() {
			a.timer.Reset(a.g.step - a.plan.wait)
			return
		}
	}
	a.next()
}

func (a *asking) wait() (Reply, error) {
	var last outcome
	var vain []*member
	for a.running > 0 {
		select {
		case <-a.timer.C:
			a.late()
		case o := <-a.results:
			a.running--
			if o.err == nil && conclusive(o.msg) {
				for _, m := range vain {
					m.beaten(time.Now())
				}
				return Reply{o.msg, o.m.name}, nil
			}
			if o.err == nil {
				vain = append(vain, o.m)
			}
			if last.msg == nil {
				last = o
			}
			a.next()
		}
	}
	if last.msg != nil && !lame(last.msg) {
		return Reply{last.msg, last.m.name}, nil
	}
	if last.msg != nil {
		last.err = errLame
	}
	return Reply{}, fmt.Errorf("upstream %s: %w", last.m.name, last.err)
}

// order gives the servers to ask, one after another: those that are well; when
// there are none, those whose rest is over; when there are none either, those
// that were merely silent. probe is one that is asked beside the well ones to
// see whether it is back.
func (g *Group) order(now time.Time) (order []*member, probe *member) {
	var back, quiet []*member
	for _, m := range g.members {
		switch m.state(now) {
		case well:
			order = append(order, m)
		case due:
			back = append(back, m)
		case resting:
			quiet = append(quiet, m)
		}
	}
	switch {
	case len(order) == 0 && len(back) == 0:
		return quiet, nil
	case len(order) == 0:
		return back, nil
	}
	for _, m := range back {
		if m.probe(now) {
			return order, m
		}
	}
	return order, nil
}

// ask puts the question to one server, a second time without EDNS where EDNS
// is what it did not understand (RFC 6891 §7), and notes how it did.
func (g *Group) ask(ctx context.Context, m *member, q Question) outcome {
	begin := time.Now()
	r, err := m.exchange(ctx, build(q, true, m.encrypted))
	if err == nil && ednsRefused(r) {
		if again, e := m.exchange(ctx, build(q, false, false)); e == nil {
			r = again
		}
	}
	if err == nil && r.Truncated {
		r, err = nil, errCut
	}
	now := time.Now()
	was := m.state(now)
	switch {
	case err == nil && conclusive(r):
		m.good(begin, now)
	case err == nil:
		m.vain(begin, now)
	case errors.Is(ctx.Err(), context.Canceled) && now.Sub(begin) < g.step:
		m.idle(now.Sub(begin)) // another was faster; that is no fault
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		m.idle(0) // our own descriptors are used up; that is no fault of the server's
	default:
		m.bad(begin, now, !silent(err), err.Error())
	}
	g.tell(m, was, m.state(now), err)
	return outcome{m, r, err}
}

func (g *Group) tell(m *member, was, is state, err error) {
	up := is == well
	if up == (was == well) {
		return
	}
	why := ""
	if err != nil {
		why = err.Error()
	}
	g.log.Warn("upstream changed", "upstream", m.name, "up", up, "err", why)
	if g.changed != nil {
		g.changed(m.name, up, why)
	}
}

// silent tells failures that may be bad luck from those that say "down".
func silent(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, context.Canceled) || errors.Is(err, errReply) || errors.Is(err, errForged) || errors.Is(err, errBusy) ||
		errors.Is(err, errFolded) || errors.Is(err, errCut)
}

// conclusive tells an answer from a server's failure to find one. What a
// validating server found to be forged is an answer: another server that does
// not validate must not overrule it.
func conclusive(r *dns.Msg) bool {
	if r.Rcode == dns.RcodeSuccess || r.Rcode == dns.RcodeNameError {
		return !lame(r)
	}
	if opt := r.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok && bogus(e.InfoCode) {
				return true
			}
		}
	}
	return false
}

// lame tells whether a server sends us to others instead of answering
// (RFC 2308 §2.2: a referral has NS records and no SOA). Upstreams are asked to
// do the walking themselves.
func lame(r *dns.Msg) bool {
	if r.Rcode != dns.RcodeSuccess || len(r.Answer) > 0 || r.Authoritative || r.RecursionAvailable {
		return false
	}
	ns := false
	for _, rr := range r.Ns {
		switch rr.Header().Rrtype {
		case dns.TypeSOA:
			return false
		case dns.TypeNS:
			ns = true
		}
	}
	return ns
}

// bogus lists the Extended DNS Errors that mean "signatures do not fit".
func bogus(code uint16) bool {
	return code == dns.ExtendedErrorCodeDNSBogus || code >= dns.ExtendedErrorCodeSignatureExpired && code <= dns.ExtendedErrorCodeNSECMissing
}
