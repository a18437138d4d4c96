package canaries

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAddress(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for template, want := range map[string]string{
		"":                            "http://T.canary.nightlatch.internal/news/T?q=T",
		"https://example.org":         "https://example.org?q=T",
		"https://example.org/a?x=1#y": "https://example.org/a?x=1&q=T#y",
		"http://{}.example.org/{}":    "http://T.example.org/T",
	} {
		c, err := New(1, template, now)
		if err != nil {
			t.Fatal(template, err)
		}
		if got := strings.ReplaceAll(c.URL, c.Token, "T"); got != want {
			t.Errorf("%q gives %s, want %s", template, got, want)
		}
		if !isToken(c.Token) {
			t.Errorf("token %q", c.Token)
		}
		if !c.Alive(now.Add(Life-time.Second)) || c.Alive(now.Add(Life)) {
			t.Error("its life is not what is said")
		}
	}
	for _, bad := range []string{"example.org", "ftp://example.org/{}", "https:///x", "javascript:alert(1)", "https://u:p@example.org", "http://exa mple.org/", "https://" + strings.Repeat("x", 3000)} {
		if c, err := New(1, bad, now); err == nil {
			t.Errorf("%q became %s", bad, c.URL)
		}
	}
}

func TestList(t *testing.T) {
	now := time.Now()
	var list []Canary
	add := func() (err error) {
		more, err := Add(list, now, func(n int) (Canary, error) { return New(n, "", now) })
		if err == nil {
			list = more
		}
		return err
	}
	for want := 1; want <= Max; want++ {
		if err := add(); err != nil || list[len(list)-1].N != want {
			t.Fatalf("canary %d: %v", want, err)
		}
	}
	if err := add(); err == nil || !strings.Contains(err.Error(), "canary remove") {
		t.Errorf("one too many: %v", err)
	}
	left, err := Remove(list, 3)
	if err != nil {
		t.Fatal(err)
	}
	list = left
	if _, err := Remove(list, 3); err == nil {
		t.Error("removed twice")
	}
	if err := add(); err != nil || list[len(list)-1].N != Max+1 {
		t.Errorf("%v", err)
	}
	path := filepath.Join(t.TempDir(), "canaries.yaml")
	text, err := Marshal(list)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if back, err := Load(path); err != nil || !reflect.DeepEqual(back, list) {
		t.Errorf("%d canaries came back, %v", len(back), err)
	}
	if none, err := Load(path + ".absent"); err != nil || none != nil {
		t.Errorf("%v, %v", none, err)
	}
	now = now.Add(Life)
	if err := add(); err != nil {
		t.Errorf("those that are over do not make room: %v", err)
	}
}

func TestBrokenFile(t *testing.T) {
	good, err := New(1, "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	text, err := Marshal([]Canary{good, good})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"twice": string(text), "key": "- n: 1\n  tokn: x\n", "token": "- n: 1\n  token: short\n  url: http://short/\n", "no list": "n: 1\n", "not yaml": "\t- {",
	} {
		if list, err := Parse([]byte(text)); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
	for _, empty := range []string{"", "# nothing\n", "[]\n"} {
		if list, err := Parse([]byte(empty)); err != nil || len(list) != 0 {
			t.Errorf("%q: %v, %v", empty, list, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	c, err := New(1, "", time.Unix(1e9, 0))
	if err != nil {
		f.Fatal(err)
	}
	text, err := Marshal([]Canary{c})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("- n: 1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := Parse(again); err != nil || len(back) != len(list) {
			t.Errorf("%d canaries became %d: %v", len(list), len(back), err)
		}
		for _, c := range list {
			_ = c.Values()
		}
	})
}
