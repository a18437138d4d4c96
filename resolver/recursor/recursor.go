// Package recursor finds answers without a resolver to ask: it begins at the
// root and follows delegations to the servers of the name's own zone (RFC 1034
// §5.3.3). Servers learn no more of a name than they need (RFC 9156). A server
// is believed about what lies below the zone it was asked for, and about
// nothing else. What one question may cause is bounded on every side, its
// aliases and its chain of trust included: the attacks known as NXNSAttack,
// TsuNAME, NRDelegation and CAMP end at these bounds.
//
// It does not validate, and keeps no answers: both are done above it, by
// whoever calls [Recursor.Exchange].
package recursor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/upstream"
)

// Word stands for a Recursor where an upstream is named.
const Word = "recursive"

// Bounds of the work that one question may cause.
const (
	maxQueries  = 128 // sent, over all; a cold start with a chain of trust needs about 30
	maxFetches  = 24  // names of servers whose addresses are looked up, over all
	maxFetch    = 4   // of these for one step down the tree
	maxNested   = 2   // the same while looking up a server's address
	maxDepth    = 5   // servers' names that wait for other servers' names
	maxSteps    = 32  // steps down the tree
	maxTries    = 6   // datagrams for one step, to one set of addresses
	maxWaiting  = 3   // of them that are waited for at once
	maxHosts    = 16  // servers of a zone that are looked at; the root has 13
	maxGlue     = 4   // addresses of one server, of each family
	maxDatagram = 1232
	// defaultDeadline is the end of everything: stubs wait five seconds
	// (resolv.conf(5)) and must hear of a failure before.
	defaultDeadline = 4700 * time.Millisecond
	// patience is how long one datagram is waited for, while others are asked.
	patience = 2 * time.Second
)

// Options are what a Recursor is made of. The zero value asks the world.
type Options struct {
	Hints    string            // the root's servers in zone file form; empty means IANA's
	Dial     upstream.DialFunc // nil means the host's network
	Deadline time.Duration     // the longest a question may take; 0 means 4.7 s
	Log      *slog.Logger      // nil means silence

	// Refuse names addresses that are never asked, such as private ones: a zone
	// may name any address as its server, and the question would be sent there.
	// Hints that are refused mean that the whole tree is at home; then nothing
	// is. Nil refuses nothing.
	Refuse func(netip.Addr) bool
	// Changed hears when nothing answers any more and when something does again;
	// it must not block.
	Changed func(name string, up bool, why string)
}

// Recursor answers questions from the root down. It is safe for concurrent use.
type Recursor struct {
	opt     Options
	hints   *delegation
	zones   *zones
	servers *servers
	steps   steps
	health  health

	mu     sync.Mutex
	under  map[*work]context.CancelFunc // the questions under way
	closed bool
}

// New makes a Recursor; it opens no connection. The error names the line of the
// hints that cannot be used.
func New(o Options) (*Recursor, error) {
	hints, err := parseHints(o.Hints)
	if err != nil {
		return nil, fmt.Errorf("root hints: %w", err)
	}
	if o.Refuse == nil || hints.refused(o.Refuse) {
		o.Refuse = func(netip.Addr) bool { return false }
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: patience}).DialContext
	}
	if o.Deadline <= 0 {
		o.Deadline = defaultDeadline
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Recursor{opt: o, hints: hints, zones: newZones(), servers: newServers(), under: map[*work]context.CancelFunc{}}, nil
}

// Close ends the questions under way; they fail, and so do later ones.
func (r *Recursor) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, cancel := range r.under {
		cancel()
	}
}

// begin makes the work of one question, and what ends it.
func (r *Recursor) begin(ctx context.Context) (*work, func()) {
	ctx, cancel := context.WithTimeout(Share(ctx), r.opt.Deadline)
	w := &work{r: r, ctx: ctx, budget: ctx.Value(budgetKey{}).(*budget)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.under[w] = cancel; r.closed {
		cancel()
	}
	return w, func() {
		cancel()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.under, w)
	}
}

// Status tells how recursion is doing, as one upstream of the name [Word].
func (r *Recursor) Status() []upstream.Status { return []upstream.Status{r.health.status()} }

// budget is what one question may still spend, with all that it leads to.
type budget struct{ queries, fetches atomic.Int32 }

type budgetKey struct{}

// Share gives all questions that are asked under the context one budget:
// aliases and links of a chain of trust then cannot multiply what one question
// may cause. A context that has a budget keeps it.
func Share(ctx context.Context) context.Context {
	if ctx.Value(budgetKey{}) != nil {
		return ctx
	}
	return context.WithValue(ctx, budgetKey{}, &budget{})
}

