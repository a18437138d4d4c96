package policy

import (
	"net/netip"
	"slices"
	"time"

	"nightlatch/blocklists"
)

// Name decides whether a device may learn a name; see the order of precedence in
// the package comment. An allow that decides is named too. The name may have
// upper-case letters and a final dot; what is no name passes, for the resolver to
// refuse.
//
// qtype is the DNS type asked for (IANA, DNS Parameters). At 0 it is not known:
// rules for certain types do not hold then, and rules for all but certain ones
// do. now is the moment of the question: a rule that has an end holds no longer
// once it is past. At the zero time no rule has ended, and no schedule and no
// pause is in force.
//
// Name does not allocate for ASCII names where no rule of AdGuard's $dnsrewrite
// speaks, but for the first question after a schedule or a pause began or ended.
func (p *Policy) Name(d Device, qname string, qtype uint16, now time.Time) (v Verdict) {
	w := p.of(d)
	s := p.at(w, now)
	if !w.plain || s.all != "" || s.lifted != nil {
		v, _ = p.name(&d, qname, qtype, now)
		return v
	}
	// Nearly every question ends here: a verdict is large, and this way it is written
	// once. TestPlainIsName holds this to name.
	var ok bool
	if v.Rule, ok = p.set.Ask(query(w, &d, qname, qtype, now), s.in); ok {
		p.judge(w, s, &v)
	}
	return v
}

// Rewrites gives the rules whose Rewrite make up the answer to a question for
// which Name gives the action Rewrite, and nil for any other. There are several
// only where each adds one record: a CNAME, an RCODE and a wish for TCP stand
// alone. Asked for a type that none of them has, the answer has no data.
func (p *Policy) Rewrites(d Device, qname string, qtype uint16, now time.Time) []blocklists.Rule {
	v, in := p.name(&d, qname, qtype, now)
	if v.Action != Rewrite {
		return nil
	}
	return p.set.Rewrites(query(p.of(d), &d, qname, qtype, now), in)
}

// name is Name, with the lists that were heard.
func (p *Policy) name(d *Device, qname string, qtype uint16, now time.Time) (Verdict, blocklists.Selection) {
	w := p.of(*d)
	s := p.at(w, now)
	h := p.ask(s, query(w, d, qname, qtype, now))
	v := p.verdict(w, s, &h)
	switch {
	case v.Action.Stops():
	case s.all != "" && !p.owns(&h):
		v = Verdict{Action: Deny, Reason: s.all, Reply: w.Reply}
	case qtype != 0 && slices.Contains(w.RefuseTypes, qtype):
		v = Verdict{Action: Deny, Reason: ReasonType, Reply: blocklists.Reply{Kind: blocklists.ReplyNoData}}
	case w.safe != nil && v.Action != Rewrite:
		rule, ok := p.set.Ask(query(w, d, qname, qtype, now), *w.safe)
		if ok && rule.Rewrite != nil && !rule.Rewrite.Stops() {
			v, h.in = Verdict{Action: Rewrite, Rule: rule}, *w.safe
		}
	}
	if v.Action != Pass && h.off {
		return Verdict{Rule: v.Rule, Reason: ReasonPaused}, h.in
	}
	return v, h.in
}

// owns says whether an own list has spoken.
func (p *Policy) owns(h *heard) bool { return h.speaks() && p.own[h.rule.List] }

// query is a question as the lists are asked it. Rules about the device's
// address are held against the first of its addresses inside the tunnel.
func query(w *wishes, d *Device, qname string, qtype uint16, now time.Time) blocklists.Query {
	q := blocklists.Query{Name: qname, Type: qtype, Client: d.Name, Tags: w.Tags, Now: now}
	if len(d.Addrs) > 0 {
		q.Addr = d.Addrs[0]
	}
	return q
}

// heard is what the lists say.
type heard struct {
	rule   blocklists.Rule
	spoken bool // there is a rule
	paused bool // it is of a list that is paused, and no other has one
	off    bool // a pause covers all of it
	in     blocklists.Selection
}

