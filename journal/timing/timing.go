// Package timing tests whether traffic follows what a person does, without
// reading any of it.
//
// A person opens pages at moments drawn at random, and the traffic of each
// destination is looked at in a window after each. Because the moments were
// drawn by us, they could as well have been others: the test draws the schedule
// again, many times, by the same rule, and counts how often the traffic that was
// really there would have fitted as well. That share is the p-value. It is exact
// whatever the traffic looks like, regular, bursty or rare, as long as it does
// not follow the schedule (randomisation test: Fisher, The Design of
// Experiments, §21; the one added above and below the line as in Phipson and
// Smyth, Permutation P-values Should Never Be Zero, 2010).
//
// The package is pure. Times are offsets from the begin of the experiment.
package timing

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"
)

// Design is the rule by which moments are drawn.
type Design struct {
	Length time.Duration // of the whole experiment
	Opens  int           // moments
	Gap    time.Duration // between two moments at the least
	Window time.Duration // after each moment that is looked at; at most Gap
}

// Bounds of a design.
const (
	MinOpens = 4   // with fewer, nothing that happens can be told from chance
	MaxOpens = 100 // nobody opens more
)

// Check tells what is wrong with a design. The moments need room to move, or
// every schedule is the same: at least a third of the length.
func (d Design) Check() error {
	switch {
	case d.Opens < MinOpens || d.Opens > MaxOpens:
		return fmt.Errorf("%d opens; %d to %d make sense", d.Opens, MinOpens, MaxOpens)
	case d.Window < time.Second:
		return errors.New("the window is shorter than a second")
	case d.Gap < d.Window:
		return errors.New("the windows overlap: the gap is smaller than the window")
	case d.slack() < d.Length/3:
		return fmt.Errorf("%d opens with %s between them leave no room for chance in %s; take longer", d.Opens, d.Gap, d.Length)
	}
	return nil
}

// slack is how far all moments together can move.
func (d Design) slack() time.Duration {
	return d.Length - d.Window - time.Duration(d.Opens-1)*d.Gap
}

// Draw gives one schedule, in order: every set of moments that keeps the gap is
// as likely as every other. The design must be checked.
func (d Design) Draw(r *rand.Rand) []time.Duration {
	out := make([]time.Duration, d.Opens)
	for i := range out {
		out[i] = time.Duration(r.Int64N(int64(d.slack()) + 1))
	}
	slices.Sort(out)
	for i := range out {
		out[i] += time.Duration(i) * d.Gap
	}
	return out
}

// Event is one thing that a destination had: an upload, or an attempt at one.
type Event struct {
	At    time.Duration
	Bytes int64 // sent by the device; 0 for an attempt of unknown size
}

// Finding is what the test says of one destination.
type Finding struct {
	Name     string
	Events   int     // in the whole experiment
	Bytes    int64   // in the whole experiment
	Hits     int     // moments that were followed by an event within the window
	Chance   float64 // as many would be by chance, on average
	P        float64 // share of schedules that fit as well as the real one
	Adjusted float64 // P after Holm's correction for all destinations that were tested
}

// Test tests every destination. announced are the moments that were drawn and
// opened those at which the person acted; a redrawn moment is followed as late
// as the real one was. rounds schedules are drawn from r; the smallest p-value
// is 1/(rounds+1). The most suspicious destination comes first.
func Test(d Design, announced, opened []time.Duration, traffic map[string][]Event, rounds int, r *rand.Rand) ([]Finding, error) {
	if err := d.Check(); err != nil {
		return nil, fmt.Errorf("timing: %w", err)
	}
	if len(announced) != d.Opens || len(opened) != d.Opens {
		return nil, fmt.Errorf("timing: %d moments drawn and %d acted on; the design has %d", len(announced), len(opened), d.Opens)
	}
	schedules := make([][]time.Duration, rounds)
	for i := range schedules {
		schedules[i] = d.Draw(r)
		for k := range schedules[i] {
			schedules[i][k] += opened[k] - announced[k]
		}
	}
	var out []Finding
	for name, events := range traffic {
		if s := newSeries(events, d); len(s.at) > 0 {
			out = append(out, s.test(name, d, opened, schedules))
		}
	}
	holm(out)
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		return a.P < b.P || a.P == b.P && (a.Events > b.Events || a.Events == b.Events && a.Name < b.Name)
	})
	return out, nil
}

// series is the traffic of one destination, ready to be summed over windows.
type series struct {
	at    []time.Duration // in order
	bytes []int64         // sums of all before
}

// newSeries keeps what lies within the experiment, and the window behind it.
func newSeries(events []Event, d Design) series {
	kept := slices.DeleteFunc(slices.Clone(events), func(e Event) bool { return e.At < 0 || e.At > d.Length+d.Window })
	slices.SortFunc(kept, func(a, b Event) int { return int(min(max(a.At-b.At, -1), 1)) })
	s := series{bytes: []int64{0}}
	for _, e := range kept {
		s.at = append(s.at, e.At)
		s.bytes = append(s.bytes, s.bytes[len(s.bytes)-1]+max(e.Bytes, 0))
	}
	return s
}

func (s series) test(name string, d Design, opened []time.Duration, schedules [][]time.Duration) Finding {
	f := Finding{Name: name, Events: len(s.at), Bytes: s.bytes[len(s.at)]}
	real, hits := s.score(opened, d.Window)
	f.Hits = hits
	asGood, chance := 0, 0
	for _, moments := range schedules {
		score, hits := s.score(moments, d.Window)
		chance += hits
		if score >= real-1e-9 {
			asGood++
		}
	}
	n := len(schedules)
	f.P = float64(asGood+1) / float64(n+1)
	if n > 0 {
		f.Chance = float64(chance) / float64(n)
	}
	return f
}

// score sums over the windows how much was sent in each, by its logarithm: one
// large upload must not outweigh that there was one after every moment.
func (s series) score(moments []time.Duration, window time.Duration) (score float64, hits int) {
	for _, t := range moments {
		from := sort.Search(len(s.at), func(i int) bool { return s.at[i] >= t })
		to := sort.Search(len(s.at), func(i int) bool { return s.at[i] >= t+window })
		if to > from {
			hits++
			score += math.Log2(2 + float64(s.bytes[to]-s.bytes[from]))
		}
	}
	return score, hits
}

// holm sets the adjusted p-values: the chance that any of all the destinations
// looks so by accident stays below them (Holm, A Simple Sequentially Rejective
// Multiple Test Procedure, 1979).
func holm(all []Finding) {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(i, j int) bool { return all[order[i]].P < all[order[j]].P })
	worst := 0.0
	for rank, i := range order {
		worst = max(worst, min(1, float64(len(all)-rank)*all[i].P))
		all[i].Adjusted = worst
	}
}
