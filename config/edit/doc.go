package edit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

const bom = "\xef\xbb\xbf"

// doc is a text with its tree.
type doc struct {
	bom  string
	text string // without the BOM
	rows []row
	root *yaml.Node // nil when the text holds nothing but comments
}

// row is one line: its bytes are start..end, next is where the next begins.
type row struct{ start, end, next int }

func parse(text []byte) (*doc, error) {
	if len(text) > MaxSize {
		return nil, tooLarge()
	}
	d := &doc{text: string(text)}
	if rest, ok := strings.CutPrefix(d.text, bom); ok {
		d.bom, d.text = bom, rest
	}
	if !utf8.ValidString(d.text) {
		return nil, &Error{Msg: "not UTF-8; save it as UTF-8 first"}
	}
	d.split()
	if err := d.plainLines(); err != nil {
		return nil, err
	}
	return d, d.tree()
}

func (d *doc) split() {
	for at := 0; at < len(d.text); {
		r := row{start: at, end: len(d.text), next: len(d.text)}
		if i := strings.IndexByte(d.text[at:], '\n'); i >= 0 {
			r.end, r.next = at+i, at+i+1
			if i > 0 && d.text[r.end-1] == '\r' {
				r.end--
			}
		}
		d.rows = append(d.rows, r)
		at = r.next
	}
}

// plainLines refuses what YAML takes for a line end and editors do not: the
// lines would be counted differently.
func (d *doc) plainLines() error {
	for i, r := range d.rows {
		if at := strings.IndexAny(d.text[r.start:r.end], "\r\u0085\u2028\u2029"); at >= 0 {
			return &Error{i + 1, utf8.RuneCountInString(d.text[r.start:r.start+at]) + 1, "an unusual line end stands here; replace it"}
		}
	}
	return nil
}

// tree parses the text. yaml.v3 has panicked on broken input before, so a panic
// counts as broken YAML.
func (d *doc) tree() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &Error{Msg: fmt.Sprintf("broken YAML: %v", r)}
		}
	}()
	var first, more yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(d.text))
	if err := dec.Decode(&first); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return d.broken(err)
	}
	if err := dec.Decode(&more); err == nil {
		return &Error{max(more.Line, 1), 1, "a second document begins here (---); only a file with one can be edited"}
	} else if !errors.Is(err, io.EOF) {
		return d.broken(err)
	}
	if len(first.Content) > 0 && (first.Content[0].Tag != "!!null" || first.Content[0].Value != "") {
		d.root = first.Content[0]
	}
	return nil
}

// broken turns an error of the YAML parser into one with a place.
func (d *doc) broken(err error) error {
	msg, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if rest, ok := strings.CutPrefix(msg, "line "); ok {
		number, tail, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			line, msg = n, tail
		}
	}
	for _, l := range []int{line, line + 1, line - 1} { // the parser may be one off
		if l >= 1 && l <= len(d.rows) {
			r := d.rows[l-1]
			if body := strings.TrimLeft(d.text[r.start:r.end], " "); strings.HasPrefix(body, "\t") {
				return &Error{l, r.end - r.start - len(body) + 1, "broken YAML: " + msg + "; indent with blanks, not with a tab"}
			}
		}
	}
	return &Error{line, 1, "broken YAML: " + msg}
}

func (d *doc) errorf(n *yaml.Node, format string, args ...any) error {
	return &Error{n.Line, n.Column, fmt.Sprintf(format, args...)}
}

// line gives the 0-based line of an offset.
func (d *doc) line(at int) int {
	return max(sort.Search(len(d.rows), func(i int) bool { return d.rows[i].start > at })-1, 0)
}

// column gives the 0-based column of an offset, in bytes.
func (d *doc) column(at int) int { return at - d.rows[d.line(at)].start }

// offset gives where a node begins. yaml.v3 counts columns in characters.
func (d *doc) offset(n *yaml.Node) int {
	if n.Line < 1 || n.Line > len(d.rows) {
		return len(d.text)
	}
	r := d.rows[n.Line-1]
	at := r.start
	for range n.Column - 1 {
		_, size := utf8.DecodeRuneInString(d.text[at:r.end])
		at += size
	}
	return at
}

// body is a line without its indentation.
func (d *doc) body(line int) string {
	r := d.rows[line]
	return strings.TrimLeft(d.text[r.start:r.end], " \t")
}

// indent is the width of a line's indentation, in bytes.
func (d *doc) indent(line int) int {
	return d.rows[line].end - d.rows[line].start - len(d.body(line))
}

func (d *doc) isComment(line int) bool { return strings.HasPrefix(d.body(line), "#") }

// newline is the line end in use at a line: its own, or the first of the text.
func (d *doc) newline(line int) string {
	for _, l := range []int{line, 0} {
		if l < len(d.rows) && d.rows[l].next > d.rows[l].end {
			return d.text[d.rows[l].end:d.rows[l].next]
		}
	}
	return "\n"
}

