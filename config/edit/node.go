package edit

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// parseItem reads the entry that is to be added.
func parseItem(item string) (*yaml.Node, error) {
	d, err := parse([]byte(item))
	if err != nil {
		return nil, fmt.Errorf("the new entry: %w", err)
	}
	if d.root == nil || d.root.Kind != yaml.SequenceNode || len(d.root.Content) != 1 || !strings.HasPrefix(item, "- ") {
		return nil, fmt.Errorf("the new entry must begin with a dash, and be one")
	}
	for _, l := range itemLines(item)[1:] {
		if l != "" && !strings.HasPrefix(l, "  ") {
			return nil, fmt.Errorf("the new entry must be indented by 2 below its dash")
		}
	}
	if n := anchored(d.root); n != nil || d.bom != "" {
		return nil, fmt.Errorf("the new entry must have no anchors, aliases or tags")
	}
	return d.root.Content[0], nil
}

// anchored gives the first anchor, alias or tag of a tree.
func anchored(n *yaml.Node) *yaml.Node {
	if n.Anchor != "" {
		return n
	}
	for _, c := range n.Content {
		if a := anchored(c); a != nil {
			return a
		}
	}
	return nil
}

func itemLines(item string) []string {
	return strings.Split(strings.TrimRight(strings.ReplaceAll(item, "\r\n", "\n"), "\n"), "\n")
}

// shift indents the lines of an entry, with gap blanks behind its dash.
func shift(lines []string, column, gap int) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		switch {
		case i == 0:
			out[i] = strings.Repeat(" ", column) + "-" + strings.Repeat(" ", gap) + strings.TrimLeft(l[1:], " ")
		case l != "":
			out[i] = strings.Repeat(" ", column+gap-1) + l
		}
	}
	return out
}

func parseScalar(scalar string) (*yaml.Node, error) {
	d, err := parse([]byte(scalar))
	if err != nil {
		return nil, fmt.Errorf("the new value: %w", err)
	}
	if d.root == nil || d.root.Kind != yaml.ScalarNode || d.root.Anchor != "" || strings.Contains(scalar, "\n") {
		return nil, fmt.Errorf("the new value must be one scalar on one line")
	}
	return d.root, nil
}

// same compares what two trees say: kinds, types, values, order, anchors.
func same(a, b *yaml.Node) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Kind != b.Kind || a.Value != b.Value || a.Anchor != b.Anchor || len(a.Content) != len(b.Content) {
		return false
	}
	if a.Kind != yaml.AliasNode && a.ShortTag() != b.ShortTag() {
		return false
	}
	for i := range a.Content {
		if !same(a.Content[i], b.Content[i]) {
			return false
		}
	}
	return true
}

// with gives a copy of a tree in which the node at a path is what change makes
// of it; nil stands for none. Only the way to it is copied.
func with(root *yaml.Node, at Path, change func(*yaml.Node) *yaml.Node) *yaml.Node {
	if len(at) == 0 {
		return change(root)
	}
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	if !isNull(root) {
		*out = *root
		out.Content = append([]*yaml.Node(nil), root.Content...)
	}
	for i := 0; i+1 < len(out.Content); i += 2 {
		if out.Content[i].Value == at[0] {
			out.Content[i+1] = with(out.Content[i+1], at[1:], change)
			return out
		}
	}
	key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: at[0]}
	out.Content = append(out.Content, key, with(nil, at[1:], change))
	return out
}

func withItem(root *yaml.Node, at Path, entry *yaml.Node) *yaml.Node {
	return with(root, at, func(seq *yaml.Node) *yaml.Node {
		out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if !isNull(seq) {
			out.Content = append(out.Content, seq.Content...)
		}
		out.Content = append(out.Content, entry)
		return out
	})
}

func withoutItems(root *yaml.Node, at Path, gone map[int]bool) *yaml.Node {
	return with(root, at, func(seq *yaml.Node) *yaml.Node {
		out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for i, n := range seq.Content {
			if !gone[i] {
				out.Content = append(out.Content, n)
			}
		}
		return out
	})
}

func withEntry(root *yaml.Node, at Path, index int, entry *yaml.Node) *yaml.Node {
	return with(root, at, func(seq *yaml.Node) *yaml.Node {
		out := *seq
		out.Content = slices.Clone(seq.Content)
		out.Content[index] = entry
		return &out
	})
}

func withValue(root *yaml.Node, at Path, value *yaml.Node) *yaml.Node {
	return with(root, at, func(*yaml.Node) *yaml.Node { return value })
}
