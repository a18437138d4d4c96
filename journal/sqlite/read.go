package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"nightlatch/blocklists"
	"nightlatch/decoder"
	"nightlatch/policy"

	"nightlatch/journal/event"
)

// A page is chosen first, as t, and only its rows are joined to their texts.
// CROSS JOIN keeps the planner from turning that order round.
const (
	ruleColumns = `v.action, vw.text, r.list, r.line, r.text, r.domain, r.match, r.allow, r.action, r.category, r.why, r.breaks, r.source, r.prefix, r.answer`
	ruleJoin    = ` CROSS JOIN verdict v ON v.id = g.verdict CROSS JOIN rule r ON r.id = v.rule CROSS JOIN word vw ON vw.id = v.reason`
)

func word(alias, column string) string {
	return fmt.Sprintf(" CROSS JOIN word %s ON %s.id = %s", alias, alias, column)
}

// scanner reads the columns of a verdict.
type verdictRow struct {
	action, match, allow, act int
	prefix, answer            string
	v                         policy.Verdict
}

func (s *verdictRow) dest() []any {
	r := &s.v.Rule
	return []any{&s.action, &s.v.Reason, &r.List, &r.Line, &r.Text, &r.Domain, &s.match, &s.allow, &s.act,
		&r.Category, &r.Why, &r.Breaks, &r.Source, &s.prefix, &s.answer}
}

func (s *verdictRow) verdict() policy.Verdict {
	v := s.v
	v.Action = policy.Action(s.action)
	v.Rule.Match, v.Rule.Allow, v.Rule.Action = blocklists.Match(s.match), s.allow != 0, blocklists.Action(s.act)
	v.Rule.Prefix, _ = netip.ParsePrefix(s.prefix) // written by us; empty stays invalid
	v.Rule.Answer, _ = netip.ParseAddr(s.answer)
	return v
}

func addrPort(s string) netip.AddrPort {
	a, _ := netip.ParseAddrPort(s) // written by us; empty stays invalid
	return a
}

func milli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// rows runs a query and calls scan for every row.
func rows(ctx context.Context, db *sql.DB, text string, args []any, scan func(*sql.Rows) error) error {
	r, err := db.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer r.Close()
	for r.Next() {
		if err := scan(r); err != nil {
			return err
		}
	}
	return r.Err()
}

// Queries gives the DNS questions that f chooses, newest first.
func (s *Store) Queries(ctx context.Context, f event.Filter) ([]event.StoredQuery, error) {
	var out []event.StoredQuery
	db, err := s.reader()
	if err == nil && f.Finding == "" {
		out, err = s.queries(ctx, db, f)
	}
	return out, readError("queries", err)
}

func readError(what string, err error) error {
	if err != nil {
		return fmt.Errorf("journal: read %s: %w", what, err)
	}
	return nil
}

func (s *Store) queries(ctx context.Context, db *sql.DB, f event.Filter) ([]event.StoredQuery, error) {
	inner, args, ok, err := page(ctx, db, kindOf{hourQuery, "query", "question", s.walk}, f, s.groups(hourQuery), where{})
	if err != nil || !ok {
		return nil, err
	}
	text := "SELECT t.id, t.time, t.took, t.repeats, a.text, d.text, n.text, y.text, s.text, p.text, h.text, c.text, u.text, " + ruleColumns +
		" FROM (" + inner + ") t CROSS JOIN question g ON g.id = t.question" +
		word("a", "t.answers") + word("d", "g.device") + word("n", "g.name") + word("y", "g.type") + word("s", "g.server") +
		word("p", "g.network") + word("h", "g.through") + word("c", "g.rcode") + word("u", "g.upstream") + ruleJoin + " ORDER BY t.id DESC"
	var out []event.StoredQuery
	err = rows(ctx, db, text, args, func(r *sql.Rows) error {
		var q event.StoredQuery
		var ms, took int64
		var answers, server string
		var v verdictRow
		dest := append([]any{&q.ID, &ms, &took, &q.Repeats, &answers, &q.Device, &q.Name, &q.Type, &server, &q.Network, &q.Through, &q.RCode, &q.Upstream}, v.dest()...)
		if err := r.Scan(dest...); err != nil {
			return err
		}
		q.Time, q.Took = milli(ms), time.Duration(took)*time.Microsecond
		q.Answers, q.Server, q.Verdict = split(answers), addrPort(server), v.verdict()
		out = append(out, q)
		return nil
	})
	return out, err
}

// Flows gives the flows that f chooses, those that ended last first.
func (s *Store) Flows(ctx context.Context, f event.Filter) ([]event.StoredFlow, error) {
	var out []event.StoredFlow
	db, err := s.reader()
	if err == nil && f.Finding == "" {
		out, err = s.flows(ctx, db, f)
	}
	return out, readError("flows", err)
}

