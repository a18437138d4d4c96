package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Places knows where the values of a YAML file stand.
type Places struct {
	file string
	root *yaml.Node
}

// Read fills into, a pointer to a struct with yaml tags, from the one document
// of a YAML file, as strictly as the config itself is read: unknown and
// repeated keys, aliases and values of the wrong kind are errors of type
// [*Error] with line and column. file is its name in errors. An empty file
// leaves into as it is.
func Read(file string, b []byte, into any) (Places, error) {
	d := decoder{file}
	root, err := d.document(b)
	if err != nil || root == nil {
		return Places{file: file}, err
	}
	return Places{file, root}, d.value(root, reflect.ValueOf(into).Elem(), "")
}

// Fail makes an error about the value at a path, "replies[2].status", or about
// the nearest value above it that is there.
func (p Places) Fail(path, format string, args ...any) error {
	e := &Error{File: p.file, Msg: fmt.Sprintf(format, args...)}
	if n := p.at(path); n != nil {
		e.Line, e.Column = n.Line, n.Column
	}
	return e
}

func (p Places) at(path string) *yaml.Node {
	n := p.root
	for part := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		if n == nil {
			return nil
		}
		next := child(n, part)
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// child is the value of a key, or the item with a number; nil when absent.
func child(n *yaml.Node, part string) *yaml.Node {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == part {
				return n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i]
		}
	}
	return nil
}
