package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"

	"nightlatch/journal/event"
)

// few is up to how many rows are gathered by an index and sorted. When more
// match, walking the table from its newest end finds a page sooner.
const few = 20_000

// kindOf describes how one kind of event is filtered.
type kindOf struct {
	hour  int    // value of hour.kind
	table string // query, flow, ...
	group string // column that names the interned row: question, route; empty for none
	few   int    // up to so many matching rows go by the index
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

// namesLike are the words that hold a part, any case. Words are few beside
// rows: a walk over them is cheap and needs no full-text index.
const namesLike = "(SELECT id FROM word WHERE instr(lower(text), ?) > 0)"

// groupWhere is what f asks of interned questions or routes, which all have
// device, name and verdict.
func groupWhere(f event.Filter, typeColumn, otherName string) where {
	var w where
	if f.Device != "" {
		w.add("g.device = "+wordID, f.Device)
	}
	if f.Type != "" {
		w.add("g."+typeColumn+" IN (SELECT id FROM word WHERE text IN (?, ?, ?))", f.Type, strings.ToUpper(f.Type), strings.ToLower(f.Type))
	}
	if f.Blocked {
		w.add("g.verdict IN (SELECT id FROM verdict WHERE action IN (1, 2, 3))")
	}
	if f.List != "" {
		w.add("g.verdict IN (SELECT v.id FROM verdict v WHERE v.rule IN (SELECT id FROM rule WHERE list = ?))", f.List)
	}
	if f.NamePart != "" {
		part := strings.ToLower(f.NamePart)
		w.add("(g.name IN "+namesLike+" OR g."+otherName+" IN "+namesLike+")", part, part)
	}
	return w
}

// span bounds the ids and times that f allows for a kind of event. ok is false
// when nothing can match.
func span(ctx context.Context, db *sql.DB, kind int, f event.Filter) (w where, ok bool, err error) {
	lo, hi := f.After+1, int64(math.MaxInt64)
	if f.Before > 0 {
		hi = f.Before - 1
	}
	if !f.Since.IsZero() || !f.Until.IsZero() {
		from, to := int64(math.MinInt64), int64(math.MaxInt64)
		if !f.Since.IsZero() {
			from = hourOf(f.Since.UnixMilli())
			w.add("t.time >= ?", f.Since.UnixMilli())
		}
		if !f.Until.IsZero() {
			to = hourOf(f.Until.UnixMilli())
			w.add("t.time < ?", f.Until.UnixMilli())
		}
		var first, last sql.NullInt64
		err := db.QueryRowContext(ctx, "SELECT min(first), max(last) FROM hour WHERE kind = ? AND hour BETWEEN ? AND ?", kind, from, to).Scan(&first, &last)
		if err != nil || !first.Valid {
			return w, false, err
		}
		lo, hi = max(lo, first.Int64), min(hi, last.Int64)
	}
	w.add("t.id BETWEEN ? AND ?", lo, hi)
	return w, lo <= hi, nil
}

// page gives the inner SELECT of one page: the rows of k's table that match,
// newest first, as t. It chooses between the index on the group and a walk.
func page(ctx context.Context, db *sql.DB, k kindOf, f event.Filter, group, direct where) (text string, args []any, ok bool, err error) {
	w, ok, err := span(ctx, db, k.hour, f)
	if err != nil || !ok {
		return "", nil, ok, err
	}
	w.add(direct.String(), direct.args...)
	hint := "NOT INDEXED"
	if len(group.conds) > 0 {
		in := fmt.Sprintf("t.%s IN (SELECT g.id FROM %s g WHERE %s)", k.group, k.group, group.String())
		var n int
		count := fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM %s t INDEXED BY %s_%s WHERE %s AND t.id BETWEEN ? AND ? LIMIT %d)",
			k.table, k.table, k.group, in, k.few+1)
		bounds := w.args[len(w.args)-len(direct.args)-2 : len(w.args)-len(direct.args)]
		if err := db.QueryRowContext(ctx, count, append(append([]any{}, group.args...), bounds...)...).Scan(&n); err != nil {
			return "", nil, false, err
		}
		if n == 0 {
			return "", nil, false, nil
		}
		if n <= k.few {
			hint = fmt.Sprintf("INDEXED BY %s_%s", k.table, k.group)
		}
		w.add(in, group.args...)
	}
	text = fmt.Sprintf("SELECT t.* FROM %s t %s WHERE %s ORDER BY t.id DESC LIMIT %d", k.table, hint, w.String(), f.Rows())
	return text, w.args, true, nil
}
