package file

import (
	"context"
	"database/sql"
	"fmt"
)

// Migrations bring a file from one version to the next: the first makes
// version 1 of an empty file. They are append-only: a released step is never
// edited, since files that took it exist. PRAGMA user_version holds the version.
func Migrations() []string { return []string{schema1, schema2, schema3} }

// schema1 keeps a row as small as it can be. Every text is interned in word;
// what repeats as a whole (a device asks for the same name, and gets the same
// verdict, a thousand times a day) is interned as a question or a route, so
// that the thousandth time costs about 20 bytes. Filters choose among the few
// questions and routes first and only then touch rows.
//
// The ids of query, flow, capture and notice come from one sequence in the
// order of recording. They are the cursor of every page. There is no index on
// time: hour knows which ids each hour of event time spans, which serves time
// filters and the charts, costs nothing per row, and stays right when the clock
// jumps. Times are milliseconds since 1970, durations microseconds.
//
// word 0 is the empty text, rule 0 is "no list decided".
const schema1 = `
CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
INSERT INTO word VALUES (0, '');

CREATE TABLE rule (
	id INTEGER PRIMARY KEY,
	list TEXT NOT NULL, line INTEGER NOT NULL, text TEXT NOT NULL, domain TEXT NOT NULL,
	match INTEGER NOT NULL, allow INTEGER NOT NULL, action INTEGER NOT NULL,
	category TEXT NOT NULL, why TEXT NOT NULL, breaks TEXT NOT NULL, source TEXT NOT NULL,
	prefix TEXT NOT NULL, answer TEXT NOT NULL,
	UNIQUE (list, line, text, domain, match, allow, action, category, why, breaks, source, prefix, answer)
) STRICT;
INSERT INTO rule VALUES (0, '', 0, '', '', 0, 0, 0, '', '', '', '', '', '');

CREATE TABLE verdict (
	id INTEGER PRIMARY KEY,
	action INTEGER NOT NULL, rule INTEGER NOT NULL, reason INTEGER NOT NULL,
	UNIQUE (action, rule, reason)
) STRICT;

CREATE TABLE question (
	id INTEGER PRIMARY KEY,
	device INTEGER NOT NULL, name INTEGER NOT NULL, type INTEGER NOT NULL,
	server INTEGER NOT NULL, network INTEGER NOT NULL, verdict INTEGER NOT NULL,
	through INTEGER NOT NULL, rcode INTEGER NOT NULL, upstream INTEGER NOT NULL,
	UNIQUE (name, device, type, server, network, verdict, through, rcode, upstream)
) STRICT;

CREATE TABLE query (
	id INTEGER PRIMARY KEY, time INTEGER NOT NULL,
	question INTEGER NOT NULL, answers INTEGER NOT NULL, took INTEGER NOT NULL
) STRICT;
CREATE INDEX query_question ON query (question);

CREATE TABLE route (
	id INTEGER PRIMARY KEY,
	device INTEGER NOT NULL, proto INTEGER NOT NULL, dst INTEGER NOT NULL,
	name INTEGER NOT NULL, exact INTEGER NOT NULL, verdict INTEGER NOT NULL,
	UNIQUE (name, dst, device, proto, exact, verdict)
) STRICT;

CREATE TABLE flow (
	id INTEGER PRIMARY KEY, time INTEGER NOT NULL,
	route INTEGER NOT NULL, src TEXT NOT NULL,
	up INTEGER NOT NULL, down INTEGER NOT NULL, took INTEGER NOT NULL, err INTEGER NOT NULL
) STRICT;
CREATE INDEX flow_route ON flow (route);

CREATE TABLE capture (
	id INTEGER PRIMARY KEY, time INTEGER NOT NULL,
	device INTEGER NOT NULL, name INTEGER NOT NULL, dst INTEGER NOT NULL,
	scheme INTEGER NOT NULL, method INTEGER NOT NULL, path TEXT NOT NULL,
	content_type INTEGER NOT NULL, user_agent INTEGER NOT NULL, tls INTEGER NOT NULL,
	size INTEGER NOT NULL, repeats INTEGER NOT NULL, sample BLOB,
	verdict INTEGER NOT NULL, flags INTEGER NOT NULL, layers INTEGER NOT NULL
) STRICT;

CREATE TABLE finding (
	id INTEGER PRIMARY KEY, capture INTEGER NOT NULL,
	kind INTEGER NOT NULL, value INTEGER NOT NULL, path INTEGER NOT NULL,
	chain INTEGER NOT NULL, confidence INTEGER NOT NULL
) STRICT;
CREATE INDEX finding_capture ON finding (capture);

CREATE TABLE notice (
	id INTEGER PRIMARY KEY, time INTEGER NOT NULL,
	level INTEGER NOT NULL, room INTEGER NOT NULL, device INTEGER NOT NULL, text INTEGER NOT NULL
) STRICT;

CREATE TABLE hour (
	hour INTEGER NOT NULL, kind INTEGER NOT NULL, device INTEGER NOT NULL,
	first INTEGER NOT NULL, last INTEGER NOT NULL,
	events INTEGER NOT NULL, blocked INTEGER NOT NULL,
	up INTEGER NOT NULL, down INTEGER NOT NULL, seen INTEGER NOT NULL,
	PRIMARY KEY (hour, kind, device)
) STRICT, WITHOUT ROWID;
`

