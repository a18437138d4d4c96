package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"nightlatch/journal/event"
)

// Events gives events of all kinds that f chooses, or of f.Kind alone, in one
// order, newest first. An unknown kind has no events.
func (s *Store) Events(ctx context.Context, f event.Filter) ([]event.StoredEvent, error) {
	db, err := s.reader()
	if err != nil {
		return nil, readError("events", err)
	}
	var out []event.StoredEvent
	if wants(f, event.KindQuery) && f.Finding == "" {
		out, err = gather(ctx, db, f, out, s.queries, func(q event.StoredQuery) int64 { return q.ID })
	}
	if err == nil && wants(f, event.KindFlow) && f.Finding == "" {
		out, err = gather(ctx, db, f, out, s.flows, func(e event.StoredFlow) int64 { return e.ID })
	}
	if err == nil && wants(f, event.KindCapture) {
		out, err = gather(ctx, db, f, out, captures, func(c event.StoredCapture) int64 { return c.ID })
	}
	if err == nil && wants(f, event.KindNotice) && !f.Blocked && f.List == "" && f.Finding == "" {
		out, err = gather(ctx, db, f, out, notices, func(n event.StoredNotice) int64 { return n.ID })
	}
	if err != nil {
		return nil, readError("events", err)
	}
	slices.SortFunc(out, func(a, b event.StoredEvent) int { return cmp.Compare(b.ID, a.ID) })
	return out[:min(len(out), f.Rows())], nil
}

func wants(f event.Filter, kind string) bool { return f.Kind == "" || f.Kind == kind }

func gather[E event.Event](ctx context.Context, db *sql.DB, f event.Filter, out []event.StoredEvent,
	read func(context.Context, *sql.DB, event.Filter) ([]E, error), id func(E) int64) ([]event.StoredEvent, error) {
	page, err := read(ctx, db, f)
	for _, e := range page {
		out = append(out, event.StoredEvent{ID: id(e), Event: e})
	}
	return out, err
}
