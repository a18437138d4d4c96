package edit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var fresh = Fresh{Text: []byte("# new\n"), Mode: 0o600}

func add(item string) func([]byte) ([]byte, error) {
	return func(text []byte) ([]byte, error) { return Append(text, Path{"rules"}, item) }
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestUpdateMakes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	r, err := Update(t.Context(), path, fresh, add("- x"))
	if err != nil || !r.Made || !r.Changed() || content(t, path) != "# new\nrules:\n  - x\n" {
		t.Fatalf("%+v, %v", r, err)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	r, err = Update(t.Context(), path, fresh, func(text []byte) ([]byte, error) { return text, nil })
	if err != nil || r.Made || r.Changed() {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestUpdateParallel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if _, err := Update(context.Background(), path, fresh, add(fmt.Sprintf("- x%d", i))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got, err := Items([]byte(content(t, path)), Path{"rules"}); err != nil || len(got) != 40 {
		t.Errorf("%d entries of 40, %v", len(got), err)
	}
}

func TestUpdateLink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o755); err != nil {
		t.Fatal(err)
	}
	real, link := filepath.Join(dir, "real", "a.yaml"), filepath.Join(dir, "a.yaml")
	if err := os.Symlink("real/a.yaml", link); err != nil {
		t.Skip(err)
	}
	for _, item := range []string{"- x", "- y"} { // first the target is absent
		if _, err := Update(t.Context(), link, fresh, add(item)); err != nil {
			t.Fatal(err)
		}
	}
	if to, err := os.Readlink(link); err != nil || to != "real/a.yaml" {
		t.Errorf("%q, %v", to, err)
	}
	if got := content(t, real); got != "# new\nrules:\n  - x\n  - y\n" {
		t.Errorf("%q", got)
	}
	if err := os.Chmod(real, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Update(t.Context(), link, fresh, add("- z")); err != nil {
		t.Fatal(err)
	}
	if st, _ := os.Stat(real); st.Mode().Perm() != 0o644 {
		t.Errorf("mode %v", st.Mode())
	}
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	if _, err := Update(t.Context(), loop, fresh, add("- z")); err == nil {
		t.Error("a loop of links was followed")
	}
}

// An editor knows no lock: what it saves meanwhile must not be lost.
func TestUpdateChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	calls := 0
	_, err := Update(t.Context(), path, fresh, func(text []byte) ([]byte, error) {
		if calls++; calls == 1 {
			if err := os.WriteFile(path, []byte("rules: [saved]\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return Append(text, Path{"rules"}, "- x")
	})
	if err != nil || calls != 2 || content(t, path) != "rules: [saved, x]\n" {
		t.Errorf("%d calls, %v, %q", calls, err, content(t, path))
	}
	_, err = Update(t.Context(), path, fresh, func(text []byte) ([]byte, error) {
		calls++
		if err := os.WriteFile(path, fmt.Appendf(nil, "rules: [saved%d]\n", calls), 0o600); err != nil {
			t.Fatal(err)
		}
		return Append(text, Path{"rules"}, "- x")
	})
	if !errors.Is(err, ErrBusy) || strings.Contains(content(t, path), "x]") {
		t.Errorf("%v, %q", err, content(t, path))
	}
	left, _ := os.ReadDir(filepath.Dir(path))
	if len(left) != 1 {
		t.Errorf("files left behind: %v", left)
	}
}

func TestUpdateRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	want := errors.New("no")
	if _, err := Update(t.Context(), path, fresh, func([]byte) ([]byte, error) { return nil, want }); !errors.Is(err, want) {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("an error made the file")
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Update(t.Context(), path, fresh, add("- x")); err == nil || !strings.Contains(err.Error(), "is no file") {
		t.Error(err)
	}
	if _, err := Update(t.Context(), filepath.Join(path, "none", "a.yaml"), fresh, add("- x")); err == nil {
		t.Error("a folder was made")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := lock(dir); err != nil {
		t.Skip("folders cannot be locked here")
	}
	if _, err := Update(ctx, filepath.Join(filepath.Dir(path), "b.yaml"), fresh, add("- x")); !errors.Is(err, context.Canceled) {
		t.Errorf("did not stop waiting: %v", err)
	}
}