// schema2 adds the mark of a finding, by which its value is known again; 0 for
// those that were kept without. It is 64 bits, written as SQLite's signed ones.
const schema2 = `ALTER TABLE finding ADD COLUMN mark INTEGER NOT NULL DEFAULT 0`

// schema3 adds what is asked of a large file. asked counts every question by
// hour, for the names that are asked and stopped most; minute counts the last two
// days for close charts. given holds the highest id that a table ever gave: a
// reader remembers questions and routes by their ids, so that none is given
// twice. repeats of a query are those that followed within a second, the same in
// everything but time and duration.
const schema3 = `
ALTER TABLE query ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0;

CREATE TABLE given (of TEXT PRIMARY KEY, id INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE asked (
	hour INTEGER NOT NULL, question INTEGER NOT NULL,
	events INTEGER NOT NULL, last INTEGER NOT NULL,
	PRIMARY KEY (hour, question)
) STRICT, WITHOUT ROWID;
INSERT INTO asked SELECT (time - (time < 0) * 3599999) / 3600000, question, 1, time FROM query NOT INDEXED WHERE true
	ON CONFLICT (hour, question) DO UPDATE SET events = events + 1, last = max(last, excluded.last);

CREATE TABLE minute (
	minute INTEGER NOT NULL, kind INTEGER NOT NULL, device INTEGER NOT NULL,
	events INTEGER NOT NULL, blocked INTEGER NOT NULL,
	PRIMARY KEY (minute, kind, device)
) STRICT, WITHOUT ROWID;
`

// RefusedError refuses a file that this program cannot read.
type RefusedError struct{ text string }

func (e *RefusedError) Error() string { return e.text }

// Version reads the version of an open file, 0 for a new one. It refuses a file
// from a newer program and a database that is not a journal.
func Version(ctx context.Context, c *sql.Conn) (int, error) {
	var v, tables int
	if err := c.QueryRowContext(ctx, "PRAGMA user_version").Scan(&v); err != nil {
		return 0, err
	}
	if err := c.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return 0, err
	}
	newest := len(Migrations())
	switch {
	case v > newest:
		return v, &RefusedError{fmt.Sprintf("the file is from a newer nightlatch (version %d, this one knows %d); update nightlatch or move the file away", v, newest)}
	case v < 0 || v == 0 && tables > 0:
		return v, &RefusedError{"the file is a database of another program; move it away or choose another path"}
	}
	return v, nil
}

// migrate brings the file to the newest version, each step whole or not at all.
func migrate(ctx context.Context, c *sql.Conn) error {
	at, err := Version(ctx, c)
	if err != nil {
		return err
	}
	for i, step := range Migrations() {
		if i < at {
			continue
		}
		// user_version lies in the file's header: it is part of the transaction.
		sqlText := fmt.Sprintf("BEGIN IMMEDIATE; %s; PRAGMA user_version = %d; COMMIT", step, i+1)
		if _, err := c.ExecContext(ctx, sqlText); err != nil {
			_, _ = c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
			return fmt.Errorf("bring the file to version %d: %w", i+1, err)
		}
	}
	return nil
}
