package edit

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// place is what a path leads to.
type place struct {
	at      Path
	parent  *yaml.Node // the mapping that has key
	key     *yaml.Node // nil at the root
	node    *yaml.Node // what key holds, or as far as the path could be followed; nil for an empty text
	missing Path       // the keys that node does not have
}

func (p place) inFlow() bool { return p.parent != nil && isFlow(p.parent) }

// find follows a path. What stands at an anchor or comes from a merge is
// refused: a change there would be one elsewhere too.
func (d *doc) find(at Path) (place, error) {
	p := place{at: at, node: d.root}
	if len(at) == 0 {
		return p, fmt.Errorf("no key is named")
	}
	for i, key := range at {
		if isNull(p.node) {
			p.missing = at[i:]
			break
		}
		if p.node.Kind != yaml.MappingNode {
			return p, d.errorf(p.node, "%s holds no keys, so it has no %s", orText(at[:i]), key)
		}
		k, v, err := d.lookup(p.node, key)
		if err != nil {
			return p, err
		}
		if k == nil {
			p.missing = at[i:]
			break
		}
		p.parent, p.key, p.node = p.node, k, v
		if err := d.touchable(v, at[:i+1]); err != nil {
			return p, err
		}
	}
	return p, nil
}

func orText(at Path) string {
	if len(at) == 0 {
		return "the text"
	}
	return at.String()
}

func (d *doc) touchable(v *yaml.Node, at Path) error {
	switch {
	case v.Kind == yaml.AliasNode:
		return d.errorf(v, "%s is the alias *%s: it stands elsewhere, and others may use it; edit it by hand", at, v.Value)
	case v.Anchor != "":
		return d.errorf(v, "%s has the anchor &%s: a change here may be one elsewhere too; edit it by hand", at, v.Anchor)
	case v.Style&yaml.TaggedStyle != 0:
		return d.errorf(v, "%s has the tag %s; edit it by hand", at, v.Tag)
	}
	return nil
}

func (d *doc) lookup(m *yaml.Node, key string) (k, v *yaml.Node, err error) {
	merged := false
	for i := 0; i+1 < len(m.Content); i += 2 {
		merged = merged || m.Content[i].Tag == "!!merge"
		if m.Content[i].Kind != yaml.ScalarNode || m.Content[i].Value != key {
			continue
		}
		if k != nil {
			return nil, nil, d.errorf(m.Content[i], "%q stands twice, first at line %d; remove one of them", key, k.Line)
		}
		k, v = m.Content[i], m.Content[i+1]
	}
	if k == nil && merged {
		return nil, nil, d.errorf(m, "%s may come from a merge (<<) here; edit it by hand", key)
	}
	return k, v, nil
}

// extent gives where an entry of a sequence begins, with its dash, and the
// offset just behind it.
func (d *doc) extent(p place, i int) (from, to int, err error) {
	n := p.node.Content[i]
	if isFlow(p.node) {
		to, err = d.end(n, 0)
		return d.offset(n), to, err
	}
	from = d.offset(p.node)
	if i > 0 {
		if from, err = d.end(p.node.Content[i-1], d.column(from)); err != nil {
			return 0, 0, err
		}
		from = d.skip(from)
	}
	if from >= len(d.text) || d.text[from] != '-' {
		return 0, 0, errUnsafe
	}
	to, err = d.end(n, d.column(from))
	return from, max(to, from+1), err
}

// first says whether nothing but blanks stands before an offset on its line.
func (d *doc) first(at int) bool {
	return strings.Trim(d.text[d.rows[d.line(at)].start:at], " ") == ""
}

// restBlank says whether nothing but blanks and a comment follow an offset on
// its line.
func (d *doc) restBlank(at int) bool {
	rest := d.text[at:d.rows[d.line(at)].end]
	body := strings.TrimLeft(rest, " \t")
	return body == "" || body[0] == '#' && len(body) < len(rest)
}

// below counts the comment lines that follow a line and are indented deeper
// than column: they belong to what ends there.
func (d *doc) below(line, column int) int {
	for line+1 < len(d.rows) && d.isComment(line+1) && d.indent(line+1) > column {
		line++
	}
	return line
}

// colon gives the offset just behind the colon of a key.
func (d *doc) colon(p place) (int, error) {
	at, err := d.end(p.key, 0)
	if err != nil {
		return 0, err
	}
	between, _, found := strings.Cut(d.text[at:], ":")
	if !found || strings.Trim(between, " ") != "" {
		return 0, errUnsafe
	}
	return at + len(between) + 1, nil
}

