// Package card folds captures into what one device told, or would have told,
// one host. It is pure.
package card

import (
	"slices"
	"time"

	"nightlatch/dashboard/row"
	"nightlatch/dashboard/visible"
	"nightlatch/journal"
)

// How much is looked through and shown.
const (
	most       = 6 // cards
	cardValues = 5 // findings on one card
)

// Card is what one device would have told one host.
type Card struct {
	Device, Name, Owner string
	Last                time.Time
	ID                  int64 // the latest capture with a finding
	Captures            int
	Values              []Value
	More                int64 // kinds that did not fit
	Reached             bool  // observed on the way: the host got them

	host string // Name, uncut
}

// Value is one kind of private value, with an example as it was kept: masked.
type Value struct {
	Kind, Value, Confidence string
	Chain                   []string
	Count                   int64
}

// Count counts the values that were caught and the hosts behind them.
func Count(all []journal.FindingSummary) (values, names int64) {
	seen := map[string]bool{}
	for _, l := range all {
		if l.Confidence == "possible" {
			continue
		}
		values += l.Count
		if !seen[l.Name] {
			seen[l.Name] = true
			names++
		}
	}
	return values, names
}

// key tells cards apart: what was kept from a host, and what reached it, are
// never on one.
type key struct {
	device, name string
	reached      bool
}

// Of folds captures, newest first, into one card for each device and host,
// with each kind of value once.
func Of(captures []journal.StoredCapture, sums []journal.FindingSummary) (out []Card, more bool) {
	at := map[key]int{}
	for _, c := range captures {
		found := row.Shown(c.Findings)
		if len(found) == 0 {
			continue
		}
		k := key{c.Device, c.Name, row.Observed(c)}
		i, ok := at[k]
		if !ok {
			if len(out) == most {
				more = true
				continue
			}
			i = len(out)
			at[k] = i
			out = append(out, Card{Device: c.Device, Name: visible.Cut(c.Name, row.LongName), host: c.Name, Last: c.Time, ID: c.ID, Reached: row.Observed(c)})
		}
		out[i].Captures++
		for _, f := range found {
			out[i].add(f)
		}
	}
	for i := range out {
		out[i].finish(sums)
	}
	return out, more
}

// add takes a finding, one for each kind, and keeps the surest.
func (c *Card) add(f journal.StoredFinding) {
	i := slices.IndexFunc(c.Values, func(v Value) bool { return v.Kind == f.Kind })
	v := Value{Kind: f.Kind, Value: visible.Cut(f.Value, 60), Confidence: f.Confidence, Chain: f.Chain, Count: 1}
	switch {
	case i < 0:
		c.Values = append(c.Values, v)
	case f.Confidence == "proved" && c.Values[i].Confidence != "proved":
		v.Count = c.Values[i].Count + 1
		c.Values[i] = v
	default:
		c.Values[i].Count++
	}
}

// finish puts proved values first, takes the day's true counts, and cuts.
func (c *Card) finish(sums []journal.FindingSummary) {
	slices.SortStableFunc(c.Values, func(a, b Value) int { return Sureness(b.Confidence) - Sureness(a.Confidence) })
	for i := range c.Values {
		total := int64(0)
		for _, s := range sums {
			if s.Name == c.host && s.Device == c.Device {
				c.Owner = visible.Cut(s.Owner, 60)
				if s.Kind == c.Values[i].Kind {
					total += s.Count
				}
			}
		}
		c.Values[i].Count = max(c.Values[i].Count, total)
	}
	if over := len(c.Values) - cardValues; over > 0 {
		c.More, c.Values = int64(over), c.Values[:cardValues]
	}
}

// Sureness orders confidences: 2 proved, 1 likely, 0 possible.
func Sureness(confidence string) int {
	switch confidence {
	case "proved":
		return 2
	case "likely":
		return 1
	}
	return 0
}
