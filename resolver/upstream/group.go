package upstream

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/miekg/dns"
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
	Upstreams []string       // in order of preference; see [ParseSpec]
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
	step, deadline time.Duration
	log            *slog.Logger
	changed        func(string, bool, string)
}

type member struct {
	health
	name      string
	encrypted bool
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
	g := &Group{step: o.Step, deadline: o.Deadline, log: o.Log, changed: o.Changed}
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
	for _, text := range o.Upstreams {
		s, err := ParseSpec(text)
		if err != nil {
			return nil, err
		}
		g.members = append(g.members, newMember(s, o))
	}
	return g, nil
}

func newMember(s Spec, o Options) *member {
	m := &member{name: s.Text}
	tcp := func(ctx context.Context) (net.Conn, error) { return dialAny(ctx, o.Dial, s.Addrs) }
	switch s.Scheme {
	case "udp":
		m.exchanger = &plain{addr: s.Addrs[0].String(), dial: o.Dial, tcp: &stream{open: tcp}}
	case "tcp":
		m.exchanger = &stream{open: tcp}
	case "tls":
		cfg := tlsConfig(s.Host, o.RootCAs, o.CertTime)
		m.encrypted = true
		m.exchanger = &stream{open: func(ctx context.Context) (net.Conn, error) {
			return dialTLS(ctx, o.Dial, s.Addrs, cfg)
		}}
	default:
		m.encrypted = true
		m.exchanger = newHTTPS(s, o.Dial, tlsConfig(s.Host, o.RootCAs, o.CertTime))
	}
	return m
}

// Close ends all connections; questions under way fail.
func (g *Group) Close() {
	for _, m := range g.members {
		m.close()
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

// Exchange asks the first server that is well; the next one too when it fails
// or thinks for longer than a step; and returns the first conclusive reply. A
// SERVFAIL or REFUSED of all is returned as it is. It ends with ctx, and by
// itself at the deadline.
func (g *Group) Exchange(ctx context.Context, q Question) (Reply, error) {
	order, probe := g.order(time.Now())
	if len(order) == 0 {
		return Reply{}, ErrUnreachable
	}
	ctx, cancel := context.WithTimeout(ctx, g.deadline)
	defer cancel()
	results := make(chan outcome, len(order)+1) // room for all: nobody waits to deliver
	next, running := 0, 0
	timer := time.NewTimer(g.step)
	defer timer.Stop()
	start := func() {
		if next < len(order) {
			m := order[next]
			next, running = next+1, running+1
			go func() { results <- g.ask(ctx, m, q) }()
			timer.Reset(g.step)
		}
	}
	if start(); probe != nil {
		// It is not called off when another answers first, or it would never
		// get the time to show that it is back.
		pctx, stop := context.WithTimeout(context.WithoutCancel(ctx), g.step)
		running++
		go func() {
			defer stop()
			results <- g.ask(pctx, probe, q)
		}()
	}
	var last outcome
	for running > 0 {
		select {
		case <-timer.C:
			start()
		case o := <-results:
			running--
			if o.err == nil && conclusive(o.msg) {
				return Reply{o.msg, o.m.name}, nil
			}
			if last.msg == nil {
				last = o
			}
			start()
		}
	}
	if last.msg != nil {
		return Reply{last.msg, last.m.name}, nil
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
	now := time.Now()
	was := m.state(now)
	switch {
	case err == nil:
		m.good(begin, now)
	case errors.Is(ctx.Err(), context.Canceled) && now.Sub(begin) < g.step:
		m.idle() // another was faster; that is no fault
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		m.idle() // our own descriptors are used up; that is no fault of the server's
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
		errors.Is(err, context.Canceled) || errors.Is(err, errReply) || errors.Is(err, errForged) || errors.Is(err, errBusy)
}

// conclusive tells an answer from a server's failure to find one. What a
// validating server found to be forged is an answer: another server that does
// not validate must not overrule it.
func conclusive(r *dns.Msg) bool {
	if r.Rcode == dns.RcodeSuccess || r.Rcode == dns.RcodeNameError {
		return true
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

// bogus lists the Extended DNS Errors that mean "signatures do not fit".
func bogus(code uint16) bool {
	return code == dns.ExtendedErrorCodeDNSBogus || code >= dns.ExtendedErrorCodeSignatureExpired && code <= dns.ExtendedErrorCodeNSECMissing
}
