package edit

import (
	"errors"
	"strings"
	"testing"
)

func TestAppend(t *testing.T) {
	pair := "- name: x\n  url: https://l.example/x\n"
	for _, c := range []struct{ name, in, at, item, want string }{
		{"empty text", "", "rules", "- a", "rules:\n  - a\n"},
		{"comments alone", "# mine\n", "rules", "- a", "# mine\nrules:\n  - a\n"},
		{"comments alone, no line end", "# mine", "rules", "- a", "# mine\nrules:\n  - a"},
		{"document start", "---\n", "rules", "- a", "---\nrules:\n  - a\n"},
		{"null", "rules:\nallow: []\n", "rules", "- a", "rules:\n  - a\nallow: []\n"},
		{"null with a comment", "rules: # mine\n  # more\nallow: []\n", "rules", "- a", "rules: # mine\n  - a\n  # more\nallow: []\n"},
		{"tilde", "rules: ~  # none\n", "rules", "- a", "rules:  # none\n  - a\n"},
		{"brackets", "rules: []  # none\n#  - b\nallow: []\n", "rules", "- a", "rules:  # none\n  - a\n#  - b\nallow: []\n"},
		{"brackets over lines", "rules: [\n]\n", "rules", "- a", "rules: [a\n]\n"},
		{"indented", "rules:\n  - b\nallow: []\n", "rules", "- a", "rules:\n  - b\n  - a\nallow: []\n"},
		{"at the margin", "rules:\n- b\nallow: []\n", "rules", "- a", "rules:\n- b\n- a\nallow: []\n"},
		{"by four", "rules:\n    - b\n", "rules", pair, "rules:\n    - b\n    - name: x\n      url: https://l.example/x\n"},
		{"wide dash", "rules:\n-   name: b\n", "rules", pair, "rules:\n-   name: b\n-   name: x\n    url: https://l.example/x\n"},
		{"style of another", "allow:\n- b\n", "rules", "- a", "allow:\n- b\nrules:\n- a\n"},
		{"comments below", "rules:\n  - b # one\n  # two\n# three\nallow: []\n", "rules", "- a", "rules:\n  - b # one\n  - a\n  # two\n# three\nallow: []\n"},
		{"comments inside", "rules:\n  - name: b\n    # match: exact\n\n  # two\n", "rules", "- a", "rules:\n  - name: b\n    # match: exact\n  - a\n\n  # two\n"},
		{"no line end", "rules:\n  - b", "rules", "- a", "rules:\n  - b\n  - a"},
		{"brackets, no line end", "rules: []", "rules", "- a", "rules:\n  - a"},
		{"windows", "rules:\r\n  - b\r\nallow: []\r\n", "rules", pair, "rules:\r\n  - b\r\n  - name: x\r\n    url: https://l.example/x\r\nallow: []\r\n"},
		{"mark in front", "\ufeffrules:\n  - b\n", "rules", "- a", "\ufeffrules:\n  - b\n  - a\n"},
		{"mark in front of nothing", "\ufeff", "rules", "- a", "\ufeffrules:\n  - a\n"},
		{"tabs in comments", "rules:\n  - b\t# one\n  #\ttwo\n", "rules", "- a", "rules:\n  - b\t# one\n  - a\n  #\ttwo\n"},
		{"text block", "rules:\n  - why: |\n      # no comment\n\n      text\n\n  # next\n", "rules", "- a", "rules:\n  - why: |\n      # no comment\n\n      text\n  - a\n\n  # next\n"},
		{"text block that keeps", "rules:\n  - |+\n    text\n\n\nallow: []\n", "rules", "- a", "rules:\n  - |+\n    text\n\n\n  - a\nallow: []\n"},
		{"long texts", "rules:\n  - why: \"one\n      two\"\n    about: three\n      four\nallow: []\n", "rules", "- a", "rules:\n  - why: \"one\n      two\"\n    about: three\n      four\n  - a\nallow: []\n"},
		{"quotes", "rules:\n  - 'it''s'\n  - \"a \\\" b\" # c\n", "rules", "- a", "rules:\n  - 'it''s'\n  - \"a \\\" b\" # c\n  - a\n"},
		{"letters of two bytes", "\"é\": {ü: ö}\nrules: [ä, ö]\n", "rules", "- a", "\"é\": {ü: ö}\nrules: [ä, ö, a]\n"},
		{"flow", "rules: [b, c] # d\n", "rules", "- a", "rules: [b, c, a] # d\n"},
		{"flow, last comma", "rules: [b, c,]\n", "rules", "- a", "rules: [b, c, a,]\n"},
		{"flow, entry with keys", "lists: [{name: b}]\n", "lists", pair, "lists: [{name: b}, {name: x, url: \"https://l.example/x\"}]\n"},
		{"flow over lines", "rules: [\n  b,\n  c # d\n]\n", "rules", "- a", "rules: [\n  b,\n  c, # d\n  a\n]\n"},
		{"flow over lines, last comma", "rules: [\n  b,\n  c,  # d\n  # e\n]\n", "rules", "- a", "rules: [\n  b,\n  c,  # d\n  a,\n  # e\n]\n"},
		{"flow, bracket behind", "rules: [\n  b,\n  c]\n", "rules", "- a", "rules: [\n  b,\n  c,\n  a]\n"},
		{"flow, no entry", "{}\n", "rules", "- a", "{rules: [a]}\n"},
		{"flow mapping", "{name: x}\n", "rules", "- a", "{name: x, rules: [a]}\n"},
		{"missing key", "lists:\n  folder: x\n  # files: []\n\ndns: {}\n", "lists.files", "- a", "lists:\n  folder: x\n  files:\n    - a\n  # files: []\n\ndns: {}\n"},
		{"missing keys", "dns: {}\n# end\n", "lists.files", "- a", "dns: {}\n# end\nlists:\n  files:\n    - a\n"},
		{"empty parent", "lists:\ndns: {}\n", "lists.files", "- a", "lists:\n  files:\n    - a\ndns: {}\n"},
		{"braces", "lists: {}  # x\ndns: {}\n", "lists.files", "- a", "lists:  # x\n  files:\n    - a\ndns: {}\n"},
		{"flow parent", "lists: {folder: x}\n", "lists.files", "- a", "lists: {folder: x, files: [a]}\n"},
		{"step of the text", "dns:\n    cache:\n        size: 1\nlists:\n", "lists.files", "- a", "dns:\n    cache:\n        size: 1\nlists:\n    files:\n      - a\n"},
		{"quoted key", "\"rules\": []\n", "rules", "- a", "\"rules\":\n  - a\n"},
		{"anchors elsewhere", "base: &b {x: 1}\nother: *b\nrules:\n  - b\n", "rules", "- a", "base: &b {x: 1}\nother: *b\nrules:\n  - b\n  - a\n"},
		{"an alias before", "x: &b b\nrules:\n  - *b\n", "rules", "- a", "x: &b b\nrules:\n  - *b\n  - a\n"},
	} {
		got, err := Append([]byte(c.in), strings.Split(c.at, "."), c.item)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, got, c.want)
		}
	}
}

