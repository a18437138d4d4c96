package blocklists

import (
	"bytes"
	"fmt"
	"io/fs"
)

// Guard knows the names that no list should stop: connectivity checks, time,
// push, updates, "find my device", certificates, emergency calls. It is
// immutable and safe for concurrent use.
type Guard struct{ list *List }

// Crossing is a rule that stops a name which should never be stopped.
type Crossing struct {
	Rule Rule // the block
	Name Rule // the never-block entry it crosses: Domain, and Why it matters
}

// NeverBlock gives the built-in guard.
func NeverBlock() (*Guard, error) {
	text, err := fs.ReadFile(builtin, "builtin/"+neverBlock+".yaml")
	if err != nil {
		return nil, fmt.Errorf("blocklists: the built-in never-block names: %w", err)
	}
	l, err := parse(Source{Name: neverBlock, Format: Native}, "builtin/"+neverBlock+".yaml", bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	return NewGuard(l), nil
}

// NewGuard makes a guard of the allows of a list; its blocks are not looked at.
func NewGuard(l *List) *Guard { return &Guard{l} }

// Crossings gives the rules of a list that stop a never-block name, in the
// order of the never-block names. A list may block the parent of such a name
// when it also allows the name itself; and it may block below a never-block name
// that is exact. For an entry that covers everything below it, a block of any
// name there is a crossing.
func (g *Guard) Crossings(l *List) []Crossing {
	set := Compile(l)
	var out []Crossing
	seen := map[int]bool{} // by line: one rule is told once
	add := func(r, name Rule) {
		if !seen[r.Line] {
			seen[r.Line] = true
			out = append(out, Crossing{r, name})
		}
	}
	zones := Compile(g.list)
	for name := range g.list.Rules() {
		if !name.Allow || name.Match == Address {
			continue
		}
		if r, ok := set.Match(name.Domain, Selection{}); ok && !r.Allow {
			add(r, name)
		}
	}
	for r := range l.Rules() {
		if r.Allow || r.Match == Address {
			continue
		}
		name, ok := zones.Match(r.Domain, Selection{})
		if ok && name.Allow && set.stops(r) {
			add(r, name)
		}
	}
	return out
}

// stops says whether a rule has any effect at its own name: no allow of its list
// takes it back.
func (s *Set) stops(r Rule) bool {
	probe := r.Domain
	if r.Match == Below {
		probe = "any." + probe
	}
	got, ok := s.Match(probe, Selection{})
	return ok && !got.Allow
}
