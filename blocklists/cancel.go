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

// cancelsOf gives what other lists take back of one, for AdGuard's $badfilter is
// about all lists together. A list takes back only what stands no higher than
// itself: a subscribed one nothing of the owner's.
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
