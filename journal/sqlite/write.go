package sqlite

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"nightlatch/journal/event"
)

// The queries of a batch go in rows of rowsAtOnce per statement: with one
// statement a row, most of the time would go into database/sql.
const rowsAtOnce = 64

// tally counts a batch for the hour table.
type tally map[hourKey]*hourRow

type hourKey struct {
	hour   int64 // since 1970
	kind   int
	device int64
}

type hourRow struct{ first, last, events, blocked, up, down, seen int64 }

func (t tally) add(kind int, device, id int64, at, seen time.Time, blocked bool, up, down int64) {
	k := hourKey{hourOf(at.UnixMilli()), kind, device}
	r := t[k]
	if r == nil {
		r = &hourRow{first: id, seen: seen.UnixMilli()}
		t[k] = r
	}
	r.last = id
	r.events++
	r.blocked += int64(flag(blocked))
	r.up += up
	r.down += down
	r.seen = max(r.seen, seen.UnixMilli())
}

const hourMillis = int64(time.Hour / time.Millisecond)

// hourOf rounds down, before 1970 too.
func hourOf(milli int64) int64 {
	if milli < 0 {
		return -((-milli + hourMillis - 1) / hourMillis)
	}
	return milli / hourMillis
}

// insertion writes one batch inside an open transaction.
type insertion struct {
	*intern
	ctx  context.Context // of this one write
	next int64           // id of the next event
	hour tally
	rows []any // of queries not yet sent
}

func (w *insertion) event(e event.Event) error {
	id := w.next
	w.next++
	switch e := e.(type) {
	case event.Query:
		return w.query(id, &e)
	case event.Flow:
		return w.flow(id, &e)
	case event.Capture:
		return w.capture(id, &e)
	case event.Notice:
		return w.notice(id, &e)
	}
	return nil
}

func (w *insertion) query(id int64, q *event.Query) error {
	question, err := w.question(w.ctx, q)
	if err != nil {
		return err
	}
	answers, err := w.word(w.ctx, joined(q.Answers))
	if err != nil {
		return err
	}
	device, err := w.word(w.ctx, q.Device)
	if err != nil {
		return err
	}
	w.hour.add(hourQuery, device, id, q.Time, q.Time, q.Verdict.Action != 0, 0, 0)
	w.rows = append(w.rows, id, q.Time.UnixMilli(), question, answers, q.Took.Microseconds())
	if len(w.rows) == 5*rowsAtOnce {
		return w.sendQueries()
	}
	return nil
}

func (w *insertion) sendQueries() error {
	n := len(w.rows) / 5
	if n == 0 {
		return nil
	}
	// At most rowsAtOnce different statements, each prepared once.
	text := "INSERT INTO query (id, time, question, answers, took) VALUES (?,?,?,?,?)" + strings.Repeat(",(?,?,?,?,?)", n-1)
	_, err := w.exec(w.ctx, text, w.rows...)
	w.rows = w.rows[:0]
	return err
}

func (w *insertion) flow(id int64, f *event.Flow) error {
	route, err := w.route(w.ctx, f)
	if err != nil {
		return err
	}
	ids, err := w.wordArgs(w.ctx, f.Device, f.Err)
	if err != nil {
		return err
	}
	w.hour.add(hourFlow, ids[0].(int64), id, f.Time, f.Time.Add(f.Took), f.Verdict.Action != 0, f.Up, f.Down)
	_, err = w.exec(w.ctx, "INSERT INTO flow (id, time, route, src, up, down, took, err) VALUES (?,?,?,?,?,?,?,?)",
		id, f.Time.UnixMilli(), route, address(f.Src), f.Up, f.Down, f.Took.Microseconds(), ids[1])
	return err
}

func (w *insertion) capture(id int64, c *event.Capture) error {
	layers := make([]string, len(c.Result.Layers))
	for i, l := range c.Result.Layers {
		layers[i] = l.Codec + " " + l.Path
	}
	tls := ""
	if c.TLS != nil {
		b, err := json.Marshal(c.TLS)
		if err != nil {
			return err
		}
		tls = string(b)
	}
	args, err := w.wordArgs(w.ctx, c.Device, c.Name, address(c.Dst), c.Scheme, c.Method, c.ContentType, c.UserAgent, tls,
		c.Result.Verdict, joined(c.Result.Flags), joined(layers))
	if err != nil {
		return err
	}
	w.hour.add(hourCapture, args[0].(int64), id, c.Time, c.Time, true, c.Size, 0)
	var sample any // NULL
	if len(c.Sample) > 0 {
		sample = c.Sample
	}
	_, err = w.exec(w.ctx, `INSERT INTO capture (device, name, dst, scheme, method, content_type, user_agent, tls,
		verdict, flags, layers, id, time, path, size, repeats, sample) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		append(args, id, c.Time.UnixMilli(), c.Path, c.Size, c.Repeats, sample)...)
	if err != nil {
		return err
	}
	return w.findings(id, c)
}

func (w *insertion) findings(id int64, c *event.Capture) error {
	for i, f := range c.Result.Findings {
		mark := event.Mark(0)
		if i < len(c.Marks) {
			mark = c.Marks[i]
		}
		args, err := w.wordArgs(w.ctx, f.Kind, f.Value, f.Path, joined(f.Chain))
		if err != nil {
			return err
		}
		_, err = w.exec(w.ctx, "INSERT INTO finding (kind, value, path, chain, confidence, capture, mark) VALUES (?,?,?,?,?,?,?)",
			append(args, int(f.Confidence), id, int64(mark))...)
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *insertion) notice(id int64, n *event.Notice) error {
	args, err := w.wordArgs(w.ctx, n.Room, n.Device, n.Text)
	if err != nil {
		return err
	}
	w.hour.add(hourNotice, args[1].(int64), id, n.Time, n.Time, false, 0, 0)
	_, err = w.exec(w.ctx, "INSERT INTO notice (room, device, text, id, time, level) VALUES (?,?,?,?,?,?)",
		append(args, id, n.Time.UnixMilli(), int(n.Level))...)
	return err
}

// finish sends what is gathered.
func (w *insertion) finish() error {
	if err := w.sendQueries(); err != nil {
		return err
	}
	for k, r := range w.hour {
		_, err := w.exec(w.ctx, `INSERT INTO hour (hour, kind, device, first, last, events, blocked, up, down, seen)
			VALUES (?,?,?,?,?,?,?,?,?,?)
			ON CONFLICT (hour, kind, device) DO UPDATE SET
				first = min(first, excluded.first), last = max(last, excluded.last),
				events = events + excluded.events, blocked = blocked + excluded.blocked,
				up = up + excluded.up, down = down + excluded.down, seen = max(seen, excluded.seen)`,
			k.hour, k.kind, k.device, r.first, r.last, r.events, r.blocked, r.up, r.down, r.seen)
		if err != nil {
			return err
		}
	}
	return nil
}

// joined puts a list into one text; split undoes it. The separator is a
// newline, which none of the kept lists may hold: it is replaced by a space.
func joined(list []string) string {
	if len(list) == 1 {
		return strings.ReplaceAll(list[0], "\n", " ")
	}
	var b strings.Builder
	for i, s := range list {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(strings.ReplaceAll(s, "\n", " "))
	}
	return b.String()
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}
