package visible

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"plain text\n\tstays":         "plain text\n\tstays",
		"":                            "",
		"grün, 猫, ελ, 🦦":              "grün, 猫, ελ, 🦦",
		"evil\u202egnp.exe":           `evil\u202egnp.exe`,
		"\u2066a\u2069\u200f\u061c":   `\u2066a\u2069\u200f\u061c`,
		"a\u200bb\ufeff\u00ad\u2060":  `a\u200bb\ufeff\u00ad\u2060`,
		"\x1b[31mred\x00\x7f":         `\u001b[31mred\u0000\u007f`,
		"\u009b31m":                   `\u009b31m`,
		"\r\u2028\u2029":              `\u000d\u2028\u2029`,
		"bad \xff\xc0\xaf utf":        `bad \xff\xc0\xaf utf`,
		"tag \U000e0041":              `tag \udb40\udc41`,
		"blank \u3164\u2800\u00a0":    `blank \u3164\u2800\u00a0`,
		"e\u0301\u0302\u0303\u0304":   "e\u0301\u0302" + `\u0303\u0304`,
		"e\u0301e\u0302e\u0303\u0304": "e\u0301e\u0302e\u0303\u0304",
	} {
		if got := string(Text([]byte(in))); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"plain", "\u202e<b>", "\x1b]0;x\x07", "\xff\xfe", "e\u0301\u0301\u0301", "\U000e0041\u3164", "a\r\n\tb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := Text([]byte(s))
		if !utf8.Valid(out) {
			t.Fatalf("%q is not UTF-8", out)
		}
		if again := Text(out); string(again) != string(out) {
			t.Fatalf("not settled: %q, then %q", out, again)
		}
		for _, r := range string(out) {
			if r != '\n' && r != '\t' && !Honest(r) {
				t.Fatalf("%q still holds %U", out, r)
			}
		}
		encoded, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var plainly, visibly string
		if json.Unmarshal(encoded, &plainly) != nil || json.Unmarshal(JSON(encoded), &visibly) != nil || plainly != visibly {
			t.Fatalf("%q changed its meaning: %q", s, visibly)
		}
	})
}

func TestCut(t *testing.T) {
	for _, tc := range []struct {
		in   string
		n    int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "abc…"}, {"äöü", 3, "äöü"}, {"äöüß", 3, "äöü…"}, {"", 3, ""}, {strings.Repeat("x", 9), 0, "…"}} {
		if got := Cut(tc.in, tc.n); got != tc.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", tc.in, tc.n, got, tc.want)
		}
	}
}
