package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"nightlatch/journal/batch"
	"nightlatch/journal/event"
	"nightlatch/journal/sqlite"
	"nightlatch/journal/sqlite/file"
)

// Options of a [Journal].
type Options struct {
	Path   string // the file; its folder is made when it is missing
	Driver string // name of the database/sql driver: "sqlite", which the program imports

	Retention time.Duration // events older than this are removed; 0 keeps them
	MaxBytes  int64         // the file and its log are kept below this by removing the oldest events; 0 means no bound, else at least MinMaxBytes

	// Mask gives live readers masked findings and no payload. What is written
	// is masked with and without it.
	Mask bool
	// KeepSamples writes the payloads themselves, up to 64 KiB each, unmasked.
	KeepSamples bool

	// MarkKey makes the marks by which equal values of findings are known again;
	// at least 16 bytes, kept secret. Without it nothing is marked.
	MarkKey []byte

	// OwnerOf names the company behind a list, for summaries. Nil: unknown.
	OwnerOf func(list string) string

	Log *slog.Logger     // nil discards
	Now func() time.Time // wall clock; nil means time.Now
}

// MinMaxBytes is the smallest size bound: below it the tables themselves would
// not fit.
const MinMaxBytes = 1 << 20

// Journal is the recorder and the reader of one file. Its methods are safe for
// concurrent use. Events are taken from the start, but written only while
// [Journal.Run] runs.
type Journal struct {
	o     Options
	store *sqlite.Store
	queue *batch.Writer[Event] // nil when opened read-only
	live  live

	ignored  atomic.Uint64 // recorded on a read-only journal, or no event at all
	toldLost uint64        // losses told in a notice; belongs to Run
	dirty    atomic.Bool   // events were removed, their texts not yet
	held     atomic.Bool   // removed bytes are still in the log: a reader held it

	endOnce sync.Once
}

var (
	_ Recorder = (*Journal)(nil)
	_ Reader   = (*Journal)(nil)
)