// skip passes blanks, line ends and comments.
func (d *doc) skip(at int) int {
	for at < len(d.text) {
		switch c := d.text[at]; {
		case c == ' ', c == '\t', c == '\n', c == '\r':
			at++
		case c == '#' && (at == 0 || strings.IndexByte(" \t\n\r", d.text[at-1]) >= 0):
			at = d.rows[d.line(at)].end
		default:
			return at
		}
	}
	return at
}

// end gives the offset just behind a node. outer is the column of the block
// that holds it: of its dash, or of its key.
func (d *doc) end(n *yaml.Node, outer int) (int, error) {
	at := d.offset(n)
	for at < len(d.text) && (d.text[at] == '&' || d.text[at] == '!') { // an anchor or a tag comes first
		for at < len(d.text) && strings.IndexByte(" \t\n\r", d.text[at]) < 0 {
			at++
		}
		if next := d.skip(at); n.Kind != yaml.ScalarNode || n.Value != "" || n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			at = next
		}
	}
	switch n.Kind {
	case yaml.AliasNode:
		return at + 1 + len(n.Value), nil
	case yaml.ScalarNode:
		return d.endScalar(n, at, outer)
	}
	if isFlow(n) {
		return d.endFlow(n, at)
	}
	if len(n.Content) == 0 {
		return 0, errUnsafe
	}
	inner := at - d.rows[d.line(at)].start
	return d.end(n.Content[len(n.Content)-1], inner)
}

func (d *doc) endFlow(n *yaml.Node, at int) (int, error) {
	braced := at < len(d.text) && (d.text[at] == '[' || d.text[at] == '{')
	last := at + 1
	if len(n.Content) > 0 {
		var err error
		if last, err = d.end(n.Content[len(n.Content)-1], 0); err != nil {
			return 0, err
		}
	}
	if !braced { // a pair in a sequence: [a: b]
		return last, nil
	}
	for last = d.skip(last); last < len(d.text) && d.text[last] == ','; last = d.skip(last) {
		last++
	}
	if last >= len(d.text) || d.text[last] != "]}"[strings.IndexByte("[{", d.text[at])] {
		return 0, errUnsafe
	}
	return last + 1, nil
}

func (d *doc) endScalar(n *yaml.Node, at, outer int) (int, error) {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		for i := at + 1; i < len(d.text); i++ {
			switch d.text[i] {
			case '\\':
				i++
			case '"':
				return i + 1, nil
			}
		}
	case n.Style&yaml.SingleQuotedStyle != 0:
		for i := at + 1; i < len(d.text); i++ {
			if d.text[i] == '\'' {
				if i+1 >= len(d.text) || d.text[i+1] != '\'' {
					return i + 1, nil
				}
				i++
			}
		}
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return d.endBlockScalar(at, outer), nil
	default:
		return d.endPlain(n.Value, at)
	}
	return 0, errUnsafe
}

// endPlain walks value and text side by side: a plain scalar has no escapes,
// and only its line ends read differently.
func (d *doc) endPlain(value string, at int) (int, error) {
	blank := func(s string, i int) bool { return i < len(s) && strings.IndexByte(" \t\n\r", s[i]) >= 0 }
	for i := 0; i < len(value); {
		if blank(value, i) {
			if !blank(d.text, at) {
				return 0, errUnsafe
			}
			for blank(value, i) {
				i++
			}
			for blank(d.text, at) {
				at++
			}
			continue
		}
		if at >= len(d.text) || d.text[at] != value[i] {
			return 0, errUnsafe
		}
		at, i = at+1, i+1
	}
	return at, nil
}

// endBlockScalar gives the end of the last line of a text block (YAML 1.2 §8.1).
func (d *doc) endBlockScalar(at, outer int) int {
	head := d.line(at)
	signs, _, _ := bytes.Cut([]byte(d.text[at:d.rows[head].end]), []byte(" "))
	inner, keep, last := -1, bytes.ContainsRune(signs, '+'), head
	if i := bytes.IndexAny(signs, "123456789"); i >= 0 {
		inner = outer + int(signs[i]-'0')
	}
	for l := head + 1; l < len(d.rows); l++ {
		line := d.text[d.rows[l].start:d.rows[l].end]
		body := strings.TrimLeft(line, " ")
		blank, width := body == "", len(line)-len(body)
		if !blank && inner < 0 {
			if width <= outer {
				break
			}
			inner = width
		}
		if !blank && width < inner {
			break
		}
		if !blank || keep {
			last = l
		}
	}
	return d.rows[last].end
}

func isFlow(n *yaml.Node) bool { return n.Style&yaml.FlowStyle != 0 }

func isNull(n *yaml.Node) bool {
	return n == nil || n.Kind == yaml.ScalarNode && n.Tag == "!!null"
}
