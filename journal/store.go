package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// store is the file: one connection that writes, a few that read. Its Write is
// what the batch writer calls. When the file cannot be opened or written, every
// call tries again; when it turns out to be damaged, it is moved aside and a new
// one is begun.
type store struct {
	driver, path string
	now          func() time.Time
	notice       func(Level, string) // must not block

	mu      sync.Mutex // one writer at a time; guards what follows
	db      *sql.DB
	c       *sql.Conn
	in      *intern
	next    int64 // id of the next event
	checked bool  // the integrity check at open was finished
	tune    []string
	closed  bool

	readMu sync.Mutex // guards read
	read   *sql.DB
}

// errClosed is what a journal answers after Close.
var errClosed = errors.New("the journal is closed")

// open opens the file for writing, and replaces a damaged one. Callers hold mu.
func (s *store) open(ctx context.Context) error {
	if s.closed {
		return errClosed
	}
	if s.c != nil {
		return nil
	}
	db, c, checked, err := openWriter(ctx, s.driver, s.path)
	if err != nil && damaged(err) {
		if err := s.replace(err); err != nil {
			return err
		}
		db, c, checked, err = openWriter(ctx, s.driver, s.path)
	}
	if err != nil {
		return err
	}
	for _, p := range s.tune {
		if _, err := c.ExecContext(ctx, p); err != nil {
			return errors.Join(err, db.Close())
		}
	}
	err = c.QueryRowContext(ctx, `SELECT 1 + max(
		coalesce((SELECT max(id) FROM query), 0), coalesce((SELECT max(id) FROM flow), 0),
		coalesce((SELECT max(id) FROM capture), 0), coalesce((SELECT max(id) FROM notice), 0),
		coalesce((SELECT max(last) FROM hour), 0))`).Scan(&s.next)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	s.db, s.c, s.checked, s.in = db, c, checked, newIntern(c)
	return s.openReaders(false)
}

// openReaders opens the connections that read.
func (s *store) openReaders(immutable bool) error {
	db, err := sql.Open(s.driver, dsn(s.path, true, immutable))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers)
	s.readMu.Lock()
	defer s.readMu.Unlock()
	s.read = db
	return nil
}

// reader gives the connections that read.
func (s *store) reader() (*sql.DB, error) {
	s.readMu.Lock()
	defer s.readMu.Unlock()
	if s.read == nil {
		return nil, errors.New("the file is not open: " + s.path)
	}
	return s.read, nil
}

// shut closes the file; what was prepared is gone. Callers hold mu.
func (s *store) shut() error {
	s.readMu.Lock()
	read := s.read
	s.read = nil
	s.readMu.Unlock()
	var errs []error
	if read != nil {
		errs = append(errs, read.Close())
	}
	if s.c != nil {
		s.in.close()
		errs = append(errs, s.c.Close(), s.db.Close())
		s.db, s.c, s.in = nil, nil, nil
	}
	return errors.Join(errs...)
}

// replace moves the damaged file aside. Callers hold mu.
func (s *store) replace(why error) error {
	_ = s.shut() // a damaged file may fail to close; it is given up either way
	to, err := moveAside(s.path, s.now())
	if err != nil {
		return fmt.Errorf("the file is damaged (%w) and cannot be moved aside: %w", why, err)
	}
	s.notice(Error, fmt.Sprintf("the journal was damaged (%v); it is kept as %s and a new one is begun", why, to))
	return nil
}

// Write keeps a batch, whole or not at all.
func (s *store) Write(ctx context.Context, events []Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.write(ctx, events)
	if err != nil && damaged(err) && s.c != nil {
		if err := s.replace(err); err != nil {
			return err
		}
		err = s.write(ctx, events)
	}
	return err
}

func (s *store) write(ctx context.Context, events []Event) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	next := s.next
	err := s.inTx(ctx, func() error {
		w := insertion{intern: s.in, ctx: ctx, next: next, hour: tally{}}
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
		return nil
	}
	if s.gone() {
		_ = s.shut() // removed or replaced under us: the next try makes it anew
	}
	return err
}

// inTx runs f in a transaction. Callers hold mu and the file is open.
func (s *store) inTx(ctx context.Context, f func() error) error {
	if _, err := s.in.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		_, err = s.in.exec(ctx, "COMMIT")
	}
	if err != nil {
		// Some failures (a full disk) have rolled back by themselves: no error then.
		_, _ = s.c.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		s.in.forget()
	}
	return err
}

// gone says that the path no longer leads to a file.
func (s *store) gone() bool {
	_, err := os.Stat(s.path)
	return errors.Is(err, os.ErrNotExist)
}

// do runs f with the open file, in a transaction, as the only writer.
func (s *store) do(ctx context.Context, f func(c *sql.Conn) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(ctx); err != nil {
		return err
	}
	return s.inTx(ctx, func() error { return f(s.c) })
}

// bytes gives what the file and its log take on the disk.
func (s *store) bytes() int64 {
	var n int64
	for _, p := range []string{s.path, s.path + "-wal"} {
		if st, err := os.Stat(p); err == nil {
			n += st.Size()
		}
	}
	return n
}

// compact gives free pages back to the disk and empties the log, so that
// nothing that was deleted is left in either. busy is true when a reader of
// long standing held the log: then it has to be done again.
func (s *store) compact(ctx context.Context) (busy bool, err error) {
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
func (s *store) finishCheck(ctx context.Context) error {
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
	err = integrity(ctx, db)
	if err == nil || !damaged(err) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.replace(err); err != nil {
		return err
	}
	return s.open(ctx)
}

func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.shut()
}
