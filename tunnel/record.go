package tunnel

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/tunnel/bind"
	"nightlatch/tunnel/fold"
	"nightlatch/tunnel/host"
)

// Stats are counters since the start.
type Stats struct {
	Flows     int64 // forwarded, sunk or failed
	Refused   int64 // by the guard or the policy
	Folded    int64 // refusals and pings that share another's journal entry
	DNS       int64 // questions handed to the resolver
	OverLimit int64 // connections, datagrams and questions over a limit
	Slowed    int64 // refusals that were kept back, as the same had come again and again
	Panics    int64 // caught; each is an error in the log

	Arrivals bind.Arrivals // what came to the UDP port, whoever sent it
}

type counters struct{ flows, refused, folded, dns, overLimit, slowed, panics atomic.Int64 }

// Stats tells what the tunnel has done.
func (t *Tunnel) Stats() Stats {
	s := &t.stats
	return Stats{s.flows.Load(), s.refused.Load(), s.folded.Load(), s.dns.Load(), s.overLimit.Load(), s.slowed.Load(), s.panics.Load(), t.bind.Arrivals()}
}

// flow is a [policy.Flow] on its way to the journal.
type flow struct {
	policy.Flow // mu guards what names it
	t           *Tunnel
	peer        *peer
	began       time.Time
	up, down    atomic.Int64
	repeats     int // how often the same was refused before; set by whoever refuses it

	mu       sync.Mutex
	verdict  policy.Verdict
	decided  bool   // the policy was asked
	resolved string // the name the device reached the address by
	known    journal.Known
}

func newFlow(t *Tunnel, p *peer, f policy.Flow) *flow {
	return &flow{Flow: f, t: t, peer: p, began: time.Now()}
}

func (f *flow) event(err error) journal.Flow {
	f.mu.Lock()
	defer f.mu.Unlock()
	return journal.Flow{
		Time: f.began, Device: f.Device.Name, Proto: protoName(f.Proto), Src: f.Src, Dst: f.Dst,
		Name: f.Name, Exact: f.Exact, Known: f.known, Verdict: f.verdict,
		Up: f.up.Load(), Down: f.down.Load(), Took: time.Since(f.began), Err: host.Reason(err),
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
	fresh, full, again := f.peer.refusals.Fold(e, time.Now())
	f.repeats = again
	if fresh {
		f.t.record(e)
		return
	}
	f.t.stats.folded.Add(1)
	if full {
		f.t.notice(journal.Warn, e.Device, "folds", fmt.Sprintf("more than %d different refused destinations in %v; the rest is counted, not listed", fold.Max, fold.Time))
	}
}

func (t *Tunnel) record(e journal.Event) {
	if t.opts.Recorder != nil {
		t.opts.Recorder.Record(e)
	}
}

// notice tells the owner, at most once in ten minutes for each device and kind.
func (t *Tunnel) notice(level journal.Level, device, kind, text string) {
	t.noticeEvery(level, device, kind, text, fold.NoticeEvery)
}

// noticeEvery tells the owner, at most once in a while.
func (t *Tunnel) noticeEvery(level journal.Level, device, kind, text string, every time.Duration) {
	now := time.Now()
	if !t.notices.Due(device, kind, now, every) {
		return
	}
	t.record(journal.Notice{Time: now, Level: level, Room: "tunnel", Device: device, Text: text})
}

// sweep forgets what is idle: UDP flows, folded refusals, phones long gone.
func (t *Tunnel) sweep(now time.Time) {
	for _, p := range t.peers.Load().byKey {
		p.sweepUDP(now, t.limits.UDPIdle)
		for _, e := range p.refusals.Unfold(now) {
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