// Why a question has no answer.
var (
	errBudget  = errors.New("the question leads to too many others")
	errServers = errors.New("no server of the zone gives an answer")
	errNobody  = errors.New("the zone's servers have no addresses that can be asked")
)

// Exchange finds the answer to a question: the records, the aliases within one
// zone, or a denial with its proofs. An alias that leads to another zone is the
// end; the caller asks on. A question that its servers cannot answer gives
// SERVFAIL with an extended error; the error is for what lies on our side of
// the wire, and [upstream.ErrUnreachable] when nothing can be reached at all.
func (r *Recursor) Exchange(ctx context.Context, q upstream.Question) (upstream.Reply, error) {
	w, end := r.begin(ctx)
	defer end()
	begin := time.Now()
	msg, err := w.resolve(strings.ToLower(q.Name), q.Type)
	if r.judge(begin, err) {
		go r.askRoot(context.WithoutCancel(ctx), err.Error())
	}
	switch {
	case err == nil:
	case w.ctx.Err() != nil:
		return upstream.Reply{Upstream: Word}, fmt.Errorf("recursion: %s: %w", q.Name, w.ctx.Err())
	case errors.Is(err, upstream.ErrUnreachable):
		return upstream.Reply{Upstream: Word}, fmt.Errorf("recursion: %s: %w", q.Name, err)
	default:
		r.opt.Log.Debug("recursion failed", "name", q.Name, "type", dns.Type(q.Type).String(), "err", err)
		msg = failure(err)
	}
	msg.Id, msg.RecursionDesired, msg.RecursionAvailable, msg.Authoritative = 0, true, true, false
	msg.Question = []dns.Question{{Name: q.Name, Qtype: q.Type, Qclass: dns.ClassINET}}
	return upstream.Reply{Msg: msg, Upstream: Word}, nil
}

// failure is the answer to what cannot be answered (RFC 8914 §4.23).
func failure(err error) *dns.Msg {
	m := new(dns.Msg)
	m.Response, m.Rcode = true, dns.RcodeServerFailure
	m.SetEdns0(maxDatagram, true)
	opt := m.IsEdns0()
	opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeNoReachableAuthority, ExtraText: err.Error()})
	return m
}

// silentLimit questions in a row without a single datagram from anywhere: then
// the root is asked whether it is we who are cut off.
const silentLimit = 3

// health is what is known about the way to the world.
type health struct {
	mu      sync.Mutex
	heard   time.Time // when any server last answered
	silent  int       // questions since, that heard nothing
	down    bool
	asking  bool // the root is being asked
	rtt     time.Duration
	lastErr string

	queries, failures uint64
}

func (h *health) status() upstream.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return upstream.Status{Name: Word, Up: !h.down, RTT: h.rtt, Queries: h.queries, Failures: h.failures, Err: h.lastErr}
}

// answered notes that a server answered, whatever it said.
func (r *Recursor) answered(now time.Time) {
	h := &r.health
	h.mu.Lock()
	was := h.down
	h.heard, h.silent, h.down = now, 0, false
	h.mu.Unlock()
	if was {
		r.opt.Log.Info("recursion: servers answer again")
		if r.opt.Changed != nil {
			r.opt.Changed(Word, true, "")
		}
	}
}

// judge notes how a question ended. That a zone is dead says nothing about the
// world: before that is called unreachable, the root is to be asked.
func (r *Recursor) judge(begin time.Time, err error) (askRoot bool) {
	h := &r.health
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queries++
	if err == nil {
		took := time.Since(begin)
		if h.rtt == 0 {
			h.rtt = took
		}
		h.rtt += (took - h.rtt) / 8
		h.lastErr = ""
		return false
	}
	h.failures++
	h.lastErr = err.Error()
	if !h.heard.Before(begin) {
		return false
	}
	if h.silent++; h.silent < silentLimit || h.down || h.asking {
		return false
	}
	h.asking = true
	return true
}

// askRoot finds out whether the world is out of reach, and tells.
func (r *Recursor) askRoot(ctx context.Context, why string) {
	w, end := r.begin(ctx)
	defer end()
	begin := time.Now()
	_, err := w.exchange(step{zone: ".", name: ".", qtype: dns.TypeNS}, r.hints.addrs())
	r.mu.Lock()
	closed := r.closed
	r.mu.Unlock()
	h := &r.health
	h.mu.Lock()
	h.asking = false
	gone := err != nil && h.heard.Before(begin) && !closed
	h.down = h.down || gone
	h.mu.Unlock()
	if gone {
		r.opt.Log.Warn("recursion: no server answers", "err", why)
		if r.opt.Changed != nil {
			r.opt.Changed(Word, false, why)
		}
	}
}
