package native

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"nightlatch/config/spell"
)

// mapping walks a mapping in the order it was written. Repeated keys, keys that
// are no plain words, merges and aliases are errors.
func (n *reader) mapping(m *yaml.Node, what string, field func(key string, k, v *yaml.Node) error) error {
	if m.Kind != yaml.MappingNode {
		return n.errorf(m, "%s must be a mapping with keys like \"name:\"", what)
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(m.Content); i += 2 {
		k, v := m.Content[i], m.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Tag != "!!str" {
			return n.errorf(k, "%s has a key that is not a word", what)
		}
		if first, ok := seen[k.Value]; ok {
			return n.errorf(k, "%q stands twice, first at line %d", clip(k.Value), first)
		}
		if v.Kind == yaml.AliasNode {
			return n.errorf(v, "a YAML alias; lists do not use them")
		}
		if err := field(k.Value, k, v); err != nil {
			return err
		}
		seen[k.Value] = k.Line // only known keys come this far, so the map stays small
	}
	return nil
}

func (n *reader) text(v *yaml.Node, key string, to *string) error {
	if v.Kind != yaml.ScalarNode {
		return n.errorf(v, "%s must be a text", key)
	}
	if !isNull(v) {
		*to = v.Value
	}
	return nil
}

// word reads a text that must be one of known.
func (n *reader) word(v *yaml.Node, key string, to *string, known ...string) error {
	var word string
	if err := n.text(v, key, &word); err != nil {
		return err
	}
	if !slices.Contains(known, word) {
		last := len(known) - 1
		return n.errorf(v, "%s must be %s or %s, not %q%s", key, strings.Join(known[:last], ", "), known[last], clip(word), spell.Meant(word, known...))
	}
	*to = word
	return nil
}

// words reads a sequence of texts, or a single one.
func (n *reader) words(v *yaml.Node, key string, each func(v *yaml.Node, word string) error) error {
	nodes := []*yaml.Node{v}
	if v.Kind == yaml.SequenceNode {
		nodes = v.Content
	}
	for _, v := range nodes {
		var word string
		if err := n.text(v, key, &word); err != nil {
			return err
		}
		if word == "" {
			return n.errorf(v, "%s has an empty entry", key)
		}
		if err := each(v, word); err != nil {
			return err
		}
	}
	return nil
}

func (n *reader) unknown(k *yaml.Node, known ...string) error {
	guess := spell.Meant(k.Value, known...)
	if guess == "" {
		guess = "; known are " + strings.Join(known, ", ")
	}
	return n.errorf(k, "unknown key %q%s", clip(k.Value), guess)
}

func (n *reader) errorf(at *yaml.Node, format string, args ...any) error {
	return &Error{n.file, at.Line, at.Column, fmt.Errorf(format, args...).Error()}
}

// broken turns an error of the YAML parser, which knows the line only inside
// its text, into one with a place and, for the usual slips, with advice.
func (n *reader) broken(err error) error {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line, column := 1, 0
	if rest, ok := strings.CutPrefix(msg, "line "); ok {
		num, tail, _ := strings.Cut(rest, ": ")
		if i, e := strconv.Atoi(num); e == nil {
			line, msg = i, tail
		}
	}
	if l, c, advice := n.slip(line); advice != "" {
		line, column, msg = l, c, msg+"; "+advice
	}
	return &Error{n.file, line, column, "broken YAML: " + msg}
}

// slip looks for a usual cause near a line the YAML parser complained about:
// its own count may be one off.
func (n *reader) slip(line int) (at, column int, advice string) {
	for _, l := range []int{line, line + 1, line - 1} {
		if l < 1 || l > len(n.lines) {
			continue
		}
		text := n.lines[l-1]
		body := strings.TrimLeft(text, " ")
		if strings.HasPrefix(body, "\t") {
			return l, len(text) - len(body) + 1, "indent with blanks, not with a tab"
		}
		body = strings.TrimLeft(strings.TrimPrefix(body, "-"), " ")
		if body != "" && strings.ContainsRune("*&@%`|>!", rune(body[0])) {
			return l, len(text) - len(body) + 1, "put what begins with " + body[:1] + " in quotes"
		}
	}
	return 0, 0, ""
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }
