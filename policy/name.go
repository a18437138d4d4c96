package policy

import (
	"time"

	"nightlatch/blocklists"
)

// Name decides whether a device may learn a name: Pass, or Sink, Deny or Drop
// with the rule that says so. An allow that decides is named too. The name may
// have upper-case letters and a final dot; what is no name passes, for the
// resolver to refuse. Name does not allocate for ASCII names.
//
// now is the moment of the question: a rule that has an end holds no longer
// once it is past. At the zero time no rule has ended.
func (p *Policy) Name(d Device, qname string, now time.Time) Verdict {
	w := p.of(d)
	rule, ok := p.ask(w, qname, now)
	if !ok {
		return Verdict{}
	}
	return Verdict{Action: p.action(w, &rule), Rule: rule}
}

// ask gives the rule that decides about a name. Rules that answer in another way
// than to stop it are not for the policy.
func (p *Policy) ask(w *wishes, name string, now time.Time) (blocklists.Rule, bool) {
	return p.set.Ask(blocklists.Query{Name: name, Now: now, NoRewrites: true}, w.in)
}

// action says what a rule does to a name for a device.
func (p *Policy) action(w *wishes, r *blocklists.Rule) Action {
	if r.Allow {
		return Pass
	}
	a := w.Action
	switch r.Action {
	case blocklists.ActionDeny:
		a = Deny
	case blocklists.ActionSink:
		a = Sink
	case blocklists.ActionDrop:
		a = Drop
	}
	if a == Sink && len(p.sink) == 0 {
		return Deny
	}
	return a
}
