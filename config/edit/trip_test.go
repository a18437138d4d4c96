package edit

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// trip appends an entry and removes it again. Where entries stood before, the
// text must come back byte for byte, and the lines of the longer text must be the
// old ones with some between them.
func trip(text []byte, at Path, item string) error {
	before, err := Items(text, at)
	if err != nil {
		return fmt.Errorf("items: %w", err)
	}
	longer, err := Append(text, at, item)
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	after, err := Items(longer, at)
	if err != nil || len(after) != len(before)+1 {
		return fmt.Errorf("%d entries became %d, %w", len(before), len(after), err)
	}
	back, err := Remove(longer, at, len(before))
	if err != nil {
		return fmt.Errorf("remove: %w\n%s", err, longer)
	}
	if len(before) > 0 && !bytes.Equal(back, text) {
		return fmt.Errorf("came back changed:\n%s", Diff(text, back))
	}
	return nil
}

// sequences gives every path of mapping keys that leads to a sequence.
func sequences(n *yaml.Node, at Path) (out []Path) {
	switch n.Kind {
	case yaml.DocumentNode:
		for _, c := range n.Content {
			out = append(out, sequences(c, at)...)
		}
	case yaml.SequenceNode:
		return []Path{at}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			out = append(out, sequences(n.Content[i+1], append(append(Path{}, at...), n.Content[i].Value))...)
		}
	}
	return out
}

var items = []string{"- x.example", "- domain: x.example\n  why: |\n    two\n\n    lines\n  devices: [a, b]\n", "- \"*.x, y\"", "- {name: x, url: 'https://l.example/a?b#c'}"}

