package home

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"nightlatch/blocklists"
	"nightlatch/config"
)

// house is a folder with lists, and how they were read last.
type house struct {
	t   *testing.T
	dir string
	cfg config.Config
}

func newHouse(t *testing.T) *house {
	h := &house{t: t, dir: t.TempDir(), cfg: config.Default()}
	h.cfg.Lists.Builtin, h.cfg.Lists.Folder = []string{"xiaomi"}, "blocklists"
	h.cfg.Lists.Files = []config.ListFile{{Name: "big", Path: "big.txt", Format: "domains"}}
	h.write("big.txt", "a.example\nb.example\n")
	h.write("blocklists/mine.yaml", "include: [parts/more.yaml]\nrules:\n  - mine.example\n")
	h.write("blocklists/parts/more.yaml", "rules:\n  - more.example\n")
	return h
}

func (h *house) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour) // a change that its time tells
	if err := os.Chtimes(path, old, old); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) load(old *Lists) Lists {
	h.t.Helper()
	l, err := loadLists(&h.cfg, h.dir, old)
	if err != nil {
		h.t.Fatal(err)
	}
	return l
}

// form is the compiled file as it lies there.
func (h *house) form() []byte {
	h.t.Helper()
	b, err := os.ReadFile(filepath.Join(h.dir, compiledFile))
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

func (h *house) expect(l *Lists, name, list string) {
	h.t.Helper()
	if r, _ := l.Set.Match(name, blocklists.Selection{}); r.List != list {
		h.t.Errorf("%s: stopped by %q, want %q", name, r.List, list)
	}
}

// TestCompiledForm: what is unchanged is not parsed again, at a start and at a
// reload; what has changed is, also an included file.
func TestCompiledForm(t *testing.T) {
	h := newHouse(t)
	first := h.load(nil)
	if len(first.Broken) > 0 {
		t.Fatal(first.Broken)
	}
	h.expect(&first, "tracking.miui.com", "xiaomi")
	h.expect(&first, "x.more.example", "mine")
	form := h.form()
	again := h.load(nil)
	if !bytes.Equal(h.form(), form) || again.Unkept != nil {
		t.Error("a start without changes made the file anew", again.Unkept)
	}
	if same := h.load(&again); same.Set != again.Set {
		t.Error("a reload without changes made a new Set")
	}
	h.expect(&again, "b.example", "big")
	if l := again.Find("mine"); l == nil || l.Len() != 2 || again.Paths["big"] != filepath.Join(h.dir, "big.txt") {
		t.Error(l, again.Paths)
	}
	h.write("blocklists/parts/more.yaml", "rules:\n  - other.example\n")
	now := h.load(&again)
	h.expect(&now, "other.example", "mine")
	h.expect(&now, "more.example", "")
	h.expect(&now, "tracking.miui.com", "xiaomi")
	h.write("big.txt", "a.example\nc.example\n")
	next := h.load(&now)
	h.expect(&next, "c.example", "big")
	h.expect(&next, "b.example", "")
	h.cfg.Lists.Files[0].Match = "subtree"
	next = h.load(nil)
	h.expect(&next, "x.c.example", "big")
	h.cfg.Lists.Builtin = nil
	next = h.load(nil)
	h.expect(&next, "tracking.miui.com", "")
	h.expect(&next, "mine.example", "mine")
}

// TestBrokenKeepsTheLast: a list that is broken keeps its last good version, over
// a restart as well.
func TestBrokenKeepsTheLast(t *testing.T) {
	h := newHouse(t)
	h.load(nil)
	h.write("blocklists/mine.yaml", "rules: [\n")
	l := h.load(nil)
	if len(l.Broken) != 1 || l.Broken[0].List != "mine" {
		t.Error(l.Broken)
	}
	h.expect(&l, "mine.example", "mine")
	l = h.load(&l)
	if len(l.Broken) != 1 {
		t.Error(l.Broken)
	}
	h.expect(&l, "mine.example", "mine")
}

// TestDamagedForm: a damaged file is told and made anew; where none can be
// written, the lists are in force all the same.
func TestDamagedForm(t *testing.T) {
	h := newHouse(t)
	h.load(nil)
	form := h.form()
	form[len(form)-1] ^= 1
	if err := os.WriteFile(filepath.Join(h.dir, compiledFile), form, 0o600); err != nil {
		t.Fatal(err)
	}
	l := h.load(nil)
	if !errors.Is(l.Unkept, blocklists.ErrDamaged) {
		t.Error(l.Unkept)
	}
	h.expect(&l, "a.example", "big")
	if l = h.load(nil); l.Unkept != nil {
		t.Error(l.Unkept)
	}
	if err := os.Remove(filepath.Join(h.dir, compiledFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(h.dir, compiledFile, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	l = h.load(nil)
	if l.Unkept == nil {
		t.Error("a folder stands where the file should, and nobody is told")
	}
	h.expect(&l, "a.example", "big")
	h.expect(&l, "tracking.miui.com", "xiaomi")
}