// keyColumn gives the column of a key that begins its line.
func (d *doc) keyColumn(key *yaml.Node) (int, error) {
	at := d.offset(key)
	if !d.first(at) {
		return 0, d.errorf(key, "%s does not begin its line; edit it by hand", key.Value)
	}
	return d.column(at), nil
}

// insert puts lines behind a line; the text's last line may lack its end.
func (d *doc) insert(line int, lines []string) cut {
	if len(d.rows) == 0 {
		return cut{0, 0, strings.Join(lines, "\n") + "\n"}
	}
	nl, r := d.newline(line), d.rows[line]
	text := strings.Join(lines, nl)
	if r.next == r.end {
		return cut{r.end, r.end, nl + text}
	}
	return cut{r.next, r.next, text + nl}
}

// drop takes whole lines out.
func (d *doc) drop(from, to int) cut {
	if d.rows[to].next == d.rows[to].end && from > 0 {
		return cut{d.rows[from-1].end, d.rows[to].end, ""}
	}
	return cut{d.rows[from].start, d.rows[to].next, ""}
}

// firstItem fills a sequence that is empty or not there yet.
func (d *doc) firstItem(p place, lines []string, entry *yaml.Node) ([]cut, error) {
	column, err := d.keyColumn(p.key)
	if err != nil {
		return nil, err
	}
	colon, err := d.colon(p)
	if err != nil {
		return nil, err
	}
	to, err := d.end(p.node, 0)
	if err != nil {
		return nil, err
	}
	line := d.line(d.offset(p.key))
	if d.line(to) != line {
		if p.node.Kind == yaml.SequenceNode {
			return d.appendFlow(p.node, flowText(entry))
		}
		return nil, errUnsafe
	}
	if !d.restBlank(to) {
		return nil, errUnsafe
	}
	var cuts []cut
	if to > colon && d.offset(p.node) < to {
		cuts = append(cuts, cut{colon, to, ""})
	}
	_, step := d.steps()
	return append(cuts, d.insert(line, shift(lines, column+step, 1))), nil
}

func (d *doc) appendBlock(p place, lines []string) ([]cut, error) {
	from, to, err := d.extent(p, len(p.node.Content)-1)
	if err != nil {
		return nil, err
	}
	if !d.first(from) {
		return nil, d.errorf(p.node, "%s has an entry that does not begin its line; edit it by hand", p.at)
	}
	column, gap := d.column(from), d.gap(p.node.Content[len(p.node.Content)-1], from)
	return []cut{d.insert(d.below(d.line(to), column), shift(lines, column, gap))}, nil
}

// gap gives how many blanks stand between a dash and its entry.
func (d *doc) gap(entry *yaml.Node, dash int) int {
	at := d.offset(entry)
	if w := at - dash - 1; w > 1 && w <= 8 && strings.Trim(d.text[dash+1:at], " ") == "" {
		return w
	}
	return 1
}

func (d *doc) removeBlock(p place, gone map[int]bool) ([]cut, error) {
	colon, err := d.colon(p)
	if err != nil {
		return nil, err
	}
	var cuts []cut
	if len(gone) == len(p.node.Content) {
		cuts = append(cuts, cut{colon, colon, " []"})
	}
	above := d.line(colon - 1)
	for i, n := range p.node.Content {
		from, to, err := d.extent(p, i)
		if err != nil {
			return nil, err
		}
		if gone[i] {
			if !d.first(from) {
				return nil, d.errorf(n, "this entry of %s does not begin its line; edit it by hand", p.at)
			}
			begin := d.line(from)
			for begin-1 > above && d.isComment(begin-1) && d.indent(begin-1) == d.column(from) {
				begin--
			}
			cuts = append(cuts, d.drop(begin, d.below(d.line(to), d.column(from))))
		}
		above = d.line(to)
	}
	return cuts, nil
}