func TestRealFiles(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../../blocklists/builtin/*.yaml", "../../blocklists/builtin/*.yml", "../testdata/*.yaml", "../../decoder/*.yaml", "../../decoder/*/*.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	seen := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var root yaml.Node
		if yaml.Unmarshal(text, &root) != nil {
			continue // an example of a broken file
		}
		for _, at := range sequences(&root, nil) {
			if len(at) == 0 {
				continue
			}
			if strings.Contains(file, "testdata") && strings.Contains(file, "invalid-") {
				if _, err := Append(text, at, items[0]); err != nil {
					continue // broken on purpose; most can be edited all the same
				}
			}
			for _, item := range items[:2] {
				seen++
				if err := trip(text, at, item); err != nil {
					t.Errorf("%s: %s: %v", file, at, err)
				}
			}
			if err := removeAll(text, at); err != nil {
				t.Errorf("%s: %s: %v", file, at, err)
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d sequences were seen in %d files", seen, len(files))
	}
}

// removeAll takes some entries out of a sequence, each time from the whole text.
func removeAll(text []byte, at Path) error {
	all, err := Items(text, at)
	if err != nil {
		return err
	}
	for i := 0; i < len(all); i += 1 + len(all)/7 {
		less, err := Remove(text, at, i)
		if err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		rest, err := Items(less, at)
		if err != nil || len(rest) != len(all)-1 {
			return fmt.Errorf("entry %d: %d left, %w", i, len(rest), err)
		}
	}
	return nil
}

// writer makes YAML of the kinds people write.
type writer struct {
	*rand.Rand
	out strings.Builder
	nl  string
}

func (w *writer) pick(of ...string) string { return of[w.IntN(len(of))] }

func (w *writer) line(indent int, text string) {
	w.out.WriteString(strings.Repeat(" ", indent) + text + w.nl)
}

// noise is comments and empty lines.
func (w *writer) noise(indent int) {
	for w.IntN(3) == 0 {
		switch w.IntN(4) {
		case 0:
			w.line(0, "")
		case 1:
			w.line(indent, "# - "+w.scalar())
		case 2:
			w.line(indent, "#\tkey: [ \"")
		default:
			w.line(w.IntN(2), "# é 'x")
		}
	}
}

func (w *writer) scalar() string {
	return w.pick("ads.example", "=b.example", "'it''s # one'", `"a \"quoted\" [b"`, "http://x.example/a#b", "don't", "ünï.example", "1", "true", "2026-01-01", "a b c", "~", `"*.c.example"`)
}

func (w *writer) tail() string { return w.pick("", "", "", " # tail", "\t# tail", "   ") }

func (w *writer) entry(indent, gap int) {
	dash := "-" + strings.Repeat(" ", gap)
	in := indent + 1 + gap
	switch w.IntN(9) {
	case 0:
		w.line(indent, dash+"domain: "+w.scalar()+w.tail())
		w.noise(in)
		w.line(in, "why: "+w.scalar()+w.tail())
	case 1:
		w.line(indent, dash+w.pick("|", ">", "|-", ">-", "|+", "|2", "| # c")[:1])
		w.line(in, "text # no comment")
		w.line(0, "")
		w.line(in, "  - more: [")
	case 2:
		w.line(indent, dash+"domain: x")
		w.line(in, "types: [A, "+w.pick("AAAA", "'b, c'", "{d: e}")+"]"+w.tail())
		w.line(in, "why: >-")
		w.line(in+1, "# text")
		w.line(in+1, "text")
	case 3:
		w.line(indent, dash+`"over`)
		w.line(in, `lines # no comment"`+w.tail())
	case 4:
		w.line(indent, dash+"plain over")
		w.line(in+2, "lines"+w.tail())
	case 5:
		w.line(indent, dash+"group: g")
		w.line(in, "rules:"+w.tail())
		w.noise(in)
		w.line(in+w.IntN(2)*2, "- a"+w.tail())
	case 6:
		w.line(indent, "-"+w.tail())
		w.line(in, w.scalar())
	default:
		w.line(indent, dash+w.scalar()+w.tail())
	}
}

func (w *writer) sequence(indent int, key string) {
	switch w.IntN(6) {
	case 0:
		w.line(indent, key+": "+w.pick("[]", "", "~", "null", "[ ]")+w.tail())
	case 1:
		w.line(indent, key+": ["+w.pick("a", "'b'", "{x: y}")+w.pick(", c", ", \"d, e\" ", "", " ,")+"]"+w.tail())
	case 2:
		w.line(indent, key+": ["+w.tail())
		for range 1 + w.IntN(3) {
			w.noise(indent + 2)
			w.line(indent+2, w.pick("a", "'b'", "{x: y}")+","+w.tail())
		}
		w.line(indent+2, "last"+w.pick("", ",")+w.tail())
		w.noise(indent + 2)
		w.line(indent+1, "]"+w.tail())
	default:
		w.line(indent, key+":"+w.tail())
		in, gap := indent+w.pickInt(0, 2, 2, 4), w.pickInt(1, 1, 1, 3)
		w.noise(in)
		for range 1 + w.IntN(4) {
			w.entry(in, gap)
			w.noise(in)
		}
	}
}

func (w *writer) pickInt(of ...int) int { return of[w.IntN(len(of))] }

func (w *writer) text() []byte {
	if w.IntN(10) == 0 {
		w.out.WriteString(bom)
	}
	w.noise(0)
	if w.IntN(5) == 0 {
		w.line(0, "---")
	}
	w.line(0, "name: "+w.scalar()+w.tail())
	w.noise(0)
	w.line(0, "anchor: &a {x: y}")
	w.line(0, "alias: *a")
	w.sequence(0, "rules")
	w.noise(0)
	w.line(0, w.pick("lists", `"lists"`)+":"+w.tail())
	w.line(2, "folder: x"+w.tail())
	w.sequence(2, "files")
	w.noise(2)
	w.sequence(0, "allow")
	w.noise(0)
	out := w.out.String()
	if w.IntN(4) == 0 {
		out = strings.TrimSuffix(out, w.nl)
	}
	return []byte(out)
}

func TestRoundTrip(t *testing.T) {
	made := 0
	for seed := range uint64(150) {
		w := &writer{Rand: rand.New(rand.NewPCG(seed, 1)), nl: "\n"}
		if w.IntN(4) == 0 {
			w.nl = "\r\n"
		}
		text := w.text()
		if _, err := parse(text); err != nil {
			continue // a comment in a flow sequence can break it
		}
		made++
		item := items[w.IntN(len(items))]
		for _, at := range []Path{{"rules"}, {"lists", "files"}, {"allow"}, {"lists", "new"}, {"new", "deep"}} {
			err := trip(text, at, item)
			if err != nil && strings.Contains(err.Error(), "end the last line") && text[len(text)-1] != '\n' {
				continue // nothing can follow a text block whose last line end is missing
			}
			if err != nil {
				t.Fatalf("seed %d, %s: %v\n%s", seed, at, err, text)
			}
		}
		if err := removeAll(text, Path{"rules"}); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
	}
	if made < 120 {
		t.Errorf("only %d texts were YAML", made)
	}
}

func FuzzAppend(f *testing.F) {
	for seed := range uint64(20) {
		w := &writer{Rand: rand.New(rand.NewPCG(seed, 2)), nl: "\n"}
		f.Add(string(w.text()), items[seed%4], "rules")
	}
	f.Add("lists: {a: [b, [c: d], ? e]}\n", "- x", "lists.a")
	f.Add("a: !!seq &x [ *x ]\n", "- x", "a")
	f.Fuzz(func(t *testing.T, text, item, at string) {
		path := Path(strings.Split(at, "."))
		longer, err := Append([]byte(text), path, item)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		before, err := Items([]byte(text), path)
		if err != nil {
			t.Fatalf("appended where there is nothing to see: %v", err)
		}
		after, err := Items(longer, path)
		if err != nil || len(after) != len(before)+1 {
			t.Fatalf("%d entries, then %d: %v\n%q", len(before), len(after), err, longer)
		}
		back, err := Remove(longer, path, len(before))
		if err != nil {
			return // refused
		}
		if rest, err := Items(back, path); err != nil || len(rest) != len(before) {
			t.Fatalf("%d entries are left of %d: %v\n%q", len(rest), len(before), err, back)
		}
	})
}

func FuzzSet(f *testing.F) {
	f.Add("a:\n  b: 'x' # c\n", "a", "b", "y")
	f.Add("a: {b: , c: \"d\"}\n", "a", "b", `"y z"`)
	f.Add("a: ? b\n", "a", "b", "1")
	f.Fuzz(func(t *testing.T, text, at, key, value string) {
		out, err := Set([]byte(text), Path{at}, key, value)
		if err != nil {
			return
		}
		want, err := parseScalar(value)
		if err != nil {
			t.Fatal(err)
		}
		d, err := parse(out)
		if err != nil {
			t.Fatal(err)
		}
		p, err := d.find(Path{at, key})
		if err != nil || len(p.missing) > 0 || !same(p.node, want) {
			t.Errorf("%q: %v", out, err)
		}
	})
}
