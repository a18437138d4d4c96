package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"nightlatch/blocklists"
)

// Rules are the owner's wishes for a device, or for every device. The zero
// value follows every list, sinks what they block, and lets flows to hard-coded
// addresses pass.
type Rules struct {
	Lists   []string         // short names of the lists to follow; empty means every list of the Set
	Action  Action           // for names whose rule does not say: Sink, Deny or Drop; Pass, the zero value, means Sink
	Literal Action           // for flows to an address the device never asked a name for: Pass, Deny or Drop
	QUIC    Action           // for UDP port 443: Pass; or Deny or Drop, so that apps fall back to TCP, where the name is seen
	Reply   blocklists.Reply // how names are denied whose rule and list do not say; the zero value is NXDOMAIN
	Tags    []string         // AdGuard's client tags of the device: device_phone, os_android, ...
}

// Options is what a Policy is made from. New copies what it keeps.
type Options struct {
	Set     *blocklists.Set  // the lists; nil means none
	Default Rules            // for every device without wishes of its own
	Devices map[string]Rules // by Device.Name; they replace Default as a whole
	Sink    []netip.Prefix   // the sinkhole's ranges; zero prefixes are skipped, and with none left a sink is a deny
}

// Policy is a set of decisions waiting for questions. It is immutable and safe
// for concurrent use.
type Policy struct {
	set      *blocklists.Set
	own      map[string]bool // by list name: the owner's own
	fallback *wishes
	devices  map[string]*wishes
	sink     []netip.Prefix
}

// wishes are Rules made ready for questions.
type wishes struct {
	Rules
	in blocklists.Selection
}

// New checks the options and makes a Policy of them. An error names the device
// and what is wrong with its wishes: a list that does not exist, with the
// nearest name that does, or an action that makes no sense there.
func New(o Options) (*Policy, error) {
	p := &Policy{set: o.Set, own: map[string]bool{}, devices: map[string]*wishes{}}
	if p.set == nil {
		p.set = blocklists.Compile()
	}
	for _, l := range p.set.Lists() {
		p.own[l.Name] = p.own[l.Name] || l.Own
	}
	for _, prefix := range o.Sink {
		if prefix == (netip.Prefix{}) {
			continue
		}
		if !prefix.IsValid() || prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("policy: %v is no range for a sinkhole", prefix)
		}
		p.sink = append(p.sink, prefix.Masked())
	}
	var err error
	if p.fallback, err = p.wishes(o.Default); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Devices)) { // sorted: the same mistake gives the same error
		if p.devices[name], err = p.wishes(o.Devices[name]); err != nil {
			return nil, fmt.Errorf("policy: device %s: %w", name, err)
		}
	}
	return p, nil
}

func (p *Policy) wishes(r Rules) (*wishes, error) {
	if r.Action == Pass {
		r.Action = Sink
	}
	if r.Reply == (blocklists.Reply{}) {
		r.Reply.Kind = blocklists.ReplyNXDomain
	}
	if r.Action > Drop && r.Action != Observe {
		return nil, fmt.Errorf("action %d of blocked names: want sink, deny or drop", r.Action)
	}
	if r.Literal == Sink || r.Literal > Drop {
		return nil, fmt.Errorf("action %v of hard-coded addresses: want pass, deny or drop", r.Literal)
	}
	if r.QUIC == Sink || r.QUIC > Drop {
		return nil, fmt.Errorf("action %v of QUIC: want pass, deny or drop", r.QUIC)
	}
	r.Lists, r.Tags = slices.Clone(r.Lists), slices.Clone(r.Tags)
	in, err := p.set.Select(r.Lists...)
	if err != nil {
		return nil, err
	}
	return &wishes{r, in}, nil
}

// Set gives the lists the Policy was made from.
func (p *Policy) Set() *blocklists.Set { return p.set }

// Rules gives the wishes in force for a device, with defaults filled in, and
// whether they are its own rather than those for every device.
func (p *Policy) Rules(d Device) (r Rules, own bool) {
	_, own = p.devices[d.Name]
	r = p.of(d).Rules
	r.Lists, r.Tags = slices.Clone(r.Lists), slices.Clone(r.Tags)
	return r, own
}

// of gives the wishes for a device, ready for questions.
func (p *Policy) of(d Device) *wishes {
	if w, ok := p.devices[d.Name]; ok {
		return w
	}
	return p.fallback
}