// addKeys writes the keys that are missing and what they hold: the lines of an
// entry, or a scalar.
func (d *doc) addKeys(p place, entry *yaml.Node, item []string) ([]cut, error) {
	if p.node != nil && (isFlow(p.node) && (len(p.node.Content) > 0 || p.key == nil || p.inFlow())) {
		return d.addFlow(p, entry, item == nil)
	}
	mapStep, _ := d.steps()
	switch {
	case p.node == nil || p.key == nil && isNull(p.node): // nothing but comments
		if p.node != nil {
			return nil, d.errorf(p.node, "the text is empty in an unusual way; edit it by hand")
		}
		return []cut{d.insert(len(d.rows)-1, d.keyLines(p, 0, entry, item))}, d.closed()
	case isNull(p.node) || isFlow(p.node):
		if p.inFlow() {
			return nil, errUnsafe
		}
		column, err := d.keyColumn(p.key)
		if err != nil {
			return nil, err
		}
		colon, err := d.colon(p)
		if err != nil {
			return nil, err
		}
		to, err := d.end(p.node, 0)
		line := d.line(d.offset(p.key))
		if err != nil || d.line(to) != line || !d.restBlank(to) {
			return nil, errUnsafe
		}
		var cuts []cut
		if to > colon && d.offset(p.node) < to {
			cuts = append(cuts, cut{colon, to, ""})
		}
		return append(cuts, d.insert(line, d.keyLines(p, column+mapStep, entry, item))), nil
	case p.key == nil: // the root: at the end of the text, below all comments
		column, err := d.keyColumn(p.node.Content[0])
		if err != nil {
			return nil, err
		}
		return []cut{d.insert(len(d.rows)-1, d.keyLines(p, column, entry, item))}, d.closed()
	}
	column, err := d.keyColumn(p.node.Content[0])
	if err != nil {
		return nil, err
	}
	to, err := d.end(p.node, 0)
	if err != nil {
		return nil, err
	}
	return []cut{d.insert(d.below(d.line(to), column), d.keyLines(p, column, entry, item))}, nil
}

// closed refuses a text that ends its document by itself: nothing may follow.
func (d *doc) closed() error {
	for i, r := range d.rows {
		if line := d.text[r.start:r.end]; line == "..." || strings.HasPrefix(line, "... ") {
			return &Error{i + 1, 1, "the document is ended here (...); remove this line"}
		}
	}
	return nil
}

// keyLines writes missing keys, one below the other.
func (d *doc) keyLines(p place, column int, entry *yaml.Node, item []string) []string {
	mapStep, seqStep := d.steps()
	var out []string
	for i, key := range p.missing {
		line := strings.Repeat(" ", column) + Quote(key) + ":"
		if i == len(p.missing)-1 {
			if item == nil {
				return append(out, line+" "+scalarText(entry))
			}
			return append(append(out, line), shift(item, column+seqStep, 1)...)
		}
		out = append(out, line)
		column += mapStep
	}
	return out
}

// steps gives how much deeper this text indents a mapping and a sequence than
// the key that holds it: as at the first place where it does; else 2.
func (d *doc) steps() (mapping, sequence int) {
	mapping, sequence = -1, -1
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for i := 0; n.Kind == yaml.MappingNode && !isFlow(n) && i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			deeper := v.Column - k.Column
			if isFlow(v) || v.Anchor != "" || v.Line <= k.Line || deeper < 0 || deeper > 8 {
				continue
			}
			switch {
			case v.Kind == yaml.MappingNode && mapping < 0 && deeper > 0:
				mapping = deeper
			case v.Kind == yaml.SequenceNode && sequence < 0:
				sequence = deeper
			}
		}
		for _, c := range n.Content {
			if mapping < 0 || sequence < 0 {
				walk(c)
			}
		}
	}
	if d.root != nil {
		walk(d.root)
	}
	if mapping < 0 {
		mapping = 2
	}
	if sequence < 0 {
		sequence = 2
	}
	return mapping, sequence
}

// setScalar puts a scalar in the place of another.
func (d *doc) setScalar(p place, node *yaml.Node) ([]cut, error) {
	old, text := p.node, scalarText(node)
	switch {
	case old.Kind != yaml.ScalarNode:
		return nil, d.errorf(old, "%s is no single value", p.at)
	case old.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return nil, d.errorf(old, "%s is a text block; edit it by hand", p.at)
	}
	to, err := d.end(old, 0)
	if err != nil {
		return nil, err
	}
	from := d.offset(old)
	switch {
	case from == to: // nothing stands there
		text = " " + text
	case node.Tag == "!!str" && old.Style&yaml.DoubleQuotedStyle != 0:
		text = doubleQuoted(node.Value)
	case node.Tag == "!!str" && old.Style&yaml.SingleQuotedStyle != 0 && !strings.ContainsAny(node.Value, "\n\t\r"):
		text = "'" + strings.ReplaceAll(node.Value, "'", "''") + "'"
	}
	return []cut{{from, to, text}}, nil
}
