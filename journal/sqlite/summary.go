package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"nightlatch/decoder"

	"nightlatch/journal/event"
)

const (
	maxBlockedNames = 50
	maxLeaks        = 200
)

// Summary counts what happened since a moment. Devices, names and leaks count
// from that moment to the millisecond; the hours are whole.
func (s *Store) Summary(ctx context.Context, since time.Time) (event.Summary, error) {
	sum := event.Summary{Since: since}
	db, err := s.reader()
	if err != nil {
		return sum, readError("summary", err)
	}
	m := &summing{ctx: ctx, db: db, since: since.UnixMilli(), owner: s.o.OwnerOf, devices: map[string]*event.DeviceSummary{}}
	if since.IsZero() {
		m.since = -1 << 62
	}
	for _, step := range []func(*event.Summary) error{m.hours, m.partHour, m.blocked, m.leaks} {
		if err := step(&sum); err != nil {
			return sum, readError("summary", err)
		}
	}
	m.total(&sum)
	return sum, nil
}

// summing holds one summary while it is made.
type summing struct {
	ctx     context.Context
	db      *sql.DB
	since   int64 // milliseconds
	owner   func(list string) string
	devices map[string]*event.DeviceSummary
}

func (m *summing) device(name string) *event.DeviceSummary {
	d := m.devices[name]
	if d == nil {
		d = &event.DeviceSummary{Device: name}
		m.devices[name] = d
	}
	return d
}

// count adds one line of counts, of an hour or of the part of one.
func (m *summing) count(kind int, device string, events, blocked, up, down, seen int64) {
	if kind == hourNotice {
		return
	}
	d := m.device(device)
	switch kind {
	case hourQuery:
		d.Queries += events
		d.BlockedQueries += blocked
	case hourFlow:
		d.Flows += events
		d.BlockedFlows += blocked
		d.Up += up
		d.Down += down
	case hourCapture:
		d.Captures += events
	}
	if t := milli(seen); t.After(d.LastSeen) {
		d.LastSeen = t
	}
}

// hours reads the whole hours; the one that since lies in makes a bar of the
// chart but no count.
func (m *summing) hours(s *event.Summary) error {
	first := hourOf(m.since)
	return rows(m.ctx, m.db, `SELECT h.hour, h.kind, w.text, h.events, h.blocked, h.up, h.down, h.seen
		FROM hour h CROSS JOIN word w ON w.id = h.device WHERE h.hour >= ? ORDER BY h.hour`, []any{first}, func(r *sql.Rows) error {
		var hour, events, blocked, up, down, seen int64
		var kind int
		var device string
		if err := r.Scan(&hour, &kind, &device, &events, &blocked, &up, &down, &seen); err != nil {
			return err
		}
		if start := milli(hour * hourMillis); len(s.Hours) == 0 || !s.Hours[len(s.Hours)-1].Start.Equal(start) {
			s.Hours = append(s.Hours, event.Hour{Start: start})
		}
		h := &s.Hours[len(s.Hours)-1]
		switch kind {
		case hourQuery:
			h.Queries += events
			h.BlockedQueries += blocked
		case hourFlow:
			h.Flows += events
			h.BlockedFlows += blocked
		case hourCapture:
			h.Captures += events
		}
		if hour > first {
			m.count(kind, device, events, blocked, up, down, seen)
		}
		return nil
	})
}

