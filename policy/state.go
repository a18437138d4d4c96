package policy

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"nightlatch/blocklists"
	"nightlatch/policy/schedule"
)

// wishes are Rules made ready for questions.
type wishes struct {
	Rules
	own    bool     // of the device, not those for every one
	always []string // lists followed at every hour, services among them
	pauses []Pause  // those for this device
	still  *state   // without schedules and pauses
	safe   *blocklists.Selection
	plain  bool // there are no wishes but about what lists say

	// last is the state at the moment of the last question, so that the next one,
	// which is nearly always about the same stretch of time, needs not find it again.
	// It changes no answer.
	last atomic.Pointer[state]
}

// state is what holds for a device in a stretch of time in which no schedule and
// no pause begins or ends.
type state struct {
	from, until schedule.Instant // until is excluded
	lists       []string
	in          blocklists.Selection // lists
	all         string               // the reason for which everything is denied; empty when it is not
	action      Action               // for blocked names whose rule does not say
	lifted      []lifted             // by pauses; the longest name first
}

// lifted is what pauses lift for a name and all below it.
type lifted struct {
	name  string               // empty: for every name, and what has none
	off   bool                 // everything
	lists []string             // else what these block
	rest  blocklists.Selection // the lists that are followed without them
}

// wishes checks Rules and makes them ready.
func (p *Policy) wishes(device string, r Rules, pauses []Pause) (*wishes, error) {
	if err := p.check(&r); err != nil {
		return nil, err
	}
	w := &wishes{Rules: r.clone()}
	w.always = w.Lists
	if len(w.Lists) == 0 { // all but those that wait for their hours
		w.always = slices.DeleteFunc(slices.Clone(p.ordinary), func(l string) bool {
			return slices.ContainsFunc(w.Schedules, func(s Schedule) bool { return slices.Contains(s.Lists, l) })
		})
	}
	w.always = slices.Concat(w.always, p.every, w.Services)
	for _, pause := range pauses {
		if pause.Device == "" || pause.Device == device {
			pause.Name = strings.ToLower(strings.TrimSuffix(pause.Name, "."))
			w.pauses = append(w.pauses, pause)
		}
	}
	if in, ok := p.safe[w.SafeSearch]; ok {
		w.safe = &in
	}
	w.plain = w.safe == nil && len(w.RefuseTypes) == 0
	w.still = &state{from: math.MinInt64, until: schedule.Never, lists: w.always, in: p.pick(w.always), action: w.Action}
	return w, nil
}

func (r Rules) clone() Rules {
	r.Lists, r.Services, r.Tags, r.RefuseTypes = slices.Clone(r.Lists), slices.Clone(r.Services), slices.Clone(r.Tags), slices.Clone(r.RefuseTypes)
	r.LAN = slices.Clone(r.LAN)
	r.ListActions, r.Schedules = maps.Clone(r.ListActions), slices.Clone(r.Schedules)
	for i, s := range r.Schedules {
		r.Schedules[i].Lists, r.Schedules[i].Services = slices.Clone(s.Lists), slices.Clone(s.Services)
	}
	return r
}

// pick is Select for names that are known to exist; none give none.
func (p *Policy) pick(names []string) blocklists.Selection {
	if len(names) == 0 {
		return p.set.SelectNone()
	}
	in, err := p.set.Select(names...)
	if err != nil {
		return p.set.SelectNone() // not reached: New has checked them
	}
	return in
}

// at gives the state at a moment. At the zero time no schedule and no pause is
// in force.
func (p *Policy) at(w *wishes, now time.Time) *state {
	if len(w.Schedules)+len(w.pauses) == 0 || now.IsZero() {
		return w.still
	}
	at := now.Unix()
	if s := w.last.Load(); s != nil && s.from <= at && at < s.until {
		return s
	}
	s := p.work(w, at)
	w.last.Store(s)
	return s
}

// work finds the state at a moment. It holds from then on, until the first
// schedule or pause begins or ends.
func (p *Policy) work(w *wishes, at schedule.Instant) *state {
	s := &state{from: at, until: schedule.Never, lists: w.always, in: w.still.in, action: w.Action}
	chosen := false
	for i := range w.Schedules {
		c := &w.Schedules[i]
		active, change := c.At(at)
		s.until = min(s.until, change)
		if !active {
			continue
		}
		for _, name := range slices.Concat(c.Lists, c.Services) {
			if !slices.Contains(s.lists, name) {
				s.lists = append(slices.Clip(s.lists), name)
			}
		}
		if c.All && s.all == "" {
			s.all = ReasonSchedule + c.Name
		}
		if c.Action != Pass && !chosen {
			s.action, chosen = c.Action, true
		}
	}
	s.in = p.pick(s.lists)
	s.lift(p, w.pauses, at)
	return s
}

// lift takes the pauses in force into the state.
func (s *state) lift(p *Policy, pauses []Pause, at schedule.Instant) {
	var now []Pause
	for _, pause := range pauses {
		if pause.Until.Unix() > at {
			now = append(now, pause)
			s.until = min(s.until, pause.Until.Unix())
		}
	}
	for _, pause := range now {
		if slices.ContainsFunc(s.lifted, func(l lifted) bool { return l.name == pause.Name }) {
			continue
		}
		l := lifted{name: pause.Name} // with all that is lifted for the names above it
		for _, o := range now {
			switch {
			case !covers(o.Name, pause.Name):
			case o.List == "":
				l.off = true
			default:
				l.lists = append(l.lists, o.List)
			}
		}
		l.rest = p.pick(slices.DeleteFunc(slices.Clone(s.lists), func(list string) bool { return slices.Contains(l.lists, list) }))
		s.lifted = append(s.lifted, l)
	}
	slices.SortStableFunc(s.lifted, func(a, b lifted) int { return cmp.Compare(len(b.name), len(a.name)) })
}

// liftedFor gives what is lifted for a name; nil when nothing is.
func (s *state) liftedFor(name string) *lifted {
	for i := range s.lifted {
		if covers(s.lifted[i].name, name) {
			return &s.lifted[i]
		}
	}
	return nil
}

// covers says whether a name is another or lies below it; the empty one is above
// all. name may have upper-case letters and a final dot.
func covers(above, name string) bool {
	name = strings.TrimSuffix(name, ".")
	n := len(name) - len(above)
	return above == "" || n >= 0 && strings.EqualFold(name[n:], above) && (n == 0 || name[n-1] == '.')
}