// ask gives the rule that decides about a name.
func (p *Policy) ask(s *state, q blocklists.Query) heard {
	h := heard{in: s.in}
	h.rule, h.spoken = p.set.Ask(q, s.in)
	if l := s.liftedFor(q.Name); l != nil {
		h.off = l.off
		if h.stoppedBy(l) {
			h.again(l, func() (blocklists.Rule, bool) { return p.set.Ask(q, l.rest) })
		}
	}
	return h
}

// askAddr gives the rule that decides about an address, reached by name or by none.
func (p *Policy) askAddr(s *state, a netip.Addr, name string, now time.Time) heard {
	h := heard{in: s.in}
	h.rule, h.spoken = p.set.AskAddr(a, now, s.in)
	if l := s.liftedFor(name); l != nil && h.stoppedBy(l) {
		h.again(l, func() (blocklists.Rule, bool) { return p.set.AskAddr(a, now, l.rest) })
	}
	return h
}

// speaks says that a rule decides, and none that a pause set aside.
func (h *heard) speaks() bool { return h.spoken && !h.paused }

func (h *heard) stoppedBy(l *lifted) bool {
	return h.spoken && !h.rule.Allow && slices.Contains(l.lists, h.rule.List)
}

// again hears the lists without those that are paused. What these allow holds
// for as long as it has the last word: a pause never stops more than before.
func (h *heard) again(l *lifted, ask func() (blocklists.Rule, bool)) {
	rule, ok := ask()
	h.in = l.rest
	if h.paused = !ok; ok {
		h.rule = rule
	}
}

// verdict is what the lists mean for a device.
func (p *Policy) verdict(w *wishes, s *state, h *heard) Verdict {
	switch {
	case !h.spoken:
		return Verdict{}
	case h.paused:
		return Verdict{Rule: h.rule, Reason: ReasonPaused}
	}
	v := Verdict{Rule: h.rule}
	p.judge(w, s, &v)
	return v
}

// judge says what the rule of a verdict does.
func (p *Policy) judge(w *wishes, s *state, v *Verdict) {
	if v.Action = p.action(w, s, &v.Rule); v.Action == Deny {
		v.Reply = reply(w, &v.Rule)
	}
}

// reply says how a denied name is answered: as the rule says, else its list,
// else the device.
func reply(w *wishes, r *blocklists.Rule) blocklists.Reply {
	if r.Rewrite != nil {
		switch r.Rewrite.Code {
		case rcodeOK:
			return blocklists.Reply{Kind: blocklists.ReplyNoData}
		case rcodeRefused:
			return blocklists.Reply{Kind: blocklists.ReplyRefused}
		}
		return blocklists.Reply{Kind: blocklists.ReplyNXDomain}
	}
	if r.Reply != (blocklists.Reply{}) {
		return r.Reply
	}
	return w.Reply
}

// RCODEs (IANA, DNS Parameters) that have a Reply of their own.
const (
	rcodeOK      = 0
	rcodeRefused = 5
)

// action says what a rule does to a name for a device.
func (p *Policy) action(w *wishes, s *state, r *blocklists.Rule) Action {
	if r.Allow {
		return Pass
	}
	if r.Rewrite != nil && !r.Rewrite.Stops() {
		return Rewrite
	}
	a := p.block(w, s, r)
	if a == Sink && len(p.sink) == 0 {
		return Deny
	}
	return a
}

// block says how a name is stopped: by what the device wants done with the list,
// else by what the rule or its list says, else by the hour, else by the device.
// Whoever says how to refuse a name wants it refused.
func (p *Policy) block(w *wishes, s *state, r *blocklists.Rule) Action {
	if p.service[r.List] {
		return Deny
	}
	if a, ok := w.ListActions[r.List]; ok {
		return a
	}
	switch r.Action {
	case blocklists.ActionDeny:
		return Deny
	case blocklists.ActionSink:
		return Sink
	case blocklists.ActionDrop:
		return Drop
	case blocklists.ActionObserve:
		return Observe
	}
	if r.Reply != (blocklists.Reply{}) || r.Rewrite != nil {
		return Deny
	}
	return s.action
}

// typeOf is the question by which an address of this family was learnt: A or
// AAAA (RFC 1035 §3.2.2, RFC 3596 §2.1).
func typeOf(a netip.Addr) uint16 {
	if a.Is4() {
		return 1
	}
	return 28
}
