// Package talk counts with whom a device talks: by company, by hour. It is pure.
package talk

import (
	"cmp"
	"slices"
	"time"

	"nightlatch/dashboard/visible"
	"nightlatch/journal"
)

// Owner is one company, or one site when no list knows a company.
type Owner struct {
	Name     string
	Asked    int64 // questions
	Stopped  int64 // of them, and of connections
	Opened   int64 // connections that were let through
	Up, Down int64 // bytes of those
	names    map[string]bool
}

// Names is how many names and addresses of it there were.
func (o Owner) Names() int64 { return int64(len(o.names)) }

// Bounds of the counting.
const (
	maxOwners = 5000
	maxNames  = 1000 // told apart for one owner
)

// Count gathers questions and connections. OwnerOf gives the company behind a
// name, and must not be nil. The zero value of the other fields is ready.
type Count struct {
	OwnerOf func(name string) string

	owners map[string]*Owner
	hours  map[time.Time]*journal.Hour
}

// Hardcoded stands for the owner of addresses that no name led to.
const Hardcoded = "hard-coded addresses"

func (c *Count) owner(name string) *Owner {
	who := Hardcoded
	if name != "" {
		if who = c.OwnerOf(name); who == "" {
			who = name
		}
	}
	who = visible.Cut(who, 80)
	if c.owners == nil {
		c.owners, c.hours = map[string]*Owner{}, map[time.Time]*journal.Hour{}
	}
	o := c.owners[who]
	if o == nil {
		o = &Owner{Name: who, names: map[string]bool{}}
		if len(c.owners) < maxOwners {
			c.owners[who] = o
		}
	}
	return o
}

// Query adds a question.
func (c *Count) Query(q journal.StoredQuery) {
	o := c.owner(q.Name)
	o.Asked++
	if len(o.names) < maxNames {
		o.names[q.Name] = true
	}
	start := q.Time.Truncate(time.Hour)
	h := c.hours[start]
	if h == nil {
		h = &journal.Hour{Start: start}
		c.hours[start] = h
	}
	h.Queries++
	if q.Verdict.Action.Stops() {
		o.Stopped++
		h.BlockedQueries++
	}
}

// Flow adds a connection.
func (c *Count) Flow(f journal.StoredFlow) {
	o := c.owner(f.Name)
	name := f.Name
	if name == "" {
		name = f.Dst.Addr().String()
	}
	if len(o.names) < maxNames {
		o.names[name] = true
	}
	if f.Verdict.Action.Stops() {
		o.Stopped++
		return
	}
	o.Opened++
	o.Up, o.Down = o.Up+f.Up, o.Down+f.Down
}

// Owners gives those that were talked to, the most first, n at most.
func (c *Count) Owners(n int) []Owner {
	out := make([]Owner, 0, len(c.owners))
	for _, o := range c.owners {
		out = append(out, *o)
	}
	slices.SortFunc(out, func(a, b Owner) int {
		return cmp.Or(cmp.Compare(b.Asked+b.Opened, a.Asked+a.Opened), cmp.Compare(b.Up+b.Down, a.Up+a.Down), cmp.Compare(a.Name, b.Name))
	})
	return out[:min(n, len(out))]
}

// Hours gives the hours with a question, in no order.
func (c *Count) Hours() []journal.Hour {
	out := make([]journal.Hour, 0, len(c.hours))
	for _, h := range c.hours {
		out = append(out, *h)
	}
	return out
}
