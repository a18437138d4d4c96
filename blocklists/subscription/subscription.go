// Package subscription keeps copies of lists that others publish: it fetches
// them over http(s) or from a path, bounds and checks what comes, and replaces
// the copy in use only by something that is as good. Whatever goes wrong, the
// copy in use stays.
//
// A folder holds three files a list: NAME.list, the copy in use, as text;
// NAME.json, the [State]; and NAME.held, a copy that the shrink guard holds back
// until the owner accepts it. Every one is replaced whole, by a rename. Two
// programs may work in the same folder: what a state says is believed only as
// long as it fits the copy beside it.
package subscription

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Subscription is one list of another, as the owner asked for it.
type Subscription struct {
	Name    string        // short name, see config.ValidName: it becomes a file name
	Address string        // http://, https://, or an absolute path
	SHA256  string        // the file must have this checksum, in lower-case hex, before a .gz is unpacked; empty for none
	Every   time.Duration // how often it is refreshed; 0 means [DefaultEvery]

	// Read reads a copy as the list it is meant to be, and tells what was in it.
	// An error means that it is no such list.
	Read func(path string) (Summary, error)
}

// DefaultEvery is how often a list is refreshed unless its owner says otherwise:
// most lists are published once a day.
const DefaultEvery = 24 * time.Hour

// Remote tells whether an address is fetched over the network.
func Remote(address string) bool {
	return strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://")
}

// Summary is what the reading of a copy told.
type Summary struct {
	Format  string `json:"format"` // as found or asked for
	Lines   int    `json:"lines"`
	Rules   int    `json:"rules"`   // blocks and allows
	Ignored int    `json:"ignored"` // lines that were left out
	Why     string `json:"-"`       // the most frequent reason for that
}

// Store is a folder of copies. It is safe for concurrent use as long as one list
// is not updated, accepted or removed twice at the same time; even then no file
// is ever half of one and half of another.
type Store struct {
	folder  string
	network Network
}

// NewStore gives the store in a folder, which is made when something is first
// kept in it. The zero Network serves whoever only reads.
func NewStore(folder string, n Network) *Store { return &Store{folder, n} }

// Copy gives the path of a list's copy in use; it need not exist.
func (s *Store) Copy(name string) string { return filepath.Join(s.folder, name+".list") }

func (s *Store) held(name string) string { return filepath.Join(s.folder, name+".held") }

// Change is what an update or an acceptance made of a state.
type Change struct{ Before, After State }

// Update asks for a list anew, once. What came of it stands in the state that
// it writes and returns; the error is that of a failed attempt (a [*Failure]), or
// of the folder. When ctx ends, nothing is kept, and the error is that of ctx.
// progress hears of bytes as they come, -1 for a total that is not known; it may
// be nil.
func (s *Store) Update(ctx context.Context, sub Subscription, progress func(done, total int64)) (Change, error) {
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return Change{}, fmt.Errorf("subscription: %w; the folder must be writable", err)
	}
	s.sweep(sub.Name)
	before, _ := s.State(sub) // a damaged state is rebuilt, and told by whoever shows it
	after := before
	after.Attempt = Attempt{Time: time.Now(), Address: sub.Address}
	err := s.refresh(ctx, sub, &after, progress)
	if ctx.Err() != nil {
		return Change{before, before}, context.Cause(ctx)
	}
	if err != nil {
		after.Attempt.Outcome, after.Attempt.Problem = Failed, err.Error()
		after.Attempt.Failures = before.Attempt.Failures + 1
		var f *Failure
		if errors.As(err, &f) {
			after.Attempt.NotBefore = f.NotBefore
		}
	}
	if kept := s.save(sub.Name, after); kept != nil {
		err = both(err, kept)
	}
	return Change{before, after}, err
}

// both joins two errors in one line.
func both(a, b error) error {
	if a == nil {
		return b
	}
	return fmt.Errorf("%w; and %w", a, b)
}

// refresh makes one attempt and says in st what came of it, unless it failed.
func (s *Store) refresh(ctx context.Context, sub Subscription, st *State, progress func(int64, int64)) error {
	known := s.newest(sub, st)
	d, err := s.network.get(ctx, sub, known, s.folder, progress)
	if err != nil {
		return err
	}
	if d.path == "" { // not modified
		s.confirm(st, known, d)
		return nil
	}
	defer os.Remove(d.path) // does nothing once it was renamed
	v := Version{
		Address: sub.Address, SHA256: d.text, Source: d.source, Bytes: d.bytes, Wire: d.wire,
		ETag: d.etag, Modified: d.modified, Fetched: time.Now(),
	}
	if st.InUse != nil && v.SHA256 == st.InUse.SHA256 && s.intact(sub.Name, st.InUse) {
		s.confirm(st, st.InUse, d)
		return nil
	}
	sum, err := sub.Read(d.path)
	if err != nil {
		return fmt.Errorf("what came is not usable: %w", plainRead(err, d.path))
	}
	v.Summary = sum
	if why := s.doubt(sub, st.InUse, v); why != "" {
		return s.hold(sub.Name, st, v, d.path, why)
	}
	if sum.Rules == 0 {
		return fmt.Errorf("not one of its %d lines is a rule that can be used%s; is its format right?", sum.Lines, mostly(sum.Why))
	}
	return s.take(sub.Name, st, v, d.path)
}

