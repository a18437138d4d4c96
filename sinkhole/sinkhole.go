// Package sinkhole stands in for blocked servers. It gives every sunk name an
// address of its own, takes the connections that phones open to it, answers
// like a server that swallowed the data so that SDKs empty their queues, has
// the payload decoded, and records what would have leaked.
//
// HTTP is read on any port; HTTPS only with the owner's own authority ([CA])
// and only for names that are being sunk; everything else is captured as
// bytes, UDP too; QUIC is refused so that its clients come back over TCP. What
// is sunk is never forwarded.
package sinkhole

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"nightlatch/decoder"
	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/sinkhole/authority"
	"nightlatch/sinkhole/pool"
	"nightlatch/sinkhole/reply"
)

// Decoder is what the sinkhole asks of decoder.Decoder. Both methods must be
// safe for concurrent use and must not keep what they are given.
type Decoder interface {
	Decode(raw []byte) decoder.Result
	DecodeRequest(r decoder.Request) decoder.Result
}

// Options say what a sinkhole is made of. Only a prefix is needed.
type Options struct {
	Prefix4, Prefix6 netip.Prefix           // addresses of sunk names, one range at least: 198.18.0.0/15, fd00:.../64
	CA               *CA                    // nil: HTTPS is not read, only its ClientHello; see SetCA
	Exempt           func(name string) bool // hosts that must never be intercepted, even when sunk; nil means none
	Decoder          Decoder                // nil: captures are recorded unread; see SetDecoder
	Replies          *reply.Set             // what is said in place of servers; nil means [reply.Builtin]; see SetReplies
	Recorder         journal.Recorder       // nil: captures are counted and dropped
	Log              *slog.Logger           // troubles; nil discards them
	Now              func() time.Time       // times of events and certificates; nil means time.Now
	KeepSamples      bool                   // captures carry the payload bytes
	Limits           Limits
}

// Limits bound what hostile or broken clients can cost. A zero field means
// its default.
type Limits struct {
	Names    int           // sunk names with an address: 32768; then Addr is false
	Conns    int           // connections at a time: 512, of one device half of them; then new ones are closed
	Hello    time.Duration // first bytes, ClientHello, handshake or request head: 15 s
	Idle     time.Duration // silence between two requests: 60 s
	BodyIdle time.Duration // silence within a payload: 20 s
	Body     time.Duration // one payload: 5 min
	Life     time.Duration // one connection: 1 h
	Sample   int64         // bytes of a payload kept for decoding: 4 MiB
	Drain    int64         // bytes of a payload read at all: 64 MiB; then the connection is closed
	Memory   int64         // bytes of all samples together: 64 MiB; then samples are cut short
	Keep     int64         // bytes of a sample that a capture carries: 1 MiB
	Decoders int           // payloads decoded at a time: one per processor
	Rate     int           // captures per second and device: 200, with bursts of five seconds' worth
	Shape    int           // captures recorded of one kind (device, host, method, path, type) in a minute: 600; more when they prove something
	Fold     time.Duration // identical captures within this time become one: 1 min
}

func (l Limits) withDefaults() Limits {
	def(&l.Conns, 512)
	def(&l.Hello, 15*time.Second)
	def(&l.Idle, time.Minute)
	def(&l.BodyIdle, 20*time.Second)
	def(&l.Body, 5*time.Minute)
	def(&l.Life, time.Hour)
	def(&l.Sample, 4<<20)
	def(&l.Drain, 64<<20)
	def(&l.Memory, 64<<20)
	def(&l.Keep, 1<<20)
	def(&l.Decoders, runtime.GOMAXPROCS(0))
	def(&l.Rate, 200)
	def(&l.Shape, 600)
	def(&l.Fold, time.Minute)
	return l
}

