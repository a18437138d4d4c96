package terminal

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for _, c := range []struct {
		in, want string
		limit    int
	}{
		{"tracking.miui.com", "tracking.miui.com", 0},
		{"Grüße, 日本, Привет", "Grüße, 日本, Привет", 0},
		{"a\x1b[31mred\x1b[0m", `a\x1b[31mred\x1b[0m`, 0},
		{"two\nlines\r\ttab\x00\x7f", `two\nlines\r\ttab\x00\x7f`, 0},
		{"\u202egnp.exe\u2066\u200b\ufeff", `\u202egnp.exe\u2066\u200b\ufeff`, 0},
		{"c1 \u009b31m", `c1 \u009b31m`, 0},
		{"broken \xff\x9b utf8", `broken \xff\x9b utf8`, 0},
		{`back\slash`, `back\\slash`, 0},
		{"line\u2028sep\u2029", `line\u2028sep\u2029`, 0},
		{"nbsp\u00a0shy\u00ad", `nbsp\u00a0shy\u00ad`, 0},
		{"tag\U000e0041", `tag\U000e0041`, 0},
		{"hangul\u3164filler\u2800", `hangul\u3164filler\u2800`, 0},
		{"long long", "long…", 5},
		{"exact", "exact", 5},
		{"\x1b\x1b\x1b", `\x1b…`, 5},
		{strings.Repeat("é", 100), "ééé…", 4},
	} {
		if got := Escape(c.in, c.limit); got != c.want {
			t.Errorf("Escape(%q, %d) = %s, want %s", c.in, c.limit, got, c.want)
		}
	}
}

func TestMarksDoNotPileUp(t *testing.T) {
	got := Escape("a"+strings.Repeat("\u0301", 50), 0)
	if n := strings.Count(got, "\u0301"); n != maxMarks || !strings.Contains(got, `\u0301`) {
		t.Errorf("%d marks left in %s", n, got)
	}
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "a.example", "\x1b]0;x\a", "\u202e", "\xc3\x28", "\\n", "\u009b", "e\u0301\u0301\u0301"} {
		f.Add(s, 0)
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		got := Escape(s, limit)
		if !utf8.ValidString(got) {
			t.Fatalf("%q is not UTF-8", got)
		}
		if limit > 0 && utf8.RuneCountInString(got) > limit {
			t.Fatalf("%q is longer than %d", got, limit)
		}
		for _, r := range got {
			if !strconv.IsPrint(r) || blank(r) {
				t.Fatalf("%q holds %U", got, r)
			}
		}
		quoted, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var before, after string
		safe := JSON(quoted)
		if err := json.Unmarshal(safe, &after); err != nil {
			t.Fatalf("%s: %v", safe, err)
		}
		_ = json.Unmarshal(quoted, &before)
		if before != after {
			t.Fatalf("JSON changed %q to %q", before, after)
		}
		for _, r := range string(safe) {
			if !strconv.IsPrint(r) || blank(r) {
				t.Fatalf("%q holds %U", safe, r)
			}
		}
	})
}