func mostly(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}

// plainRead takes the name of a temporary file out of a message.
func plainRead(err error, path string) error {
	text := strings.TrimPrefix(err.Error(), "blocklists: ")
	return errors.New(strings.TrimPrefix(strings.ReplaceAll(text, path, "line"), "line: "))
}

// newest gives the version that the server is told we have: what is held, else
// what is in use. nil when the file itself must come, because nothing fits what
// the owner asks for now.
func (s *Store) newest(sub Subscription, st *State) *Version {
	v := st.InUse
	if v == nil || !s.intact(sub.Name, v) {
		return nil
	}
	if st.Held != nil && st.Held.matches(sub) {
		return &st.Held.Version
	}
	if !v.matches(sub) {
		return nil
	}
	return v
}

// confirm notes that the copy of known is still what the address has.
func (s *Store) confirm(st *State, known *Version, d download) {
	if d.etag != "" {
		known.ETag = d.etag
	}
	if d.modified != "" {
		known.Modified = d.modified
	}
	if st.Held != nil && known == &st.Held.Version {
		st.Attempt.Outcome = Waiting
		return
	}
	st.Attempt.Outcome, st.Success, st.Held = Unchanged, st.Attempt.Time, nil
	known.Address, known.Source = st.Attempt.Address, or(d.source, known.Source)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// take puts a copy in force.
func (s *Store) take(name string, st *State, v Version, path string) error {
	if err := os.Rename(path, s.Copy(name)); err != nil {
		return fmt.Errorf("subscription: %w", err)
	}
	st.Attempt.Outcome, st.Success, st.InUse, st.Held = Updated, st.Attempt.Time, &v, nil
	return nil
}

// hold keeps a copy beside the one in use.
func (s *Store) hold(name string, st *State, v Version, path, why string) error {
	if err := os.Rename(path, s.held(name)); err != nil {
		return fmt.Errorf("subscription: %w", err)
	}
	st.Attempt.Outcome, st.Held = Waiting, &Held{v, why}
	return nil
}

// Accept puts the copy in force that was held back. An error when none is.
func (s *Store) Accept(sub Subscription) (Change, error) {
	before, _ := s.State(sub)
	if before.Held == nil {
		return Change{before, before}, fmt.Errorf("subscription: nothing of %s is held back", sub.Name)
	}
	if sum, _, err := checksum(s.held(sub.Name)); err != nil {
		return Change{before, before}, fmt.Errorf("subscription: the copy that was held back: %w; update %s to fetch it again", err, sub.Name)
	} else if sum != before.Held.SHA256 {
		return Change{before, before}, fmt.Errorf("subscription: %s has changed since it was held back; update %s to fetch it again", s.held(sub.Name), sub.Name)
	}
	after := before
	if err := s.take(sub.Name, &after, before.Held.Version, s.held(sub.Name)); err != nil {
		return Change{before, before}, err
	}
	after.Success = before.Held.Fetched
	return Change{before, after}, s.save(sub.Name, after)
}

// Remove deletes all that is kept of a list.
func (s *Store) Remove(name string) error {
	s.sweep(name)
	var errs []error
	for _, path := range []string{s.stateFile(name), s.Copy(name), s.held(name)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("subscription: %w", err))
		}
	}
	return errors.Join(errs...)
}

// leftover is how old a temporary file must be to be one that a crash left: no
// download takes as long.
const leftover = 2 * maxTime

// sweep deletes what a crash left of a list.
func (s *Store) sweep(name string) {
	old, _ := filepath.Glob(filepath.Join(s.folder, "."+name+".*")) // a name holds nothing that Glob reads
	for _, path := range old {
		if st, err := os.Stat(path); err == nil && time.Since(st.ModTime()) > leftover {
			os.Remove(path)
		}
	}
}

// intact tells whether a copy is still what the state says.
func (s *Store) intact(name string, v *Version) bool {
	sum, size, err := checksum(s.Copy(name))
	return err == nil && size == v.Bytes && sum == v.SHA256
}
