package policy

import (
	"net/netip"
	"time"

	"nightlatch/blocklists"
)

// Protocol numbers (IANA), as Flow.Proto has them.
const (
	protoTCP = 6
	protoUDP = 17
)

// Flow decides whether a device may open a flow; see the order of precedence in
// the package comment. It does not allocate when the flow's name is ASCII.
//
// now is the moment the flow begins: a rule that has an end holds no longer once
// it is past.
func (p *Policy) Flow(f Flow, now time.Time) Verdict {
	dst := f.Dst.Addr().Unmap().WithZone("")
	if !dst.IsValid() || dst.IsUnspecified() {
		return Verdict{Action: Deny, Reason: ReasonNoAddress}
	}
	w := p.of(f.Device)
	if p.sinks(dst) {
		return p.sunk(w, &f, dst, now)
	}
	if v, ok := port(w, f.Proto, f.Dst.Port()); ok {
		return v
	}
	if v, ok := p.listed(w, &f, dst, now); ok {
		return v
	}
	if f.Name == "" {
		return Verdict{Action: w.Literal, Reason: ReasonLiteral}
	}
	return Verdict{}
}

// sinks says whether an address belongs to the sinkhole.
func (p *Policy) sinks(a netip.Addr) bool {
	for _, prefix := range p.sink {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// sunk decides a flow to a sinkhole address. The device may have learnt it
// under an older policy: what is no longer sunk is refused, so that the app
// asks again and gets the real address.
func (p *Policy) sunk(w *wishes, f *Flow, dst netip.Addr, now time.Time) Verdict {
	if f.Name != "" {
		if rule, ok := p.ask(w, &f.Device, f.Name, typeOf(dst), now); ok && p.action(w, &rule) == Sink {
			return Verdict{Action: Sink, Rule: rule}
		}
	}
	return Verdict{Action: Deny, Reason: ReasonNotSunk}
}

// port decides by protocol and port alone.
func port(w *wishes, proto uint8, port uint16) (Verdict, bool) {
	deny := func(reason string) (Verdict, bool) { return Verdict{Action: Deny, Reason: reason}, true }
	tcp, udp := proto == protoTCP, proto == protoUDP
	switch {
	case !tcp && !udp:
	case port == 53: // never forwarded: if it gets here, nobody answered it
		return deny(ReasonDNS)
	case tcp && port == 853: // RFC 7858 §3.1
		return deny(ReasonDoT)
	case udp && (port == 853 || port == 784 || port == 8853): // RFC 9250 §4.1.1; the others are of its drafts
		return deny(ReasonDoQ)
	case tcp && port == 25: // a phone hands mail in on 465 or 587 (RFC 8314 §3.3)
		return deny(ReasonMail)
	case port >= 135 && port <= 139, port == 445:
		return deny(ReasonFileSharing)
	case udp && port == 443 && w.QUIC != Pass: // RFC 9114 §3.1
		return Verdict{Action: w.QUIC, Reason: ReasonQUIC}, true
	}
	return Verdict{}, false
}

// listed decides by what the lists say about the address and about the name it
// was reached by. Own lists are heard before others, and on one level a block
// before an allow: a flow must be wanted on both counts.
func (p *Policy) listed(w *wishes, f *Flow, dst netip.Addr, now time.Time) (Verdict, bool) {
	rule, found := p.set.AskAddr(dst, now, w.in)
	if f.Name != "" {
		if byName, ok := p.ask(w, &f.Device, f.Name, typeOf(dst), now); ok && (!found || p.weight(&byName) > p.weight(&rule)) {
			rule, found = byName, true
		}
	}
	if !found {
		return Verdict{}, false
	}
	switch p.action(w, &rule) {
	case Pass, Rewrite: // the answer that the rule gave is where the flow goes
		return Verdict{Rule: rule}, true
	case Observe:
		if f.Proto == protoTCP {
			return Verdict{Action: Observe, Rule: rule}, true
		}
		return Verdict{Rule: rule}, true
	case Drop:
		return Verdict{Action: Drop, Rule: rule}, true
	}
	return Verdict{Action: Deny, Rule: rule}, true
}

// weight orders what an address and its name have to say.
func (p *Policy) weight(r *blocklists.Rule) int {
	n := 0
	if p.own[r.List] {
		n = 2
	}
	if !r.Allow {
		n++
	}
	return n
}
