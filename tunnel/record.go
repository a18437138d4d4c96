package tunnel

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"nightlatch/journal"
	"nightlatch/policy"
)

// Stats are counters since the start.
type Stats struct {
	Flows     int64 // forwarded, sunk or failed
	Refused   int64 // by the guard or the policy
	Folded    int64 // refusals and pings that share another's journal entry
	DNS       int64 // questions handed to the resolver
	OverLimit int64 // connections, datagrams and questions over a limit
	Panics    int64 // caught; each is an error in the log
}

type counters struct{ flows, refused, folded, dns, overLimit, panics atomic.Int64 }

// Stats tells what the tunnel has done.
func (t *Tunnel) Stats() Stats {
	s := &t.stats
	return Stats{s.flows.Load(), s.refused.Load(), s.folded.Load(), s.dns.Load(), s.overLimit.Load(), s.panics.Load()}
}

// flow is a [policy.Flow] on its way to the journal.
type flow struct {
	policy.Flow // mu guards what names it
	t           *Tunnel
	peer        *peer
	began       time.Time
	up, down    atomic.Int64

	mu      sync.Mutex
	verdict policy.Verdict
	decided bool // the policy was asked
}

func newFlow(t *Tunnel, p *peer, f policy.Flow) *flow {
	return &flow{Flow: f, t: t, peer: p, began: time.Now()}
}

func (f *flow) event(err error) journal.Flow {
	f.mu.Lock()
	defer f.mu.Unlock()
	return journal.Flow{
		Time: f.began, Device: f.Device.Name, Proto: protoName(f.Proto), Src: f.Src, Dst: f.Dst,
		Name: f.Name, Exact: f.Exact, Verdict: f.verdict,
		Up: f.up.Load(), Down: f.down.Load(), Took: time.Since(f.began), Err: reason(err),
	}
}

func protoName(p uint8) string {
	switch p {
	case protoTCP:
		return "tcp"
	case protoUDP:
		return "udp"
	}
	return "icmp"
}

// ended records a flow that was forwarded or sunk.
func (f *flow) ended(err error) {
	f.t.stats.flows.Add(1)
	f.t.record(f.event(err))
}

// failed records a flow that the policy let pass and the network did not;
// apps retry those as fast as refused ones, so they are folded as well.
func (f *flow) failed(err error) {
	f.t.stats.flows.Add(1)
	f.fold(f.event(err))
}

// refused records a flow that the guard or the policy stopped.
func (f *flow) refused() {
	f.t.stats.refused.Add(1)
	f.fold(f.event(nil))
}

func (f *flow) fold(e journal.Flow) {
	fresh, full := f.peer.fold(e, time.Now())
	if fresh {
		f.t.record(e)
		return
	}
	f.t.stats.folded.Add(1)
	if full {
		f.t.notice(journal.Warn, e.Device, "folds", fmt.Sprintf("more than %d different refused destinations in %v; the rest is counted, not listed", maxFolds, foldTime))
	}
}

func (t *Tunnel) record(e journal.Event) {
	if t.opts.Recorder != nil {
		t.opts.Recorder.Record(e)
	}
}

const (
	// foldTime: the same refusal within a minute of the first is only counted, as
	// an app that is refused tries again at once, and again.
	foldTime = time.Minute
	// maxFolds bounds the different refusals remembered for one device.
	maxFolds = 1024
)

// folds remembers what was refused lately; its peer's lock guards it.
type folds map[foldKey]*fold

type foldKey struct {
	proto string
	dst   netip.AddrPort
}

type fold struct {
	first journal.Flow
	until time.Time
	more  int
}

// fold tells whether e is the first of its kind in a while; full means there
// was no room to remember it.
func (p *peer) fold(e journal.Flow, now time.Time) (fresh, full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := foldKey{e.Proto, e.Dst}
	if f, ok := p.folds[k]; ok && now.Before(f.until) {
		f.more++
		return false, false
	}
	if len(p.folds) >= maxFolds {
		return false, true
	}
	if p.folds == nil {
		p.folds = folds{}
	}
	p.folds[k] = &fold{first: e, until: now.Add(foldTime)}
	return true, false
}

// unfold gives the events that stand for the folded ones whose time is over.
func (p *peer) unfold(now time.Time) (out []journal.Flow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, f := range p.folds {
		if now.Before(f.until) {
			continue
		}
		delete(p.folds, k)
		if f.more > 0 {
			e := f.first
			e.Time = now
			e.Err = fmt.Sprintf("%d more times in %v", f.more, foldTime)
			out = append(out, e)
		}
	}
	return out
}

// noticeEvery keeps a limit that is hit all day from filling the journal.
const noticeEvery = 10 * time.Minute

// notices remembers what was told lately; bounded by devices times kinds.
type notices struct {
	mu   sync.Mutex
	last map[[2]string]time.Time
}

// notice tells the owner, at most once in ten minutes for each device and kind.
func (t *Tunnel) notice(level journal.Level, device, kind, text string) {
	now := time.Now()
	k := [2]string{device, kind}
	t.notices.mu.Lock()
	if t.notices.last == nil {
		t.notices.last = map[[2]string]time.Time{}
	}
	last, told := t.notices.last[k]
	if told && now.Sub(last) < noticeEvery {
		t.notices.mu.Unlock()
		return
	}
	t.notices.last[k] = now
	t.notices.mu.Unlock()
	t.record(journal.Notice{Time: now, Level: level, Room: "tunnel", Device: device, Text: text})
}

// sweep forgets what is idle: UDP flows, folded refusals, phones long gone.
func (t *Tunnel) sweep(now time.Time) {
	for _, p := range t.peers.Load().byKey {
		p.sweepUDP(now, t.limits.UDPIdle)
		for _, e := range p.unfold(now) {
			t.record(e)
		}
	}
	t.sweepSilent(now)
}

// sweepSilent ends the flows of phones that have not shaken hands for hours:
// WireGuard does so every two minutes while anything is sent.
func (t *Tunnel) sweepSilent(now time.Time) {
	busy := false
	for _, p := range t.peers.Load().byKey {
		busy = busy || p.countFlows() > 0
	}
	t.mu.Lock()
	due := busy && now.Sub(t.silentAt) > time.Minute
	if due {
		t.silentAt = now
	}
	t.mu.Unlock()
	if !due {
		return
	}
	peers := t.peers.Load()
	for _, s := range t.Peers() {
		if p := peers.byKey[s.Key]; p != nil && !s.LastHandshake.IsZero() && now.Sub(s.LastHandshake) > peerSilence {
			p.endFlows()
		}
	}
}
