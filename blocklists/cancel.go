package blocklists

import (
	"maps"
	"slices"

	"nightlatch/blocklists/syntax"
)

// cancel takes back the rules that the list names in $badfilter lines, and notes
// the lines for the lists beside it.
func (p *parser) cancel() {
	if len(p.cancels) == 0 {
		return
	}
	p.list.Cancels = slices.Sorted(maps.Keys(p.cancels))
	p.list.dead = p.list.cancelled(p.cancels)
	for at, r := range (&List{records: p.list.records}).each() {
		if _, dead := p.list.dead[at]; dead {
			p.tally(r.Flags, p.list.detail(&r), -1)
		}
	}
	p.report.Cancelled = len(p.list.dead)
	p.list.count -= p.report.Cancelled
}

// cancelled finds the rules that others name.
func (l *List) cancelled(by map[string]struct{}) map[int]struct{} {
	dead := maps.Clone(l.dead)
	if dead == nil {
		dead = map[int]struct{}{}
	}
	for at, r := range l.each() {
		if _, ok := by[syntax.CancelKey(r.Text)]; ok {
			dead[at] = struct{}{}
		}
	}
	return dead
}

// TakeBack gives the lists without the rules that another of them takes back, for
// AdGuard's $badfilter is about all lists together. A list takes back only what
// stands no higher than itself: a subscribed one nothing of the owner's. Lists
// that lose nothing are given as they are, and so are those of a Set that was
// opened: they lost what they lose when it was built.
func TakeBack(lists ...*List) []*List {
	out := slices.Clone(lists)
	for i, l := range lists {
		if l.from != nil {
			continue
		}
		by := cancelsOf(lists, i)
		if len(by) == 0 {
			continue
		}
		if dead := l.cancelled(by); len(dead) > len(l.dead) {
			c := *l
			c.dead, c.count = dead, l.count-(len(dead)-len(l.dead))
			c.Report.Cancelled = len(dead)
			out[i] = &c
		}
	}
	return out
}

// cancelsOf gives what other lists take back of one.
func cancelsOf(lists []*List, i int) map[string]struct{} {
	by := map[string]struct{}{}
	l := lists[i]
	if l.Report.Format != Adblock {
		return by
	}
	for j, other := range lists {
		if i == j || l.Overlay && !other.Overlay || l.Own && !other.Own {
			continue
		}
		for _, key := range other.Cancels {
			by[key] = struct{}{}
		}
	}
	return by
}
