package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"

	"nightlatch/blocklists"
	"nightlatch/policy"

	"nightlatch/journal/event"
)

// maxInterned bounds each table of known texts in memory, at about 16 MiB in
// all. When one is full it is emptied: texts are found again in the file.
const maxInterned = 32_768

// intern gives the ids of texts, rules, questions and routes, and makes them
// when they are new. It belongs to one write at a time, inside its transaction:
// after a failed one it must be forgotten.
type intern struct {
	c         *sql.Conn
	stmts     map[string]*sql.Stmt
	words     map[string]int64
	rules     map[blocklists.Rule]int64
	questions map[questionKey]int64
	routes    map[routeKey]int64
}

// questionKey is all of a query that repeats.
type questionKey struct {
	device, name, qtype, network string
	server                       netip.AddrPort
	verdict                      policy.Verdict
	through, rcode, upstream     string
}

// routeKey is all of a flow that repeats.
type routeKey struct {
	device, proto, name string
	dst                 netip.AddrPort
	known               event.Known
	verdict             policy.Verdict
}

func newIntern(c *sql.Conn) *intern {
	in := &intern{c: c, stmts: map[string]*sql.Stmt{}}
	in.forget()
	return in
}

// forget empties the tables in memory, as after a rollback or a clean-up.
func (in *intern) forget() {
	in.words = map[string]int64{"": 0}
	in.rules = map[blocklists.Rule]int64{{}: 0}
	in.questions = map[questionKey]int64{}
	in.routes = map[routeKey]int64{}
}

// stmt prepares a statement once.
func (in *intern) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	if s, ok := in.stmts[text]; ok {
		return s, nil
	}
	s, err := in.c.PrepareContext(ctx, text)
	if err == nil {
		in.stmts[text] = s
	}
	return s, err
}

func (in *intern) close() {
	for _, s := range in.stmts {
		_ = s.Close()
	}
}

func (in *intern) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	s, err := in.stmt(ctx, text)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// id finds the row that has args, or makes it.
func (in *intern) id(ctx context.Context, find, add string, args ...any) (int64, error) {
	s, err := in.stmt(ctx, find)
	if err != nil {
		return 0, err
	}
	var id int64
	err = s.QueryRowContext(ctx, args...).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	r, err := in.exec(ctx, add, args...)
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

// remember stores an id, and empties the table first when it is full.
func remember[K comparable](m map[K]int64, k K, id int64, keep K, keepID int64) {
	if len(m) >= maxInterned {
		clear(m)
		m[keep] = keepID
	}
	m[k] = id
}

func (in *intern) word(ctx context.Context, text string) (int64, error) {
	if id, ok := in.words[text]; ok {
		return id, nil
	}
	id, err := in.id(ctx, "SELECT id FROM word WHERE text = ?", "INSERT INTO word (text) VALUES (?)", text)
	if err == nil {
		remember(in.words, text, id, "", 0)
	}
	return id, err
}

// wordArgs gives the ids of several texts, as arguments of a statement.
func (in *intern) wordArgs(ctx context.Context, texts ...string) ([]any, error) {
	out := make([]any, len(texts), len(texts)+4)
	for i, t := range texts {
		id, err := in.word(ctx, t)
		if err != nil {
			return nil, err
		}
		out[i] = id
	}
	return out, nil
}

func (in *intern) rule(ctx context.Context, r blocklists.Rule) (int64, error) {
	if id, ok := in.rules[r]; ok {
		return id, nil
	}
	prefix, answer := "", ""
	if r.Prefix.IsValid() {
		prefix = r.Prefix.String()
	}
	if r.Answer.IsValid() {
		answer = r.Answer.String()
	}
	id, err := in.id(ctx,
		`SELECT id FROM rule WHERE list = ? AND line = ? AND text = ? AND domain = ? AND match = ? AND allow = ? AND action = ?
			AND category = ? AND why = ? AND breaks = ? AND source = ? AND prefix = ? AND answer = ?`,
		`INSERT INTO rule (list, line, text, domain, match, allow, action, category, why, breaks, source, prefix, answer)
			VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		r.List, r.Line, r.Text, r.Domain, int(r.Match), flag(r.Allow), int(r.Action),
		r.Category, r.Why, r.Breaks, r.Source, prefix, answer)
	if err == nil {
		remember(in.rules, r, id, blocklists.Rule{}, 0)
	}
	return id, err
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (in *intern) verdict(ctx context.Context, v policy.Verdict) (int64, error) {
	rule, err := in.rule(ctx, v.Rule)
	if err != nil {
		return 0, err
	}
	reason, err := in.word(ctx, v.Reason)
	if err != nil {
		return 0, err
	}
	return in.id(ctx,
		"SELECT id FROM verdict WHERE action = ? AND rule = ? AND reason = ?",
		"INSERT INTO verdict (action, rule, reason) VALUES (?,?,?)",
		int(v.Action), rule, reason)
}

func (in *intern) question(ctx context.Context, q *event.Query) (int64, error) {
	k := questionKey{q.Device, q.Name, q.Type, q.Network, q.Server, q.Verdict, q.Through, q.RCode, q.Upstream}
	if id, ok := in.questions[k]; ok {
		return id, nil
	}
	args, err := in.wordArgs(ctx, q.Device, q.Name, q.Type, address(q.Server), q.Network, q.Through, q.RCode, q.Upstream)
	if err != nil {
		return 0, err
	}
	v, err := in.verdict(ctx, q.Verdict)
	if err != nil {
		return 0, err
	}
	id, err := in.id(ctx,
		`SELECT id FROM question WHERE device = ? AND name = ? AND type = ? AND server = ? AND network = ?
			AND through = ? AND rcode = ? AND upstream = ? AND verdict = ?`,
		"INSERT INTO question (device, name, type, server, network, through, rcode, upstream, verdict) VALUES (?,?,?,?,?,?,?,?,?)",
		append(args, v)...)
	if err == nil {
		remember(in.questions, k, id, k, id)
	}
	return id, err
}

// known is what the column exact holds: how the name is known, of which that it
// is exact was once all.
func known(f *event.Flow) event.Known {
	if f.Exact {
		return event.KnownExact
	}
	return f.Known
}

func (in *intern) route(ctx context.Context, f *event.Flow) (int64, error) {
	k := routeKey{f.Device, f.Proto, f.Name, f.Dst, known(f), f.Verdict}
	if id, ok := in.routes[k]; ok {
		return id, nil
	}
	args, err := in.wordArgs(ctx, f.Device, f.Proto, address(f.Dst), f.Name)
	if err != nil {
		return 0, err
	}
	v, err := in.verdict(ctx, f.Verdict)
	if err != nil {
		return 0, err
	}
	id, err := in.id(ctx,
		"SELECT id FROM route WHERE device = ? AND proto = ? AND dst = ? AND name = ? AND exact = ? AND verdict = ?",
		"INSERT INTO route (device, proto, dst, name, exact, verdict) VALUES (?,?,?,?,?,?)",
		append(args, int64(known(f)), v)...)
	if err == nil {
		remember(in.routes, k, id, k, id)
	}
	return id, err
}

// address spells an address and port; one that is not valid is empty.
func address(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
