package lists

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config"
)

// TestOwnFile: only a file of the folder of lists is found, whatever is asked.
func TestOwnFile(t *testing.T) {
	dir := t.TempDir()
	cfg := config.Default()
	s := &home.Settings{Home: home.Home{Dir: dir}, Config: &cfg}
	folder := config.Resolve(dir, cfg.Lists.Folder)
	for path, text := range map[string]string{filepath.Join(folder, "mine.yaml"): "rules: []\n", filepath.Join(folder, ".secret.yaml"): "x", filepath.Join(dir, "nightlatch.yaml"): "x"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if path, err := ownFile(s, "mine"); err != nil || filepath.Base(path) != "mine.yaml" {
		t.Errorf("mine: %q, %v", path, err)
	}
	for _, name := range []string{"", ".", "..", ".secret", "../nightlatch", "xiaomi", "mine.yaml", "/etc/passwd", "a/../mine", "mine\x00"} {
		if path, err := ownFile(s, name); err == nil {
			t.Errorf("%q leads to %s", name, path)
		}
	}
}

// TestSave: what is broken, or no longer what was opened, is not written.
func TestSave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	const old = "rules:\n  - a.example\n"
	if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	reloads := 0
	reload := func() error { reloads++; return nil }
	for _, tc := range []struct{ old, text, err string }{
		{old, "rules:\n  - a b\n", "mine.yaml:2:5: "},
		{old, "rulez: []\n", "mine.yaml:1:1: "},
		{"rules: []\n", "rules:\n  - b.example\n", "changed meanwhile"},
	} {
		if _, err := save(t.Context(), path, "mine", []byte(tc.old), []byte(tc.text), reload); err == nil || !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%q: %v", tc.text, err)
		}
	}
	if text, _ := os.ReadFile(path); string(text) != old || reloads != 0 {
		t.Fatalf("the file says %q after %d reloads", text, reloads)
	}
	const better = "# kept\nrules:\n  - b.example\n"
	if _, err := save(t.Context(), path, "mine", []byte(old), []byte(better), reload); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != better || reloads != 1 {
		t.Errorf("the file says %q after %d reloads", text, reloads)
	}
}

// TestCheckIncludes: a list that includes others is read with them, and nothing
// is left in the folder.
func TestCheckIncludes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mine.yaml")
	if err := os.WriteFile(filepath.Join(dir, "more.yaml"), []byte("rules: [b.example, c.example]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c := check(path, "mine", []byte("include: more.yaml\nrules: [a.example]\n")); c.Problem != "" || c.Rules != 3 {
		t.Errorf("%+v", c)
	}
	if c := check(path, "mine", []byte("include: none.yaml\n")); c.Problem == "" || strings.Contains(c.Problem, ".check-") {
		t.Errorf("%+v", c)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
