package blocklists

import (
	"net/netip"
	"time"

	"nightlatch/blocklists/syntax"
)

// Query is a question to a Set. Only Name is needed. Some imported rules hold
// for certain types, clients or tags only: where the query does not say, they do
// not hold, and rules for all but certain ones do.
type Query struct {
	Name   string     // upper-case letters and a final dot are fine
	Type   uint16     // DNS type (IANA, DNS Parameters); 0 is not known
	Client string     // the owner's name for the device
	Addr   netip.Addr // the device's address
	Tags   []string   // AdGuard's client tags: device_phone, os_android, ...
	Now    time.Time  // the moment of the question; at the zero time no rule has expired

	// NoRewrites leaves aside the rules that answer by themselves in a way other
	// than to stop the name, for whoever cannot answer so; see [Rewrite].
	NoRewrites bool
}

// asked is what is asked. It is kept apart from best, whose contents are handed
// out, so that the compiler can leave it on the stack.
type asked struct {
	in    Selection
	name  []byte // canonical
	more  *syntax.Question
	plain bool // Query.NoRewrites
}

// best is the rule that wins so far.
type best struct {
	rank uint64 // 0: none yet
	candidate
	parts []candidate // rules of the kind first, which are settled at the end
}

// take makes a rule the best one when it is.
func (b *best) take(rank uint64, c *candidate) {
	if rank > b.rank || rank == b.rank && c.ref < b.ref {
		b.rank, b.candidate = rank, *c
	}
}

// Match gives the rule that decides about a name among the selected lists; its
// Allow says how. The name may have upper-case letters and a final dot. A name
// that is none has no rule. Match does not allocate for ASCII names. It is Ask
// with NoRewrites, for a question of which nothing else is known.
func (s *Set) Match(name string, in Selection) (Rule, bool) {
	var buf [maxName]byte
	n, ok := foldAsked(&buf, name)
	if !ok {
		return Rule{}, false
	}
	a := asked{in, buf[:n], s.nothing, true}
	b := s.decide(&a)
	return s.verdict(&b)
}

// Ask is Match for a question of which more is known. The rule it gives may have
// a [Rewrite] unless q says otherwise.
func (s *Set) Ask(q Query, in Selection) (Rule, bool) {
	var buf [maxName]byte
	n, ok := foldAsked(&buf, q.Name)
	if !ok {
		return Rule{}, false
	}
	a := asked{in, buf[:n], q.more(), q.NoRewrites}
	b := s.decide(&a)
	return s.verdict(&b)
}

// foldAsked writes a name that is asked for in canonical form. A name on the
// wire is not checked: characters that no rule has, such as the * of a
// wildcard, are no reason to miss its parents.
func foldAsked(buf *[maxName]byte, name string) (n int, ok bool) {
	if len(name) > 0 && name[len(name)-1] == '.' {
		name = name[:len(name)-1]
	}
	if len(name) == 0 || len(name) > maxName || !lower(buf[:], name) {
		ascii, err := Canonical(name)
		if err != nil || len(ascii) > maxName || !lower(buf[:], ascii) {
			return 0, false
		}
		name = ascii
	}
	return len(name), true
}

// decide finds the rule that wins.
func (s *Set) decide(a *asked) (b best) {
	h, n := s.names.seed, len(a.name)
	for i := n - 1; i >= 0; i-- {
		if a.name[i] == '.' {
			s.probe(&s.names, finish(h), a.name[i+1:], a, &b)
		}
		h = step(h, a.name[i])
	}
	s.probe(&s.names, finish(h), a.name, a, &b)
	if s.keyed != nil {
		s.probePatterns(a, &b)
	}
	if b.parts != nil {
		s.settle(&b)
	}
	if s.asker != nil && !a.plain && a.more.Addr.IsValid() {
		s.probeAskers(a, &b)
	}
	return b
}

// lower copies an ASCII name in lower case; it refuses others.
func lower(dst []byte, name string) bool {
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		} else if c >= 0x80 {
			return false
		}
		dst[i] = c
	}
	return true
}

// MatchAddr is Match for an address, as it stands in an answer or as a flow
// has it. IPv4 in IPv6 is taken as IPv4. The longest prefix is the most specific.
func (s *Set) MatchAddr(a netip.Addr, in Selection) (Rule, bool) {
	return s.AskAddr(a, time.Time{}, in)
}

