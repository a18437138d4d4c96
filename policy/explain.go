package policy

import (
	"slices"
	"strings"
	"time"

	"nightlatch/blocklists"
)

// Explanation is everything the lists say about a name for a device, for a
// person who asks why.
type Explanation struct {
	Name    string            // the name asked about, in canonical form where it has one
	Verdict Verdict           // what Name gives
	Heard   []blocklists.Rule // what each list the device follows says, one rule a list: the one that decides first, then in the order of the lists
	Unheard []blocklists.Rule // what the other lists would say
	Pauses  []Pause           // those that cover the name and all lists, or one that speaks; the first to end first
	Hours   []Hours           // the schedules in force, and when they end
}

// Explain tells why a device may or may not learn a name. It asks every list by
// itself, so it is not for the hot path.
func (p *Policy) Explain(d Device, qname string, qtype uint16, now time.Time) Explanation {
	e := Explanation{Name: strings.ToLower(strings.TrimSuffix(qname, ".")), Verdict: p.Name(d, qname, qtype, now)}
	if name, err := blocklists.Canonical(qname); err == nil {
		e.Name = name
	}
	w := p.of(d)
	s := p.at(w, now)
	at := p.Standing(d, now)
	for _, h := range at.Schedules {
		if h.Active {
			e.Hours = append(e.Hours, h)
		}
	}
	asked := map[string]bool{}
	for _, l := range p.set.Lists() {
		rule, ok := p.says(l.Name, query(w, &d, qname, qtype, now))
		switch {
		case asked[l.Name] || !ok:
		case !slices.Contains(s.lists, l.Name):
			e.Unheard = append(e.Unheard, rule)
		case rule == e.Verdict.Rule:
			e.Heard = slices.Insert(e.Heard, 0, rule)
		default:
			e.Heard = append(e.Heard, rule)
		}
		asked[l.Name] = true
	}
	for _, pause := range at.Pauses {
		concerns := func(r blocklists.Rule) bool { return r.List == pause.List }
		if covers(pause.Name, e.Name) && (pause.List == "" || slices.ContainsFunc(e.Heard, concerns)) {
			e.Pauses = append(e.Pauses, pause)
		}
	}
	return e
}

// says gives the rule by which one list speaks about a name.
func (p *Policy) says(list string, q blocklists.Query) (blocklists.Rule, bool) {
	in, err := p.set.Select(list)
	if err != nil {
		return blocklists.Rule{}, false // not reached: the list is one of the Set
	}
	return p.set.Ask(q, in)
}
