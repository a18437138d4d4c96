package home

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"nightlatch/blocklists"
	"nightlatch/blocklists/syntax"
	"nightlatch/config"
	"nightlatch/config/spell"
	"nightlatch/policy"
	"nightlatch/policy/schedule"
)

// overlayName is the short name of the list that commands write.
const overlayName = "overlay"

var policyActions = map[string]policy.Action{
	"pass": policy.Pass, "sink": policy.Sink, "deny": policy.Deny, "drop": policy.Drop, "observe": policy.Observe,
}

// Policy compiles what the files say into a policy. An error is one line: file,
// line, column, what to do.
func (s *Settings) Policy() (*policy.Policy, error) {
	if err := s.checkNames(); err != nil {
		return nil, err
	}
	opts := policy.Options{
		Set:     s.Lists.Set,
		Always:  []string{overlayName},
		Devices: map[string]policy.Rules{},
		Pauses:  s.pauses(),
		Sink:    []netip.Prefix{s.Config.Sinkhole.Network4, s.Config.Sinkhole.Network6},
	}
	opts.Services, opts.SafeSearch = apart(s.Config)
	var err error
	if opts.Default, err = s.rules(s.Config.WishesOf("")); err != nil {
		return nil, err
	}
	for _, name := range s.Config.Wishing() {
		if opts.Devices[name], err = s.rules(s.Config.WishesOf(name)); err != nil {
			return nil, err
		}
	}
	return policy.New(opts)
}

// rules puts wishes into the words of the policy.
func (s *Settings) rules(w config.Wishes) (policy.Rules, error) {
	r := policy.Rules{
		Lists: w.Lists, Action: policyActions[w.Action], Reply: replyOf(w.Answer), Literal: policyActions[w.Literal], QUIC: policyActions[w.QUIC], StripECH: w.ECH == "strip",
		Tags: w.Tags, Services: serviceLists(w.Services), SafeSearch: safeLists[w.SafeSearch], ListActions: map[string]policy.Action{},
	}
	for _, l := range w.LAN {
		r.LAN = append(r.LAN, policy.Reach{Prefix: l.Prefix, Proto: protocols[l.Proto], From: l.From, To: l.To})
	}
	for list, action := range w.ListActions {
		r.ListActions[list] = policyActions[action]
	}
	for _, word := range w.RefuseTypes {
		code, ok := syntax.AnyType(word)
		if !ok {
			return r, fmt.Errorf("refuse_types: %q is not a DNS type", word) // not reached: checkNames has looked
		}
		r.RefuseTypes = append(r.RefuseTypes, code)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Schedules)) {
		r.Schedules = append(r.Schedules, s.schedule(name, w.Schedules[name]))
	}
	return r, nil
}

// protocols are IANA's numbers.
var protocols = map[string]uint8{"tcp": 6, "udp": 17}

// schedule puts a schedule into the words of the policy.
func (s *Settings) schedule(name string, c config.Schedule) policy.Schedule {
	out := policy.Schedule{Name: name, All: c.Block == "all", Services: serviceLists(c.Services), Lists: c.Lists, Action: policyActions[c.Action]}
	out.Range = schedule.Range{From: int(c.From), To: int(c.To), Zone: s.zoneOf(c)}
	if out.To == 0 {
		out.To = schedule.Day // the midnight that ends the day
	}
	for _, d := range c.Days {
		out.Days |= d.Bits()
	}
	return out
}

// zoneOf gives the clocks by which a schedule goes: its own, the policy's, or
// those of this machine.
func (s *Settings) zoneOf(c config.Schedule) *time.Location {
	switch {
	case c.TimeZone.Location != nil:
		return c.TimeZone.Location
	case s.Config.Policy.TimeZone.Location != nil:
		return s.Config.Policy.TimeZone.Location
	}
	return time.Local
}

// replyOf reads an answer that the config has checked.
func replyOf(a config.Answer) blocklists.Reply {
	if a == "" {
		return blocklists.Reply{}
	}
	r, err := blocklists.ParseReply(string(a))
	if err != nil {
		return blocklists.Reply{} // not reached
	}
	return r
}

// loadPauses reads the pauses made by commands. A broken file keeps the last good
// ones, and is told among what is broken.
func (s *Settings) loadPauses(old []config.Pause) {
	pauses, places, err := config.LoadPauses(s.Home.Path(pausesFile))
	for i := 0; err == nil && i < len(pauses); i++ {
		if p := &pauses[i]; p.Name != "" {
			name, bad := blocklists.Canonical(strings.TrimPrefix(p.Name, "*."))
			if bad != nil {
				err = places.Fail(fmt.Sprintf("pauses[%d].name", i), "pauses[%d].name: %q is not a name", i, p.Name)
			}
			p.Name = name
		}
	}
	if err != nil {
		s.Lists.Broken = append(s.Lists.Broken, Broken{pausesFile, err})
		pauses = old
	}
	s.Pauses = pauses
}

// pauses puts them into the words of the policy.
func (s *Settings) pauses() []policy.Pause {
	var out []policy.Pause
	for _, p := range s.Pauses {
		p.List = s.listOf(p.List)
		out = append(out, policy.Pause(p))
	}
	return out
}

// Device gives the device of that name as the policy knows it; the empty name is
// one without wishes of its own.
func (s *Settings) Device(name string) (policy.Device, error) {
	if name == "" {
		return policy.Device{}, nil
	}
	var known []string
	for _, d := range s.Devices {
		if d.Name == name {
			return PolicyDevice(d), nil
		}
		known = append(known, d.Name)
	}
	return policy.Device{}, fmt.Errorf("there is no device %q%s; nightlatch device list shows them", name, spell.Meant(name, known...))
}

// Zone gives the clocks by which schedules go that name none.
func (s *Settings) Zone() *time.Location { return s.zoneOf(config.Schedule{}) }

// FileOf gives the file in which a rule stands; empty for a rule that comes with
// the program.
func (s *Settings) FileOf(r *blocklists.Rule) string {
	path := s.Lists.Paths[r.List]
	if path == "" || r.File == "" {
		return path
	}
	return filepath.Join(filepath.Dir(path), r.File)
}
