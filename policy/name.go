package policy

import (
	"net/netip"
	"time"

	"nightlatch/blocklists"
)

// Name decides whether a device may learn a name: Pass or Observe, or Sink, Deny
// or Drop with the rule that says so, or Rewrite with a rule that answers by
// itself. An allow that decides is named too. The name may have upper-case
// letters and a final dot; what is no name passes, for the resolver to refuse.
//
// qtype is the DNS type asked for (IANA, DNS Parameters). At 0 it is not known:
// rules for certain types do not hold then, and rules for all but certain ones
// do. now is the moment of the question: a rule that has an end holds no longer
// once it is past. At the zero time no rule has ended.
//
// Name does not allocate for ASCII names where no rule of AdGuard's $dnsrewrite
// speaks.
func (p *Policy) Name(d Device, qname string, qtype uint16, now time.Time) Verdict {
	w := p.of(d)
	rule, ok := p.ask(w, &d, qname, qtype, now)
	if !ok {
		return Verdict{}
	}
	return p.verdict(w, rule)
}

// Rewrites gives the rules whose Rewrite make up the answer to a question for
// which Name gives the action Rewrite, and nil for any other. There are several
// only where each adds one record: a CNAME, an RCODE and a wish for TCP stand
// alone. Asked for a type that none of them has, the answer has no data.
func (p *Policy) Rewrites(d Device, qname string, qtype uint16, now time.Time) []blocklists.Rule {
	w := p.of(d)
	if rule, ok := p.ask(w, &d, qname, qtype, now); !ok || p.action(w, &rule) != Rewrite {
		return nil
	}
	return p.set.Rewrites(query(w, &d, qname, qtype, now), w.in)
}

// query is a question as the lists are asked it. Rules about the device's
// address are held against the first of its addresses inside the tunnel.
func query(w *wishes, d *Device, qname string, qtype uint16, now time.Time) blocklists.Query {
	q := blocklists.Query{Name: qname, Type: qtype, Client: d.Name, Tags: w.Tags, Now: now}
	if len(d.Addrs) > 0 {
		q.Addr = d.Addrs[0]
	}
	return q
}

// ask gives the rule that decides about a name.
func (p *Policy) ask(w *wishes, d *Device, qname string, qtype uint16, now time.Time) (blocklists.Rule, bool) {
	return p.set.Ask(query(w, d, qname, qtype, now), w.in)
}

// verdict is what a rule means for a device.
func (p *Policy) verdict(w *wishes, rule blocklists.Rule) Verdict {
	v := Verdict{Action: p.action(w, &rule), Rule: rule}
	if v.Action == Deny {
		v.Reply = reply(w, &v.Rule)
	}
	return v
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
func (p *Policy) action(w *wishes, r *blocklists.Rule) Action {
	a := w.Action
	switch r.Action {
	case blocklists.ActionDeny:
		a = Deny
	case blocklists.ActionSink:
		a = Sink
	case blocklists.ActionDrop:
		a = Drop
	case blocklists.ActionObserve:
		a = Observe
	default:
		if r.Reply != (blocklists.Reply{}) {
			a = Deny // whoever says how to refuse a name wants it refused
		}
	}
	switch {
	case r.Allow:
		return Pass
	case r.Rewrite != nil && !r.Rewrite.Stops():
		return Rewrite
	case r.Rewrite != nil && a == Sink, r.Rewrite != nil && a == Observe:
		return Deny // the rule says how it is to be refused
	case a == Sink && len(p.sink) == 0:
		return Deny
	}
	return a
}

// typeOf is the question by which an address of this family was learnt: A or
// AAAA (RFC 1035 §3.2.2, RFC 3596 §2.1).
func typeOf(a netip.Addr) uint16 {
	if a.Is4() {
		return 1
	}
	return 28
}
