// Package edit changes single places of YAML files that people write by hand.
// The parser only tells where things stand; the text itself is cut and joined,
// never written anew, so that every byte outside the touched lines survives:
// comments, order, quotes, indentation, line ends, a BOM, a missing final line
// end. After every change the new text is parsed and compared, node by node,
// with what was meant; a text that says anything else is an error instead.
//
// [Append], [Replace], [Remove], [Set] and [Items] are pure and work on text; [Update]
// brings them to a file.
package edit

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// MaxSize bounds a text, in bytes: it is parsed into a tree about 50 times its
// size, and written by hand.
const MaxSize = 2 << 20

// Error is a text that cannot be edited safely, and where.
type Error struct {
	Line, Column int // 1-based; 0 when the whole text is meant
	Msg          string
}

// Error gives "line:column: what", or what alone.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Msg
	}
	return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Msg)
}

// Path names a place by its keys from the root: {"lists", "files"}.
type Path []string

func (p Path) String() string { return strings.Join(p, ".") }

// Item is one entry of a sequence.
type Item struct {
	Index   int
	Line    int // 1-based, where it begins: at its dash when it has one
	EndLine int // its last line
	Value   string
	node    *yaml.Node
}

// Text gives the value of a key of an item that is a mapping; empty when there
// is none, or when it is no single value.
func (i Item) Text(key string) string {
	if v := value(i.node, key); v != nil && v.Kind == yaml.ScalarNode && v.Tag != "!!null" {
		return v.Value
	}
	return ""
}

// Texts gives the values of a key of an item that is a mapping, whether they
// are written as a sequence or as one value.
func (i Item) Texts(key string) []string {
	v := value(i.node, key)
	if v == nil || v.Kind != yaml.SequenceNode {
		if s := i.Text(key); s != "" {
			return []string{s}
		}
		return nil
	}
	var out []string
	for _, n := range v.Content {
		out = append(out, n.Value)
	}
	return out
}

// Keys gives the keys of an item that is a mapping, in the order written.
func (i Item) Keys() []string {
	var out []string
	if i.node.Kind == yaml.MappingNode {
		for k := 0; k+1 < len(i.node.Content); k += 2 {
			out = append(out, i.node.Content[k].Value)
		}
	}
	return out
}

func value(m *yaml.Node, key string) *yaml.Node {
	if m == nil || m.Kind != yaml.MappingNode {
		return nil
	}
	for k := 0; k+1 < len(m.Content); k += 2 {
		if m.Content[k].Value == key {
			return m.Content[k+1]
		}
	}
	return nil
}

// Items gives the entries of a sequence; none when the sequence, or a key on
// the way to it, is absent or empty.
func Items(text []byte, at Path) ([]Item, error) {
	d, err := parse(text)
	if err != nil {
		return nil, err
	}
	p, err := d.find(at)
	if err != nil || len(p.missing) > 0 || isNull(p.node) {
		return nil, err
	}
	if p.node.Kind != yaml.SequenceNode {
		return nil, d.errorf(p.node, "%s is no sequence of entries", at)
	}
	var out []Item
	for i, n := range p.node.Content {
		if n.Kind == yaml.AliasNode && n.Alias != nil {
			n = n.Alias
		}
		from, to, err := d.extent(p, i)
		if err != nil {
			return nil, err
		}
		it := Item{Index: i, Line: d.line(from) + 1, EndLine: d.line(to) + 1, node: n}
		if n.Kind == yaml.ScalarNode {
			it.Value = n.Value
		}
		out = append(out, it)
	}
	return out, nil
}

// Append adds an entry at the end of a sequence, and makes keys that are
// missing on the way. item is the YAML of the entry, with its dash:
//
//   - name: x
//     url: https://lists.example/x
//
// It takes on the indentation of the entries that are there. Comments below
// the last entry stay below the new one, except those that are indented deeper
// than its dash: they belong to the last entry. In a flow sequence the entry is
// written in flow style, on a line of its own when the last one stands so.
func Append(text []byte, at Path, item string) ([]byte, error) {
	d, err := parse(text)
	if err != nil {
		return nil, err
	}
	entry, err := parseItem(item)
	if err != nil {
		return nil, err
	}
	p, err := d.find(at)
	if err != nil {
		return nil, err
	}
	var cuts []cut
	switch {
	case len(p.missing) > 0:
		cuts, err = d.addKeys(p, entry, itemLines(item))
	case isNull(p.node), p.node.Kind == yaml.SequenceNode && len(p.node.Content) == 0 && !p.inFlow():
		cuts, err = d.firstItem(p, itemLines(item), entry)
	case p.node.Kind != yaml.SequenceNode:
		err = d.errorf(p.node, "%s is no sequence of entries", at)
	case isFlow(p.node):
		cuts, err = d.appendFlow(p.node, flowText(entry))
	default:
		cuts, err = d.appendBlock(p, itemLines(item))
	}
	if err != nil {
		return nil, err
	}
	return d.apply(cuts, func(root *yaml.Node) *yaml.Node { return withItem(root, at, entry) })
}

