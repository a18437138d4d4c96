package edit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	maxLinks   = 40               // symbolic links followed to a file
	maxTries   = 5                // times a change is made again on a file that someone else is saving
	lockWait   = 10 * time.Second // how long another command may hold the folder
	lockPeriod = 10 * time.Millisecond
)

// ErrBusy means that another command holds the folder, or that the file changed
// at every try. Nothing was written.
var ErrBusy = errors.New("someone else is writing it; try again")

// Fresh is what a file begins with that is not there yet.
type Fresh struct {
	Text []byte
	Mode os.FileMode // the usual one is 0600
}

// Result is a file before and after a change.
type Result struct {
	Path     string // where the file stands, links followed
	Old, New []byte
	Made     bool // there was no file before
}

// Changed says whether the file was written.
func (r Result) Changed() bool { return r.Made && len(r.New) > 0 || !bytes.Equal(r.Old, r.New) }

// Update changes a file: it is there whole as before or whole as after (a
// temporary file in the same folder, synced, then renamed), with its mode and,
// where the system allows, its owner. A symbolic link stays one; its target
// changes. Of several Updates at once, in any process, none is lost: the folder
// is locked meanwhile. When something else saves the file between reading and
// writing, change is asked again with the new text.
//
// change may be called several times, and must only look at the text it is
// given; its error ends the update with nothing written. An absent file is
// given as fresh.Text.
func Update(ctx context.Context, path string, fresh Fresh, change func(text []byte) ([]byte, error)) (Result, error) {
	target, err := follow(path)
	if err != nil {
		return Result{}, fmt.Errorf("edit: %w", err)
	}
	unlock, err := lockFolder(ctx, filepath.Dir(target))
	if err != nil {
		return Result{}, fmt.Errorf("edit: %s: %w", path, err)
	}
	defer unlock()
	for range maxTries {
		r, done, err := try(target, fresh, change)
		if err != nil || done {
			return r, err
		}
	}
	return Result{}, fmt.Errorf("edit: %s: %w", path, ErrBusy)
}

// Read gives the text of a file as [Update] would see it.
func Read(path string, fresh Fresh) (Result, error) {
	target, err := follow(path)
	if err != nil {
		return Result{}, fmt.Errorf("edit: %w", err)
	}
	r, _, err := read(target, fresh)
	return r, err
}

func read(target string, fresh Fresh) (Result, os.FileInfo, error) {
	r := Result{Path: target}
	f, err := os.Open(target)
	if errors.Is(err, fs.ErrNotExist) {
		r.Old, r.Made = fresh.Text, true
		return r, nil, nil
	}
	if err != nil {
		return r, nil, fmt.Errorf("edit: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return r, nil, fmt.Errorf("edit: %w", err)
	}
	if !st.Mode().IsRegular() {
		return r, nil, fmt.Errorf("edit: %s is no file", target)
	}
	if r.Old, err = io.ReadAll(io.LimitReader(f, MaxSize+1)); err != nil {
		return r, nil, fmt.Errorf("edit: %w", err)
	}
	if len(r.Old) > MaxSize {
		return r, nil, fmt.Errorf("edit: %s is %w", target, tooLarge())
	}
	return r, st, nil
}

// try makes the change once; it is not done when the file changed meanwhile.
func try(target string, fresh Fresh, change func([]byte) ([]byte, error)) (r Result, done bool, err error) {
	r, st, err := read(target, fresh)
	if err != nil {
		return r, false, err
	}
	if r.New, err = change(r.Old); err != nil {
		return Result{}, false, err
	}
	if !r.Changed() {
		return r, true, nil
	}
	temp, err := stage(target, r.New, st, fresh.Mode)
	if errors.Is(err, fs.ErrPermission) {
		return Result{}, false, fmt.Errorf("edit: %s: its folder cannot be written: %w", target, fs.ErrPermission)
	}
	if err != nil {
		return Result{}, false, fmt.Errorf("edit: %w", err)
	}
	defer os.Remove(temp) // gone already when it was renamed
	now, _, err := read(target, fresh)
	if err != nil {
		return Result{}, false, err
	}
	if now.Made != r.Made || !bytes.Equal(now.Old, r.Old) {
		return Result{}, false, nil
	}
	if err := os.Rename(temp, target); err != nil {
		return Result{}, false, fmt.Errorf("edit: %w", err)
	}
	if dir, err := os.Open(filepath.Dir(target)); err == nil {
		dir.Sync() // some systems cannot; the file itself is synced
		dir.Close()
	}
	return r, true, nil
}

// stage writes a temporary file beside the target, like it in mode and owner.
func stage(target string, text []byte, like os.FileInfo, mode os.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if like != nil {
		mode = like.Mode().Perm()
		chown(f, like) // before the mode: a change of owner may drop bits
	}
	if err = f.Chmod(mode); err != nil {
		return "", err
	}
	if _, err = f.Write(text); err != nil {
		return "", err
	}
	if err = f.Sync(); err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// follow gives the file that a path leads to; the file itself may be absent.
func follow(path string) (string, error) {
	for range maxLinks {
		to, err := os.Readlink(path)
		if err != nil { // no link, or absent
			return path, nil
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return "", fmt.Errorf("%s: too many symbolic links", path)
}

// lockFolder waits until no other Update works in a folder. Where folders
// cannot be locked, only the second look at the file protects it.
func lockFolder(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(lockPeriod)
	defer tick.Stop()
	deadline := time.NewTimer(lockWait)
	defer deadline.Stop()
	for {
		busy, err := lock(f)
		if err != nil || !busy {
			return func() { f.Close() }, nil // closing unlocks
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-deadline.C:
			f.Close()
			return nil, ErrBusy
		case <-tick.C:
		}
	}
}
