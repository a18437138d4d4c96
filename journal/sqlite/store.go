// Package sqlite keeps the journal's events in one SQLite file: it opens, heals
// and migrates the file, writes batches, reads pages and summaries, and forgets.
// It imports no driver: that is named in [Options] and enters by the program.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"nightlatch/journal/event"
	"nightlatch/journal/intern"
	"nightlatch/journal/sqlite/file"
)

// Store is the file: one connection that writes, a few that read. Its Write is
// what the batch writer calls. When the file cannot be opened or written, every
// call tries again; when it turns out to be damaged, it is moved aside and a new
// one is begun.
type Store struct {
	o    Options
	walk int // see walked

	mu      sync.Mutex // one writer at a time; guards what follows
	db      *sql.DB
	c       *sql.Conn
	in      *intern.Words
	file    os.FileInfo // of the open file, to notice that it was replaced
	next    int64       // id of the next event
	checked bool        // the integrity check at open was finished
	closed  bool

	readMu            sync.Mutex // guards what follows
	read              *sql.DB
	questions, routes *groups // of the file that read has open
}

// Options of a [Store].
type Options struct {
	Path, Driver string
	Now          func() time.Time
	OwnerOf      func(list string) string
	Notice       func(event.Level, string) // told what the owner should know; must not block
}

// Open opens the file for writing. When it errs, the store is there all the
// same, and every Write tries to open the file again; only a [file.RefusedError]
// will not pass.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{o: o, walk: walked}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s, s.open(ctx)
}

// errClosed is what a journal answers after Close.
var errClosed = errors.New("the journal is closed")

// open opens the file for writing, and replaces a damaged one. Callers hold mu.
func (s *Store) open(ctx context.Context) error {
	if s.closed {
		return errClosed
	}
	if s.c != nil && !s.gone() {
		return nil
	}
	if s.c != nil {
		_ = s.shut() // into the nameless file; there is nobody to tell
	}
	db, c, checked, err := file.OpenWriter(ctx, s.o.Driver, s.o.Path)
	if err != nil && file.Damaged(err) {
		if err := s.replace(err); err != nil {
			return err
		}
		db, c, checked, err = file.OpenWriter(ctx, s.o.Driver, s.o.Path)
	}
	if err != nil {
		return err
	}
	err = c.QueryRowContext(ctx, `SELECT 1 + max(
		coalesce((SELECT max(id) FROM query), 0), coalesce((SELECT max(id) FROM flow), 0),
		coalesce((SELECT max(id) FROM capture), 0), coalesce((SELECT max(id) FROM notice), 0),
		coalesce((SELECT max(last) FROM hour), 0))`).Scan(&s.next)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	s.db, s.c, s.checked, s.in = db, c, checked, intern.New(c)
	s.file, _ = os.Stat(s.o.Path) // an error here shows at the next write
	return s.openReaders(false)
}

// openReaders opens the connections that read.
func (s *Store) openReaders(immutable bool) error {
	db, err := sql.Open(s.o.Driver, file.DSN(s.o.Path, true, immutable))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(file.Readers)
	db.SetMaxIdleConns(file.Readers)
	s.readMu.Lock()
	defer s.readMu.Unlock()
	s.read = db
	s.questions, s.routes = newGroups("question", "type", "through"), newGroups("route", "proto", "dst")
	return nil
}

// reader gives the connections that read.
func (s *Store) reader() (*sql.DB, error) {
	s.readMu.Lock()
	defer s.readMu.Unlock()
	if s.read == nil {
		return nil, errors.New("the file is not open: " + s.o.Path)
	}
	return s.read, nil
}

// shut closes the file; what was prepared is gone. Callers hold mu.
func (s *Store) shut() error {
	s.readMu.Lock()
	read := s.read
	s.read = nil
	s.readMu.Unlock()
	var errs []error
	if read != nil {
		errs = append(errs, read.Close())
	}
	if s.c != nil {
		s.in.Close()
		errs = append(errs, s.c.Close(), s.db.Close())
		s.db, s.c, s.in = nil, nil, nil
	}
	return errors.Join(errs...)
}

