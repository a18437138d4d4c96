package tunnel

import (
	"context"
	"fmt"
	"time"

	"nightlatch/journal"
	"nightlatch/policy"
)

// rejudgeEvery is how late a schedule or the end of a pause may reach flows
// that are open.
const rejudgeEvery = time.Minute

// policyChange is why a flow ended that was open when its verdict changed.
type policyChange struct{ verdict policy.Verdict }

func (c policyChange) Error() string { return "ended by a change of policy (" + why(c.verdict) + ")" }

// why says in a word or two what made a verdict.
func why(v policy.Verdict) string {
	switch {
	case v.Rule.List == "":
		return v.Reason
	case v.Rule.Line > 0:
		return fmt.Sprintf("%s:%d", v.Rule.List, v.Rule.Line)
	}
	return v.Rule.List
}

// Rejudge asks the policy in force about every flow that is open, by the name
// it is known by, and ends those that are no longer allowed: TCP with a RST,
// UDP by forgetting it. The rest does not notice. Call it after the policy was
// replaced; Run does so every minute by itself, because of schedules.
func (t *Tunnel) Rejudge() {
	now := time.Now()
	for _, p := range t.peers.Load().byKey {
		for _, o := range p.openTCP() {
			if cause := o.flow.again(now); cause != nil {
				o.end(cause)
			}
		}
		for _, m := range p.mappings() {
			for _, uf := range m.all() {
				if cause := uf.again(now); cause != nil {
					m.forget(uf.Dst, cause)
				}
			}
		}
	}
}

// judged names the flow and decides about it, once, when it begins. The lock is
// held meanwhile: whoever replaces the policy and then comes to judge again
// finds the flow either decided, or not yet asked about.
func (f *flow) judged(now time.Time) policy.Verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.t.name(&f.Flow)
	f.resolved = f.Name
	if f.Exact {
		f.known = journal.KnownExact
	}
	f.verdict, f.decided = f.t.judge(&f.Flow, now), true
	return f.verdict
}

// again decides about an open flow once more; not nil: it must end, because of
// that. A flow that goes to the sinkhole may go on while it would be sunk again.
func (f *flow) again(now time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.decided {
		return nil
	}
	v := f.t.judge(&f.Flow, now)
	if !v.Action.Stops() && f.resolved != f.Name { // a stop of either of its names
		by := f.Flow
		by.Name = f.resolved
		v = f.t.judge(&by, now)
	}
	if !v.Action.Stops() || v.Action == f.verdict.Action {
		return nil
	}
	return policyChange{v}
}

// openFlow is a TCP flow that can be ended with a reason.
type openFlow struct {
	flow *flow
	end  context.CancelCauseFunc
}

func (p *peer) openTCP() (out []openFlow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for m := range p.members {
		if m.open.flow != nil {
			out = append(out, m.open)
		}
	}
	return out
}

func (p *peer) mappings() (out []*mapping) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.udp {
		out = append(out, m)
	}
	return out
}

func (m *mapping) all() (out []*udpFlow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, uf := range m.flows {
		out = append(out, uf)
	}
	return out
}
