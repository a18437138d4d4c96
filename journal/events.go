package journal

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"
)

// Events gives events of all kinds that f chooses, or of f.Kind alone, in one
// order, newest first. An unknown kind has no events.
func (j *Journal) Events(ctx context.Context, f Filter) ([]StoredEvent, error) {
	db, err := j.store.reader()
	if err != nil {
		return nil, readError("events", err)
	}
	var out []StoredEvent
	if wants(f, KindQuery) && f.Finding == "" {
		out, err = gather(ctx, db, f, out, queries, func(q StoredQuery) int64 { return q.ID })
	}
	if err == nil && wants(f, KindFlow) && f.Finding == "" {
		out, err = gather(ctx, db, f, out, flows, func(e StoredFlow) int64 { return e.ID })
	}
	if err == nil && wants(f, KindCapture) {
		out, err = gather(ctx, db, f, out, captures, func(c StoredCapture) int64 { return c.ID })
	}
	if err == nil && wants(f, KindNotice) && !f.Blocked && f.List == "" && f.Finding == "" {
		out, err = gather(ctx, db, f, out, notices, func(n StoredNotice) int64 { return n.ID })
	}
	if err != nil {
		return nil, readError("events", err)
	}
	slices.SortFunc(out, func(a, b StoredEvent) int { return cmp.Compare(b.ID, a.ID) })
	return out[:min(len(out), f.limit())], nil
}

func wants(f Filter, kind string) bool { return f.Kind == "" || f.Kind == kind }

func gather[E Event](ctx context.Context, db *sql.DB, f Filter, out []StoredEvent,
	read func(context.Context, *sql.DB, Filter) ([]E, error), id func(E) int64) ([]StoredEvent, error) {
	page, err := read(ctx, db, f)
	for _, e := range page {
		out = append(out, StoredEvent{id(e), e})
	}
	return out, err
}

// Follow calls show for every event that f chooses and that is written from
// now on, oldest first, until ctx ends or show errs. It looks into the file
// every so often, and so works beside a gateway of another process. It begins
// after f.After, so that nothing is missed between a first page and it; 0 means
// after the newest event. Before and Limit of f are not looked at.
func (j *Journal) Follow(ctx context.Context, f Filter, every time.Duration, show func(StoredEvent) error) error {
	if f.After == 0 {
		newest, err := j.Events(ctx, Filter{Limit: 1})
		if err != nil {
			return err
		}
		if len(newest) > 0 {
			f.After = newest[0].ID
		}
	}
	f.Before, f.Limit = 0, MaxLimit
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		fresh, err := j.Events(ctx, f)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range slices.Backward(fresh) {
			f.After = e.ID
			if err := show(e); err != nil {
				return err
			}
		}
	}
}
