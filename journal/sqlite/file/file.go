// Package file opens the journal's SQLite file: as its one writer, checked for
// damage and brought up to date, or for reading; and tells what its errors mean.
package file

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// CheckAtOnce is up to which size, in bytes, a file is looked through for damage
	// at open, and CheckWithin how long: a large journal, or a slow card, must not
	// hold up the phones. What was not finished is done in the background by Run.
	CheckAtOnce = 4 << 20
	CheckWithin = time.Second

	BusyWait = 5 * time.Second // for a lock another process holds: a reader's checkpoint, a backup
	WALPages = 2000            // checkpoint about every 8 MiB of log
	Readers  = 4               // connections that read at a time
)

// The SQLite result codes that lead somewhere (sqlite.org/rescode.html).
const (
	CodeBusy     = 5
	CodeReadOnly = 8
	CodeIOErr    = 10
	CodeCorrupt  = 11
	CodeFull     = 13
	CodeCantOpen = 14
	CodeNotADB   = 26
)

// Code gives the primary result code in err, 0 when there is none. The driver
// is not ours to import: it enters by cmd/nightlatch.
func Code(err error) int {
	var c interface {
		error
		Code() int
	}
	if errors.As(err, &c) {
		return c.Code() & 0xFF
	}
	return 0
}

// ErrDamaged is found before or after the driver looks at the file.
var ErrDamaged = errors.New("not a whole database file")

func Damaged(err error) bool {
	c := Code(err)
	return errors.Is(err, ErrDamaged) || c == CodeCorrupt || c == CodeNotADB
}

// Plainly puts the usual troubles of a disk into words.
func Plainly(err error) string {
	switch c := Code(err); {
	case c == CodeFull:
		return "the disk is full"
	case c == CodeReadOnly || errors.Is(err, fs.ErrPermission):
		return "the file or its folder may not be written"
	case c == CodeBusy:
		return "another program holds the file locked"
	case c == CodeIOErr:
		return "the disk reports an error (" + err.Error() + ")"
	case c == CodeCantOpen:
		return "the file cannot be opened; is its folder there and writable?"
	}
	return err.Error()
}

// DSN names the file as a URI, in which a path may hold any character.
func DSN(path string, readOnly, immutable bool) string {
	p, err := filepath.Abs(path)
	if err != nil {
		p = path
	}
	p = filepath.ToSlash(p)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // C:/...
	}
	// cell_size_check: a damaged page is noticed when it is read.
	q := "_pragma=" + url.QueryEscape(fmt.Sprintf("busy_timeout(%d)", BusyWait.Milliseconds())) + "&_pragma=cell_size_check(1)"
	if readOnly {
		// query_only: a reader must not even checkpoint. 2 MiB of cache for each of them.
		q += "&mode=ro&_pragma=query_only(1)&_pragma=cache_size(-2048)&_pragma=temp_store(2)"
	}
	if immutable {
		q += "&immutable=1"
	}
	return (&url.URL{Scheme: "file", Path: p, RawQuery: q}).String()
}

// writerPragmas are set on the one connection that writes, in this order.
func writerPragmas() []string {
	return []string{
		// Free pages can be given back to the disk step by step: retention by size
		// means the size of the file. Only possible before the first table.
		"auto_vacuum = INCREMENTAL",
		// Readers never wait for the writer, nor the writer for Readers, and a
		// commit is one append.
		"journal_mode = WAL",
		// With WAL, NORMAL syncs at checkpoints alone: a power cut may take back the
		// last commits, never the file. A killed process loses nothing committed.
		"synchronous = NORMAL",
		// What is deleted is overwritten with zeros: forgetting is the point.
		"secure_delete = ON",
		// Sorting happens in memory: private life is not spilled to /tmp.
		"temp_store = MEMORY",
		// No function of a tampered schema runs.
		"trusted_schema = OFF",
		"cache_size = -8192", // 8 MiB: the hot ends of all tables and the question index
		fmt.Sprintf("wal_autocheckpoint = %d", WALPages),
		// After a long reader let the log grow, it shrinks back.
		"journal_size_limit = 8388608",
	}
}

