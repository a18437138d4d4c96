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
		for _, table := range []string{"word", "rule", "verdict", "question", "route"} { // file.Readers remember ids: none is given twice
			_, err := c.ExecContext(ctx, "INSERT INTO given SELECT ?1, max(id) FROM "+table+" HAVING max(id) IS NOT NULL ON CONFLICT (of) DO UPDATE SET id = max(id, excluded.id)", table)
			if err != nil {
				return err
			}
		}
		for _, text := range sweeps() {
			if _, err := c.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		s.in.Forget() // it may know what is gone
		return nil
	})
}

// Forget removes the events of a device, or of all when it is empty, from a
// moment on and before another; zero means no bound. [Store.Sweep] and
// [Store.Compact] remove what they leave behind.
func (s *Store) Forget(ctx context.Context, device string, since, until time.Time) (removed int64, err error) {
	from, to := int64(-1<<62), int64(1<<62)
	if !since.IsZero() {
		from = since.UnixMilli()
	}
	if !until.IsZero() {
		to = until.UnixMilli()
	}
	of := map[string]string{
		"query":   " AND t.question IN (SELECT id FROM question WHERE device = " + wordID + ")",
		"flow":    " AND t.route IN (SELECT id FROM route WHERE device = " + wordID + ")",
		"capture": " AND t.device = " + wordID,
		"notice":  " AND t.device = " + wordID,
	}
	for _, table := range eventTables() {
		cond, args := "t.time >= ? AND t.time < ?", []any{from, to}
		if device != "" {
			cond, args = cond+of[table], append(args, device)
		}
		n, err := s.remove(ctx, table, cond, args...)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, s.do(ctx, func(c *sql.Conn) error { return uncount(ctx, c, device, hourOf(from), hourOf(to)) })
}

// uncount removes what was counted of a device, or of all, in the hours between
// two, and makes the counts of these two anew.
func uncount(ctx context.Context, c *sql.Conn, device string, from, to int64) error {
	for _, t := range [][2]string{
		{"DELETE FROM hour WHERE hour > ? AND hour < ?", " AND device = " + wordID},
		{"DELETE FROM minute WHERE minute / 60 > ? AND minute / 60 < ?", " AND device = " + wordID},
		{"DELETE FROM asked WHERE hour > ? AND hour < ?", " AND question IN (SELECT id FROM question WHERE device = " + wordID + ")"},
	} {
		text, args := t[0], []any{from, to}
		if device != "" {
			text, args = text+t[1], append(args, device)
		}
		if _, err := c.ExecContext(ctx, text, args...); err != nil {
			return err
		}
	}
	if err := recount(ctx, c, from); err != nil || from == to {
		return err
	}
	return recount(ctx, c, to)
}
