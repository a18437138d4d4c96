package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"nightlatch/journal/event"
)

// groups holds the interned questions or routes of the file in columns: some
// 20 bytes each, and the names once. What a filter asks of devices, names, types
// and verdicts is answered here in a millisecond; as SQL it would take longer
// than reading the rows. It is filled at the first filter and then only grows:
// ids are never given twice, and those of removed groups lead to no row. An id
// has 32 bits here: four thousand million different questions fill no such file.
type groups struct {
	table, kind, other string // names of the table and of its columns

	mu                                 sync.Mutex
	id, device, name, type_, thru, did []uint32          // columns, by id; did is the verdict
	texts                              map[uint32]string // of names, lower case; made at the first search for one
}

func newGroups(table, kind, other string) *groups {
	return &groups{table: table, kind: kind, other: other}
}

// chosen are the groups that a filter allows.
type chosen struct {
	ids  []uint32 // ascending
	bits []uint64
}

func (c *chosen) add(id uint32) {
	c.ids = append(c.ids, id)
	for int(id>>6) >= len(c.bits) {
		c.bits = append(c.bits, make([]uint64, len(c.bits)+64)...)
	}
	c.bits[id>>6] |= 1 << (id & 63)
}

func (c *chosen) has(id int64) bool {
	return id>>6 < int64(len(c.bits)) && c.bits[id>>6]&(1<<(id&63)) != 0
}

// asksGroup tells whether f has a condition on questions or routes at all.
func asksGroup(f event.Filter) bool {
	return f.Device != "" || f.NamePart != "" || f.Blocked || f.Type != "" || f.List != ""
}

// choose gives the groups that f allows, nil when f asks nothing of them.
func (g *groups) choose(ctx context.Context, db *sql.DB, f event.Filter) (*chosen, error) {
	if !asksGroup(f) {
		return nil, nil
	}
	device, err := idSet(ctx, db, f.Device != "", "SELECT id FROM word WHERE text = ?", f.Device)
	if err != nil {
		return nil, err
	}
	kind, err := idSet(ctx, db, f.Type != "", "SELECT id FROM word WHERE text IN (?, ?, ?)", f.Type, strings.ToUpper(f.Type), strings.ToLower(f.Type))
	if err != nil {
		return nil, err
	}
	verdict, err := idSet(ctx, db, f.Blocked || f.List != "", `SELECT v.id FROM verdict v CROSS JOIN rule r ON r.id = v.rule
		WHERE (NOT ? OR v.action IN (1, 2, 3)) AND (? = '' OR r.list = ?)`, f.Blocked, f.List, f.List)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.load(ctx, db); err != nil {
		return nil, err
	}
	name, err := g.holding(ctx, db, f.NamePart)
	if err != nil {
		return nil, err
	}
	c := &chosen{}
	for i, id := range g.id {
		if in(device, g.device[i]) && in(kind, g.type_[i]) && in(verdict, g.did[i]) && (name == nil || name[g.name[i]] || name[g.thru[i]]) {
			c.add(id)
		}
	}
	return c, nil
}

// in tells whether a condition holds; one that is nil is not asked.
func in(set []uint32, id uint32) bool { return set == nil || slices.Contains(set, id) }

// idSet reads ids, when they are asked for; the result is nil when they are not.
func idSet(ctx context.Context, db *sql.DB, asked bool, text string, args ...any) ([]uint32, error) {
	if !asked {
		return nil, nil
	}
	out := []uint32{}
	err := rows(ctx, db, text, args, func(r *sql.Rows) error {
		var id uint32
		err := r.Scan(&id)
		out = append(out, id)
		return err
	})
	return out, err
}

// load reads the groups that are new since the last look. Callers hold mu.
func (g *groups) load(ctx context.Context, db *sql.DB) error {
	var last uint32
	if n := len(g.id); n > 0 {
		last = g.id[n-1]
	}
	text := "SELECT id, device, name, " + g.kind + ", " + g.other + ", verdict FROM " + g.table + " NOT INDEXED WHERE id > ? ORDER BY id"
	return rows(ctx, db, text, []any{last}, func(r *sql.Rows) error {
		var id, device, name, kind, other, verdict uint32
		if err := r.Scan(&id, &device, &name, &kind, &other, &verdict); err != nil {
			return err
		}
		g.id, g.device, g.name = append(g.id, id), append(g.device, device), append(g.name, name)
		g.type_, g.thru, g.did = append(g.type_, kind), append(g.thru, other), append(g.did, verdict)
		return nil
	})
}

// holding gives the names that hold part, any case; nil when part is empty.
// Names are few beside rows: a walk over them is cheap and needs no index.
// Callers hold mu.
func (g *groups) holding(ctx context.Context, db *sql.DB, part string) (map[uint32]bool, error) {
	if part == "" {
		return nil, nil
	}
	if g.texts == nil {
		g.texts = map[uint32]string{0: ""}
	}
	var missing []uint32
	for _, column := range [][]uint32{g.name, g.thru} {
		for _, id := range column {
			if _, ok := g.texts[id]; !ok {
				g.texts[id] = ""
				missing = append(missing, id)
			}
		}
	}
	if err := g.read(ctx, db, missing); err != nil {
		g.texts = nil // not all are there
		return nil, err
	}
	part = strings.ToLower(part)
	out := map[uint32]bool{}
	for id, text := range g.texts {
		if strings.Contains(text, part) {
			out[id] = true
		}
	}
	return out, nil
}

func (g *groups) read(ctx context.Context, db *sql.DB, ids []uint32) error {
	if len(ids) == 0 {
		return nil
	}
	text := "SELECT w.id, w.text FROM json_each(?) e CROSS JOIN word w ON w.id = e.value"
	return rows(ctx, db, text, []any{list(ids)}, func(r *sql.Rows) error {
		var id uint32
		var name string
		err := r.Scan(&id, &name)
		g.texts[id] = strings.ToLower(name)
		return err
	})
}

// list spells ids for json_each.
func list[T int64 | uint32](ids []T) string {
	b, _ := json.Marshal(ids) // numbers always can be
	return string(b)
}

// groups gives those of the file that is open.
func (s *Store) groups(kind int) *groups {
	s.readMu.Lock()
	defer s.readMu.Unlock()
	if kind == hourFlow {
		return s.routes
	}
	return s.questions
}

// Warm reads what filters need ahead of the first one.
func (s *Store) Warm(ctx context.Context) error {
	db, err := s.reader()
	if err != nil {
		return err
	}
	for _, kind := range []int{hourQuery, hourFlow} {
		if _, err := s.groups(kind).choose(ctx, db, event.Filter{NamePart: "."}); err != nil {
			return err
		}
	}
	return nil
}
