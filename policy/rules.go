package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"nightlatch/blocklists"
	"nightlatch/config/spell"
	"nightlatch/policy/schedule"
)

// Rules are the owner's wishes for a device, or for every device. The zero
// value follows every list, sinks what they block, and lets flows to hard-coded
// addresses pass.
type Rules struct {
	Lists       []string          // short names of the lists to follow; empty means every list of the Set, but for services and lists that a schedule names
	Action      Action            // for names whose rule does not say: Sink, Deny, Drop or Observe; Pass, the zero value, means Sink
	ListActions map[string]Action // for all that a list blocks, whatever it says itself: Sink, Deny, Drop or Observe
	Reply       blocklists.Reply  // how names are denied whose rule and list do not say; the zero value is NXDOMAIN
	Literal     Action            // for flows to an address the device never asked a name for: Pass, Deny or Drop
	LAN         []Reach           // what of the home network, and of other private networks, the device may reach
	QUIC        Action            // for UDP port 443: Pass; or Deny or Drop, so that apps fall back to TCP, where the name is seen
	StripECH    bool              // answers come without keys for Encrypted ClientHello, so that names are seen in TLS too
	Tags        []string          // AdGuard's client tags of the device: device_phone, os_android, ...
	Services    []string          // services to block, by the names of their lists
	SafeSearch  string            // the list by which search engines and video sites answer with their safe selves; empty means none
	RefuseTypes []uint16          // DNS types that are answered without data, whatever the name
	Schedules   []Schedule        // what holds at certain hours; at most [MaxSchedules]
}

// MaxSchedules bounds the schedules of one device. More would not fit a screen.
const MaxSchedules = 32

// Schedule is what holds for a device at certain hours, on top of what always
// does. Of several in force that name an action the first counts.
type Schedule struct {
	Name string
	schedule.Range
	All      bool     // every name and address is denied that no own list allows
	Services []string // services blocked meanwhile
	Lists    []string // lists followed meanwhile
	Action   Action   // for blocked names meanwhile, as Rules.Action; Pass leaves that
}

// Pause lifts what the lists say until a moment. What is empty is everything.
type Pause struct {
	Device string    // by Device.Name
	List   string    // what this list blocks; without it also what services, schedules and the device's own wishes stop
	Name   string    // this name and all below it, in canonical form
	Until  time.Time // it ends at this second
	Why    string
}

// Options is what a Policy is made from. New copies what it keeps.
type Options struct {
	Set        *blocklists.Set  // the lists; nil means none
	Default    Rules            // for every device without wishes of its own
	Devices    map[string]Rules // by Device.Name; they replace Default as a whole
	Always     []string         // lists of the Set that every device follows, whatever Rules.Lists says: the overlay; none that is not there
	Services   []string         // lists of the Set that are services: heard only where they are blocked
	SafeSearch []string         // lists of the Set with answers of safe search: heard only where a device has them
	Pauses     []Pause          // those of lists that do not exist do nothing
	Sink       []netip.Prefix   // the sinkhole's ranges; zero prefixes are skipped, and with none left a sink is a deny
}

// Policy is a set of decisions waiting for questions. It is immutable but for
// what it remembers of the last moment it was asked about, and safe for
// concurrent use.
type Policy struct {
	set      *blocklists.Set
	own      map[string]bool // by list name: the owner's own
	service  map[string]bool // by list name: a service
	every    []string        // lists that every device follows
	ordinary []string        // lists that are no services and not safe search, in the order of the Set
	safe     map[string]blocklists.Selection
	fallback *wishes
	devices  map[string]*wishes
	sink     []netip.Prefix
}

// New checks the options and makes a Policy of them. An error names the device
// and what is wrong with its wishes: a list or a service that does not exist,
// with the nearest name that does, an action that makes no sense there, hours
// that are none.
func New(o Options) (*Policy, error) {
	p := &Policy{set: o.Set, own: map[string]bool{}, service: map[string]bool{}, devices: map[string]*wishes{}, safe: map[string]blocklists.Selection{}}
	if p.set == nil {
		p.set = blocklists.Compile()
	}
	for _, name := range o.Services {
		p.service[name] = true
	}
	for _, l := range p.set.Lists() {
		p.own[l.Name] = p.own[l.Name] || l.Own
		if slices.Contains(o.Always, l.Name) {
			p.every = append(p.every, l.Name)
		}
		if !p.service[l.Name] && !slices.Contains(o.SafeSearch, l.Name) && !slices.Contains(p.ordinary, l.Name) {
			p.ordinary = append(p.ordinary, l.Name)
		}
	}
	if err := p.apart(&o); err != nil {
		return nil, err
	}
	var err error
	if p.fallback, err = p.wishes("", o.Default, o.Pauses); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Devices)) { // sorted: the same mistake gives the same error
		if p.devices[name], err = p.wishes(name, o.Devices[name], o.Pauses); err != nil {
			return nil, fmt.Errorf("policy: device %s: %w", name, err)
		}
		p.devices[name].own = true
	}
	for _, pause := range o.Pauses {
		if p.devices[pause.Device] == nil && pause.Device != "" {
			p.devices[pause.Device], _ = p.wishes(pause.Device, o.Default, o.Pauses) // checked above
		}
	}
	return p, nil
}