// Remove takes entries out of a sequence, with the comment lines that belong to
// them: those directly above at the indentation of the dash, and those directly
// below that are indented deeper. When none is left, an empty sequence stays
// behind: "key: []".
func Remove(text []byte, at Path, index ...int) ([]byte, error) {
	if len(index) == 0 {
		return text, nil
	}
	gone := map[int]bool{}
	for _, i := range index {
		gone[i] = true
	}
	d, p, err := entryAt(text, at, index[0])
	for _, i := range index {
		if err == nil {
			err = d.free(p, i)
		}
	}
	if err != nil {
		return nil, err
	}
	if isFlow(p.node) && len(gone) > 1 {
		return removeEach(text, at, gone)
	}
	var cuts []cut
	if isFlow(p.node) {
		cuts, err = d.removeFlow(p.node, index[0])
	} else {
		cuts, err = d.removeBlock(p, gone)
	}
	if err != nil {
		return nil, err
	}
	return d.apply(cuts, func(root *yaml.Node) *yaml.Node { return withoutItems(root, at, gone) })
}

// removeEach takes entries out one by one, the last first.
func removeEach(text []byte, at Path, gone map[int]bool) (_ []byte, err error) {
	for _, i := range slices.Backward(slices.Sorted(maps.Keys(gone))) {
		if text, err = Remove(text, at, i); err != nil {
			return nil, err
		}
	}
	return text, nil
}

// Replace puts an entry in the place of another. The comments around it stay;
// those inside go with it.
func Replace(text []byte, at Path, index int, item string) ([]byte, error) {
	d, p, err := entryAt(text, at, index)
	if err != nil {
		return nil, err
	}
	entry, err := parseItem(item)
	if err != nil {
		return nil, err
	}
	from, to, err := d.extent(p, index)
	if err != nil {
		return nil, err
	}
	c := cut{from, to, flowText(entry)}
	if !isFlow(p.node) {
		if !d.first(from) {
			return nil, d.errorf(p.node.Content[index], "this entry of %s does not begin its line; edit it by hand", p.at)
		}
		lines := shift(itemLines(item), d.column(from), d.gap(p.node.Content[index], from))
		c.text = strings.TrimLeft(strings.Join(lines, d.newline(d.line(from))), " ")
	}
	return d.apply([]cut{c}, func(root *yaml.Node) *yaml.Node { return withEntry(root, at, index, entry) })
}

// entryAt finds an entry that is there and that no alias may lead to.
func entryAt(text []byte, at Path, index int) (*doc, place, error) {
	d, err := parse(text)
	if err != nil {
		return nil, place{}, err
	}
	p, err := d.find(at)
	if err != nil {
		return nil, p, err
	}
	return d, p, d.free(p, index)
}

// free says whether an entry is there and may go.
func (d *doc) free(p place, index int) error {
	if len(p.missing) > 0 || p.node.Kind != yaml.SequenceNode || index < 0 || index >= len(p.node.Content) {
		return fmt.Errorf("%s has no entry %d", p.at, index+1)
	}
	if n := anchored(p.node.Content[index]); n != nil {
		return d.errorf(n, "the anchor &%s may be used elsewhere; edit this entry by hand", n.Anchor)
	}
	return nil
}

// Set writes a scalar into a mapping: over the one that is there, of which only
// the bytes change, or as a new key at the mapping's end. scalar is YAML as it
// is to stand there: true, 5, or a text as [Quote] gives it. A text that takes
// the place of one in quotes gets the same quotes.
func Set(text []byte, at Path, key, scalar string) ([]byte, error) {
	d, err := parse(text)
	if err != nil {
		return nil, err
	}
	node, err := parseScalar(scalar)
	if err != nil {
		return nil, err
	}
	p, err := d.find(append(slices.Clone(at), key))
	if err != nil {
		return nil, err
	}
	var cuts []cut
	if len(p.missing) > 0 {
		cuts, err = d.addKeys(p, node, nil)
	} else {
		cuts, err = d.setScalar(p, node)
	}
	if err != nil {
		return nil, err
	}
	return d.apply(cuts, func(root *yaml.Node) *yaml.Node { return withValue(root, append(slices.Clone(at), key), node) })
}

// cut replaces the bytes from..to of a text.
type cut struct {
	from, to int
	text     string
}

// apply makes the cuts, and holds the result against the tree that was meant.
func (d *doc) apply(cuts []cut, meant func(root *yaml.Node) *yaml.Node) ([]byte, error) {
	slices.SortStableFunc(cuts, func(a, b cut) int { return a.from - b.from })
	var out bytes.Buffer
	out.WriteString(d.bom)
	at := 0
	for _, c := range cuts {
		if c.text == "" { // neighbours may both want the line end between them
			c.from = max(c.from, at)
			c.to = max(c.from, c.to)
		}
		if c.from < at || c.to < c.from || c.to > len(d.text) {
			return nil, errUnsafe
		}
		out.WriteString(d.text[at:c.from] + c.text)
		at = c.to
	}
	out.WriteString(d.text[at:])
	if out.Len() > MaxSize {
		return nil, tooLarge()
	}
	after, err := parse(out.Bytes())
	if err != nil {
		return nil, errUnsafe
	}
	if !same(after.root, meant(d.root)) {
		if d.text != "" && !strings.HasSuffix(d.text, "\n") { // as in a text block, whose last line end counts
			return nil, fmt.Errorf("%w, or end the last line first", errUnsafe)
		}
		return nil, errUnsafe
	}
	return out.Bytes(), nil
}

// errUnsafe means that the text is written in a way this package does not see
// through; nothing was changed.
var errUnsafe = errors.New("this place is written in a way that cannot be edited safely; edit it by hand")

func tooLarge() error {
	return &Error{Msg: fmt.Sprintf("larger than %d MiB: too large to be edited", MaxSize>>20)}
}