func (s *Store) flows(ctx context.Context, db *sql.DB, f event.Filter) ([]event.StoredFlow, error) {
	inner, args, ok, err := page(ctx, db, kindOf{hourFlow, "flow", "route", s.walk}, f, s.groups(hourFlow), where{})
	if err != nil || !ok {
		return nil, err
	}
	text := "SELECT t.id, t.time, t.took, t.src, t.up, t.down, e.text, g.exact, d.text, p.text, x.text, n.text, " + ruleColumns +
		" FROM (" + inner + ") t CROSS JOIN route g ON g.id = t.route" +
		word("e", "t.err") + word("d", "g.device") + word("p", "g.proto") + word("x", "g.dst") + word("n", "g.name") + ruleJoin + " ORDER BY t.id DESC"
	var out []event.StoredFlow
	err = rows(ctx, db, text, args, func(r *sql.Rows) error {
		var e event.StoredFlow
		var ms, took int64
		var src, dst string
		var v verdictRow
		dest := append([]any{&e.ID, &ms, &took, &src, &e.Up, &e.Down, &e.Err, &e.Known, &e.Device, &e.Proto, &dst, &e.Name}, v.dest()...)
		if err := r.Scan(dest...); err != nil {
			return err
		}
		e.Time, e.Took, e.Exact = milli(ms), time.Duration(took)*time.Microsecond, e.Known == event.KnownExact
		e.Src, e.Dst, e.Verdict = addrPort(src), addrPort(dst), v.verdict()
		out = append(out, e)
		return nil
	})
	return out, err
}

// captureWhere is what f asks of captures. The list is that of any verdict
// about the captured name: the sinkhole was asked because of it.
func captureWhere(f event.Filter) where {
	var w where
	if f.Device != "" {
		w.add("t.device = "+wordID, f.Device)
	}
	if f.Type != "" {
		w.add("t.scheme = "+wordID, strings.ToLower(f.Type))
	}
	if f.NamePart != "" {
		w.add(holds("t.name"), strings.ToLower(f.NamePart))
	}
	if f.List != "" {
		w.add(`t.name IN (SELECT g.name FROM question g WHERE g.verdict IN
			(SELECT v.id FROM verdict v WHERE v.action IN (1, 2, 3) AND v.rule IN (SELECT id FROM rule WHERE list = ?)))`, f.List)
	}
	if f.Finding != "" {
		w.add("EXISTS (SELECT 1 FROM finding x WHERE x.capture = t.id AND x.kind = "+wordID+")", f.Finding)
	}
	return w
}

// Captures gives what the sinkhole received, newest first, with findings.
func (s *Store) Captures(ctx context.Context, f event.Filter) ([]event.StoredCapture, error) {
	db, err := s.reader()
	if err != nil {
		return nil, readError("captures", err)
	}
	out, err := captures(ctx, db, f)
	return out, readError("captures", err)
}

