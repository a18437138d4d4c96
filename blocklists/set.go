package blocklists

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"nightlatch/blocklists/compiled"
	"nightlatch/blocklists/syntax"
)

// Set is several lists, compiled for questions. It is immutable and safe for
// concurrent use; a change of lists is a new Set.
type Set struct {
	lists  []*List
	infos  []ListInfo
	table  *compiled.Table
	beside beside
	count  int
	marks  []string // of a Set that was opened, by list

	keyed map[string][]*record // patterns by their key; nil when there are none
	loose []*record            // patterns without a key
	asker []*record            // rules about who asks; they have no pattern

	nothing *syntax.Question // what Match knows besides the name
}

// beside is what a Set has besides its table and its lists. It is kept with them.
type beside struct {
	Bits4, Bits6 []uint8           // lengths of the prefixes that occur, the longest first
	Rare         []compiled.Record // rules that no key finds: patterns, and rules about who asks
	Gone         []compiled.Record // rules that a list beside theirs takes back
}

// ListInfo says what a Set took from a list.
type ListInfo struct {
	Name, Title, Owner, About string
	Own                       bool
	Rules                     int // rules in force
	Duplicates                int // rules left out since the same list says the same already
	Crowded                   int // rules left out since the same list has 64 others for the same name
	Report                    Report
}

// Compile makes a Set of lists, in memory; see [Builder] for one that is kept. The
// order of the lists decides between rules that are otherwise equal. The lists are
// not changed, and the Set holds none of their rules: it has its own, without those
// that the lists take back of one another.
func Compile(lists ...*List) *Set {
	b := newBuilder(nil)
	for _, l := range lists {
		b.add(l)
	}
	b.drain()
	b.takeBack()
	t, err := b.w.Memory()
	if err != nil { // of one who writes to memory there is none
		t, _ = compiled.NewWriter(nil).Memory()
	}
	b.set.ready(t, b.infos())
	return b.set
}

// ready puts the rules that no key finds where they are looked for.
func (s *Set) ready(t *compiled.Table, infos []ListInfo) {
	s.table, s.infos, s.nothing = t, infos, &syntax.Question{}
	for _, i := range infos {
		s.count += i.Rules
	}
	for i := range s.beside.Rare {
		r := &record{Record: s.beside.Rare[i]}
		d := s.lists[r.List].detail(r)
		switch {
		case d.pattern == nil:
			s.asker = append(s.asker, r)
		case d.pattern.Key == "":
			s.loose = append(s.loose, r)
		default:
			if s.keyed == nil {
				s.keyed = map[string][]*record{}
			}
			s.keyed[d.pattern.Key] = append(s.keyed[d.pattern.Key], r)
		}
	}
}

// same says whether two rules of one name ask for the same in every case.
func (s *Set) same(a, b *compiled.Record) bool {
	if a.Flags&^flagDetail != b.Flags&^flagDetail {
		return false
	}
	l := s.lists[a.List]
	da, db := l.detail(&record{Record: *a}), l.detail(&record{Record: *b})
	if da != nil && da.limits != nil || db != nil && db.limits != nil {
		return false
	}
	var wa, wb *Rewrite
	if da != nil {
		wa = da.rewrite
	}
	if db != nil {
		wb = db.rewrite
	}
	return wa == wb || wa != nil && wb != nil && *wa == *wb
}

// eachOf gives the rules of one list of a Set that was opened, in their order.
func (s *Set) eachOf(list int) iter.Seq2[int, record] {
	return func(yield func(int, record) bool) {
		var all []record
		for i := range s.beside.Rare {
			if r := &s.beside.Rare[i]; r.List == list {
				all = append(all, record{Record: *r})
			}
		}
		_ = s.table.Scan(func(r *compiled.Record) bool { // damage is told by Damaged
			if r.List == list {
				all = append(all, record{Record: *r})
			}
			return true
		})
		slices.SortFunc(all, func(a, b record) int { return cmp.Compare(a.Order, b.Order) })
		for i, r := range all {
			if !yield(i, r) {
				return
			}
		}
	}
}

// Len gives the number of rules in force.
func (s *Set) Len() int { return s.count }

// Lists tells what the Set is made of, in the order of Compile.
func (s *Set) Lists() []ListInfo { return append([]ListInfo(nil), s.infos...) }

// Damaged gives the damage that was met in the file of a Set while answering; nil
// when there was none. Once there is some, a rule may be missed: the Set should be
// built anew at once.
func (s *Set) Damaged() error {
	if err := s.table.Damaged(); err != nil {
		return fmt.Errorf("blocklists: %w", err)
	}
	return nil
}

// Verify reads all of a Set's file that was not needed yet and says whether it is
// damaged. It may be called while others ask.
func (s *Set) Verify() error {
	_ = s.table.Verify() // the same as Damaged
	return s.Damaged()
}
