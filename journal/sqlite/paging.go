package sqlite

import (
	"cmp"
	"container/heap"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
)

// paging finds the newest rows whose group is one of some. Where such rows are
// frequent, a walk from the newest row on finds them soonest; where they are
// rare, each group's newest row is looked up by the index, and only the groups
// that are newest of all are followed.
type paging struct {
	ctx   context.Context
	db    *sql.DB
	k     kindOf
	b     bounds
	of    *chosen
	limit int
	found []int64 // ids, newest first
}

func (p *paging) find() error {
	if len(p.of.ids) == 0 {
		return nil
	}
	for len(p.found) < p.limit && p.b.lo <= p.b.hi {
		before := len(p.found)
		read, err := p.walk()
		if err != nil || read < p.k.walk {
			return err
		}
		if yield := len(p.found) - before; yield < p.k.walk/dense && yield*4 < p.limit-len(p.found) {
			break
		}
	}
	if len(p.found) == p.limit || p.b.lo > p.b.hi {
		return nil
	}
	return p.follow()
}

// walk looks at the next rows below b.hi and moves it below them. It says how
// many rows there were.
func (p *paging) walk() (read int, err error) {
	text := fmt.Sprintf("SELECT id, time, %s FROM %s NOT INDEXED WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT %d", p.k.group, p.k.table, p.k.walk)
	err = rows(p.ctx, p.db, text, []any{p.b.lo, p.b.hi}, func(r *sql.Rows) error {
		var id, time, group int64
		if err := r.Scan(&id, &time, &group); err != nil {
			return err
		}
		read++
		p.b.hi = id - 1
		if len(p.found) < p.limit && time >= p.b.from && time < p.b.to && p.of.has(group) {
			p.found = append(p.found, id)
		}
		return nil
	})
	return read, err
}

// source gives the rows of one group, newest first.
type source struct {
	group int64
	head  int64   // id of its newest row not yet taken
	ids   []int64 // read ahead, in the same order; the first is head, once read
	ahead int     // how many rows were read last; 0 while head may have a time that is not wanted
}

// A source is read few rows at a time at first, as most of them give a page but
// one or two, and more each time.
const (
	firstAhead = 4
	mostAhead  = 256
)

type sources []*source

func (s sources) Len() int           { return len(s) }
func (s sources) Less(i, j int) bool { return s[i].head > s[j].head }
func (s sources) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *sources) Push(x any)        { *s = append(*s, x.(*source)) }
func (s *sources) Pop() any {
	old := *s
	last := old[len(old)-1]
	*s = old[:len(old)-1]
	return last
}

// follow merges the rows of the groups by id.
func (p *paging) follow() error {
	all, err := p.newest()
	if err != nil {
		return err
	}
	heap.Init(&all)
	for len(all) > 0 && len(p.found) < p.limit {
		s := all[0]
		if s.ahead > 0 {
			p.found = append(p.found, s.ids[0])
			s.ids = s.ids[1:]
		}
		if len(s.ids) == 0 {
			if err := p.more(s); err != nil {
				return err
			}
		}
		if len(s.ids) == 0 {
			heap.Pop(&all)
			continue
		}
		s.head = s.ids[0]
		heap.Fix(&all, 0)
	}
	return nil
}

// newest looks up the newest row of every group; groups without any are left out.
func (p *paging) newest() (sources, error) {
	text := fmt.Sprintf(`SELECT e.value, x.id FROM json_each(?) e CROSS JOIN %[1]s x ON x.id =
		(SELECT q.id FROM %[1]s q INDEXED BY %[1]s_%[2]s WHERE q.%[2]s = e.value AND q.id BETWEEN ? AND ? ORDER BY q.id DESC LIMIT 1)`, p.k.table, p.k.group)
	var all sources
	err := rows(p.ctx, p.db, text, []any{list(p.of.ids), p.b.lo, p.b.hi}, func(r *sql.Rows) error {
		s := &source{}
		err := r.Scan(&s.group, &s.head)
		all = append(all, s)
		return err
	})
	slices.SortFunc(all, func(a, b *source) int { return cmp.Compare(b.head, a.head) })
	if p.b.from == math.MinInt64 && p.b.to == math.MaxInt64 {
		// The newest rows of all lie in as many groups at the most; but not
		// where times sort some of them out.
		all = all[:min(len(all), p.limit-len(p.found))]
	}
	return all, err
}

// more reads the next rows of a group with a wanted time, below head.
func (p *paging) more(s *source) error {
	top := s.head
	if s.ahead > 0 {
		top--
	}
	s.ahead = min(max(2*s.ahead, firstAhead), mostAhead)
	text := fmt.Sprintf("SELECT id FROM %[1]s INDEXED BY %[1]s_%[2]s WHERE %[2]s = ? AND id BETWEEN ? AND ? AND time >= ? AND time < ? ORDER BY id DESC LIMIT %[3]d",
		p.k.table, p.k.group, s.ahead)
	return rows(p.ctx, p.db, text, []any{s.group, p.b.lo, top, p.b.from, p.b.to}, func(r *sql.Rows) error {
		var id int64
		err := r.Scan(&id)
		s.ids = append(s.ids, id)
		return err
	})
}
