// Package thread puts a device's events together as people tell them: it asked
// for a name, it connected there, it sent something. It is pure.
package thread

import (
	"slices"
	"time"

	"nightlatch/dashboard/row"
	"nightlatch/journal"
)

// Within is how far apart two events of one name may lie and be one thread:
// phones ask for A, AAAA and HTTPS at once, connect, and send.
const Within = time.Minute

// Thread is what happened around one name in a short time, oldest step first.
type Thread struct {
	Name  string // the name or address; empty for notices
	Steps []row.Row
	First time.Time
	Last  time.Time
	Tone  string // the gravest of its steps
	More  int    // steps that were left out
}

const maxSteps = 8 // of one thread

// Of makes threads of events, both newest first, most at most.
func Of(events []journal.StoredEvent, most int) []Thread {
	var out []Thread
	open := map[string]int{}
	for _, e := range events {
		r, ok := row.Of(e)
		if !ok {
			continue
		}
		key := r.Kind
		if key != journal.KindNotice {
			key = "name " + r.Name
		}
		i, known := open[key]
		if !known || out[i].First.Sub(r.At) > Within || key == journal.KindNotice {
			if len(out) == most {
				break
			}
			i = len(out)
			open[key] = i
			out = append(out, Thread{Name: r.Name, Last: r.At})
		}
		out[i].First = r.At
		out[i].add(r)
	}
	for i := range out {
		slices.Reverse(out[i].Steps)
	}
	return out
}

// add takes a step; equal ones in a row are told once.
func (t *Thread) add(r row.Row) {
	if grave(r.Tone) > grave(t.Tone) {
		t.Tone = r.Tone
	}
	same := slices.ContainsFunc(t.Steps, func(s row.Row) bool {
		return s.Kind == r.Kind && s.More == r.More && s.Outcome == r.Outcome
	})
	switch {
	case same:
	case len(t.Steps) >= maxSteps:
		t.More++
	default:
		t.Steps = append(t.Steps, r)
	}
}

// grave orders tones: what matters most to a person is highest.
func grave(tone string) int {
	return slices.Index([]string{"", "note", "pass", "fail", "stop", "leak"}, tone)
}