func TestRemove(t *testing.T) {
	for _, c := range []struct {
		name, in string
		index    int
		want     string
	}{
		{"the only one", "rules: # x\n  - a\nallow: []\n", 0, "rules: [] # x\nallow: []\n"},
		{"first", "rules:\n  - a\n  - b\n", 0, "rules:\n  - b\n"},
		{"last, no line end", "rules:\n  - a\n  - b", 1, "rules:\n  - a"},
		{"only, no line end", "rules:\n  - b", 0, "rules: []"},
		{"its comments", "rules:\n  # head\n\n  # one\n  # two\n  - a # three\n    # four\n  # of b\n  - b\n", 0, "rules:\n  # head\n\n  # of b\n  - b\n"},
		{"comments of the one before", "rules:\n  - a: 1\n    # of a\n  - b\n", 1, "rules:\n  - a: 1\n    # of a\n"},
		{"a text block above", "rules:\n  - |\n    # text\n  - b\n", 1, "rules:\n  - |\n    # text\n"},
		{"flow first", "rules: [a, b, c]\n", 0, "rules: [b, c]\n"},
		{"flow middle", "rules: [a, b, c]\n", 1, "rules: [a, c]\n"},
		{"flow last", "rules: [a, b, c]\n", 2, "rules: [a, b]\n"},
		{"flow only", "rules: [a]\n", 0, "rules: []\n"},
		{"flow last comma", "rules: [a, b,]\n", 1, "rules: [a,]\n"},
		{"flow lines", "rules: [\n  a, # one\n  # of b\n  b, # two\n  c\n]\n", 1, "rules: [\n  a, # one\n  c\n]\n"},
		{"flow last line", "rules: [\n  a, # one\n  b # two\n]\n", 1, "rules: [\n  a # one\n]\n"},
		{"flow bracket behind", "rules: [\n  a,\n  b]\n", 1, "rules: [\n  a]\n"},
		{"windows", "rules:\r\n- a\r\n- b\r\n", 0, "rules:\r\n- b\r\n"},
	} {
		got, err := Remove([]byte(c.in), Path{"rules"}, c.index)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, got, c.want)
		}
	}
}

