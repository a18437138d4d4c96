// Package report tells people how the reading of a list went: what was taken, what
// was left out and why, and what the list does that its reader should know.
package report

import (
	"slices"

	"nightlatch/blocklists/syntax"
)

// Report tells how the reading of a list went. A list that was understood only
// in part says so here.
type Report struct {
	Format    syntax.Format // the syntax the list was read in
	Detected  bool          // the format was found out from the content
	BareNames syntax.Match  // what a bare name means in this list
	Gzip      bool          // the list came compressed
	Bytes     int64         // size of the text, decompressed
	Lines     int           // lines read
	Blocks    int           // rules that stop a name or an address
	Allows    int           // rules that let one through
	Addresses int           // how many of both are address rules
	Patterns  int           // how many of both are patterns; they cost more to ask than names
	Clients   int           // how many of both are about who asks, whatever it is
	Rewrites  int           // how many of both answer by themselves, or take back rules that do; Match leaves them aside
	Limited   int           // how many of both hold for some questions only: a type, a client, all but some names
	Cancelled int           // rules of the list that the list itself takes back ($badfilter)
	Included  []string      // native lists: the files it includes, relative to its own
	Ignored   []Group       // what was not used, by reason; the most frequent first
}

// Group is lines of a list with one thing in common: the reason why they were left
// out, or why they do nothing. A line is left out whole: nothing is ever widened.
type Group struct {
	Reason   string
	Count    int
	Examples []Example // the first few
}

// Example is one line that was left out.
type Example struct {
	Line int    // 1-based
	Text string // at most 200 bytes
}

const (
	maxExamples = 3  // examples a reason keeps: enough to see what is meant
	maxReasons  = 64 // reasons a report tells apart; the rest is counted as one
)

// IgnoredLines gives how many lines were left out altogether.
func (r *Report) IgnoredLines() int {
	n := 0
	for _, i := range r.Ignored {
		n += i.Count
	}
	return n
}

// Ignore counts a line that is left out. text must be short and valid UTF-8.
func (r *Report) Ignore(reason string, line int, text string) {
	r.Ignored = Add(r.Ignored, reason, line, text)
}

// Add counts a line in its group, and keeps it as an example when there are few.
func Add(groups []Group, reason string, line int, text string) []Group {
	i := slices.IndexFunc(groups, func(g Group) bool { return g.Reason == reason })
	switch {
	case i >= 0:
	case len(groups) == maxReasons:
		i = maxReasons - 1
		groups[i].Reason = "other reasons"
	default:
		i = len(groups)
		groups = append(groups, Group{Reason: reason})
	}
	g := &groups[i]
	g.Count++
	if len(g.Examples) < maxExamples {
		g.Examples = append(g.Examples, Example{line, text})
	}
	return groups
}

// Sort puts the most frequent reasons first.
func (r *Report) Sort() { Sort(r.Ignored) }

// Sort puts the most frequent groups first.
func Sort(groups []Group) {
	slices.SortStableFunc(groups, func(a, b Group) int { return b.Count - a.Count })
}
