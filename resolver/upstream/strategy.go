package upstream

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Strategies say which of the servers that are well are asked, and when the
// next one is asked too. Whatever the strategy, the next one is asked at once
// when one fails.
const (
	// Failover asks in the owner's order; the next one after a step.
	Failover = "failover"
	// Fastest asks the one whose answer is likely to come first, by what it took
	// lately and how often it failed; the next one after a step.
	Fastest = "fastest"
	// Hedged is Fastest, but the next one is asked as soon as the first takes
	// longer than nineteen of twenty of its answers do. Every tenth question at
	// the most is asked twice in the long run, so that a slow network is not
	// made slower.
	Hedged = "hedged"
	// Parallel asks the fastest four at once and takes the first answer. All of
	// them see every question.
	Parallel = "parallel"
)

// Strategies gives the words of [Options.Strategy].
func Strategies() []string { return []string{Failover, Fastest, Hedged, Parallel} }

const (
	maxParallel = 4
	// minHedge is the least time before a question is asked twice; below it
	// there is nothing to win.
	minHedge = 10 * time.Millisecond
	// Each question earns one, asking twice costs hedgeCost; so much may be
	// saved up.
	hedgeCost  = 10
	hedgePurse = 200
)

// checkStrategy gives the strategy that a word means.
func checkStrategy(word string) (string, error) {
	if word == "" {
		return Failover, nil
	}
	if !slices.Contains(Strategies(), word) {
		return "", fmt.Errorf("strategy %q is none of %v", word, Strategies())
	}
	return word, nil
}

// plan is how one question is put to a group.
type plan struct {
	order []*member     // one after another
	first int           // so many of them at once
	wait  time.Duration // then the next one, and every next after a step
	hedge bool          // the wait is a hedge, and must be paid for
	aside *member       // asked beside them, to see how it is doing; may be nil
}

// plan looks at the servers as they are now.
func (g *Group) plan(now time.Time) plan {
	order, probe := g.order(now)
	p := plan{order: order, first: 1, wait: g.step, aside: probe}
	if g.strategy == Failover || len(order) == 0 {
		return p
	}
	expect := make(map[*member]time.Duration, len(order))
	for _, m := range order {
		expect[m] = m.expect(g.step)
	}
	slices.SortStableFunc(order, func(a, b *member) int { return cmp.Compare(expect[a], expect[b]) })
	if g.strategy == Parallel {
		p.first = min(len(order), maxParallel)
		return p
	}
	if g.strategy == Hedged && len(order) > 1 {
		if t := order[0].tail(); t > 0 {
			p.wait, p.hedge = min(max(t+time.Millisecond, minHedge), g.step), true // later than, not at the same time as
		}
	}
	for _, m := range order[1:] {
		if p.aside == nil && m.unmeasured(now) {
			p.aside = m
		}
	}
	return p
}

// purse keeps hedging from doubling the questions when everything is slow.
type purse struct {
	mu    sync.Mutex
	saved int
}

func (p *purse) earn() {
	p.mu.Lock()
	p.saved = min(p.saved+1, hedgePurse)
	p.mu.Unlock()
}

// pay tells whether there was enough.
func (p *purse) pay() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.saved < hedgeCost {
		return false
	}
	p.saved -= hedgeCost
	return true
}