// partHour counts the rows of the hour that since lies in, from since on.
func (m *summing) partHour(*event.Summary) error {
	hour := hourOf(m.since)
	for _, kind := range []int{hourQuery, hourFlow, hourCapture} {
		var first, last sql.NullInt64
		err := m.db.QueryRowContext(m.ctx, "SELECT min(first), max(last) FROM hour WHERE hour = ? AND kind = ?", hour, kind).Scan(&first, &last)
		if err != nil {
			return err
		}
		if !first.Valid {
			continue
		}
		text := "SELECT w.text, x.* FROM (" + countRows(kind, "") + ") x CROSS JOIN word w ON w.id = x.device"
		args := []any{first.Int64, last.Int64, m.since, (hour + 1) * hourMillis}
		err = rows(m.ctx, m.db, text, args, func(r *sql.Rows) error {
			var name string
			var device, first, last, events, blocked, up, down, seen int64
			if err := r.Scan(&name, &device, &first, &last, &events, &blocked, &up, &down, &seen); err != nil {
				return err
			}
			m.count(kind, name, events, blocked, up, down, seen)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// countRows counts rows of one kind by device, and by the column by when there
// is one (minute), in the columns of the hour
// table: those with ids from ?1 to ?2 and times from ?3 to before ?4.
func countRows(kind int, by string) string {
	group := ""
	if by != "" {
		group = "minute, "
	}
	const bounds = " WHERE t.id BETWEEN ?1 AND ?2 AND t.time >= ?3 AND t.time < ?4 "
	switch kind {
	case hourQuery:
		return "SELECT " + by + `g.device AS device, min(t.id), max(t.id), sum(1 + t.repeats) AS events, sum((v.action IN (1, 2, 3)) * (1 + t.repeats)) AS blocked, 0, 0, max(t.time)
			FROM query t NOT INDEXED CROSS JOIN question g ON g.id = t.question CROSS JOIN verdict v ON v.id = g.verdict` + bounds + "GROUP BY " + group + "g.device"
	case hourFlow:
		return "SELECT " + by + `g.device AS device, min(t.id), max(t.id), count(*) AS events, sum(v.action IN (1, 2, 3)) AS blocked, sum(t.up), sum(t.down), max(t.time + t.took / 1000)
			FROM flow t NOT INDEXED CROSS JOIN route g ON g.id = t.route CROSS JOIN verdict v ON v.id = g.verdict` + bounds + "GROUP BY " + group + "g.device"
	case hourCapture:
		return "SELECT " + by + `t.device AS device, min(t.id), max(t.id), count(*) AS events, count(*) AS blocked, sum(t.size), 0, max(t.time)
			FROM capture t` + bounds + "GROUP BY " + group + "t.device"
	}
	return "SELECT " + by + `t.device AS device, min(t.id), max(t.id), count(*) AS events, 0 AS blocked, 0, 0, max(t.time)
			FROM notice t` + bounds + "GROUP BY " + group + "t.device"
}

// blocked finds the names that were stopped most: whole hours from asked, the
// one that since lies in from its rows.
func (m *summing) blocked(s *event.Summary) error {
	hour := hourOf(m.since)
	var first, last sql.NullInt64
	err := m.db.QueryRowContext(m.ctx, "SELECT min(first), max(last) FROM hour WHERE hour = ? AND kind = ?", hour, hourQuery).Scan(&first, &last)
	if err != nil {
		return err
	}
	text := `WITH count (question, hits, last) AS (
			SELECT question, events, last FROM asked WHERE hour > ?1
			UNION ALL SELECT question, 1 + repeats, time FROM query NOT INDEXED WHERE id BETWEEN ?2 AND ?3 AND time >= ?4 AND time < ?5)
		SELECT n.text, r.list, r.line, r.text, x.text, c.hits, c.devices, c.last FROM (
			SELECT g.name AS name, v.rule AS rule, v.reason AS reason, sum(q.hits) AS hits, count(DISTINCT g.device) AS devices, max(q.last) AS last
			FROM (SELECT question, sum(hits) AS hits, max(last) AS last FROM count GROUP BY question) q CROSS JOIN question g ON g.id = q.question
			CROSS JOIN verdict v ON v.id = g.verdict WHERE v.action IN (1, 2, 3) GROUP BY g.name, v.rule, v.reason
		) c CROSS JOIN word n ON n.id = c.name CROSS JOIN rule r ON r.id = c.rule CROSS JOIN word x ON x.id = c.reason
		ORDER BY 6 DESC, 1 LIMIT ?6`
	return rows(m.ctx, m.db, text, []any{hour, first.Int64, last.Int64, m.since, (hour + 1) * hourMillis, maxBlockedNames}, func(r *sql.Rows) error {
		var b event.BlockedName
		var last int64
		if err := r.Scan(&b.Name, &b.List, &b.Line, &b.Rule, &b.Reason, &b.Count, &b.Devices, &last); err != nil {
			return err
		}
		b.Last, b.Owner = milli(last), m.owner(b.List)
		s.Blocked = append(s.Blocked, b)
		return nil
	})
}

// leaks counts findings by kind, name and device. The company is the owner of
// the list that last stopped the name.
func (m *summing) leaks(s *event.Summary) error {
	text := `SELECT k.text, n.text, d.text, max(f.confidence), count(*), max(c.time), coalesce((
			SELECT r.list FROM question g CROSS JOIN verdict v ON v.id = g.verdict CROSS JOIN rule r ON r.id = v.rule
			WHERE g.name = c.name AND v.action IN (1, 2, 3) AND r.list <> '' ORDER BY g.id DESC LIMIT 1), '')
		FROM capture c CROSS JOIN finding f INDEXED BY finding_capture ON f.capture = c.id
		CROSS JOIN word k ON k.id = f.kind CROSS JOIN word n ON n.id = c.name CROSS JOIN word d ON d.id = c.device
		WHERE c.time >= ? GROUP BY f.kind, c.name, c.device ORDER BY 5 DESC, 1, 2, 3`
	err := rows(m.ctx, m.db, text, []any{m.since}, func(r *sql.Rows) error {
		var l event.FindingSummary
		var confidence int
		var last int64
		var list string
		if err := r.Scan(&l.Kind, &l.Name, &l.Device, &confidence, &l.Count, &last, &list); err != nil {
			return err
		}
		l.Confidence, l.Last, l.Owner = decoder.Confidence(confidence).String(), milli(last), m.owner(list)
		m.device(l.Device).Findings += l.Count
		if len(s.Leaks) < maxLeaks {
			s.Leaks = append(s.Leaks, l)
		}
		return nil
	})
	return err
}

func (m *summing) total(s *event.Summary) {
	for _, d := range m.devices {
		s.Devices = append(s.Devices, *d)
		t := &s.Total
		t.Queries += d.Queries
		t.BlockedQueries += d.BlockedQueries
		t.Flows += d.Flows
		t.BlockedFlows += d.BlockedFlows
		t.Captures += d.Captures
		t.Findings += d.Findings
		t.Up += d.Up
		t.Down += d.Down
		if d.LastSeen.After(t.LastSeen) {
			t.LastSeen = d.LastSeen
		}
	}
	slices.SortFunc(s.Devices, func(a, b event.DeviceSummary) int {
		return strings.Compare(a.Device, b.Device)
	})
}
