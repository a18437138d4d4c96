package blocklists

import (
	"fmt"
	"strings"
	"time"

	"nightlatch/blocklists/report"
)

// Inspection is what a list does that its reader should know. It costs a pass over
// all rules, so it is made when somebody asks.
type Inspection struct {
	Duplicates int        // rules that say again what the list says already
	Crowded    int        // rules left out since the list has 64 others for the same name
	Useless    []Ignored  // rules that change nothing or can never match, by reason; the most frequent first
	Crossings  []Crossing // names it stops that should never be stopped
	OwnHost    *Rule      // the rule that stops the host the list comes from; nil when none does
}

const (
	uselessPast  = "its end (until:) is past"
	uselessNone  = "no name can match it"
	uselessFirst = "another rule of the list always comes first"
	uselessWider = "a wider rule of the list says the same"
)

// Inspect looks at a list. host is the name of the server it comes from, "" when it
// comes from none; now is the moment for rules that have an end. g may be nil.
func Inspect(l *List, g *Guard, host string, now time.Time) Inspection {
	set := Compile(l)
	info := set.Lists()[0]
	out := Inspection{Duplicates: info.Duplicates, Crowded: info.Crowded}
	for _, r := range l.each() {
		if why := set.useless(l, &r, now); why != "" {
			out.Useless = report.Add(out.Useless, why, int(r.Line), r.Text)
		}
	}
	report.Sort(out.Useless)
	if g != nil {
		out.Crossings = g.Crossings(l)
	}
	if r, ok := set.Match(host, Selection{}); ok && host != "" && !r.Allow {
		out.OwnHost = &r
	}
	return out
}

// useless says why a rule of the set's one list does nothing; "" when it does.
// Rules that hold for some questions only are left alone.
func (s *Set) useless(l *List, r *record, now time.Time) string {
	if d := l.detail(r); d != nil {
		switch {
		case d.limits != nil && d.limits.Until.Past(now):
			return uselessPast
		case d.pattern != nil && d.pattern.Impossible():
			return uselessNone
		case d.pattern != nil, d.limits != nil, d.rewrite != nil, d.client.IsValid():
			return ""
		}
	}
	if r.match() == Address || strings.Contains(r.Text, "$") {
		return ""
	}
	probe := r.Key
	if r.match() != Exact {
		probe = unlikely + r.Key
	}
	got, ok := s.Match(probe, Selection{})
	if ok && got.Line != int(r.Line) && !(got.Domain == r.Key && got.Match == r.match() && got.Allow == r.allow()) { // the same again is a duplicate
		return uselessFirst
	}
	rule := l.rule(r)
	says := func(name string) bool {
		got, ok := s.Match(unlikely+name, Selection{})
		return ok && got.Allow == rule.Allow && got.Action == rule.Action && got.Reply == rule.Reply && (got.Domain != r.Key || got.Match == Subtree)
	}
	if _, above, _ := strings.Cut(r.Key, "."); above != "" && says(above) || rule.Match == Exact && says(r.Key) {
		return uselessWider
	}
	return ""
}

// unlikely stands for any name below another, one that no list has.
const unlikely = "nightlatch-any-name."

// Words tells an inspection in lines for a person; none when there is nothing to tell.
func (i *Inspection) Words() []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if i.Duplicates > 0 {
		add("%d rules stand twice or more", i.Duplicates)
	}
	if i.Crowded > 0 {
		add("%d rules are left out: their names have 64 others", i.Crowded)
	}
	if len(i.Useless) > 0 {
		out = append(out, report.Tell("rules that do nothing", i.Useless)...)
	}
	for _, c := range i.Crossings {
		add("stops %s, which should never be stopped (%s): line %d, %s", c.Name.Text, c.Name.Why, c.Rule.Line, c.Rule.Text)
	}
	if i.OwnHost != nil {
		add("stops the server it comes from: line %d, %s", i.OwnHost.Line, i.OwnHost.Text)
	}
	return out
}
