package resolver

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTableOfRFCs holds docs/rfc.md to the source: what is cited is in the table,
// and what the table says is tested has that test.
func TestTableOfRFCs(t *testing.T) {
	page, err := os.ReadFile("../docs/rfc.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, line := range strings.Split(string(page), "\n") {
		if f := strings.Split(line, "|"); len(f) > 4 {
			for _, n := range regexp.MustCompile(`\d+`).FindAllString(f[1], -1) {
				listed[n] = true
			}
		}
	}
	if listed["4033"] && listed["4035"] {
		listed["4034"] = true // a range
	}
	cited := regexp.MustCompile(`RFC (\d{3,5})`)
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		for _, m := range cited.FindAllSubmatch(src, -1) {
			if !listed[string(m[1])] {
				t.Errorf("%s cites RFC %s, which docs/rfc.md does not have", path, m[1])
				listed[string(m[1])] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, m := range regexp.MustCompile("`((?:resolver|e2e)/[^`:]+)(?::(\\w+))?`").FindAllStringSubmatch(string(page), -1) {
		src, err := os.ReadFile(filepath.Join("..", m[1]))
		if err != nil || m[2] != "" && !strings.Contains(string(src), "func "+m[2]+"(") {
			t.Errorf("docs/rfc.md: there is no %s", m[0])
		}
		named++
	}
	if named < 50 {
		t.Errorf("only %d tests are named", named)
	}
}
