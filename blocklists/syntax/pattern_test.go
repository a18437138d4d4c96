package syntax

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func letters(alphabet string, n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(alphabet[rand.IntN(len(alphabet))])
	}
	return b.String()
}

// TestGlobs holds patterns against regular expressions that say the same.
func TestGlobs(t *testing.T) {
	hits := 0
	for range 20000 {
		body := letters("aab.*", 4+rand.IntN(5))
		label, start, end := rand.IntN(2) == 0, rand.IntN(2) == 0, rand.IntN(2) == 0
		start = start && !label
		p := newGlob([]byte(body), label, start, end)
		if p == nil {
			continue
		}
		expr := strings.ReplaceAll(regexp.QuoteMeta(body), `\*`, ".*")
		switch {
		case label:
			expr = `(^|\.)` + expr
		case start:
			expr = "^" + expr
		}
		if end {
			expr += "$"
		}
		re := regexp.MustCompile(expr)
		for range 10 {
			name := strings.Trim(strings.ReplaceAll(letters("aaab.", 1+rand.IntN(10)), "..", "."), ".")
			got := p.Find([]byte(name))
			if want := re.MatchString(name); got != want {
				t.Fatalf("%q label=%v start=%v end=%v finds %q: %v, %s says %v", body, label, start, end, name, got, expr, want)
			}
			if got {
				hits++
				if p.Key != "" && name != p.Key && !strings.HasSuffix(name, "."+p.Key) {
					t.Fatalf("%q finds %q, which does not end with its key %q", body, name, p.Key)
				}
			}
		}
	}
	if hits < 1000 {
		t.Errorf("only %d names were found", hits)
	}
}

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		body              string
		label, start, end bool
		key               string
	}{
		{"wild*.glob.test", true, false, true, "glob.test"},
		{"*cdn.test", true, false, true, "test"},
		{"ads-*.frag.test", false, false, true, "frag.test"},
		{"-log.media.test", false, false, true, "media.test"},
		{"open.test", true, false, false, ""},
		{"-frag-", false, false, false, ""},
		{"a.b*", true, false, true, ""},
	} {
		p := newGlob([]byte(c.body), c.label, c.start, c.end)
		if p == nil || p.Key != c.key {
			t.Errorf("%s: %+v, want key %q", c.body, p, c.key)
		}
	}
	for _, short := range []string{"a*", "a*b", "*.*"} {
		if _, err := NewWildcard(short); err == nil {
			t.Errorf("%q is a wildcard for an owner", short)
		}
	}
	for _, bad := range []string{"(?=x)", "(", ".*", "", "x*", strings.Repeat("x", 600)} {
		if _, err := NewRegex(bad); err == nil {
			t.Errorf("%q is a regular expression to use", bad)
		}
	}
}