func (o *Options) fill() error {
	if o.Path == "" || o.Driver == "" {
		return errors.New("a path and a driver are needed")
	}
	if !slices.Contains(sql.Drivers(), o.Driver) {
		return fmt.Errorf("no database driver is called %q", o.Driver)
	}
	if o.Retention < 0 || o.MaxBytes < 0 {
		return errors.New("retention and size are not negative")
	}
	if o.MaxBytes > 0 && o.MaxBytes < MinMaxBytes {
		return fmt.Errorf("a size of %d bytes is too small; at least %d, or 0 for no bound", o.MaxBytes, MinMaxBytes)
	}
	if n := len(o.MarkKey); n > 0 && n < event.MinMarkKey {
		return fmt.Errorf("a key of %d bytes for marks is too short; at least %d", n, event.MinMarkKey)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.OwnerOf == nil {
		o.OwnerOf = func(string) string { return "" }
	}
	return nil
}

func (o *Options) forStore(notice func(Level, string)) sqlite.Options {
	return sqlite.Options{Path: o.Path, Driver: o.Driver, Now: o.Now, OwnerOf: o.OwnerOf, Notice: notice}
}

// Open opens the journal for writing and makes the file when there is none.
//
// A damaged file is renamed to <path>.damaged-<time>, with its log, and a new
// one is begun; a notice says so. A disk that is full, read-only or away is no
// error: the journal takes events, says so in one notice, and tries again until
// it can write. Errors are left for what waiting does not cure: a file from a
// newer program, a path that is a folder, bad options.
func Open(ctx context.Context, o Options) (*Journal, error) {
	if err := o.fill(); err != nil {
		return nil, fmt.Errorf("journal: open: %w", err)
	}
	j := &Journal{o: o}
	var early []string // notices of the store before there is a queue
	var err error
	j.store, err = sqlite.Open(ctx, o.forStore(func(l Level, text string) {
		if j.queue == nil {
			early = append(early, text)
			return
		}
		j.notice(l, text)
	}))
	var never *file.RefusedError
	if err != nil && (errors.As(err, &never) || ctx.Err() != nil) {
		return nil, errors.Join(fmt.Errorf("journal: open %s: %w", o.Path, err), j.store.Close())
	}
	j.queue = batch.New(batch.Store[Event](j.store), batch.Options[Event]{
		Weigh: event.Weigh, Refused: file.Refuses, Failing: err, Changed: j.changed,
	})
	for _, text := range early {
		j.notice(Error, text)
	}
	if err != nil {
		j.changed(err)
	}
	return j, nil
}

// OpenReadOnly opens the file to read it beside a running gateway. It never
// writes, repairs or makes a file: a missing one is fs.ErrNotExist. Record
// counts its events as lost; Run waits for ctx.
func OpenReadOnly(ctx context.Context, o Options) (*Journal, error) {
	if err := o.fill(); err != nil {
		return nil, fmt.Errorf("journal: open: %w", err)
	}
	st, err := sqlite.OpenReadOnly(ctx, o.forStore(func(Level, string) {}))
	if err != nil {
		return nil, fmt.Errorf("journal: open %s: %w", o.Path, err)
	}
	return &Journal{o: o, store: st}, nil
}

// Record takes an event: live readers get it at once, the file within a second.
func (j *Journal) Record(e Event) {
	kept, ok := event.Keep(e, j.o.KeepSamples, j.o.MarkKey, j.o.Now)
	if !ok {
		j.ignored.Add(1)
		return
	}
	if j.live.count.Load() > 0 {
		j.live.send(j.shown(e, kept))
	}
	if j.queue == nil {
		j.ignored.Add(1)
		return
	}
	j.queue.Put(kept)
}

// shown is what live readers get of e: masked when that is asked for, and
// never with the payload then.
func (j *Journal) shown(e, kept Event) Event {
	c, ok := e.(Capture)
	if !ok {
		return kept
	}
	if k := kept.(Capture); j.o.Mask {
		k.Sample = nil
		return k
	}
	if c.Time.IsZero() {
		c.Time = kept.(Capture).Time
	}
	return c
}

// notice tells the owner something about the journal itself.
func (j *Journal) notice(l Level, text string) {
	switch l {
	case Info:
		j.o.Log.Info("journal: " + text)
	case Warn:
		j.o.Log.Warn("journal: " + text)
	default:
		j.o.Log.Error("journal: " + text)
	}
	j.Record(Notice{Time: j.o.Now(), Level: l, Room: "journal", Text: text})
}

// changed is told by the writer when writing begins or ceases to fail: one
// notice each, however often it tries.
func (j *Journal) changed(err error) {
	if err != nil {
		j.notice(Error, fmt.Sprintf("events cannot be written to %s: %s; the gateway goes on and tries again", j.o.Path, file.Plainly(err)))
		return
	}
	j.notice(Info, "events are written again to "+j.o.Path)
}

// Subscribe gives every event from now on. See [Reader].
func (j *Journal) Subscribe(buffer int) (<-chan Event, func()) { return j.live.subscribe(buffer) }

// Stats gives the numbers of now.
func (j *Journal) Stats() Stats {
	st := Stats{Unseen: j.live.unseen.Load(), Subscribers: int(j.live.count.Load()), Bytes: j.store.Bytes()}
	ignored := j.ignored.Load()
	st.Recorded, st.Lost = ignored, ignored
	if j.queue == nil {
		return st
	}
	c := j.queue.Counts()
	st.Recorded += c.Put
	st.Lost += c.Lost
	st.Written, st.Queued = c.Written, c.Queued
	if err := j.queue.Trouble(); err != nil {
		st.Trouble = file.Plainly(err)
	}
	return st
}

// Flush writes what was recorded before it was called.
func (j *Journal) Flush(ctx context.Context) error {
	if j.queue == nil {
		return nil
	}
	if err := j.queue.Flush(ctx); err != nil {
		return fmt.Errorf("journal: flush: %w", err)
	}
	return nil
}

// Close closes the file and ends the live readers. Call it after Run.
func (j *Journal) Close() error {
	j.endOnce.Do(j.live.end)
	if err := j.store.Close(); err != nil {
		return fmt.Errorf("journal: close: %w", err)
	}
	return nil
}
