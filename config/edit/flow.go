package edit

import (
	"encoding/json"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// appendFlow adds an entry to [a, b].
func (d *doc) appendFlow(n *yaml.Node, entry string) ([]cut, error) {
	if len(n.Content) == 0 {
		return []cut{{d.offset(n) + 1, d.offset(n) + 1, entry}}, nil
	}
	last := n.Content[len(n.Content)-1]
	end, err := d.end(last, 0)
	if err != nil {
		return nil, err
	}
	comma, behind := d.comma(end), end
	if comma >= 0 {
		behind = comma + 1
	}
	line := d.line(end)
	if !d.first(d.offset(last)) { // several on a line
		if comma >= 0 {
			return []cut{{behind, behind, " " + entry + ","}}, nil
		}
		return []cut{{end, end, ", " + entry}}, nil
	}
	row := d.rows[d.line(d.offset(last))]
	fresh := d.newline(line) + d.text[row.start:d.offset(last)] + entry
	switch {
	case comma >= 0 && d.line(comma) == line && d.restBlank(behind):
		return []cut{{d.rows[line].end, d.rows[line].end, fresh + ","}}, nil
	case comma >= 0:
		return []cut{{behind, behind, " " + entry + ","}}, nil
	case d.restBlank(end):
		return []cut{{end, end, ","}, {d.rows[line].end, d.rows[line].end, fresh}}, nil
	}
	return []cut{{end, end, "," + fresh}}, nil
}

// comma gives the offset of the comma that follows a flow entry; -1 for none.
func (d *doc) comma(end int) int {
	if at := d.skip(end); at < len(d.text) && d.text[at] == ',' {
		return at
	}
	return -1
}

// removeFlow takes an entry out of [a, b].
func (d *doc) removeFlow(n *yaml.Node, i int) ([]cut, error) {
	from := d.offset(n.Content[i])
	end, err := d.end(n.Content[i], 0)
	if err != nil {
		return nil, err
	}
	comma, before := d.comma(end), -1
	if i > 0 {
		prev, err := d.end(n.Content[i-1], 0)
		if err != nil {
			return nil, err
		}
		if before = d.comma(prev); before < 0 {
			return nil, errUnsafe
		}
	}
	behind := end
	if comma >= 0 {
		behind = comma + 1
	}
	if d.first(from) && d.restBlank(behind) { // lines of its own
		cuts := []cut{d.drop(d.above(from, before, d.offset(n)), d.line(behind-1))}
		if comma < 0 && before >= 0 {
			cuts = append(cuts, cut{before, before + 1, ""})
		}
		return cuts, nil
	}
	switch {
	case comma >= 0 && before >= 0:
		return []cut{{before + 1, behind, ""}}, nil
	case comma >= 0:
		for behind < len(d.text) && d.text[behind] == ' ' {
			behind++
		}
		return []cut{{from, behind, ""}}, nil
	case before >= 0 && strings.Contains(d.text[before:from], "#"):
		return []cut{{before, before + 1, ""}, {from, end, ""}}, nil
	case before >= 0:
		return []cut{{before, end, ""}}, nil
	}
	return []cut{{from, end, ""}}, nil
}

// above gives the first of the lines that belong to a flow entry on a line of
// its own: the comments right above, at its indentation.
func (d *doc) above(from, before, bracket int) int {
	line, stop := d.line(from), d.line(max(before, bracket))
	for line-1 > stop && d.isComment(line-1) && d.indent(line-1) == d.column(from) {
		line--
	}
	return line
}

// addFlow writes missing keys into {a: b}.
func (d *doc) addFlow(p place, entry *yaml.Node, scalar bool) ([]cut, error) {
	text := flowText(entry)
	if !scalar {
		text = "[" + text + "]"
	}
	for i := len(p.missing) - 1; i >= 0; i-- {
		if text = Quote(p.missing[i]) + ": " + text; i > 0 {
			text = "{" + text + "}"
		}
	}
	return d.appendFlow(p.node, text)
}

// flowText writes a node in flow style.
func flowText(n *yaml.Node) string {
	var parts []string
	switch n.Kind {
	case yaml.SequenceNode:
		for _, c := range n.Content {
			parts = append(parts, flowText(c))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			parts = append(parts, flowText(n.Content[i])+": "+flowText(n.Content[i+1]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return scalarText(n)
}

// scalarText writes a scalar so that it may stand anywhere.
func scalarText(n *yaml.Node) string {
	switch {
	case n.Tag == "!!null":
		return "null"
	case n.Tag != "!!str":
		return n.Value
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return doubleQuoted(n.Value)
	case n.Style&yaml.SingleQuotedStyle != 0 && !strings.ContainsAny(n.Value, "\n\t\r"):
		return "'" + strings.ReplaceAll(n.Value, "'", "''") + "'"
	}
	return Quote(n.Value)
}

// plainSigns may stand in a text without quotes, beside letters and digits.
const plainSigns = " -_./=+@()~^;'"

// Quote writes a text as a YAML scalar that may stand anywhere: as it is where
// that is safe, else in double quotes.
func Quote(s string) string {
	for i, c := range s {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (i == 0 && c != '/' && c != '_' && c != '.' || !strings.ContainsRune(plainSigns, c)) {
			return doubleQuoted(s)
		}
	}
	var n yaml.Node
	if len(s) == 0 || len(s) > 200 || yaml.Unmarshal([]byte("["+s+"]"), &n) != nil {
		return doubleQuoted(s)
	}
	if seq := n.Content[0]; len(seq.Content) != 1 || seq.Content[0].Tag != "!!str" || seq.Content[0].Value != s {
		return doubleQuoted(s) // a number, a date, a word such as null, a blank at the end
	}
	return s
}

// doubleQuoted writes a text in double quotes: what JSON writes, YAML reads, but
// for some characters that YAML wants escaped (YAML 1.2 §5.1).
func doubleQuoted(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(strings.ToValidUTF8(s, "\uFFFD")); err != nil {
		panic("edit: a text cannot be written as JSON: " + err.Error()) // texts always can
	}
	var out strings.Builder
	for _, c := range strings.TrimSuffix(b.String(), "\n") {
		if c >= 0x7f && c < 0xa0 || c == 0xfeff || c == 0xfffe || c == 0xffff {
			fmt.Fprintf(&out, `\u%04X`, c)
		} else {
			out.WriteRune(c)
		}
	}
	return out.String()
}
