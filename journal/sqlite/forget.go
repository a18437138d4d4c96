package sqlite

import (
	"context"
	"database/sql"
	"time"
)

// sweeps remove what nothing refers to any more, in this order: a name nobody
// asked for any longer must not stay in the file as a text.
func sweeps() []string {
	return []string{
		"DELETE FROM question WHERE NOT EXISTS (SELECT 1 FROM query q INDEXED BY query_question WHERE q.question = question.id)",
		"DELETE FROM route WHERE NOT EXISTS (SELECT 1 FROM flow f INDEXED BY flow_route WHERE f.route = route.id)",
		"DELETE FROM verdict WHERE id NOT IN (SELECT verdict FROM question UNION SELECT verdict FROM route)",
		"DELETE FROM rule WHERE id <> 0 AND id NOT IN (SELECT rule FROM verdict)",
		`DELETE FROM word WHERE id <> 0 AND id NOT IN (
			SELECT device FROM question UNION SELECT name FROM question UNION SELECT type FROM question
			UNION SELECT server FROM question UNION SELECT network FROM question UNION SELECT through FROM question
			UNION SELECT rcode FROM question UNION SELECT upstream FROM question UNION SELECT answers FROM query
			UNION SELECT reason FROM verdict
			UNION SELECT device FROM route UNION SELECT proto FROM route UNION SELECT dst FROM route UNION SELECT name FROM route
			UNION SELECT err FROM flow
			UNION SELECT device FROM capture UNION SELECT name FROM capture UNION SELECT dst FROM capture UNION SELECT scheme FROM capture
			UNION SELECT method FROM capture UNION SELECT content_type FROM capture UNION SELECT user_agent FROM capture
			UNION SELECT tls FROM capture UNION SELECT verdict FROM capture UNION SELECT flags FROM capture UNION SELECT layers FROM capture
			UNION SELECT kind FROM finding UNION SELECT value FROM finding UNION SELECT path FROM finding UNION SELECT chain FROM finding
			UNION SELECT room FROM notice UNION SELECT device FROM notice UNION SELECT text FROM notice
			UNION SELECT device FROM hour)`,
	}
}

// sweep removes texts, rules, questions and routes that nothing refers to.
func (s *Store) Sweep(ctx context.Context) error {
	return s.do(ctx, func(c *sql.Conn) error {
		for _, text := range sweeps() {
			if _, err := c.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		s.in.forget() // it may know what is gone
		return nil
	})
}

// Forget removes the events of a device, or of all when it is empty, since a
// moment, or of all times when that is zero. [Store.Sweep] and [Store.Compact]
// remove what they leave behind.
func (s *Store) Forget(ctx context.Context, device string, since time.Time) (removed int64, err error) {
	from := int64(-1 << 62)
	if !since.IsZero() {
		from = since.UnixMilli()
	}
	of := map[string]string{
		"query":   " AND t.question IN (SELECT id FROM question WHERE device = " + wordID + ")",
		"flow":    " AND t.route IN (SELECT id FROM route WHERE device = " + wordID + ")",
		"capture": " AND t.device = " + wordID,
		"notice":  " AND t.device = " + wordID,
	}
	for _, table := range eventTables() {
		cond, args := "t.time >= ?", []any{from}
		if device != "" {
			cond, args = cond+of[table], append(args, device)
		}
		n, err := s.remove(ctx, table, cond, args...)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, s.do(ctx, func(c *sql.Conn) error {
		text, args := "DELETE FROM hour WHERE hour > ?", []any{hourOf(from)}
		if device != "" {
			text, args = text+" AND device = "+wordID, append(args, device)
		}
		if _, err := c.ExecContext(ctx, text, args...); err != nil {
			return err
		}
		return recount(ctx, c, hourOf(from))
	})
}