func def[T int | int64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Sinkhole stands in for blocked servers. It is safe for concurrent use.
type Sinkhole struct {
	opt       Options
	limits    Limits
	log       *slog.Logger
	now       func() time.Time
	pool      *pool.Pool
	mint      atomic.Pointer[authority.Mint] // nil without a CA
	decoder   atomic.Pointer[Decoder]        // nil without a decoder
	refusals  *refusals
	folds     *folds
	rates     *rates
	shapes    *shapes
	decoders  chan struct{} // a place each for the payloads being decoded
	memory    atomic.Int64  // bytes of samples held now
	buffers   sync.Pool     // *[]byte of readChunk bytes
	readers   sync.Pool     // *bufio.Reader of headMax bytes
	replies   atomic.Pointer[reply.Set]
	h2        *http.Server
	packets   *rates
	attempts  attempts
	datagrams chan datagram
	conns     atomic.Int64
	taps      atomic.Int64 // observed flows read along with now
	shares    shares
	counts    counts
}

// counts are the running totals behind Stats.
type counts struct {
	accepted, refused, captured, folded, sampled, limited, undecoded, cut, panics, untrusted atomic.Uint64
}

// Stats are running totals since the start, and the present size of things.
type Stats struct {
	Names     int    // names that own an address now
	Full      uint64 // names turned away because the table was full
	Open      int64  // connections open now
	Accepted  uint64 // connections served
	Refused   uint64 // connections closed because too many were open
	Captured  uint64 // captures recorded
	Folded    uint64 // captures that were identical to a recorded one
	Sampled   uint64 // captures left out because there were enough of their kind
	Limited   uint64 // captures left out because the device sent too many
	Undecoded uint64 // captures recorded unread because the decoder was busy
	Cut       uint64 // payloads of which less was kept than arrived
	Untrusted uint64 // TLS connections that ended at our certificate
	Panics    uint64 // faults caught while serving; each is in the log
}

// New checks the options and makes a sinkhole. It starts nothing.
func New(o Options) (*Sinkhole, error) {
	s := &Sinkhole{opt: o, limits: o.Limits.withDefaults(), log: o.Log, now: o.Now}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	var err error
	if s.pool, err = pool.New(pool.Options{Prefix4: o.Prefix4, Prefix6: o.Prefix6, Names: o.Limits.Names, Now: s.now}); err != nil {
		return nil, err
	}
	s.refusals = &refusals{now: s.now, table: map[client]refusal{}}
	s.SetDecoder(o.Decoder)
	if err := s.SetCA(o.CA); err != nil {
		return nil, err
	}
	s.folds = newFolds(s.limits.Fold)
	s.rates = &rates{perSecond: float64(s.limits.Rate), table: map[string]*bucket{}}
	s.shapes = &shapes{most: s.limits.Shape, table: map[uint64]*shape{}}
	s.packets = &rates{perSecond: datagramRate, table: map[string]*bucket{}}
	s.datagrams = make(chan datagram, maxDatagrams)
	s.decoders = make(chan struct{}, s.limits.Decoders)
	if err := s.firstReplies(); err != nil {
		return nil, err
	}
	s.h2 = s.newHTTP2()
	return s, nil
}

// Addr gives the address that belongs to a sunk name alone, stable while the
// name is in use. It is false when the name is not a host name, the family
// has no range, or the table is full.
func (s *Sinkhole) Addr(name string, v6 bool) (netip.Addr, bool) { return s.pool.Addr(name, v6) }

// Name gives the sunk name that owns an address. It fits
// tunnel.Handlers.NameOf, where it is exact.
func (s *Sinkhole) Name(a netip.Addr) (string, bool) { return s.pool.Name(a) }

// Stats gives the totals. Each is exact, together they are of nearly one moment.
func (s *Sinkhole) Stats() Stats {
	c := &s.counts
	return Stats{
		Names: s.pool.Len(), Full: s.pool.Full(), Open: s.conns.Load(),
		Accepted: c.accepted.Load(), Refused: c.refused.Load(), Captured: c.captured.Load(),
		Folded: c.folded.Load(), Sampled: c.sampled.Load(), Limited: c.limited.Load(), Undecoded: c.undecoded.Load(),
		Cut: c.cut.Load(), Untrusted: c.untrusted.Load(), Panics: c.panics.Load(),
	}
}

// Run records datagrams and what was folded, and tells what was left out, until
// ctx ends. Connections are served without it too, but counts of repeats come
// late, and datagrams wait.
func (s *Sinkhole) Run(ctx context.Context) error {
	tick := time.NewTicker(s.limits.Fold / 2)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.sweep(false)
		case d := <-s.datagrams:
			s.takeDatagram(ctx, d)
		case <-ctx.Done():
			s.sweep(true)
			return nil
		}
	}
}

// ServeConn takes over one TCP flow to a sunk address and returns when it has
// ended; the connection is then closed. It ends with ctx. f.Name is the sunk
// name; when it is empty the owner of f.Dst is meant. It fits
// tunnel.Handlers.Sink.
func (s *Sinkhole) ServeConn(ctx context.Context, f policy.Flow, c net.Conn) {
	defer c.Close()
	if s.conns.Add(1) > int64(s.limits.Conns) || !s.shares.take(f.Device.Key, max(1, s.limits.Conns/2)) {
		s.conns.Add(-1)
		s.counts.refused.Add(1)
		return
	}
	defer s.conns.Add(-1)
	defer s.shares.give(f.Device.Key)
	defer s.caught("connection", f.Name)
	s.counts.accepted.Add(1)
	if f.Name == "" {
		f.Name, f.Exact = s.pool.Name(f.Dst.Addr())
	}
	defer s.pool.Hold(f.Name)()
	ctx, cancel := context.WithTimeout(ctx, s.limits.Life)
	defer cancel()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	x := &session{s: s, ctx: ctx, flow: f, scheme: "http", conn: s.newStream(c)}
	defer x.conn.release()
	x.serve()
}

// caught turns a panic into a log line and a count: one hostile payload must
// not end the gateway. It must be deferred directly.
func (s *Sinkhole) caught(what, name string) {
	if r := recover(); r != nil {
		s.counts.panics.Add(1)
		s.log.Error("sinkhole: fault caught", "in", what, "name", name, "fault", fmt.Sprint(r), "stack", string(debug.Stack()))
	}
}

// errCut ends the reading of a payload that is larger than the drain bound.
var errCut = errors.New("payload is larger than the sinkhole reads")
