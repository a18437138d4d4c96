// Package resolver answers DNS. It reads a query strictly, asks the policy
// about its name, and answers it itself (blocked, sunk, special and local
// names), from what it remembers, or with what an upstream says; and then it
// looks at the answer once more, so that no blocked name hides behind a CNAME
// and no private address behind a public name. The cache holds the truth;
// policy stands above it, so that unblocking works at once. Every answer
// is told to the journal.
//
// ServeDNS is the whole door: wire bytes in, wire bytes out.
package resolver

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"nightlatch/blocklists"
	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/resolver/cache"
	"nightlatch/resolver/local"
	"nightlatch/resolver/upstream"
)

// Defaults, and the bounds that are not for the owner to choose.
const (
	defaultEntries  = 20_000           // a busy household asks for some thousand names a day
	bytesPerEntry   = 2 << 10          // what an entry may weigh on average
	defaultBlockTTL = 10 * time.Second // short, so that unblocking works soon (a phone keeps what it heard)
	maxTTL          = 24 * time.Hour
	maxNegative     = 15 * time.Minute // RFC 2308 §5 allows hours; people wait for new names
	failTTL         = 5 * time.Second  // RFC 9520 §3.2
	staleFor        = 24 * time.Hour   // RFC 8767 §5 suggests one to three days
	failEntries     = 4096
	defaultLimit    = 4700 * time.Millisecond // of one question: stubs wait five seconds (resolv.conf(5))
	maxFlights      = 1024                    // questions under way at upstreams, a socket or two each; more are answered SERVFAIL
	deviceFlights   = maxFlights / 2          // of them begun by one device, so that its dead names are not everybody's
)

// Options are what a Resolver is made of. Only Policy is needed.
type Options struct {
	Policy    *policy.Current  // nothing loaded in it means SERVFAIL for everything: fail closed
	Recorder  journal.Recorder // nil means that nobody listens
	Upstreams []string         // in order of preference, see [spec.Parse], or "recursive" alone; empty: only what is known here is answered
	Strategy  string           // see [upstream.Options.Strategy]
	Bootstrap []string         // see [upstream.Options.Bootstrap]
	RootCAs   *x509.CertPool   // for tls and https upstreams; nil means the system's
	RootHints string           // the root's servers in zone file form, for the upstream "recursive"; empty means IANA's
	CertTime  func() time.Time // the time by which their certificates are judged; nil means now
	Dial      upstream.DialFunc

	// SinkAddr gives the sinkhole's address for a name; false when it has none.
	// A name that cannot be sunk has no addresses at all.
	SinkAddr func(name string, v6 bool) (netip.Addr, bool)
	// Local gives the addresses of one of the gateway's own names (canonical),
	// nil for any other name. They are answered before policy is asked.
	Local func(qname string) []netip.Addr
	// Names are the names of the home, answered before policy is asked; they may
	// be replaced at any time. Nil means none.
	Names *local.Current
	// Forward gives upstreams to parts of the tree: "fritz.box" and
	// "178.168.192.in-addr.arpa" to the router. What lies there may be private,
	// and is not validated.
	Forward map[string][]string

	CacheEntries  int           // 0 means 20,000
	CacheFile     string        // keeps what is known over a restart, for its owner's eyes alone (mode 0600); empty means that nothing is kept
	BlockTTL      time.Duration // of made-up answers, 0 means 10 s
	Validation    Validation    // of answers, by DNSSEC
	Anchors       string        // trust anchors of the root in zone file form; empty means IANA's
	Unsigned      []string      // names that count as unsigned, with all below them (RFC 7646)
	MinTTL        time.Duration // raises the TTLs of positive answers; 0 means as they are
	AllowPrivate  []string      // names, with all below them, that may have private addresses
	UpstreamStep  time.Duration // see [upstream.Options.Step]
	UpstreamLimit time.Duration // the longest an upstream question may take, 0 means 4.7 s
	Log           *slog.Logger  // nil means silence
}

// Resolver answers queries. It is safe for concurrent use.
type Resolver struct {
	opt      Options
	judge    func() judge
	log      *slog.Logger
	blockTTL uint32 // seconds

	truth    *cache.Cache
	failures *cache.Cache
	limits   cache.Limits
	group    asker
	parts    []forward // by zone, the deepest first
	names    *memory
	trust    *trust     // nil: nothing is validated
	early    chan early // what is to be fetched before it is asked for
	self     [32]byte   // stands for a device in what is fetched early; no key is like it
	counts   counters

	mu      sync.Mutex
	flights map[cache.Key]*flight
	begun   map[[32]byte]int // flights by the device that began them
	closed  bool
	down    atomic.Bool // no upstream is well, and the journal knows it
}

// judge is what the resolver wants of a policy.
type judge interface {
	Name(d policy.Device, qname string, qtype uint16, now time.Time) policy.Verdict
	Rewrites(d policy.Device, qname string, qtype uint16, now time.Time) []blocklists.Rule
	Flow(f policy.Flow, now time.Time) policy.Verdict
	StripsECH(d policy.Device) bool
}

// asker is what the resolver wants of its upstreams; tests put a small
// internet here.
type asker interface {
	Exchange(ctx context.Context, q upstream.Question) (upstream.Reply, error)
	Status() []upstream.Status
	Close()
}

