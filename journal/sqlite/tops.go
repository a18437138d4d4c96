package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strconv"
	"time"

	"nightlatch/journal/event"
)

// Tops counts questions since a moment, rounded down to its hour, of a device or
// of all when it is empty. At most most rows of each kind are given.
func (s *Store) Tops(ctx context.Context, device string, since time.Time, most int) (event.Tops, error) {
	t := event.Tops{Since: since}
	db, err := s.reader()
	if err != nil {
		return t, readError("tops", err)
	}
	from := int64(-1 << 62)
	if !since.IsZero() {
		from = hourOf(since.UnixMilli())
		t.Since = milli(from * hourMillis)
	}
	if err := topDays(ctx, db, &t, device, from); err != nil {
		return t, readError("tops", err)
	}
	w, args := "", []any{from}
	if device != "" {
		w, args = " WHERE g.device = "+wordID, append(args, device)
	}
	// Groups are counted first, as few, and only then joined to their texts.
	count := func(column, join string) ([]event.Top, error) {
		text := "SELECT " + column + ` AS what, sum(c.events), sum(c.events * (v.action IN (1, 2, 3))) FROM
			(SELECT question, sum(events) AS events FROM asked WHERE hour >= ? GROUP BY question) c
			CROSS JOIN question g ON g.id = c.question CROSS JOIN verdict v ON v.id = g.verdict` + join + w + " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT " + strconv.Itoa(most)
		var out []event.Top
		err := rows(ctx, db, text, args, func(r *sql.Rows) error {
			var x event.Top
			err := r.Scan(&x.What, &x.Events, &x.Blocked)
			out = append(out, x)
			return err
		})
		return out, err
	}
	for _, c := range []struct {
		into         *[]event.Top
		column, join string
	}{
		{&t.Names, "n.text", word("n", "g.name")},
		{&t.Devices, "d.text", word("d", "g.device")},
		{&t.Types, "y.text", word("y", "g.type")},
		{&t.Lists, "r.list", " CROSS JOIN rule r ON r.id = v.rule AND r.list <> '' AND v.action IN (1, 2, 3)"},
		{&t.Blocked, "n.text", word("n", "g.name") + " AND v.action IN (1, 2, 3)"},
	} {
		if *c.into, err = count(c.column, c.join); err != nil {
			return t, readError("tops", err)
		}
	}
	return t, nil
}

// topDays counts the days, as the local clock has them.
func topDays(ctx context.Context, db *sql.DB, t *event.Tops, device string, from int64) error {
	text, args := "SELECT hour, events, blocked FROM hour WHERE kind = ? AND hour >= ?", []any{hourQuery, from}
	if device != "" {
		text, args = text+" AND device = "+wordID, append(args, device)
	}
	days := map[time.Time]*event.Span{}
	err := rows(ctx, db, text, args, func(r *sql.Rows) error {
		var hour, events, blocked int64
		if err := r.Scan(&hour, &events, &blocked); err != nil {
			return err
		}
		y, m, d := time.UnixMilli(hour * hourMillis).Date()
		day := time.Date(y, m, d, 0, 0, 0, 0, time.Local)
		if days[day] == nil {
			days[day] = &event.Span{Start: day}
		}
		days[day].Events += events
		days[day].Blocked += blocked
		t.Total.Events += events
		t.Total.Blocked += blocked
		return nil
	})
	for _, d := range days {
		t.Days = append(t.Days, *d)
	}
	slices.SortFunc(t.Days, func(a, b event.Span) int { return cmp.Compare(a.Start.Unix(), b.Start.Unix()) })
	return err
}

// Minutes counts the questions of each minute from a moment on and before
// another, of a device or of all; minutes without one are left out. Minutes are
// kept for [MinutesFor].
func (s *Store) Minutes(ctx context.Context, device string, since, until time.Time) ([]event.Span, error) {
	db, err := s.reader()
	if err != nil {
		return nil, readError("minutes", err)
	}
	text, args := "SELECT minute, sum(events), sum(blocked) FROM minute WHERE kind = ? AND minute >= ? AND minute < ?",
		[]any{hourQuery, floor(since.UnixMilli(), minuteMillis), floor(until.UnixMilli()+minuteMillis-1, minuteMillis)}
	if device != "" {
		text, args = text+" AND device = "+wordID, append(args, device)
	}
	var out []event.Span
	err = rows(ctx, db, text+" GROUP BY minute ORDER BY minute", args, func(r *sql.Rows) error {
		var minute int64
		var x event.Span
		err := r.Scan(&minute, &x.Events, &x.Blocked)
		x.Start = milli(minute * minuteMillis)
		out = append(out, x)
		return err
	})
	return out, readError("minutes", err)
}

// MinutesFor is how long the counts of minutes are kept.
const MinutesFor = 48 * time.Hour

// PruneMinutes removes the counts of minutes that are older than [MinutesFor].
func (s *Store) PruneMinutes(ctx context.Context, now time.Time) error {
	return s.do(ctx, func(c *sql.Conn) error {
		_, err := c.ExecContext(ctx, "DELETE FROM minute WHERE minute < ?", floor(now.Add(-MinutesFor).UnixMilli(), minuteMillis))
		return err
	})
}
