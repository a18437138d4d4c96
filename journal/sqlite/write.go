package sqlite

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"nightlatch/journal/event"
	"nightlatch/journal/intern"
)

// The queries of a batch go in rows of rowsAtOnce per statement: with one
// statement a row, most of the time would go into database/sql.
const rowsAtOnce = 64

// tally counts a batch for the tables hour and minute.
type tally map[hourKey]*hourRow

type hourKey struct {
	hour   int64 // or minute, since 1970
	kind   int
	device int64
}

type hourRow struct{ first, last, events, blocked, up, down, seen int64 }

func (t tally) add(at int64, kind int, device, id, times int64, seen time.Time, blocked bool, up, down int64) {
	k := hourKey{at, kind, device}
	r := t[k]
	if r == nil {
		r = &hourRow{first: id, seen: seen.UnixMilli()}
		t[k] = r
	}
	r.last = id
	r.events += times
	r.blocked += times * int64(intern.Flag(blocked))
	r.up += up
	r.down += down
	r.seen = max(r.seen, seen.UnixMilli())
}

const (
	hourMillis   = int64(time.Hour / time.Millisecond)
	minuteMillis = int64(time.Minute / time.Millisecond)
)

// floor divides and rounds down, before 1970 too.
func floor(milli, by int64) int64 {
	if milli < 0 {
		return -((-milli + by - 1) / by)
	}
	return milli / by
}

func hourOf(milli int64) int64 { return floor(milli, hourMillis) }

// queryRow is a query as its row.
type queryRow struct{ id, time, question, answers, took, repeats int64 }

// insertion writes one batch inside an open transaction.
type insertion struct {
	*intern.Words
	ctx    context.Context // of this one write
	next   int64           // id of the next event
	hour   tally
	minute tally
	asked  map[[2]int64]*askedRow // by hour and question
	rows   []queryRow             // not yet sent
	latest map[[2]int64]int       // by question and answers: the newest of rows
}

type askedRow struct{ events, last int64 }

func newInsertion(ctx context.Context, in *intern.Words, next int64) *insertion {
	return &insertion{Words: in, ctx: ctx, next: next, hour: tally{}, minute: tally{}, asked: map[[2]int64]*askedRow{}, latest: map[[2]int64]int{}}
}

// foldWithin is how soon a query that is the same in everything but time and
// duration is a repeat of the one before: apps ask again and again while they
// wait, and a storm of one name must not fill the file. In milliseconds.
const foldWithin = 1000

// count adds times events to the hour and the minute.
func (w *insertion) count(kind int, device, id, times int64, at, seen time.Time, blocked bool, up, down int64) {
	w.hour.add(hourOf(at.UnixMilli()), kind, device, id, times, seen, blocked, up, down)
	w.minute.add(floor(at.UnixMilli(), minuteMillis), kind, device, id, times, seen, blocked, up, down)
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
	question, device, err := w.Question(w.ctx, q)
	if err != nil {
		return err
	}
	answers, err := w.Word(w.ctx, joined(q.Answers))
	if err != nil {
		return err
	}
	ms, times := q.Time.UnixMilli(), int64(q.Repeats)+1
	w.count(hourQuery, device, id, times, q.Time, q.Time, q.Verdict.Action != 0, 0, 0)
	hour := [2]int64{hourOf(ms), question}
	a := w.asked[hour]
	if a == nil {
		a = &askedRow{last: ms}
		w.asked[hour] = a
	}
	a.events += times
	a.last = max(a.last, ms)
	same := [2]int64{question, answers}
	if i, ok := w.latest[same]; ok && w.rows[i].folds(ms) {
		w.rows[i].repeats += times
		return nil
	}
	w.latest[same] = len(w.rows)
	w.rows = append(w.rows, queryRow{id, ms, question, answers, q.Took.Microseconds(), int64(q.Repeats)})
	return nil
}

// folds tells whether the same query at ms is a repeat of r. Not over the end of
// a minute: the counts of minutes and hours are made again from rows.
func (r queryRow) folds(ms int64) bool {
	return ms >= r.time && ms-r.time < foldWithin && floor(ms, minuteMillis) == floor(r.time, minuteMillis)
}

// sendQueries writes the rows of queries.
func (w *insertion) sendQueries() error {
	s := w.sender("INSERT INTO query (id, time, question, answers, took, repeats) VALUES ", 6, "")
	for _, r := range w.rows {
		s.row(r.id, r.time, r.question, r.answers, r.took, r.repeats)
	}
	return s.end()
}

