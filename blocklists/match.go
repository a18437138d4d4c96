package blocklists

import (
	"net/netip"
	"runtime"
	"time"

	"nightlatch/blocklists/compiled"
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
	rank  uint64 // 0: none yet
	rule  record
	parts []record // rules of the kind first, which are settled at the end
}

// take makes a rule the best one when it is.
func (b *best) take(rank uint64, r *record) {
	if rank > b.rank || rank == b.rank && r.Before(&b.rule.Record) {
		b.rank, b.rule = rank, *r
	}
}

// Match gives the rule that decides about a name among the selected lists; its
// Allow says how. The name may have upper-case letters and a final dot. A name
// that is none has no rule. Match does not allocate for ASCII names. It is Ask
// with NoRewrites, for a question of which nothing else is known.
func (s *Set) Match(name string, in Selection) (rule Rule, ok bool) {
	q, ok := compiled.NewName(name)
	if !ok {
		var buf [compiled.MaxName + 1]byte
		folded, ok := fold(&buf, name)
		if !ok {
			return rule, false
		}
		q, _ = compiled.NewName(folded)
	}
	a := asked{in, q.Bytes(), s.nothing, true}
	var b best
	s.decide(&q, &a, &b)
	return rule, s.verdict(&b, &rule)
}

// Ask is Match for a question of which more is known. The rule it gives may have
// a [Rewrite] unless q says otherwise.
func (s *Set) Ask(q Query, in Selection) (rule Rule, ok bool) {
	name, ok := compiled.NewName(q.Name)
	if !ok {
		var buf [compiled.MaxName + 1]byte
		folded, ok := fold(&buf, q.Name)
		if !ok {
			return rule, false
		}
		name, _ = compiled.NewName(folded)
	}
	a := asked{in, name.Bytes(), q.more(), q.NoRewrites}
	var b best
	s.decide(&name, &a, &b)
	return rule, s.verdict(&b, &rule)
}

// fold gives a name that is asked for in canonical form, when it is not yet. A
// name on the wire is not checked: characters that no rule has, such as the * of a
// wildcard, are no reason to miss its parents.
func fold(buf *[compiled.MaxName + 1]byte, name string) (string, bool) {
	if len(name) == 0 || name == "." {
		return "", false
	}
	if lower, ok := compiled.Lower(buf, name); ok {
		return lower, true
	}
	ascii, err := Canonical(name)
	return ascii, err == nil
}

// decide finds the rule that wins.
func (s *Set) decide(q *compiled.Name, a *asked, b *best) {
	var w compiled.Walk
	s.table.Begin(q, &w)
	for s.table.Next(q, &w) {
		s.look(&w.Find, w.Suffix(q), a, b)
	}
	runtime.KeepAlive(s.table)
	if s.keyed != nil || s.loose != nil {
		s.probePatterns(a, b)
	}
	if b.parts != nil {
		s.settle(b)
	}
	if s.asker != nil && !a.plain && a.more.Addr.IsValid() {
		s.probeAskers(a, b)
	}
}

// look weighs the rules whose key is suffix, a part of the name asked or all of it.
func (s *Set) look(f *compiled.Find, suffix []byte, a *asked, b *best) {
	var r record
	for s.table.Rule(f, suffix, false, &r.Record) {
		if a.in.has(r.List) && s.lists[r.List].covers(&r, a) {
			s.found(b, &r, a)
		}
	}
}

// MatchAddr is Match for an address, as it stands in an answer or as a flow
// has it. IPv4 in IPv6 is taken as IPv4. The longest prefix is the most specific.
func (s *Set) MatchAddr(a netip.Addr, in Selection) (Rule, bool) {
	return s.AskAddr(a, time.Time{}, in)
}

// AskAddr is MatchAddr at a moment: a rule that has an end holds no longer once
// it is past.
func (s *Set) AskAddr(addr netip.Addr, now time.Time, in Selection) (rule Rule, ok bool) {
	var key [17]byte
	a := asked{in: in, more: &syntax.Question{Now: now}}
	var b best
	addr = addr.Unmap().WithZone("")
	lens := s.beside.Bits6
	if addr.Is4() {
		lens = s.beside.Bits4
	}
	for _, bits := range lens {
		p, err := addr.Prefix(int(bits))
		if err != nil {
			return rule, false // not an address at all
		}
		k := prefixKey(key[:0], p)
		var r record
		for f := s.table.FindRaw(k); s.table.Rule(&f, k, true, &r.Record); {
			if a.in.has(r.List) && s.lists[r.List].covers(&r, &a) {
				s.found(&b, &r, &a)
			}
		}
	}
	runtime.KeepAlive(s.table)
	return rule, s.verdict(&b, &rule)
}

func (s *Set) verdict(b *best, rule *Rule) bool {
	if b.rank == 0 {
		return false
	}
	s.lists[b.rule.List].fill(rule, &b.rule)
	return true
}

// found weighs a rule that holds.
func (s *Set) found(b *best, r *record, a *asked) {
	if d := s.lists[r.List].detail(r); d != nil {
		switch d.kind {
		case local:
			if a.plain {
				return
			}
		case first:
			if !a.plain {
				b.parts = append(b.parts, *r)
			}
			return
		}
	}
	b.take(s.rank(r), r)
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

func (s *Set) tryPattern(r *record, a *asked, b *best) {
	if !a.in.has(r.List) {
		return
	}
	if d := s.lists[r.List].detail(r); d.pattern.Find(a.name) && (d.limits == nil || d.limits.Hold(a.name, a.more)) {
		s.found(b, r, a)
	}
}

// covers says whether a rule whose name is the name asked, or above it, speaks
// about it.
func (l *List) covers(r *record, a *asked) bool {
	switch r.match() {
	case Exact:
		if len(r.Key) != len(a.name) {
			return false
		}
	case Below:
		if len(r.Key) == len(a.name) || l.shadowed(a.name, len(r.Key)) {
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
func (s *Set) rank(r *record) uint64 {
	rank := s.level(r.List)
	switch r.Flags & (flagException | flagImportant) {
	case flagException | flagImportant:
		rank |= classBoth
	case flagImportant:
		rank |= classImportant
	case flagException:
		rank |= classException
	}
	size := len(r.Key)
	if r.match() == Address {
		size = int(r.Key[size-1]) // the length of the prefix
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
