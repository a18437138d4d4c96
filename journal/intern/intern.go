// Package intern keeps each text, rule, question and route of the journal once,
// and gives its number: the first time from the file, later from memory.
package intern

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"strings"

	"nightlatch/blocklists"
	"nightlatch/policy"

	"nightlatch/journal/event"
)

// maxInterned bounds each table of known ids in memory: two generations of so
// many, about 16 MiB in all. What is forgotten is found again in the file.
const maxInterned = 32_768

// recent remembers ids that were used lately: when the young generation is full
// it becomes the old one, from which what is used again is taken over.
type recent[K comparable] struct{ young, old map[K]int64 }

func (r *recent[K]) get(k K) (int64, bool) {
	if id, ok := r.young[k]; ok {
		return id, true
	}
	id, ok := r.old[k]
	if ok {
		r.put(k, id)
	}
	return id, ok
}

func (r *recent[K]) put(k K, id int64) {
	if len(r.young) >= maxInterned || r.young == nil {
		r.old, r.young = r.young, map[K]int64{}
	}
	r.young[k] = id
}

// Words gives the ids of texts, rules, questions and routes, and makes them
// when they are new. It belongs to one write at a time, inside its transaction:
// after a failed one it must be forgotten.
type Words struct {
	c         *sql.Conn
	stmts     map[string]*sql.Stmt
	next      map[string]int64 // id of the next row, by table
	words     recent[string]
	rules     recent[blocklists.Rule]
	verdicts  recent[policy.Verdict]
	questions recent[[9]int64] // all of a query that repeats, as ids
	routes    recent[[6]int64] // all of a flow that repeats
}

func New(c *sql.Conn) *Words {
	in := &Words{c: c, stmts: map[string]*sql.Stmt{}}
	in.Forget()
	return in
}

// Forget empties the tables in memory, as after a rollback or a clean-up.
func (in *Words) Forget() {
	in.next = map[string]int64{}
	in.words, in.rules, in.verdicts = recent[string]{}, recent[blocklists.Rule]{}, recent[policy.Verdict]{}
	in.questions, in.routes = recent[[9]int64]{}, recent[[6]int64]{}
}

// stmt prepares a statement once.
func (in *Words) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	if s, ok := in.stmts[text]; ok {
		return s, nil
	}
	s, err := in.c.PrepareContext(ctx, text)
	if err == nil {
		in.stmts[text] = s
	}
	return s, err
}

func (in *Words) Close() {
	for _, s := range in.stmts {
		_ = s.Close()
	}
}

func (in *Words) Exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	s, err := in.stmt(ctx, text)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// id finds the row of a table that has args in columns, or makes it.
func (in *Words) id(ctx context.Context, table, columns string, args ...any) (int64, error) {
	find, err := in.stmt(ctx, "SELECT id FROM "+table+" WHERE "+strings.ReplaceAll(columns, ", ", " = ? AND ")+" = ?")
	if err != nil {
		return 0, err
	}
	var id int64
	err = find.QueryRowContext(ctx, args...).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	if id, err = in.fresh(ctx, table); err != nil {
		return 0, err
	}
	_, err = in.Exec(ctx, "INSERT INTO "+table+" ("+columns+", id) VALUES (?"+strings.Repeat(", ?", len(args))+")", append(args, id)...)
	return id, err
}

// fresh gives an id that the table never had.
func (in *Words) fresh(ctx context.Context, table string) (int64, error) {
	id, ok := in.next[table]
	if !ok {
		s, err := in.stmt(ctx, "SELECT 1 + max(coalesce((SELECT max(id) FROM "+table+"), 0), coalesce((SELECT id FROM given WHERE of = ?), 0))")
		if err != nil {
			return 0, err
		}
		if err := s.QueryRowContext(ctx, table).Scan(&id); err != nil {
			return 0, err
		}
	}
	in.next[table] = id + 1
	return id, nil
}

