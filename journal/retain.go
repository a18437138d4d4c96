package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// tidyEvery is how often old events are removed: nothing is kept longer than
	// configured by more than this.
	tidyEvery = time.Minute
	// tellEvery spaces the notices about losses.
	tellEvery = time.Minute
	// chunk is how many rows one transaction removes, so that the writer gets its
	// turn in between.
	chunk = 20_000
	// words are cleaned up this often, since it reads every reference to them;
	// Forget does it at once.
	sweepEvery = time.Hour
)

// Run writes events until ctx ends, and removes those that are too old or too
// many. At the end it writes what is left, closes the live readers, and says in
// its error what could not be written.
func (j *Journal) Run(ctx context.Context) error {
	defer j.endOnce.Do(j.live.end)
	if j.queue == nil {
		<-ctx.Done()
		return nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { j.keepTidy(ctx) })
	err := j.queue.Run(ctx)
	wg.Wait()
	if err != nil {
		return fmt.Errorf("journal: %d events were not written at the end: %w", j.queue.Counts().Queued, err)
	}
	return nil
}

// keepTidy does what is due now and then.
func (j *Journal) keepTidy(ctx context.Context) {
	if err := j.store.finishCheck(ctx); err != nil && ctx.Err() == nil {
		j.o.Log.Warn("journal: integrity check", "error", err)
	}
	tidy, tell := time.NewTicker(tidyEvery), time.NewTicker(tellEvery)
	defer tidy.Stop()
	defer tell.Stop()
	swept := time.Now()
	for {
		if err := j.tidy(ctx, time.Since(swept) >= sweepEvery); err != nil && ctx.Err() == nil {
			j.o.Log.Warn("journal: remove old events", "error", err)
		}
		if time.Since(swept) >= sweepEvery {
			swept = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-tell.C:
			j.tellLosses()
		case <-tidy.C:
		}
	}
}

// tellLosses puts new losses into one notice.
func (j *Journal) tellLosses() {
	lost := j.queue.Counts().Lost
	if lost == j.toldLost {
		return
	}
	j.notice(Warn, fmt.Sprintf("%d events were lost: they came faster than %s could be written", lost-j.toldLost, j.o.Path))
	j.toldLost = j.queue.Counts().Lost
}

// tidy removes what is too old or too much, and cleans up behind it.
func (j *Journal) tidy(ctx context.Context, sweep bool) error {
	if j.queue.Trouble() != nil {
		return nil // told already; the writer finds out when the disk is well again
	}
	removed, err := j.store.pruneAge(ctx, j.o.Retention, j.o.Now())
	if err != nil {
		return err
	}
	more, err := j.store.pruneSize(ctx, j.o.MaxBytes)
	if err != nil {
		return err
	}
	if removed+more > 0 {
		j.dirty.Store(true)
	}
	if !j.dirty.Load() || !sweep && more == 0 {
		return nil
	}
	if err := j.store.sweep(ctx); err != nil {
		return err
	}
	busy, err := j.store.compact(ctx)
	if err == nil && !busy {
		j.dirty.Store(false)
	}
	return err
}

// eventTables in the order of hour.kind.
func eventTables() []string { return []string{"query", "flow", "capture", "notice"} }

// pruneAge removes events older than keep.
func (s *store) pruneAge(ctx context.Context, keep time.Duration, now time.Time) (removed int64, err error) {
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
		if _, err := c.ExecContext(ctx, "DELETE FROM hour WHERE hour < ?", hourOf(cutoff)); err != nil {
			return err
		}
		return recount(ctx, c, hourOf(cutoff))
	})
}

// remove deletes the rows t of a table that match, a chunk at a time.
func (s *store) remove(ctx context.Context, table, cond string, args ...any) (removed int64, err error) {
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
		_, err = c.ExecContext(ctx, "INSERT INTO hour (hour, kind, device, first, last, events, blocked, up, down, seen) SELECT ?5, ?6, x.* FROM ("+countRows(kind)+") x",
			first.Int64, last.Int64, hour*hourMillis, (hour+1)*hourMillis, hour, kind)
		if err != nil {
			return err
		}
	}
	return nil
}

// maxRounds bounds the work of one pruneSize: each round removes at least a
// hundredth, so that 400 rounds leave less than 2 %. The next minute goes on.
const maxRounds = 400

// pruneSize removes the oldest events until file and log fit into bound.
func (s *store) pruneSize(ctx context.Context, bound int64) (removed int64, err error) {
	if bound <= 0 || s.bytes() <= bound {
		return 0, nil
	}
	for range maxRounds {
		if _, err := s.compact(ctx); err != nil {
			return removed, err
		}
		size := s.bytes()
		if size <= bound {
			return removed, nil
		}
		n, err := s.removeOldest(ctx, float64(size-bound)/float64(size))
		removed += n
		if err != nil {
			return removed, err
		}
		if err := s.sweep(ctx); err != nil || n == 0 {
			return removed, err
		}
	}
	return removed, nil
}

// removeOldest removes a share of the events, a hundredth to a tenth, by the
// order of recording.
func (s *store) removeOldest(ctx context.Context, share float64) (removed int64, err error) {
	share = min(max(share, 0.01), 0.1)
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