// sendAsked adds what was counted to asked.
func (w *insertion) sendAsked() error {
	s := w.sender("INSERT INTO asked (hour, question, events, last) VALUES ", 4,
		" ON CONFLICT (hour, question) DO UPDATE SET events = events + excluded.events, last = max(last, excluded.last)")
	for k, r := range w.asked {
		s.row(k[0], k[1], r.events, r.last)
	}
	return s.end()
}

// sendMinutes adds what was counted to minute.
func (w *insertion) sendMinutes() error {
	s := w.sender("INSERT INTO minute (minute, kind, device, events, blocked) VALUES ", 5,
		" ON CONFLICT (minute, kind, device) DO UPDATE SET events = events + excluded.events, blocked = blocked + excluded.blocked")
	for k, r := range w.minute {
		s.row(k.hour, k.kind, k.device, r.events, r.blocked)
	}
	return s.end()
}

// sender writes rows, rowsAtOnce a statement: at most that many different
// statements, each prepared once.
type sender struct {
	w            *insertion
	begin, after string
	columns      int
	args         []any
	err          error // the first
}

func (w *insertion) sender(begin string, columns int, after string) *sender {
	return &sender{w: w, begin: begin, after: after, columns: columns}
}

func (s *sender) row(values ...any) {
	if s.args = append(s.args, values...); len(s.args) == s.columns*rowsAtOnce {
		_ = s.end() // kept in s
	}
}

func (s *sender) end() error {
	if n := len(s.args) / s.columns; n > 0 && s.err == nil {
		one := "(?" + strings.Repeat(",?", s.columns-1) + ")"
		_, s.err = s.w.Exec(s.w.ctx, s.begin+one+strings.Repeat(","+one, n-1)+s.after, s.args...)
	}
	s.args = s.args[:0]
	return s.err
}

func (w *insertion) flow(id int64, f *event.Flow) error {
	route, err := w.Route(w.ctx, f)
	if err != nil {
		return err
	}
	ids, err := w.WordArgs(w.ctx, f.Device, f.Err)
	if err != nil {
		return err
	}
	w.count(hourFlow, ids[0].(int64), id, 1, f.Time, f.Time.Add(f.Took), f.Verdict.Action != 0, f.Up, f.Down)
	_, err = w.Exec(w.ctx, "INSERT INTO flow (id, time, route, src, up, down, took, err) VALUES (?,?,?,?,?,?,?,?)",
		id, f.Time.UnixMilli(), route, intern.Address(f.Src), f.Up, f.Down, f.Took.Microseconds(), ids[1])
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
	args, err := w.WordArgs(w.ctx, c.Device, c.Name, intern.Address(c.Dst), c.Scheme, c.Method, c.ContentType, c.UserAgent, tls,
		c.Result.Verdict, joined(c.Result.Flags), joined(layers))
	if err != nil {
		return err
	}
	w.count(hourCapture, args[0].(int64), id, 1, c.Time, c.Time, true, c.Size, 0)
	var sample any // NULL
	if len(c.Sample) > 0 {
		sample = c.Sample
	}
	_, err = w.Exec(w.ctx, `INSERT INTO capture (device, name, dst, scheme, method, content_type, user_agent, tls,
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
		args, err := w.WordArgs(w.ctx, f.Kind, f.Value, f.Path, joined(f.Chain))
		if err != nil {
			return err
		}
		_, err = w.Exec(w.ctx, "INSERT INTO finding (kind, value, path, chain, confidence, capture, mark) VALUES (?,?,?,?,?,?,?)",
			append(args, int(f.Confidence), id, int64(mark))...)
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *insertion) notice(id int64, n *event.Notice) error {
	args, err := w.WordArgs(w.ctx, n.Room, n.Device, n.Text)
	if err != nil {
		return err
	}
	w.count(hourNotice, args[1].(int64), id, 1, n.Time, n.Time, false, 0, 0)
	_, err = w.Exec(w.ctx, "INSERT INTO notice (room, device, text, id, time, level) VALUES (?,?,?,?,?,?)",
		append(args, id, n.Time.UnixMilli(), int(n.Level))...)
	return err
}

// finish sends what is gathered.
func (w *insertion) finish() error {
	for _, send := range []func() error{w.sendQueries, w.sendAsked, w.sendMinutes} {
		if err := send(); err != nil {
			return err
		}
	}
	for k, r := range w.hour {
		_, err := w.Exec(w.ctx, `INSERT INTO hour (hour, kind, device, first, last, events, blocked, up, down, seen)
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