func (in *Words) Word(ctx context.Context, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if id, ok := in.words.get(text); ok {
		return id, nil
	}
	id, err := in.id(ctx, "word", "text", text)
	if err == nil {
		in.words.put(text, id)
	}
	return id, err
}

// WordArgs gives the ids of several texts, as arguments of a statement.
func (in *Words) WordArgs(ctx context.Context, texts ...string) ([]any, error) {
	out := make([]any, len(texts), len(texts)+4)
	for i, t := range texts {
		id, err := in.Word(ctx, t)
		if err != nil {
			return nil, err
		}
		out[i] = id
	}
	return out, nil
}

func (in *Words) rule(ctx context.Context, r blocklists.Rule) (int64, error) {
	if r == (blocklists.Rule{}) {
		return 0, nil
	}
	if id, ok := in.rules.get(r); ok {
		return id, nil
	}
	prefix, answer := "", ""
	if r.Prefix.IsValid() {
		prefix = r.Prefix.String()
	}
	if r.Answer.IsValid() {
		answer = r.Answer.String()
	}
	id, err := in.id(ctx, "rule", "list, line, text, domain, match, allow, action, category, why, breaks, source, prefix, answer",
		r.List, r.Line, r.Text, r.Domain, int(r.Match), Flag(r.Allow), int(r.Action),
		r.Category, r.Why, r.Breaks, r.Source, prefix, answer)
	if err == nil {
		in.rules.put(r, id)
	}
	return id, err
}

func Flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (in *Words) Verdict(ctx context.Context, v policy.Verdict) (int64, error) {
	if id, ok := in.verdicts.get(v); ok {
		return id, nil
	}
	rule, err := in.rule(ctx, v.Rule)
	if err != nil {
		return 0, err
	}
	reason, err := in.Word(ctx, v.Reason)
	if err != nil {
		return 0, err
	}
	id, err := in.id(ctx, "verdict", "action, rule, reason", int(v.Action), rule, reason)
	if err == nil {
		in.verdicts.put(v, id)
	}
	return id, err
}

func (in *Words) Question(ctx context.Context, q *event.Query) (id, device int64, err error) {
	var k [9]int64
	for i, text := range []string{q.Name, q.Device, q.Type, Address(q.Server), q.Network, q.Through, q.RCode, q.Upstream} {
		if k[i], err = in.Word(ctx, text); err != nil {
			return 0, 0, err
		}
	}
	if k[8], err = in.Verdict(ctx, q.Verdict); err != nil {
		return 0, 0, err
	}
	if id, ok := in.questions.get(k); ok {
		return id, k[1], nil
	}
	id, err = in.id(ctx, "question", "name, device, type, server, network, through, rcode, upstream, verdict", arguments(k[:])...)
	if err == nil {
		in.questions.put(k, id)
	}
	return id, k[1], err
}

func arguments(ids []int64) []any {
	out := make([]any, len(ids), len(ids)+1)
	for i, id := range ids {
		out[i] = id
	}
	return out
}

// known is what the column exact holds: how the name is known, of which that it
// is exact was once all.
func known(f *event.Flow) event.Known {
	if f.Exact {
		return event.KnownExact
	}
	return f.Known
}

func (in *Words) Route(ctx context.Context, f *event.Flow) (id int64, err error) {
	k := [6]int64{4: int64(known(f))}
	for i, text := range []string{f.Name, Address(f.Dst), f.Device, f.Proto} {
		if k[i], err = in.Word(ctx, text); err != nil {
			return 0, err
		}
	}
	if k[5], err = in.Verdict(ctx, f.Verdict); err != nil {
		return 0, err
	}
	if id, ok := in.routes.get(k); ok {
		return id, nil
	}
	if id, err = in.id(ctx, "route", "name, dst, device, proto, exact, verdict", arguments(k[:])...); err == nil {
		in.routes.put(k, id)
	}
	return id, err
}

// Address spells an address and port; one that is not valid is empty.
func Address(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
