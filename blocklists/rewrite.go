package blocklists

import (
	"cmp"
	"slices"

	"nightlatch/blocklists/syntax"
)

// candidate is a rule that holds for a question.
type candidate struct {
	ref  uint32
	list int
	rule record
}

// Rewrites gives the rules whose [Rewrite] make up the answer to a question,
// when the rule that Ask gives for it has one, and nil otherwise. The first is
// the rule that Ask gives. There are several only where each adds one record: a
// CNAME, a code other than NOERROR and a wish for TCP stand alone. The same
// answer of several rules is given once.
func (s *Set) Rewrites(q Query, in Selection) []Rule {
	var buf [maxName]byte
	n, ok := foldAsked(&buf, q.Name)
	if !ok || q.NoRewrites {
		return nil
	}
	a := asked{in: in, name: buf[:n], more: q.more()}
	b := s.decide(&a)
	if b.rank == 0 {
		return nil
	}
	d := s.lists[b.list].detail(&b.rule)
	if d == nil || d.rewrite == nil {
		return nil
	}
	all := b.parts
	if d.kind == local {
		all = s.siblings(&a, &b)
	}
	if d.rewrite.Type == 0 || d.kind == plain {
		all = all[:0]
	}
	out := []Rule{s.lists[b.list].rule(&b.rule)}
	for _, c := range all {
		r := s.lists[c.list].rule(&c.rule)
		if r.Rewrite.Type != 0 && !slices.ContainsFunc(out, func(o Rule) bool { return *o.Rewrite == *r.Rewrite }) {
			out = append(out, r)
		}
	}
	return out
}

// settle decides among the rewrites that AdGuard's syntax puts before all other
// rules. Those that are left stay in b.parts.
func (s *Set) settle(b *best) {
	kept := b.parts[:0:0]
	top := b.rank & levelBits
	for _, c := range b.parts {
		if !c.rule.allow() && !s.takenBack(c, b.parts) {
			kept = append(kept, c)
			top = max(top, s.level(c.list)&levelBits)
		}
	}
	// below the highest level that speaks no list is heard
	kept = slices.DeleteFunc(kept, func(c candidate) bool { return s.level(c.list)&levelBits != top })
	b.parts = kept
	if len(kept) == 0 {
		return
	}
	win := slices.MinFunc(kept, func(x, y candidate) int {
		return cmp.Or(cmp.Compare(s.answerOrder(x), s.answerOrder(y)), cmp.Compare(x.ref, y.ref))
	})
	slices.SortFunc(kept, func(x, y candidate) int { return cmp.Compare(x.ref, y.ref) })
	b.rank = s.level(win.list) | classRewrite
	b.ref, b.list, b.rule = win.ref, win.list, win.rule
}

// answerOrder: a CNAME before a code that is an answer by itself, then data,
// then an answer without any.
func (s *Set) answerOrder(c candidate) int {
	switch w := s.lists[c.list].detail(&c.rule).rewrite; {
	case w.CNAME != "":
		return 0
	case w.Code != 0:
		return 1
	case w.Type != 0:
		return 2
	}
	return 3
}

// takenBack says whether an exception among all takes a rewrite back: one of a
// higher level any, another those of its own level. An important rewrite falls to
// an important exception alone, or to a higher level.
func (s *Set) takenBack(c candidate, all []candidate) bool {
	w := s.lists[c.list].detail(&c.rule).rewrite
	for _, e := range all {
		mine, other := s.level(c.list), s.level(e.list)
		switch {
		case !e.rule.allow(), other < mine, other == mine && c.rule.flags&^e.rule.flags&flagImportant != 0:
			continue
		}
		if x := s.lists[e.list].detail(&e.rule).rewrite; *x == (Rewrite{}) || *x == *w {
			return true
		}
	}
	return false
}

// siblings gives the local data that a zone has at the same name as the rule
// that won, as far as it holds, in the order of the zone.
func (s *Set) siblings(a *asked, b *best) []candidate {
	var out []candidate
	t := &s.names
	for ref := range t.each(t.hash(b.rule.name)) {
		list, r := s.at(ref)
		l := s.lists[list]
		if list != b.list || r.name != b.rule.name || r.match() != b.rule.match() || r.allow() {
			continue
		}
		if d := l.detail(&r); d != nil && d.kind == local && l.covers(&r, a) {
			out = append(out, candidate{ref, list, r})
		}
	}
	slices.SortFunc(out, func(x, y candidate) int { return cmp.Compare(x.ref, y.ref) })
	return out
}

// probeAskers looks at the rules about who asks: the longest prefix wins.
func (s *Set) probeAskers(a *asked, b *best) {
	who := a.more.Addr.Unmap().WithZone("")
	for _, f := range s.asker {
		if !a.in.has(f.list) {
			continue
		}
		_, r := s.at(f.ref)
		d := s.lists[f.list].detail(&r)
		if !d.client.Contains(who) {
			continue
		}
		rank := s.level(f.list) | classClient | uint64(d.client.Bits())<<8
		if r.allow() {
			rank |= 2
		}
		b.take(rank, &candidate{f.ref, f.list, r})
	}
}

// more is what is asked besides the name.
func (q *Query) more() *syntax.Question {
	return &syntax.Question{Type: q.Type, Client: q.Client, Addr: q.Addr, Tags: q.Tags, Now: q.Now}
}