// AskAddr is MatchAddr at a moment: a rule that has an end holds no longer once
// it is past.
func (s *Set) AskAddr(a netip.Addr, now time.Time, in Selection) (Rule, bool) {
	var key [17]byte
	all := asked{in: in, more: &syntax.Question{Now: now}}
	var b best
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
		s.probe(&s.addrs, finish(h), k, &all, &b)
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
	return s.lists[b.list].rule(&b.rule), true
}

// probe looks at every rule whose name is suffix, a part of the name asked or
// all of it.
func (s *Set) probe(t *table, h uint64, suffix []byte, a *asked, b *best) {
	for i, tag := t.home(h); ; i = t.next(i) {
		k := &t.buckets[i]
		x, y, z := k.find(tag)
		if x|y|z != 0 {
			s.look(k, x, 0, suffix, a, b)
			s.look(k, y, 1, suffix, a, b)
			s.look(k, z, 2, suffix, a, b)
		}
		if !k.goesOn() {
			return
		}
	}
}

// look checks the records that are marked in one word of a bucket.
func (s *Set) look(k *bucket, marks uint64, word int, suffix []byte, a *asked, b *best) {
	for ; marks != 0; marks &= marks - 1 {
		c := candidate{ref: k.refs[lane(word, marks)]}
		c.list = s.listOf(c.ref)
		l := s.lists[c.list]
		c.rule = readRecord(l.records, int(c.ref-s.base[c.list]))
		if c.rule.name == string(suffix) && a.in.has(c.list) && l.covers(&c.rule, a) {
			s.found(b, &c, a)
		}
	}
}

// found weighs a rule that holds.
func (s *Set) found(b *best, c *candidate, a *asked) {
	if c.rule.detail >= 0 {
		switch s.lists[c.list].details[c.rule.detail].kind {
		case local:
			if a.plain {
				return
			}
		case first:
			if !a.plain {
				b.parts = append(b.parts, *c)
			}
			return
		}
	}
	b.take(s.rank(c.list, &c.rule), c)
}

// probePatterns looks at the patterns, first those that can be found by how the
// name ends.
func (s *Set) probePatterns(a *asked, b *best) {
	for i := range a.name {
		if i == 0 || a.name[i-1] == '.' {
			for _, f := range s.keyed[string(a.name[i:])] {
				s.tryPattern(f, a, b)
			}
		}
	}
	for _, f := range s.loose {
		s.tryPattern(f, a, b)
	}
}

func (s *Set) tryPattern(f found, a *asked, b *best) {
	if !a.in.has(f.list) || !f.pattern.Find(a.name) {
		return
	}
	_, r := s.at(f.ref)
	if d := s.lists[f.list].detail(&r); d.limits == nil || d.limits.Hold(a.name, a.more) {
		s.found(b, &candidate{f.ref, f.list, r}, a)
	}
}

// covers says whether a rule whose name is the name asked, or above it, speaks
// about it.
func (l *List) covers(r *record, a *asked) bool {
	switch r.match() {
	case Exact:
		if len(r.name) != len(a.name) {
			return false
		}
	case Below:
		if len(r.name) == len(a.name) || l.shadowed(a.name, len(r.name)) {
			return false
		}
	}
	d := l.detail(r)
	return d == nil || d.limits == nil || d.limits.Hold(a.name, a.more)
}

// What stands above the size of a name in a rank.
const (
	classException = 1 << 32
	classImportant = 2 << 32
	classBoth      = 3 << 32
	classRewrite   = 4 << 32
	classClient    = 5 << 32
)

// level is the part of a rank that a list gives its rules: the overlay above the
// owner's files, both above all others. It is never 0.
func (s *Set) level(list int) uint64 {
	switch l := s.lists[list]; {
	case l.Overlay:
		return 1<<63 | 1
	case l.Own:
		return 1<<62 | 1
	}
	return 1
}

// levelBits are those of a rank that level alone sets.
const levelBits = 3 << 62

// rank orders the rules that speak about one name, as the package comment
// says: own lists, then importance and exceptions, then length, then exact,
// then allow. It is never 0.
func (s *Set) rank(list int, r *record) uint64 {
	rank := s.level(list)
	switch r.flags & (flagException | flagImportant) {
	case flagException | flagImportant:
		rank |= classBoth
	case flagImportant:
		rank |= classImportant
	case flagException:
		rank |= classException
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