func captures(ctx context.Context, db *sql.DB, f event.Filter) ([]event.StoredCapture, error) {
	inner, args, ok, err := page(ctx, db, kindOf{hour: hourCapture, table: "capture"}, f, nil, captureWhere(f))
	if err != nil || !ok {
		return nil, err
	}
	text := "SELECT t.id, t.time, t.path, t.size, t.repeats, t.sample, d.text, n.text, x.text, s.text, m.text, c.text, u.text, l.text, v.text, g.text, y.text FROM (" +
		inner + ") t" + word("d", "t.device") + word("n", "t.name") + word("x", "t.dst") + word("s", "t.scheme") + word("m", "t.method") +
		word("c", "t.content_type") + word("u", "t.user_agent") + word("l", "t.tls") + word("v", "t.verdict") + word("g", "t.flags") +
		word("y", "t.layers") + " ORDER BY t.id DESC"
	var out []event.StoredCapture
	err = rows(ctx, db, text, args, func(r *sql.Rows) error {
		var c event.StoredCapture
		var ms int64
		var dst, tls, flags, layers string
		err := r.Scan(&c.ID, &ms, &c.Path, &c.Size, &c.Repeats, &c.Sample, &c.Device, &c.Name, &dst, &c.Scheme, &c.Method,
			&c.ContentType, &c.UserAgent, &tls, &c.Result.Verdict, &flags, &layers)
		if err != nil {
			return err
		}
		c.Time, c.Dst, c.Result.Flags = milli(ms), addrPort(dst), split(flags)
		for _, l := range split(layers) {
			codec, path, _ := strings.Cut(l, " ")
			c.Result.Layers = append(c.Result.Layers, decoder.Layer{Codec: codec, Path: path})
		}
		if tls != "" {
			c.TLS = &event.TLS{}
			if err := json.Unmarshal([]byte(tls), c.TLS); err != nil {
				return err
			}
		}
		out = append(out, c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, attachFindings(ctx, db, out)
}

// attachFindings reads the findings of a page of captures.
func attachFindings(ctx context.Context, db *sql.DB, page []event.StoredCapture) error {
	if len(page) == 0 {
		return nil
	}
	at := make(map[int64]*event.StoredCapture, len(page))
	marks := make([]string, len(page))
	args := make([]any, len(page))
	for i := range page {
		at[page[i].ID] = &page[i]
		marks[i], args[i] = "?", page[i].ID
	}
	// MaxLimit rows stay below SQLite's 32,766 parameters.
	text := findingSelect + " WHERE f.capture IN (" + strings.Join(marks, ",") + ") ORDER BY f.id"
	return rows(ctx, db, text, args, func(r *sql.Rows) error {
		f, confidence, err := scanFinding(r)
		if err != nil {
			return err
		}
		c := at[f.Capture]
		f.Time, f.Device, f.Name = c.Time, c.Device, c.Name
		c.Findings, c.Marks = append(c.Findings, f), append(c.Marks, f.Mark)
		c.Result.Findings = append(c.Result.Findings, decoder.Finding{Kind: f.Kind, Value: f.Value, Path: f.Path, Chain: f.Chain, Confidence: confidence})
		return nil
	})
}

const findingSelect = `SELECT f.capture, f.confidence, f.mark, k.text, v.text, p.text, c.text FROM finding f
	CROSS JOIN word k ON k.id = f.kind CROSS JOIN word v ON v.id = f.value CROSS JOIN word p ON p.id = f.path CROSS JOIN word c ON c.id = f.chain`

func scanFinding(r *sql.Rows) (event.StoredFinding, decoder.Confidence, error) {
	var f event.StoredFinding
	var n int
	var mark int64
	var chain string
	err := r.Scan(&f.Capture, &n, &mark, &f.Kind, &f.Value, &f.Path, &chain)
	c := decoder.Confidence(n)
	f.Chain, f.Confidence, f.Mark = split(chain), c.String(), event.Mark(mark)
	return f, c, err
}

// Findings gives the findings of the captures that f chooses, those of the
// newest capture first; with f.Finding, of that kind alone. Limit counts findings.
func (s *Store) Findings(ctx context.Context, f event.Filter) ([]event.StoredFinding, error) {
	db, err := s.reader()
	if err != nil {
		return nil, readError("findings", err)
	}
	limit := f.Rows()
	var out []event.StoredFinding
	for len(out) < limit {
		page, err := captures(ctx, db, f)
		if err != nil {
			return nil, readError("findings", err)
		}
		for _, c := range page {
			for _, x := range c.Findings {
				if f.Finding == "" || x.Kind == f.Finding {
					out = append(out, x)
				}
			}
			f.Before = c.ID
		}
		if len(page) < limit {
			break
		}
	}
	return out[:min(len(out), limit)], nil
}

// Notices gives the notices that f chooses, newest first.
func (s *Store) Notices(ctx context.Context, f event.Filter) ([]event.StoredNotice, error) {
	var out []event.StoredNotice
	db, err := s.reader()
	if err == nil && !f.Blocked && f.List == "" && f.Finding == "" {
		out, err = notices(ctx, db, f)
	}
	return out, readError("notices", err)
}

func notices(ctx context.Context, db *sql.DB, f event.Filter) ([]event.StoredNotice, error) {
	var w where
	if f.Device != "" {
		w.add("t.device = "+wordID, f.Device)
	}
	if f.NamePart != "" {
		w.add(holds("t.text"), strings.ToLower(f.NamePart))
	}
	if f.Type != "" {
		level := -1
		for _, l := range []event.Level{event.Info, event.Warn, event.Error} {
			if strings.EqualFold(f.Type, l.String()) {
				level = int(l)
			}
		}
		w.add("t.level = ?", level)
	}
	inner, args, ok, err := page(ctx, db, kindOf{hour: hourNotice, table: "notice"}, f, nil, w)
	if err != nil || !ok {
		return nil, err
	}
	text := "SELECT t.id, t.time, t.level, m.text, d.text, x.text FROM (" + inner + ") t" +
		word("m", "t.room") + word("d", "t.device") + word("x", "t.text") + " ORDER BY t.id DESC"
	var out []event.StoredNotice
	err = rows(ctx, db, text, args, func(r *sql.Rows) error {
		var n event.StoredNotice
		var ms int64
		err := r.Scan(&n.ID, &ms, &n.Level, &n.Room, &n.Device, &n.Text)
		n.Time = milli(ms)
		out = append(out, n)
		return err
	})
	return out, err
}
