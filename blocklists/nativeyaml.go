package blocklists

import (
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// mapping walks a mapping in the order it was written. Repeated keys, keys that
// are no plain words, merges and aliases are errors.
func (n *native) mapping(m *yaml.Node, what string, field func(key string, k, v *yaml.Node) error) error {
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

func (n *native) text(v *yaml.Node, key string, to *string) error {
	if v.Kind != yaml.ScalarNode {
		return n.errorf(v, "%s must be a text", key)
	}
	if !isNull(v) {
		*to = v.Value
	}
	return nil
}

func (n *native) readAction(v *yaml.Node, to *Action) error {
	var word string
	if err := n.text(v, "action", &word); err != nil {
		return err
	}
	for _, a := range []Action{ActionDeny, ActionSink, ActionDrop} {
		if word == a.String() {
			*to = a
			return nil
		}
	}
	return n.errorf(v, "action must be deny, sink or drop, not %q%s", clip(word), meant(word, "deny", "sink", "drop"))
}

func (n *native) readMatch(v *yaml.Node, to **Match) error {
	var word string
	if err := n.text(v, "match", &word); err != nil {
		return err
	}
	for _, m := range []Match{Subtree, Exact, Below} {
		if word == m.String() {
			*to = &m
			return nil
		}
	}
	return n.errorf(v, "match must be subtree, exact or below, not %q%s", clip(word), meant(word, "subtree", "exact", "below"))
}

func (n *native) unknown(k *yaml.Node, known ...string) error {
	guess := meant(k.Value, known...)
	if guess == "" {
		guess = "; known are " + strings.Join(known, ", ")
	}
	return n.errorf(k, "unknown key %q%s", clip(k.Value), guess)
}

func (n *native) errorf(at *yaml.Node, format string, args ...any) error {
	return &SyntaxError{n.p.file, at.Line, at.Column, fmt.Errorf(format, args...).Error()}
}

// broken turns an error of the YAML parser, which knows the line only inside
// its text, into one with a place and, for the usual slips, with advice.
func (n *native) broken(err error) error {
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
	return &SyntaxError{n.p.file, line, column, "broken YAML: " + msg}
}

// slip looks for a usual cause near a line the YAML parser complained about:
// its own count may be one off.
func (n *native) slip(line int) (at, column int, advice string) {
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

// meant gives "; did you mean ...?" when one of known is a slip of the finger
// away from word, and nothing otherwise.
func meant(word string, known ...string) string {
	best, bestAt := 3, ""
	for _, k := range known {
		if d := distance(strings.ToLower(word), k); d < best && d < len(k)-1 {
			best, bestAt = d, k
		}
	}
	if bestAt == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", bestAt)
}

// distance is the number of letters to insert, remove, change or swap with
// their neighbour to make b of a. Long words are far from everything.
func distance(a, b string) int {
	if len(a) > 40 || len(b) > 40 {
		return 40
	}
	var rows [3][42]int
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur, prev, before := &rows[i%3], &rows[(i+2)%3], &rows[(i+1)%3]
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}
