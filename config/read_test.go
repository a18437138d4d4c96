package config

import "testing"

func TestRead(t *testing.T) {
	type item struct {
		Name string `yaml:"name"`
		N    int    `yaml:"n" min:"1" max:"9"`
	}
	type doc struct {
		Items []item `yaml:"items"`
	}
	var d doc
	p, err := Read("f.yaml", []byte("items:\n  - name: a\n    n: 3\n  - {name: b}\n"), &d)
	if err != nil || len(d.Items) != 2 || d.Items[0] != (item{"a", 3}) {
		t.Fatalf("%+v %v", d, err)
	}
	for path, want := range map[string]string{
		"items[0].n":    "f.yaml:3:8: x",
		"items[1].n":    "f.yaml:4:5: x",
		"items[7].n":    "f.yaml:2:3: x",
		"items[1].name": "f.yaml:4:12: x",
		"other":         "f.yaml:1:1: x",
	} {
		if got := p.Fail(path, "x").Error(); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	for text, want := range map[string]string{
		"items:\n  - nme: a\n":    `f.yaml:2:5: unknown key "nme"; did you mean "name"?`,
		"items:\n  - n: 12\n":     "f.yaml:2:8: items[0].n is 12; at most 9",
		"items: 3\n":              "f.yaml:1:8: items wants a list: [a, b] or lines that begin with -",
		"items: &a []\nb: *a\n":   `f.yaml:2:1: unknown key "b"; known here are items`,
		"items: []\n---\nmore: 1": "f.yaml:2:1: a second document begins here (---); one is read",
	} {
		if _, err := Read("f.yaml", []byte(text), new(doc)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if p, err := Read("f.yaml", nil, new(doc)); err != nil || p.Fail("items", "x").Error() != "f.yaml: x" {
		t.Errorf("empty: %v", err)
	}
}