func TestRemoveSeveral(t *testing.T) {
	for _, c := range []struct {
		in    string
		index []int
		want  string
	}{
		{"rules:\n  - a\n  # of b\n  - b\n  - c\n  - d\n", []int{1, 0, 3}, "rules:\n  - c\n"},
		{"rules:\n  - a\n  - b\n", []int{0, 1}, "rules: []\n"},
		{"rules:\n  - a\n  - b", []int{0, 1}, "rules: []\n"},
		{"rules: [a, b, c]\n", []int{0, 2}, "rules: [b]\n"},
		{"rules: [a]\n", nil, "rules: [a]\n"},
	} {
		got, err := Remove([]byte(c.in), Path{"rules"}, c.index...)
		if err != nil || string(got) != c.want {
			t.Errorf("%q %v: %v\n%q\nwant\n%q", c.in, c.index, err, got, c.want)
		}
	}
	if _, err := Remove([]byte("rules: [a]\n"), Path{"rules"}, 0, 1); err == nil {
		t.Error("removed what is not there")
	}
}

func TestReplace(t *testing.T) {
	pair := "- name: x\n  url: y\n"
	for _, c := range []struct {
		name, in string
		index    int
		item     string
		want     string
	}{
		{"longer", "rules:\n  # of a\n  - a # why\n  - b\n", 0, pair, "rules:\n  # of a\n  - name: x\n    url: y # why\n  - b\n"},
		{"shorter, no line end", "rules:\n-   name: x\n    url: y", 0, "- a", "rules:\n-   a"},
		{"flow", "rules: [a, b]\n", 1, pair, "rules: [a, {name: x, url: y}]\n"},
		{"windows", "rules:\r\n  - a\r\n  - b\r\n", 0, pair, "rules:\r\n  - name: x\r\n    url: y\r\n  - b\r\n"},
		{"below the dash", "rules:\n  -\n    name: x\n  - b\n", 0, "- a", "rules:\n  - a\n  - b\n"},
	} {
		got, err := Replace([]byte(c.in), Path{"rules"}, c.index, c.item)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%q\nwant\n%q", c.name, err, got, c.want)
		}
	}
	if _, err := Replace([]byte("rules: [a]\n"), Path{"rules"}, 1, "- b"); err == nil {
		t.Error("replaced what is not there")
	}
}

func TestSet(t *testing.T) {
	for _, c := range []struct{ name, in, at, key, value, want string }{
		{"plain", "dns:\n  cache:   100  # entries\n", "dns", "cache", "200", "dns:\n  cache:   200  # entries\n"},
		{"double quotes", "dns:\n  x: \"a\" # b\n", "dns", "x", "c", "dns:\n  x: \"c\" # b\n"},
		{"single quotes", "dns: {x: 'a', y: 1}\n", "dns", "x", "it's", "dns: {x: 'it''s', y: 1}\n"},
		{"no value", "dns:\n  x: # b\n", "dns", "x", "c", "dns:\n  x: c # b\n"},
		{"new", "dns:\n  x: 1\n# end\n", "dns", "y", "true", "dns:\n  x: 1\n  y: true\n# end\n"},
		{"over lines", "dns:\n  x: a\n    b\n  y: 1\n", "dns", "x", "c", "dns:\n  x: c\n  y: 1\n"},
		{"new section", "a: 1", "dns", "y", "true", "a: 1\ndns:\n  y: true"},
		{"in flow", "dns: {x: 1}\n", "dns", "y", `"a, b"`, "dns: {x: 1, y: \"a, b\"}\n"},
	} {
		got, err := Set([]byte(c.in), Path{c.at}, c.key, c.value)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"alias", "a: &x [b]\nrules: *x\n", "2:8: rules is the alias *x"},
		{"anchor", "rules: &x\n  - b\nallow: *x\n", "1:8: rules has the anchor &x"},
		{"anchor above", "rules: &x {a: 1}\n", "1:8: rules has the anchor"},
		{"merge", "base: &b\n  rules: [a]\n<<: *b\n", "rules may come from a merge"},
		{"tag", "rules: !!seq\n  - b\n", "1:8: rules has the tag"},
		{"documents", "rules: []\n---\nrules: []\n", "2:1: a second document"},
		{"not UTF-8", "rules: [\xff]\n", "not UTF-8"},
		{"UTF-16", "\xff\xfer\x00", "not UTF-8"},
		{"tab", "rules:\n\t- b\n", "2:1: broken YAML"},
		{"broken", "rules: [\n", "broken YAML"},
		{"twice", "rules: []\nrules: []\n", "\"rules\" stands twice, first at line 1"},
		{"no sequence", "rules: {a: 1}\n", "1:8: rules is no sequence"},
		{"a word", "rules: none\n", "rules is no sequence"},
		{"no mapping", "- a\n", "the text holds no keys"},
		{"ended", "a: 1\n...\n", "2:1: the document is ended"},
		{"unusual line end", "a: 1\rb: 2\n", "1:5: an unusual line end"},
		{"line separator", "a: 1 # \u2028\nrules: []\n", "1:8: an unusual line end"},
		{"large", strings.Repeat("# x\n", MaxSize/4+1), "larger than 2 MiB"},
	} {
		got, err := Append([]byte(c.in), Path{"rules"}, "- a")
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || got != nil {
			t.Errorf("%s: %v, want %s\n%.200s", c.name, err, c.want, got)
		}
	}
	for _, item := range []string{"", "a", "- a\n- b", "- &x a", "- [", "- a:\n b", "# c\n- a", " - a"} {
		if got, err := Append([]byte("rules: []\n"), Path{"rules"}, item); err == nil {
			t.Errorf("entry %q: taken\n%s", item, got)
		}
	}
	if _, err := Remove([]byte("rules:\n  - &x a\nb: *x\n"), Path{"rules"}, 0); err == nil || !strings.Contains(err.Error(), "&x may be used elsewhere") {
		t.Errorf("removed an anchor: %v", err)
	}
	var e *Error
	if _, err := Set([]byte("a: |\n  b\n"), nil, "a", "c"); !errors.As(err, &e) || e.Line != 1 {
		t.Errorf("set a text block: %v", err)
	}
}

