package form

import (
	"time"

	"nightlatch/dashboard/desk"
)

type (
	// NewRule asks for a rule above every list.
	NewRule struct {
		Does    string `json:"does"` // block, allow, sink or observe
		Name    string `json:"name"` // a name with all below it, =name for it alone, or an address
		Device  string `json:"device,omitempty"`
		Seconds int64  `json:"seconds,omitempty"` // how long; absent or 0 for good
		Why     string `json:"why,omitempty"`
	}
	// NewPause asks that blocking is lifted for a while.
	NewPause struct {
		Device  string `json:"device,omitempty"` // absent: every device
		Seconds int64  `json:"seconds"`          // at most a day
	}
	// Undo names the change that is to be taken back, as [Done] named it.
	Undo struct {
		Command string `json:"command"`
	}
	// Done says what a change did.
	Done struct {
		Said     []string `json:"said"`
		Warnings []string `json:"warnings,omitempty"`
		Command  string   `json:"command,omitempty"` // of undo
	}
	// Rule is one rule that was put above every list.
	Rule struct {
		Number int        `json:"number"`
		Does   string     `json:"does"`
		Name   string     `json:"name"`
		For    string     `json:"for"` // whom it is for, in words
		Until  *time.Time `json:"until,omitempty"`
		Ended  bool       `json:"ended,omitempty"`
		Why    string     `json:"why,omitempty"`
	}
	// Pause is one pause in force.
	Pause struct {
		What   string     `json:"what"` // in words
		Device string     `json:"device,omitempty"`
		Until  *time.Time `json:"until,omitempty"` // absent: until it is ended
	}
	// Standing is what was changed by hand and is in force.
	Standing struct {
		Rules   []Rule  `json:"rules"`
		Pauses  []Pause `json:"pauses"`
		Command string  `json:"command,omitempty"` // the last change, for undo
	}
	// ListHealth is how one list is doing.
	ListHealth struct {
		Name    string     `json:"name"`
		Title   string     `json:"title,omitempty"`
		From    string     `json:"from"`
		Rules   int        `json:"rules"`
		Ignored int        `json:"ignored"`
		Changed *time.Time `json:"changed,omitempty"`
		Success *time.Time `json:"success,omitempty"`
		Problem string     `json:"problem,omitempty"`
	}
	// Fact is a key and a value, both in words.
	Fact struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
)

// moment is nil for a time that is not known.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// DoneOf gives the form of what was done.
func DoneOf(t desk.Told) Done {
	return Done{Said: append([]string{}, t.Said...), Warnings: t.Warnings, Command: t.Command}
}

// StandingOf gives the form of what is in force.
func StandingOf(s desk.Standing) Standing {
	out := Standing{Rules: []Rule{}, Pauses: []Pause{}, Command: s.Command}
	for _, r := range s.Rules {
		out.Rules = append(out.Rules, Rule{r.Number, r.Does, r.Name, r.For, moment(r.Until), r.Ended, r.Why})
	}
	for _, p := range s.Pauses {
		out.Pauses = append(out.Pauses, Pause{p.What, p.Device, moment(p.Until)})
	}
	return out
}

// ListOf gives the form of a list's health.
func ListOf(l desk.List) ListHealth {
	return ListHealth{l.Name, l.Title, l.From, l.Rules, l.Ignored, moment(l.Changed), moment(l.Success), l.Problem}
}

// FactsOf gives the facts of a sheet.
func FactsOf(s desk.Sheet) []Fact {
	out := []Fact{}
	for _, f := range s.Facts {
		out = append(out, Fact{f.Key, f.Value})
	}
	return out
}
