package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// chunk is how many rows one transaction removes, so that the writer gets its
// turn in between.
const chunk = 20_000

// eventTables in the order of hour.kind.
func eventTables() []string { return []string{"query", "flow", "capture", "notice"} }

// pruneAge removes events older than keep.
func (s *Store) PruneAge(ctx context.Context, keep time.Duration, now time.Time) (removed int64, err error) {
	if keep <= 0 {
		return 0, nil
	}
	cutoff := now.Add(-keep).UnixMilli()
	for i, table := range eventTables() {
		var hi sql.NullInt64
		err := s.do(ctx, func(c *sql.Conn) error {
			return c.QueryRowContext(ctx, "SELECT max(last) FROM hour WHERE kind = ? AND hour <= ?", i+1, hourOf(cutoff)).Scan(&hi)
		})
		if err != nil {
			return removed, err
		}
		if !hi.Valid {
			continue
		}
		n, err := s.remove(ctx, table, "t.id <= ? AND t.time < ?", hi.Int64, cutoff)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	if removed == 0 {
		return 0, nil
	}
	return removed, s.do(ctx, func(c *sql.Conn) error {
		for _, text := range []string{"DELETE FROM hour WHERE hour < ?", "DELETE FROM asked WHERE hour < ?", "DELETE FROM minute WHERE minute < ? * 60"} {
			if _, err := c.ExecContext(ctx, text, hourOf(cutoff)); err != nil {
				return err
			}
		}
		return recount(ctx, c, hourOf(cutoff))
	})
}

// remove deletes the rows t of a table that match, a chunk at a time.
func (s *Store) remove(ctx context.Context, table, cond string, args ...any) (removed int64, err error) {
	hint := ""
	if table == "query" || table == "flow" {
		hint = " NOT INDEXED"
	}
	pick := fmt.Sprintf("(SELECT t.id FROM %s t%s WHERE %s LIMIT %d)", table, hint, cond, chunk)
	for {
		var n int64
		err := s.do(ctx, func(c *sql.Conn) error {
			if table == "capture" {
				if _, err := c.ExecContext(ctx, "DELETE FROM finding WHERE capture IN "+pick, args...); err != nil {
					return err
				}
			}
			r, err := c.ExecContext(ctx, "DELETE FROM "+table+" WHERE id IN "+pick, args...)
			if err != nil {
				return err
			}
			n, err = r.RowsAffected()
			return err
		})
		removed += n
		if err != nil || n < chunk {
			return removed, err
		}
	}
}

// recount makes the counts of one hour anew from its rows.
func recount(ctx context.Context, c *sql.Conn, hour int64) error {
	if err := recountAsked(ctx, c, hour); err != nil {
		return err
	}
	for kind := hourQuery; kind <= hourNotice; kind++ {
		var first, last sql.NullInt64
		err := c.QueryRowContext(ctx, "SELECT min(first), max(last) FROM hour WHERE hour = ? AND kind = ?", hour, kind).Scan(&first, &last)
		if err != nil {
			return err
		}
		if !first.Valid {
			continue
		}
		if _, err := c.ExecContext(ctx, "DELETE FROM hour WHERE hour = ? AND kind = ?", hour, kind); err != nil {
			return err
		}
		_, err = c.ExecContext(ctx, "INSERT INTO hour (hour, kind, device, first, last, events, blocked, up, down, seen) SELECT ?5, ?6, x.* FROM ("+countRows(kind, "")+") x",
			first.Int64, last.Int64, hour*hourMillis, (hour+1)*hourMillis, hour, kind)
		if err != nil {
			return err
		}
	}
	return nil
}

// recountAsked does so for the questions of an hour, and for its minutes where
// they are still kept.
func recountAsked(ctx context.Context, c *sql.Conn, hour int64) error {
	var first, last sql.NullInt64
	var minutes int
	err := c.QueryRowContext(ctx, `SELECT min(first), max(last), EXISTS (SELECT 1 FROM minute WHERE minute BETWEEN ?1 * 60 AND ?1 * 60 + 59)
		FROM hour WHERE hour = ?1`, hour).Scan(&first, &last, &minutes)
	if err != nil {
		return err
	}
	for _, text := range []string{"DELETE FROM asked WHERE hour = ?1", "DELETE FROM minute WHERE minute BETWEEN ?1 * 60 AND ?1 * 60 + 59"} {
		if _, err := c.ExecContext(ctx, text, hour); err != nil {
			return err
		}
	}
	if !first.Valid {
		return nil
	}
	args := []any{first.Int64, last.Int64, hour * hourMillis, (hour + 1) * hourMillis, hour}
	if _, err = c.ExecContext(ctx, `INSERT INTO asked SELECT ?5, t.question, sum(1 + t.repeats), max(t.time) FROM query t NOT INDEXED
		WHERE t.id BETWEEN ?1 AND ?2 AND t.time >= ?3 AND t.time < ?4 GROUP BY t.question`, args...); err != nil || minutes == 0 {
		return err
	}
	for kind := hourQuery; kind <= hourNotice; kind++ {
		args[4] = kind
		if _, err := c.ExecContext(ctx, "INSERT INTO minute SELECT x.minute, ?5, x.device, x.events, x.blocked FROM ("+countRows(kind, "t.time / 60000 AS minute, ")+") x", args...); err != nil {
			return err
		}
	}
	return nil
}

// maxRounds bounds the work of one pruneSize: each round removes at least a
// fiftieth, so that 200 rounds leave less than 2 %. The next minute goes on.
const maxRounds = 200

// pruneSize removes the oldest events until file and log fit into bound.
func (s *Store) PruneSize(ctx context.Context, bound int64) (removed int64, err error) {
	if bound <= 0 || s.Bytes() <= bound {
		return 0, nil
	}
	for range maxRounds {
		if _, err := s.Compact(ctx); err != nil {
			return removed, err
		}
		size := s.Bytes()
		if size <= bound {
			return removed, nil
		}
		n, err := s.removeOldest(ctx, float64(size-bound)/float64(size))
		removed += n
		if err != nil {
			return removed, err
		}
		if err := s.Sweep(ctx); err != nil || n == 0 {
			return removed, err
		}
	}
	return removed, nil
}

// removeOldest removes a share of the events, a fiftieth to a half, by the
// order of recording.
func (s *Store) removeOldest(ctx context.Context, share float64) (removed int64, err error) {
	share = min(max(share, 0.02), 0.5)
	var lo, hi sql.NullInt64
	err = s.do(ctx, func(c *sql.Conn) error {
		return c.QueryRowContext(ctx, "SELECT min(first), max(last) FROM hour").Scan(&lo, &hi)
	})
	if err != nil || !lo.Valid {
		return 0, err
	}
	until := lo.Int64 + int64(float64(hi.Int64-lo.Int64)*share) + 1
	for _, table := range eventTables() {
		n, err := s.remove(ctx, table, "t.id < ?", until)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return max(removed, 1), s.do(ctx, func(c *sql.Conn) error { return recountBefore(ctx, c, until) })
}

// recountBefore puts the hour table right after all ids below until are gone.
func recountBefore(ctx context.Context, c *sql.Conn, until int64) error {
	if _, err := c.ExecContext(ctx, "DELETE FROM hour WHERE last < ?", until); err != nil {
		return err
	}
	// What was asked in hours that are gone as a whole; hours of a clock that ran
	// ahead may stand among those that are left.
	if _, err := c.ExecContext(ctx, "DELETE FROM asked WHERE hour NOT IN (SELECT hour FROM hour)"); err != nil {
		return err
	}
	if _, err := c.ExecContext(ctx, "DELETE FROM minute WHERE minute / 60 NOT IN (SELECT hour FROM hour)"); err != nil {
		return err
	}
	hours, err := column(ctx, c, "SELECT DISTINCT hour FROM hour WHERE first < ?", until)
	if err != nil {
		return err
	}
	for _, h := range hours {
		if err := recount(ctx, c, h); err != nil {
			return err
		}
	}
	return nil
}

func column(ctx context.Context, c *sql.Conn, text string, args ...any) (out []int64, err error) {
	r, err := c.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for r.Next() {
		var n int64
		if err := r.Scan(&n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, r.Err()
}