// checkHeader finds damage that SQLite would take for an empty file and
// overwrite: a file cut to a stump, or cut to nothing beside a log with content.
func checkHeader(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 512) // the smallest page
	n, err := io.ReadFull(f, head)
	if n == 0 && err == io.EOF {
		if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
			return fmt.Errorf("%w: empty beside a log with content", ErrDamaged)
		}
		return nil // a new file
	}
	if n < len(head) || !bytes.HasPrefix(head, []byte("SQLite format 3\x00")) {
		return ErrDamaged
	}
	size := int64(binary.BigEndian.Uint16(head[16:])) // of a page; sqlite.org/fileformat.html §1.3
	if size == 1 {
		size = 65536
	}
	if st, err := f.Stat(); err != nil || st.Size() < size {
		return errors.Join(ErrDamaged, err)
	}
	return nil
}

// prepareFile makes the file and its folder, readable by the owner alone.
// SQLite gives the log the mode of the file.
func prepareFile(path string) error {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return &RefusedError{fmt.Sprintf("%s is not a file; move it away or choose another path", path)}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// OpenWriter opens the file for writing: header, PRAGMAs, version, integrity.
// checked is false when the integrity check did not finish in time.
func OpenWriter(ctx context.Context, driver, path string) (db *sql.DB, c *sql.Conn, checked bool, err error) {
	if err := prepareFile(path); err != nil {
		return nil, nil, false, err
	}
	if err := checkHeader(path); err != nil {
		return nil, nil, false, err
	}
	db, err = sql.Open(driver, DSN(path, false, false))
	if err != nil {
		return nil, nil, false, err
	}
	db.SetMaxOpenConns(1)
	st, err := os.Stat(path)
	c, checked, err = setUp(ctx, db, err == nil && st.Size() > CheckAtOnce)
	if err != nil {
		_ = db.Close()
		return nil, nil, false, err
	}
	return db, c, checked, nil
}

func setUp(ctx context.Context, db *sql.DB, large bool) (c *sql.Conn, checked bool, err error) {
	c, err = db.Conn(ctx)
	if err != nil {
		return nil, false, err
	}
	if checked, err = prepare(ctx, c, large); err != nil {
		return nil, false, errors.Join(err, c.Close())
	}
	return c, checked, nil
}

func prepare(ctx context.Context, c *sql.Conn, large bool) (checked bool, err error) {
	// Nothing is written before it is known that the file is ours and whole: a
	// Damaged one is set aside as it was found.
	if _, err := Version(ctx, c); err != nil {
		return false, err
	}
	late := large
	if !large {
		short, cancel := context.WithTimeout(ctx, CheckWithin)
		defer cancel()
		err = Integrity(short, c)
		late = err != nil && short.Err() != nil && ctx.Err() == nil && !Damaged(err)
	}
	if err != nil && !late {
		return false, err
	}
	for _, p := range writerPragmas() {
		if _, err := c.ExecContext(ctx, "PRAGMA "+p); err != nil {
			return false, fmt.Errorf("pragma %s: %w", p, err)
		}
	}
	return !late, migrate(ctx, c)
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Integrity reads the whole file and errs with ErrDamaged at the first fault.
func Integrity(ctx context.Context, q querier) error {
	var first string
	if err := q.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&first); err != nil {
		return err
	}
	if first != "ok" {
		// SQLite's report may have several lines: the first one is enough.
		line, _, _ := strings.Cut(strings.TrimPrefix(first, "*** in database main ***\n"), "\n")
		return fmt.Errorf("%w: %s", ErrDamaged, line)
	}
	return nil
}

// MoveAside renames a damaged file and its log, so that they can be repaired
// or looked at; nothing is ever deleted. It returns the new name.
func MoveAside(path string, now time.Time) (string, error) {
	base := path + ".damaged-" + now.UTC().Format("20060102T150405Z")
	to := base
	for i := 2; ; i++ {
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		}
		if i > 1000 {
			return "", fmt.Errorf("move %s aside: too many damaged files beside it", path)
		}
		to = fmt.Sprintf("%s-%d", base, i)
	}
	if err := os.Rename(path, to); err != nil {
		return "", err
	}
	for _, part := range []string{"-wal", "-shm"} {
		if err := os.Rename(path+part, to+part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return to, err
		}
	}
	return to, nil
}

// Refuses says that the batch itself is at fault, not the disk. Without it one event
// that the file will not take would hold up all others for ever.
func Refuses(err error) bool {
	switch Code(err) {
	case 18, 19, 20, 25: // too big, constraint, mismatch, range
		return true
	}
	return false
}
