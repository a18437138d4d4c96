package policy

import (
	"slices"
	"time"

	"nightlatch/policy/schedule"
)

// Standing is all that a device may and may not do at a moment, for a person to
// read.
type Standing struct {
	Rules     Rules // with defaults filled in
	Own       bool  // they are the device's own
	Lists     []Followed
	Schedules []Hours // in the order of Rules.Schedules
	Pauses    []Pause // in force, the first to end first
	Closed    string  // the reason for which everything is denied; empty when it is not
	Action    Action  // what becomes now of a blocked name whose rule does not say
	Until     time.Time
}

// Followed is a list of the Set as a device has it.
type Followed struct {
	Name    string
	Rules   int    // rules in force
	Own     bool   // the owner's own
	Service bool   // a service that is blocked
	Now     bool   // it is heard at this moment
	Action  Action // what becomes of all it blocks; Pass when nothing is said for the list
}

// Hours is a schedule at a moment.
type Hours struct {
	Schedule Schedule
	Active   bool
	Change   time.Time // when it begins or ends next; the zero time when it does not within a fortnight
}

// Standing tells what holds for a device at a moment. Until is when that may
// change by itself, the zero time when it does not within a fortnight.
func (p *Policy) Standing(d Device, now time.Time) Standing {
	w := p.of(d)
	s := p.at(w, now)
	out := Standing{Rules: w.clone(), Own: w.own, Closed: s.all, Action: s.action, Until: moment(s.until)}
	for _, l := range p.set.Lists() {
		f := Followed{Name: l.Name, Rules: l.Rules, Own: l.Own && !p.service[l.Name], Service: p.service[l.Name], Action: w.ListActions[l.Name]}
		paused := slices.ContainsFunc(s.lifted, func(x lifted) bool { return x.name == "" && (x.off || slices.Contains(x.lists, l.Name)) })
		f.Now = slices.Contains(s.lists, l.Name) && !paused
		if f.Now || paused || slices.Contains(w.always, l.Name) || w.mentions(l.Name) {
			out.Lists = append(out.Lists, f)
		}
	}
	for _, c := range w.Schedules {
		h := Hours{Schedule: c}
		if !now.IsZero() {
			active, change := c.At(now.Unix())
			h.Active, h.Change = active, moment(change)
		}
		out.Schedules = append(out.Schedules, h)
	}
	for _, pause := range w.pauses {
		if !now.IsZero() && pause.Until.Unix() > now.Unix() {
			out.Pauses = append(out.Pauses, pause)
		}
	}
	slices.SortStableFunc(out.Pauses, func(a, b Pause) int { return a.Until.Compare(b.Until) })
	return out
}

// Until tells when what holds for a device may change by itself, since a schedule
// or a pause begins or ends; the zero time when it does not within a fortnight.
func (p *Policy) Until(d Device, now time.Time) time.Time {
	return moment(p.at(p.of(d), now).until)
}

func moment(at schedule.Instant) time.Time {
	if at == schedule.Never {
		return time.Time{}
	}
	return time.Unix(at, 0)
}

// mentions says whether a schedule of the device names a list.
func (w *wishes) mentions(list string) bool {
	return slices.ContainsFunc(w.Schedules, func(s Schedule) bool {
		return slices.Contains(s.Lists, list) || slices.Contains(s.Services, list)
	})
}