func TestItems(t *testing.T) {
	items, err := Items([]byte("rules:\n  - a.example\n  # c\n  - domain: b.example\n    devices: [x, y]\n    until: 2026-12-31\n"), Path{"rules"})
	if err != nil || len(items) != 2 {
		t.Fatal(items, err)
	}
	a, b := items[0], items[1]
	if a.Value != "a.example" || a.Line != 2 || b.Line != 4 || b.EndLine != 6 || b.Text("domain") != "b.example" || strings.Join(b.Texts("devices"), " ") != "x y" ||
		b.Text("until") != "2026-12-31" || strings.Join(b.Keys(), " ") != "domain devices until" {
		t.Errorf("%+v", items)
	}
	for _, text := range []string{"", "rules:\n", "rules: []\n", "allow: [a]\n"} {
		if items, err := Items([]byte(text), Path{"rules"}); err != nil || len(items) != 0 {
			t.Errorf("%q: %v, %v", text, items, err)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"ads.example": "ads.example", "*.ads.example": `"*.ads.example"`, "=a": `"=a"`, "it's mine": "it's mine", "a: b": `"a: b"`, "a #b": `"a #b"`,
		"": `""`, "null": `"null"`, "yes": "yes", "1e3": `"1e3"`, "2026-12-31": `"2026-12-31"`, "a\"b": `"a\"b"`, "x\n": `"x\n"`, "-a": `"-a"`, "a, b": `"a, b"`, "_dns": "_dns", "a ": `"a "`, "\u0085\x7f\ufeff": `"\u0085\u007F\uFEFF"`,
	} {
		got := Quote(in)
		if got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
		text, err := Append(nil, Path{"rules"}, "- "+got)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if items, err := Items(text, Path{"rules"}); err != nil || items[0].Value != in {
			t.Errorf("%q came back as %q, %v", in, items[0].Value, err)
		}
	}
}

func TestDiff(t *testing.T) {
	old := "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n"
	for _, c := range []struct{ name, old, new, want string }{
		{"same", old, old, ""},
		{"from nothing", "", "a\n", "@@ -0,0 +1,1 @@\n+a\n"},
		{"one", old, strings.Replace(old, "7\n", "7\nx\n", 1), "@@ -5,6 +5,7 @@\n 5\n 6\n 7\n+x\n 8\n 9\n 10\n"},
		{"two", old, strings.Replace(old[2:], "14\n", "y", 1), "@@ -1,4 +1,3 @@\n-1\n 2\n 3\n 4\n@@ -11,4 +10,4 @@\n 11\n 12\n 13\n-14\n+y\n\\ no line end at the end of the file\n"},
	} {
		if got := Diff([]byte(c.old), []byte(c.new)); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}
