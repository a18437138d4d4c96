package blocklists

import (
	"math/rand/v2"
	"net/netip"
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
}

// ListInfo says what a Set took from a list.
type ListInfo struct {
	Name, Title, Owner, About string
	Own                       bool
	Rules                     int // rules in force
	Duplicates                int // rules left out since the same list says the same already
	Report                    Report
}

// Compile makes a Set of lists. Their order decides between rules that are
// otherwise equal. The lists stay shared with the Set and are not copied. Lists
// whose records would pass 4 GiB together are left out and told in their
// [ListInfo], with Rules 0; no real collection comes near.
func Compile(lists ...*List) *Set {
	s := &Set{base: []uint32{0}}
	names, addrs, total := 0, 0, uint64(0)
	for _, l := range lists {
		info := ListInfo{Name: l.Name, Title: l.Title, Owner: l.Owner, About: l.About, Own: l.Own, Report: l.Report}
		if total+uint64(len(l.records)) >= 1<<32-1 {
			l = &List{Name: l.Name, Own: l.Own}
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

// insert puts every rule of one list into the tables.
func (s *Set) insert(i int, have4, have6 *[129]bool) {
	records := s.lists[i].records
	for at := 0; at < len(records); {
		r := readRecord(records, at)
		t := &s.names
		if r.match() == Address {
			t = &s.addrs
			if p := keyPrefix(r.name); p.Addr().Is4() {
				have4[p.Bits()] = true
			} else {
				have6[p.Bits()] = true
			}
		}
		if s.put(t, i, s.base[i]+uint32(at), r) {
			s.infos[i].Rules++
		} else {
			s.infos[i].Duplicates++
		}
		at = r.end
	}
}

// put gives a record its slot, unless its list has said the same before.
func (s *Set) put(t *table, list int, ref uint32, r record) bool {
	h := t.hash(r.name)
	i := t.home(h)
	for ; t.slots[i] != 0; i = t.next(i) {
		if t.slots[i]>>32 != h>>32 {
			continue
		}
		if l, old := s.at(uint32(t.slots[i]) - 1); l == list && old.name == r.name && old.flags&^flagDetail == r.flags&^flagDetail {
			return false
		}
	}
	t.slots[i] = h>>32<<32 | uint64(ref+1)
	word, mask := t.bit(h)
	t.filter[word] |= mask
	return true
}

// at finds a record and its list by position.
func (s *Set) at(ref uint32) (int, record) {
	lo, hi := 0, len(s.lists)-1
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if s.base[mid] <= ref {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo, readRecord(s.lists[lo].records, int(ref-s.base[lo]))
}

// Len gives the number of rules in force.
func (s *Set) Len() int { return s.count }

// Lists tells what the Set is made of, in the order of Compile.
func (s *Set) Lists() []ListInfo { return append([]ListInfo(nil), s.infos...) }

// best is the rule that wins so far.
type best struct {
	rank uint64 // 0: none yet
	ref  uint32
	list int
	rule record
}

// Match gives the rule that decides about a name among the selected lists; its
// Allow says how. The name may have upper-case letters and a final dot. A name
// that is none has no rule. Match does not allocate for ASCII names.
func (s *Set) Match(name string, in Selection) (Rule, bool) {
	if len(name) > 0 && name[len(name)-1] == '.' {
		name = name[:len(name)-1]
	}
	if len(name) == 0 || len(name) > maxName {
		return s.matchUnicode(name, in)
	}
	var buf [maxName]byte
	var b best
	h, n := s.names.seed, len(name)
	for i := n - 1; i >= 0; i-- {
		c := name[i]
		switch {
		case c == '.':
			s.probe(&s.names, finish(h), buf[i+1:n], false, in, &b)
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c >= 0x80:
			return s.matchUnicode(name, in)
		}
		buf[i] = c
		h = step(h, c)
	}
	s.probe(&s.names, finish(h), buf[:n], true, in, &b)
	return s.verdict(&b)
}

// matchUnicode asks again with the A-labels of a name. A name on the wire is
// not checked further: characters that no rule has, such as the * of a
// wildcard, are no reason not to look at its parents.
func (s *Set) matchUnicode(name string, in Selection) (Rule, bool) {
	ascii, err := Canonical(name)
	if err != nil || ascii == name {
		return Rule{}, false
	}
	return s.Match(ascii, in)
}

// MatchAddr is Match for an address, as it stands in an answer or as a flow
// has it. IPv4 in IPv6 is taken as IPv4. The longest prefix is the most specific.
func (s *Set) MatchAddr(a netip.Addr, in Selection) (Rule, bool) {
	var b best
	var key [17]byte
	a = a.Unmap().WithZone("")
	lens := s.bits6
	if a.Is4() {
		lens = s.bits4
	}
	for _, bits := range lens {
		p, err := a.Prefix(int(bits))
		if err != nil {
			return Rule{}, false // not an address at all
		}
		k := rawKey(&key, p)
		h := s.addrs.seed
		for i := len(k) - 1; i >= 0; i-- {
			h = step(h, k[i])
		}
		s.probe(&s.addrs, finish(h), k, true, in, &b)
	}
	return s.verdict(&b)
}

// rawKey is prefixKey without a slice that could move to the heap.
func rawKey(key *[17]byte, p netip.Prefix) []byte {
	if p.Addr().Is4() {
		a := p.Addr().As4()
		copy(key[:], a[:])
		key[4] = byte(p.Bits())
		return key[:5]
	}
	a := p.Addr().As16()
	copy(key[:], a[:])
	key[16] = byte(p.Bits())
	return key[:]
}

func (s *Set) verdict(b *best) (Rule, bool) {
	if b.rank == 0 {
		return Rule{}, false
	}
	return s.lists[b.list].rule(b.rule), true
}

// probe looks at every rule for one suffix of a name; whole says that the
// suffix is the name itself.
func (s *Set) probe(t *table, h uint64, suffix []byte, whole bool, in Selection, b *best) {
	if t.absent(h) {
		return
	}
	for i := t.home(h); t.slots[i] != 0; i = t.next(i) {
		if t.slots[i]>>32 != h>>32 {
			continue
		}
		ref := uint32(t.slots[i]) - 1
		list, r := s.at(ref)
		if r.name != string(suffix) || !covers(r.match(), whole) || !in.has(list) {
			continue
		}
		rank := s.rank(list, r)
		if rank > b.rank || rank == b.rank && ref < b.ref {
			*b = best{rank, ref, list, r}
		}
	}
}

func covers(m Match, whole bool) bool {
	switch m {
	case Exact:
		return whole
	case Below:
		return !whole
	}
	return true
}

// rank orders the rules that speak about one name, as the package comment
// says: own lists, then importance and exceptions, then length, then exact,
// then allow. It is never 0.
func (s *Set) rank(list int, r record) uint64 {
	rank := uint64(1)
	if s.lists[list].Own {
		rank |= 1 << 63
	}
	switch r.flags & (flagException | flagImportant) {
	case flagException | flagImportant:
		rank |= 3 << 32
	case flagImportant:
		rank |= 2 << 32
	case flagException:
		rank |= 1 << 32
	}
	size := len(r.name)
	if r.match() == Address {
		size = int(r.name[size-1]) // the length of the prefix
	}
	rank |= uint64(size) << 8
	if r.match() == Exact {
		rank |= 4
	}
	if r.allow() {
		rank |= 2
	}
	return rank
}
