package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"

	"nightlatch/journal/event"
)

// kindOf describes how one kind of event is filtered.
type kindOf struct {
	hour  int    // value of hour.kind
	table string // query, flow, ...
	group string // column that names the interned row: question, route; empty for none
	walk  int    // see walked
}

// where gathers conditions and their arguments.
type where struct {
	conds []string
	args  []any
}

func (w *where) add(cond string, args ...any) {
	w.conds = append(w.conds, cond)
	w.args = append(w.args, args...)
}

func (w *where) String() string {
	if len(w.conds) == 0 {
		return "1"
	}
	return strings.Join(w.conds, " AND ")
}

const wordID = "(SELECT id FROM word WHERE text = ?)"

// holds asks that the text of a word column holds a part, any case.
func holds(column string) string {
	return "EXISTS (SELECT 1 FROM word w WHERE w.id = " + column + " AND instr(lower(w.text), ?) > 0)"
}

// bounds are the ids and times that f allows for a kind of event.
type bounds struct {
	lo, hi   int64 // ids, inclusive
	from, to int64 // milliseconds, to exclusive
}

// span finds the bounds of f. The hours tell which ids a time, and a device, can
// have; ok is false when nothing can match.
func span(ctx context.Context, db *sql.DB, kind int, f event.Filter) (b bounds, ok bool, err error) {
	b = bounds{f.After + 1, math.MaxInt64, math.MinInt64, math.MaxInt64}
	if f.Before > 0 {
		b.hi = f.Before - 1
	}
	fromHour, toHour := int64(math.MinInt64), int64(math.MaxInt64)
	if !f.Since.IsZero() {
		b.from = f.Since.UnixMilli()
		fromHour = hourOf(b.from)
	}
	if !f.Until.IsZero() {
		b.to = f.Until.UnixMilli()
		toHour = hourOf(b.to)
	}
	if f.Since.IsZero() && f.Until.IsZero() && f.Device == "" {
		return b, b.lo <= b.hi, nil
	}
	text, args := "SELECT min(first), max(last) FROM hour WHERE kind = ? AND hour BETWEEN ? AND ? AND first <= ? AND last >= ?", []any{kind, fromHour, toHour, b.hi, b.lo}
	if f.Device != "" {
		text, args = text+" AND device = "+wordID, append(args, f.Device)
	}
	var first, last sql.NullInt64
	if err := db.QueryRowContext(ctx, text, args...).Scan(&first, &last); err != nil || !first.Valid {
		return b, false, err
	}
	b.lo, b.hi = max(b.lo, first.Int64), min(b.hi, last.Int64)
	return b, b.lo <= b.hi, nil
}

// walked is how many rows are looked at from the newest on before the index is
// asked instead; a walk goes on while one row in dense matches, or a few more
// rounds would fill the page.
const (
	walked = 10_000
	dense  = 50
)

// page gives the inner SELECT of one page: the rows of k's table that match,
// newest first, as t. groups is nil where rows name no interned group.
func page(ctx context.Context, db *sql.DB, k kindOf, f event.Filter, g *groups, direct where) (text string, args []any, ok bool, err error) {
	b, ok, err := span(ctx, db, k.hour, f)
	if err != nil || !ok {
		return "", nil, ok, err
	}
	var of *chosen
	if g != nil {
		if of, err = g.choose(ctx, db, f); err != nil {
			return "", nil, false, err
		}
	}
	if of == nil {
		direct.add("t.id BETWEEN ? AND ?", b.lo, b.hi)
		if b.from > math.MinInt64 || b.to < math.MaxInt64 {
			direct.add("t.time >= ? AND t.time < ?", b.from, b.to)
		}
		text = fmt.Sprintf("SELECT t.* FROM %s t NOT INDEXED WHERE %s ORDER BY t.id DESC LIMIT %d", k.table, direct.String(), f.Rows())
		return text, direct.args, true, nil
	}
	p := &paging{ctx: ctx, db: db, k: k, b: b, of: of, limit: f.Rows()}
	if err := p.find(); err != nil || len(p.found) == 0 {
		return "", nil, false, err
	}
	return "SELECT t.* FROM " + k.table + " t WHERE t.id IN (SELECT value FROM json_each(?))", []any{list(p.found)}, true, nil
}

// Range gives the ids among which all events lie that f allows, lo above hi
// when there are none.
func (s *Store) Range(ctx context.Context, f event.Filter) (lo, hi int64, err error) {
	db, err := s.reader()
	if err != nil {
		return 0, 0, readError("range", err)
	}
	lo, hi = math.MaxInt64, 0
	for i, table := range eventTables() {
		b, ok, err := span(ctx, db, i+1, f)
		if err != nil {
			return 0, 0, readError("range", err)
		}
		if !ok {
			continue
		}
		var first, last sql.NullInt64 // two seeks; both in one SELECT would read the table
		text := fmt.Sprintf("SELECT (SELECT min(id) FROM %[1]s WHERE id >= ?1), (SELECT max(id) FROM %[1]s WHERE id <= ?2)", table)
		if err := db.QueryRowContext(ctx, text, b.lo, b.hi).Scan(&first, &last); err != nil {
			return 0, 0, readError("range", err)
		}
		if first.Valid && last.Valid && first.Int64 <= last.Int64 {
			lo, hi = min(lo, first.Int64), max(hi, last.Int64)
		}
	}
	if hi == 0 {
		return 1, 0, nil
	}
	return lo, hi, nil
}
