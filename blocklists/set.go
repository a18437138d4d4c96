package blocklists

import (
	"math/rand/v2"

	"nightlatch/blocklists/syntax"
)

// Set is several lists, compiled for questions. It is immutable and safe for
// concurrent use; a change of lists is a new Set.
type Set struct {
	lists []*List
	infos []ListInfo
	base  []uint32 // position of each list's records among all of them, and the total
	names table
	addrs table
	bits4 []uint8 // lengths of the IPv4 prefixes that occur, the longest first
	bits6 []uint8
	count int

	keyed map[string][]found // patterns by their key; nil when there are none
	loose []found            // patterns without a key
	asker []found            // rules about who asks; they have no pattern

	nothing *syntax.Question // what Match knows besides the name
}

// found is a pattern of the Set.
type found struct {
	pattern *syntax.Pattern
	list    int
	ref     uint32
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

// Compile makes a Set of lists. Their order decides between rules that are
// otherwise equal. The lists stay shared with the Set and are not copied. A list
// whose records would take all of them past 4 GiB is left out and told in its
// [ListInfo], with Rules 0; no real collection comes near.
func Compile(lists ...*List) *Set {
	s := &Set{base: []uint32{0}, nothing: &syntax.Question{}}
	names, addrs, total := 0, 0, uint64(0)
	for _, l := range lists {
		info := ListInfo{Name: l.Name, Title: l.Title, Owner: l.Owner, About: l.About, Own: l.Own, Report: l.Report}
		if total+uint64(len(l.records)) >= 1<<32-1 {
			l = &List{Name: l.Name, Own: l.Own, Overlay: l.Overlay}
		}
		total += uint64(len(l.records))
		names, addrs = names+l.count-l.Report.Addresses, addrs+l.Report.Addresses
		s.lists, s.infos, s.base = append(s.lists, l), append(s.infos, info), append(s.base, uint32(total))
	}
	seed := rand.Uint64()
	s.names, s.addrs = newTable(max(names, 0), seed), newTable(max(addrs, 0), seed)
	var have4, have6 [129]bool
	for i := range s.lists {
		s.insert(i, &have4, &have6)
		s.count += s.infos[i].Rules
	}
	s.bits4, s.bits6 = lengths(&have4), lengths(&have6)
	return s
}

func lengths(have *[129]bool) []uint8 {
	var out []uint8
	for n := 128; n >= 0; n-- {
		if have[n] {
			out = append(out, uint8(n))
		}
	}
	return out
}

// insert puts every rule of one list where it can be found.
func (s *Set) insert(i int, have4, have6 *[129]bool) {
	l := s.lists[i]
	for at, r := range l.each() {
		ref := s.base[i] + uint32(at)
		if d := l.detail(&r); d != nil && (d.pattern != nil || d.client.IsValid()) {
			s.insertPattern(found{d.pattern, i, ref})
			s.infos[i].Rules++
			continue
		}
		t := &s.names
		if r.match() == Address {
			t = &s.addrs
			if p := keyPrefix(r.name); p.Addr().Is4() {
				have4[p.Bits()] = true
			} else {
				have6[p.Bits()] = true
			}
		}
		s.put(t, i, ref, &r)
	}
}

func (s *Set) insertPattern(f found) {
	if f.pattern == nil {
		s.asker = append(s.asker, f)
		return
	}
	if s.keyed == nil {
		s.keyed = map[string][]found{}
	}
	if f.pattern.Key == "" {
		s.loose = append(s.loose, f)
	} else {
		s.keyed[f.pattern.Key] = append(s.keyed[f.pattern.Key], f)
	}
}

// maxSame is how many rules for one name a list may have, when limits make them
// differ. All of them are looked at for a question about that name.
const maxSame = 64

// put gives a record its slot, unless its list has said the same before.
func (s *Set) put(t *table, list int, ref uint32, r *record) {
	info, same := &s.infos[list], 0
	h := t.hash(r.name)
	for ref := range t.each(h) {
		l, old := s.at(ref)
		if l != list || old.name != r.name {
			continue
		}
		if s.lists[list].same(&old, r) {
			info.Duplicates++
			return
		}
		if same++; same == maxSame {
			info.Crowded++
			return
		}
	}
	t.add(h, ref)
	info.Rules++
}

// same says whether two records of one name ask for the same in every case.
func (l *List) same(a, b *record) bool {
	if a.flags&^flagDetail != b.flags&^flagDetail {
		return false
	}
	da, db := l.detail(a), l.detail(b)
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

// at finds a record and its list by position.
func (s *Set) at(ref uint32) (int, record) {
	list := s.listOf(ref)
	return list, readRecord(s.lists[list].records, int(ref-s.base[list]))
}

func (s *Set) listOf(ref uint32) int {
	lo, hi := 0, len(s.lists)-1
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if s.base[mid] <= ref {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo
}

// Len gives the number of rules in force.
func (s *Set) Len() int { return s.count }

// Lists tells what the Set is made of, in the order of Compile.
func (s *Set) Lists() []ListInfo { return append([]ListInfo(nil), s.infos...) }
