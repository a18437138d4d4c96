package blocklists

import (
	"cmp"
	"runtime"
	"slices"

	"nightlatch/blocklists/compiled"
	"nightlatch/blocklists/syntax"
)

// Rewrites gives the rules whose [Rewrite] make up the answer to a question,
// when the rule that Ask gives for it has one, and nil otherwise. The first is
// the rule that Ask gives. There are several only where each adds one record: a
// CNAME, a code other than NOERROR and a wish for TCP stand alone. The same
// answer of several rules is given once.
func (s *Set) Rewrites(q Query, in Selection) []Rule {
	if q.NoRewrites {
		return nil
	}
	name, ok := compiled.NewName(q.Name)
	if !ok {
		var buf [compiled.MaxName + 1]byte
		folded, ok := fold(&buf, q.Name)
		if !ok {
			return nil
		}
		name, _ = compiled.NewName(folded)
	}
	a := asked{in: in, name: name.Bytes(), more: q.more()}
	var b best
	s.decide(&name, &a, &b)
	if b.rank == 0 {
		return nil
	}
	d := s.lists[b.rule.List].detail(&b.rule)
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
	out := []Rule{s.lists[b.rule.List].rule(&b.rule)}
	for _, c := range all {
		r := s.lists[c.List].rule(&c)
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
		if !c.allow() && !s.takenBack(c, b.parts) {
			kept = append(kept, c)
			top = max(top, s.level(c.List)&levelBits)
		}
	}
	// below the highest level that speaks no list is heard
	kept = slices.DeleteFunc(kept, func(c record) bool { return s.level(c.List)&levelBits != top })
	b.parts = kept
	if len(kept) == 0 {
		return
	}
	win := slices.MinFunc(kept, func(x, y record) int {
		return cmp.Or(cmp.Compare(s.answerOrder(x), s.answerOrder(y)), x.Compare(&y.Record))
	})
	slices.SortFunc(kept, func(x, y record) int { return x.Compare(&y.Record) })
	b.rank = s.level(win.List) | classRewrite
	b.rule = win
}

// answerOrder: a CNAME before a code that is an answer by itself, then data,
// then an answer without any.
func (s *Set) answerOrder(c record) int {
	switch w := s.lists[c.List].detail(&c).rewrite; {
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
func (s *Set) takenBack(c record, all []record) bool {
	w := s.lists[c.List].detail(&c).rewrite
	for _, e := range all {
		mine, other := s.level(c.List), s.level(e.List)
		switch {
		case !e.allow(), other < mine, other == mine && c.Flags&^e.Flags&flagImportant != 0:
			continue
		}
		if x := s.lists[e.List].detail(&e).rewrite; *x == (Rewrite{}) || *x == *w {
			return true
		}
	}
	return false
}

// siblings gives the local data that a zone has at the same name as the rule
// that won, as far as it holds, in the order of the zone.
func (s *Set) siblings(a *asked, b *best) []record {
	var out []record
	var r record
	l := s.lists[b.rule.List]
	for f := s.table.FindName(b.rule.Key); s.table.Rule(&f, []byte(b.rule.Key), false, &r.Record); {
		if r.List != b.rule.List || r.match() != b.rule.match() || r.allow() {
			continue
		}
		if d := l.detail(&r); d != nil && d.kind == local && l.covers(&r, a) {
			out = append(out, r)
		}
	}
	runtime.KeepAlive(s.table)
	slices.SortFunc(out, func(x, y record) int { return x.Compare(&y.Record) })
	return out
}

// probeAskers looks at the rules about who asks: the longest prefix wins.
func (s *Set) probeAskers(a *asked, b *best) {
	who := a.more.Addr.Unmap().WithZone("")
	for _, r := range s.asker {
		if !a.in.has(r.List) {
			continue
		}
		d := s.lists[r.List].detail(r)
		if !d.client.Contains(who) {
			continue
		}
		rank := s.level(r.List) | classClient | uint64(d.client.Bits())<<8
		if r.allow() {
			rank |= 2
		}
		b.take(rank, r)
	}
}

// more is what is asked besides the name.
func (q *Query) more() *syntax.Question {
	return &syntax.Question{Type: q.Type, Client: q.Client, Addr: q.Addr, Tags: q.Tags, Now: q.Now}
}