// New makes a Resolver. It opens no connection: upstreams are tried when they
// are needed. The error names the upstream that cannot be understood.
func New(o Options) (*Resolver, error) {
	r := &Resolver{opt: o, log: o.Log, names: newMemory(), early: make(chan early, maxAhead), self: [32]byte{31: 0xff}, flights: map[cache.Key]*flight{}, begun: map[[32]byte]int{}}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if o.CacheEntries <= 0 {
		o.CacheEntries = defaultEntries
	}
	if o.BlockTTL <= 0 {
		o.BlockTTL = defaultBlockTTL
	}
	r.blockTTL = uint32(o.BlockTTL / time.Second)
	r.truth = cache.New(o.CacheEntries, o.CacheEntries*bytesPerEntry, staleFor)
	r.failures = cache.New(failEntries, failEntries*bytesPerEntry, 0)
	r.limits = cache.Limits{Min: o.MinTTL, Max: maxTTL, Negative: maxNegative, Fail: failTTL}
	r.judge = func() judge {
		if p := o.Policy.Load(); p != nil {
			return p
		}
		return nil
	}
	group, err := r.open(upstream.Options{
		Upstreams: o.Upstreams, Strategy: o.Strategy, Bootstrap: o.Bootstrap, RootCAs: o.RootCAs, CertTime: o.CertTime, Dial: o.Dial,
		Step: o.UpstreamStep, Deadline: o.UpstreamLimit, Log: r.log, Changed: r.upstreamChanged,
	})
	if err != nil {
		return nil, fmt.Errorf("resolver: %w", err)
	}
	r.group = group
	if err := r.forwards(o); err != nil {
		return nil, err
	}
	r.trust, err = r.newTrust(o)
	return r, err
}

// Run fetches what is asked for often before it ends, and keeps what is known
// for the next start, until ctx ends; then it ends every upstream question and
// connection. Queries that come later are answered SERVFAIL.
func (r *Resolver) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { r.keep(ctx) })
	if r.trust != nil {
		r.prime(ctx)
	}
	<-ctx.Done()
	wg.Wait()
	r.mu.Lock()
	r.closed = true
	for _, f := range r.flights {
		f.cancel()
	}
	r.mu.Unlock()
	r.group.Close()
	for _, p := range r.parts {
		p.group.Close()
	}
	return nil
}

// Flush forgets all answers, as after a change of network. Names of flows are
// kept.
func (r *Resolver) Flush() {
	r.truth.Clear()
	r.failures.Clear()
	if r.trust != nil {
		r.trust.chain.Forget()
	}
}

// NameOf tells by which name d last reached a, empty when it never asked.
// exact is always false: an address of the world may have many names.
func (r *Resolver) NameOf(d policy.Device, a netip.Addr) (name string, exact bool) {
	return r.names.find(d.Key, a.Unmap()), false
}

// counters count what Stats tells.
type counters struct {
	queries, fast, cached, stale, proved, ahead, made, blocked, failed, malformed, dropped, bogus, panics atomic.Uint64
}

// Stats counts since the start; Cache and Upstreams are as of now.
type Stats struct {
	Queries   uint64 // everything that came in
	Fast      uint64 // answered from bytes, without being unpacked
	Cached    uint64 // answered from memory
	Stale     uint64 // answered from memory after its time, no upstream having answered
	Proved    uint64 // answered by what was proved about a name's neighbours (RFC 8198)
	Ahead     uint64 // answers fetched before they ended, because they are asked for often
	Made      uint64 // special and local names
	Blocked   uint64 // stopped by policy
	Failed    uint64 // SERVFAIL
	Malformed uint64 // FORMERR, or not a query at all
	Dropped   uint64 // SERVFAIL because too many questions were under way
	Bogus     uint64 // answers that were not what their owners signed
	Panics    uint64 // queries that ended in a recovered panic: a bug, see the log
	InFlight  int    // upstream questions under way
	Cache     cache.Stats
	Upstreams []upstream.Status
}

// Stats gives the counts.
func (r *Resolver) Stats() Stats {
	r.mu.Lock()
	inflight := len(r.flights)
	r.mu.Unlock()
	c := &r.counts
	return Stats{
		Queries: c.queries.Load(), Fast: c.fast.Load(), Cached: c.cached.Load(), Stale: c.stale.Load(), Proved: c.proved.Load(), Ahead: c.ahead.Load(),
		Made: c.made.Load(), Blocked: c.blocked.Load(), Failed: c.failed.Load(), Malformed: c.malformed.Load(),
		Dropped: c.dropped.Load(), Bogus: c.bogus.Load(), Panics: c.panics.Load(), InFlight: inflight,
		Cache: r.truth.Stats(), Upstreams: r.group.Status(),
	}
}

// upstreamChanged tells the owner when the last upstream goes and when the
// first comes back; single ones are in the log.
func (r *Resolver) upstreamChanged(name string, up bool, why string) {
	if up {
		if r.down.CompareAndSwap(true, false) {
			r.notice(journal.Info, "upstream "+name+" answers again")
		}
		return
	}
	if r.group == nil {
		return
	}
	for _, s := range r.group.Status() {
		if s.Up {
			return
		}
	}
	if r.down.CompareAndSwap(false, true) {
		r.notice(journal.Warn, "no upstream answers; names that are not remembered cannot be resolved ("+why+"); check the gateway's internet connection")
	}
}

func (r *Resolver) notice(level journal.Level, text string) {
	if r.opt.Recorder != nil {
		r.opt.Recorder.Record(journal.Notice{Time: time.Now(), Level: level, Room: "resolver", Text: text})
	}
}
