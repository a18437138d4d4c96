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

const portDNS = 53

// Flow decides whether a device may open a flow; see the order of precedence in
// the package comment. It does not allocate when the flow's name is ASCII, but as
// [Policy.Name] says.
//
// now is the moment the flow begins: a rule that has an end holds no longer once
// it is past.
func (p *Policy) Flow(f Flow, now time.Time) Verdict {
	dst := f.Dst.Addr().Unmap().WithZone("")
	if !dst.IsValid() || dst.IsUnspecified() {
		return Verdict{Action: Deny, Reason: ReasonNoAddress}
	}
	w := p.of(f.Device)
	s := p.at(w, now)
	if p.sinks(dst) {
		return p.sunk(&f, dst, now)
	}
	if w.reaches(&f, dst) && f.Dst.Port() != portDNS {
		return Verdict{Reason: ReasonLAN}
	}
	if v, ok := port(f.Proto, f.Dst.Port()); ok {
		return v
	}
	v := p.wished(w, s, &f, dst, now)
	if v.Action != Pass {
		if l := s.liftedFor(f.Name); l != nil && l.off {
			return Verdict{Rule: v.Rule, Reason: ReasonPaused}
		}
	}
	return v
}

// wished decides by all that a pause can lift.
func (p *Policy) wished(w *wishes, s *state, f *Flow, dst netip.Addr, now time.Time) Verdict {
	if f.Proto == protoUDP && f.Dst.Port() == 443 && w.QUIC != Pass { // RFC 9114 §3.1
		return Verdict{Action: w.QUIC, Reason: ReasonQUIC}
	}
	h, v := p.listed(w, s, f, dst, now)
	switch {
	case v.Action.Stops():
		return v
	case s.all != "" && !p.owns(&h):
		return Verdict{Action: Deny, Reason: s.all}
	case h.speaks():
		return v
	case len(f.Asked) > 0 || f.HTTPDNS:
		if v, ok := p.asked(f, now); ok {
			return v
		}
	}
	if f.Name == "" {
		return Verdict{Action: w.Literal, Reason: ReasonLiteral}
	}
	return v
}

// asked decides about a flow that asks for names in plain HTTP: a name that the
// gateway would not tell is not told by others either, and none is told by an
// address of which nobody but the app knows.
func (p *Policy) asked(f *Flow, now time.Time) (Verdict, bool) {
	for _, name := range f.Asked {
		if v, _ := p.name(&f.Device, name, typeOf(f.Dst.Addr().Unmap()), now); v.Action.Stops() {
			return Verdict{Action: Deny, Rule: v.Rule, Reason: v.Reason}, true
		}
	}
	return Verdict{Action: Deny, Reason: ReasonHTTPDNS}, f.HTTPDNS
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
func (p *Policy) sunk(f *Flow, dst netip.Addr, now time.Time) Verdict {
	if f.Name != "" {
		if v, _ := p.name(&f.Device, f.Name, typeOf(dst), now); v.Action == Sink {
			return v
		}
	}
	return Verdict{Action: Deny, Reason: ReasonNotSunk}
}

// port decides by protocol and port alone.
func port(proto uint8, port uint16) (Verdict, bool) {
	deny := func(reason string) (Verdict, bool) { return Verdict{Action: Deny, Reason: reason}, true }
	tcp, udp := proto == protoTCP, proto == protoUDP
	switch {
	case !tcp && !udp:
	case port == portDNS: // never forwarded: if it gets here, nobody answered it
		return deny(ReasonDNS)
	case tcp && port == 853: // RFC 7858 §3.1
		return deny(ReasonDoT)
	case udp && (port == 853 || port == 784 || port == 8853): // RFC 9250 §4.1.1; the others are of its drafts
		return deny(ReasonDoQ)
	case tcp && port == 25: // a phone hands mail in on 465 or 587 (RFC 8314 §3.3)
		return deny(ReasonMail)
	case port >= 135 && port <= 139, port == 445:
		return deny(ReasonFileSharing)
	}
	return Verdict{}, false
}

// listed gives what the lists say about the address, or about the name it was
// reached by, and what it means for the flow. Own lists are heard before others,
// and on one level a stop before a pass: a flow must be wanted on both counts.
func (p *Policy) listed(w *wishes, s *state, f *Flow, dst netip.Addr, now time.Time) (heard, Verdict) {
	h := p.askAddr(s, dst, f.Name, now)
	v := p.verdict(w, s, &h)
	if f.Name != "" {
		byName := p.ask(s, query(w, &f.Device, f.Name, typeOf(dst), now))
		if v2 := p.verdict(w, s, &byName); p.weight(&byName, v2.Action) > p.weight(&h, v.Action) {
			h, v = byName, v2
		}
	}
	v.Reply = blocklists.Reply{}
	switch {
	case v.Action == Sink:
		v.Action = Deny
	case v.Action == Rewrite, v.Action == Observe && f.Proto != protoTCP:
		v.Action = Pass // an answer that a rule gave is where the flow goes
	}
	return h, v
}

// weight orders what an address and its name have to say.
func (p *Policy) weight(h *heard, a Action) int {
	n := 0
	switch {
	case !h.spoken:
		return 0
	case h.paused:
		return 1
	case p.own[h.rule.List]:
		n = 2
	}
	if a.Stops() {
		n++
	}
	return n + 2
}