// replace moves the damaged file aside. Callers hold mu.
func (s *Store) replace(why error) error {
	_ = s.shut() // a damaged file may fail to close; it is given up either way
	to, err := file.MoveAside(s.o.Path, s.o.Now())
	if err != nil {
		return fmt.Errorf("the file is damaged (%w) and cannot be moved aside: %w", why, err)
	}
	s.o.Notice(event.Error, fmt.Sprintf("the journal was damaged (%v); it is kept as %s and a new one is begun", why, to))
	return nil
}

// Write keeps a batch, whole or not at all.
func (s *Store) Write(ctx context.Context, events []event.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.write(ctx, events)
	if err != nil && file.Damaged(err) && s.c != nil {
		if err := s.replace(err); err != nil {
			return err
		}
		err = s.write(ctx, events)
	}
	return err
}

func (s *Store) write(ctx context.Context, events []event.Event) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	next := s.next
	err := s.inTx(ctx, func() error {
		w := newInsertion(ctx, s.in, next)
		for _, e := range events {
			if err := w.event(e); err != nil {
				return err
			}
		}
		next = w.next
		return w.finish()
	})
	if err == nil {
		s.next = next
	}
	return err
}

// inTx runs f in a transaction. Callers hold mu and the file is open.
func (s *Store) inTx(ctx context.Context, f func() error) error {
	if _, err := s.in.Exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		_, err = s.in.Exec(ctx, "COMMIT")
	}
	if err != nil {
		// Some failures (a full disk) have rolled back by themselves: no error then.
		_, _ = s.c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		s.in.Forget()
	}
	return err
}

// gone says that the path no longer leads to the open file: the owner removed
// or replaced it. SQLite would go on writing into a file that has no name.
func (s *Store) gone() bool {
	st, err := os.Stat(s.o.Path)
	return errors.Is(err, os.ErrNotExist) || err == nil && s.file != nil && !os.SameFile(st, s.file)
}

// do runs f with the open file, in a transaction, as the only writer.
func (s *Store) do(ctx context.Context, f func(c *sql.Conn) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(ctx); err != nil {
		return err
	}
	return s.inTx(ctx, func() error { return f(s.c) })
}

// bytes gives what the file and its log take on the disk.
func (s *Store) Bytes() int64 {
	var n int64
	for _, p := range []string{s.o.Path, s.o.Path + "-wal"} {
		if st, err := os.Stat(p); err == nil {
			n += st.Size()
		}
	}
	return n
}

// compact gives free pages back to the disk and empties the log, so that
// nothing that was deleted is left in either. busy is true when a reader of
// long standing held the log: then it has to be done again.
func (s *Store) Compact(ctx context.Context) (busy bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(ctx); err != nil {
		return false, err
	}
	if err := drain(ctx, s.c, "PRAGMA incremental_vacuum"); err != nil {
		return false, err
	}
	var stuck, pages, moved int
	err = s.c.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&stuck, &pages, &moved)
	return stuck != 0, err
}

// drain runs a statement to its end: incremental_vacuum frees a page a step.
func drain(ctx context.Context, c *sql.Conn, text string) error {
	rows, err := c.QueryContext(ctx, text)
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	return errors.Join(rows.Err(), rows.Close())
}

// finishCheck does the integrity check that Open left undone, beside the
// writer, and replaces the file when it fails.
func (s *Store) FinishCheck(ctx context.Context) error {
	s.mu.Lock()
	done := s.checked || s.c == nil
	s.mu.Unlock()
	if done {
		return nil
	}
	db, err := s.reader()
	if err != nil {
		return err
	}
	err = file.Integrity(ctx, db)
	if err == nil || !file.Damaged(err) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.replace(err); err != nil {
		return err
	}
	return s.open(ctx)
}

func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.shut()
}

// Pragma sets a PRAGMA on the connection that writes, until the file is opened
// again. Tests fill the disk with it.
func (s *Store) Pragma(ctx context.Context, text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(ctx); err != nil {
		return err
	}
	_, err := s.c.ExecContext(ctx, "PRAGMA "+text)
	return err
}

// Values of hour.kind. They are in files: never renumber them.
const (
	hourQuery   = 1
	hourFlow    = 2
	hourCapture = 3
	hourNotice  = 4
)