// apart takes what stands beside the ordinary lists: safe search, sinkhole.
func (p *Policy) apart(o *Options) error {
	for _, name := range o.SafeSearch {
		in, err := p.set.Select(name)
		if err != nil {
			return fmt.Errorf("policy: safe search: %w", err)
		}
		p.safe[name] = in
	}
	for _, prefix := range o.Sink {
		if prefix == (netip.Prefix{}) {
			continue
		}
		if !prefix.IsValid() || prefix.Addr().Is4In6() {
			return fmt.Errorf("policy: %v is no range for a sinkhole", prefix)
		}
		p.sink = append(p.sink, prefix.Masked())
	}
	return nil
}

// check fills in the defaults of Rules, and says what makes no sense in them.
func (p *Policy) check(r *Rules) error {
	if r.Action == Pass {
		r.Action = Sink
	}
	if r.Reply == (blocklists.Reply{}) {
		r.Reply.Kind = blocklists.ReplyNXDomain
	}
	if !r.Action.blocks() {
		return fmt.Errorf("%v is nothing to do with blocked names: want sink, deny, drop or observe", r.Action)
	}
	if r.Literal != Pass && r.Literal != Deny && r.Literal != Drop {
		return fmt.Errorf("%v is nothing to do with hard-coded addresses: want pass, deny or drop", r.Literal)
	}
	if r.QUIC != Pass && r.QUIC != Deny && r.QUIC != Drop {
		return fmt.Errorf("%v is nothing to do with QUIC: want pass, deny or drop", r.QUIC)
	}
	for _, reach := range r.LAN {
		if err := reach.check(); err != nil {
			return err
		}
	}
	if _, ok := p.safe[r.SafeSearch]; r.SafeSearch != "" && !ok {
		return fmt.Errorf("%q has no answers of safe search", r.SafeSearch)
	}
	for name, a := range r.ListActions {
		if !a.blocks() {
			return fmt.Errorf("%v is nothing to do with what list %s blocks: want sink, deny, drop or observe", a, name)
		}
	}
	if err := p.known(slices.Concat(r.Lists, slices.Sorted(maps.Keys(r.ListActions))), r.Services); err != nil {
		return err
	}
	if len(r.Schedules) > MaxSchedules {
		return fmt.Errorf("%d schedules; at most %d are kept", len(r.Schedules), MaxSchedules)
	}
	for _, s := range r.Schedules {
		if err := p.checkSchedule(&s); err != nil {
			return fmt.Errorf("schedule %s: %w", s.Name, err)
		}
	}
	return nil
}

func (p *Policy) checkSchedule(s *Schedule) error {
	if err := s.Check(); err != nil {
		return err
	}
	if s.Action != Pass && !s.Action.blocks() {
		return fmt.Errorf("%v is nothing to do with blocked names: want sink, deny, drop or observe", s.Action)
	}
	return p.known(s.Lists, s.Services)
}

// known holds that lists and services exist.
func (p *Policy) known(lists, services []string) error {
	for _, name := range lists {
		if !slices.Contains(p.ordinary, name) {
			return fmt.Errorf("no list is called %q%s", clip(name), spell.Meant(name, p.ordinary...))
		}
	}
	for _, name := range services {
		if !p.service[name] {
			return fmt.Errorf("no service is called %q%s", clip(name), spell.Meant(name, slices.Sorted(maps.Keys(p.service))...))
		}
	}
	return nil
}

// clip shortens a word for an error.
func clip(s string) string { return s[:min(len(s), 80)] }

// blocks says whether an action can be what becomes of a blocked name.
func (a Action) blocks() bool { return a.Stops() || a == Observe }

// Set gives the lists the Policy was made from.
func (p *Policy) Set() *blocklists.Set { return p.set }

// Rules gives the wishes in force for a device, with defaults filled in, and
// whether they are its own rather than those for every device.
func (p *Policy) Rules(d Device) (r Rules, own bool) {
	w := p.of(d)
	return w.clone(), w.own
}

// of gives the wishes for a device, ready for questions.
func (p *Policy) of(d Device) *wishes {
	if w, ok := p.devices[d.Name]; ok {
		return w
	}
	return p.fallback
}
