package blocklists

import (
	"bytes"
	"fmt"
	"io/fs"
)

// Guard knows the names that no list should stop: connectivity checks, time,
// push, updates, "find my device", certificates, emergency calls. It is
// immutable and safe for concurrent use.
type Guard struct {
	list  *List
	names *Set
}

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
	l, err := parse(Source{Name: neverBlock, Format: Native}, "builtin/"+neverBlock+".yaml", nil, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	return NewGuard(l), nil
}

// NewGuard makes a guard of the allows of a list; its blocks are not looked at.
func NewGuard(l *List) *Guard { return &Guard{l, Compile(l)} }

// Protects says whether name should never be stopped. No allocation.
func (g *Guard) Protects(name string) bool {
	r, ok := g.names.Match(name, Selection{})
	return ok && r.Allow
}

// Crossings gives the rules of a list that stop a never-block name, in the
// order of the never-block names. A list may block the parent of such a name
// when it also allows the name itself; and it may block below a never-block name
// that is exact. For an entry that covers everything below it, a block of any
// name there is a crossing.
func (g *Guard) Crossings(l *List) []Crossing {
	set, zones := Compile(l), g.names
	var out []Crossing
	seen := map[Rule]bool{}
	add := func(r, name Rule) {
		if !r.Allow && !seen[r] {
			seen[r] = true
			out = append(out, Crossing{r, name})
		}
	}
	for name := range g.list.Rules() {
		if !name.Allow {
			continue
		}
		r, ok := set.Match(name.Domain, Selection{})
		if name.Match == Address {
			r, ok = set.MatchAddr(name.Prefix.Addr(), Selection{})
		}
		if ok {
			add(r, name)
		}
	}
	for r := range l.Rules() {
		if r.Allow || r.Domain == "" { // not about one name
			continue
		}
		if name, ok := zones.Match(inside(r), Selection{}); ok && name.Allow && set.stops(r) {
			add(r, name)
		}
	}
	return out
}

// stops says whether a rule has any effect at its own name: no allow of its list
// takes it back.
func (s *Set) stops(r Rule) bool {
	got, ok := s.Match(inside(r), Selection{})
	return ok && !got.Allow
}

// inside is a name that a rule speaks about.
func inside(r Rule) string {
	if r.Match == Below {
		return "any." + r.Domain
	}
	return r.Domain
}
