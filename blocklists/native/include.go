package native

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// include reads another file of the list, named relative to the one that names
// it. A file that several include is read once.
func (n *reader) include(v *yaml.Node, word string) error {
	if n.opts.Open == nil {
		return n.errorf(v, "include: works only in a list that is a file")
	}
	name := path.Join(path.Dir(n.name), word)
	switch {
	case path.IsAbs(word), strings.Contains(word, "\\"), name == "..", strings.HasPrefix(name, "../"):
		return n.errorf(v, "%q is not in the folder of the list", clip(word))
	case path.Ext(name) != ".yaml" && path.Ext(name) != ".yml":
		return n.errorf(v, "%q is no .yaml file: only lists of this format can be included", clip(word))
	case n.name == name || slices.Contains(n.open, name):
		return n.errorf(v, "%q includes itself", clip(word))
	case n.known[name]:
		return nil
	case len(n.open) >= maxDepth:
		return n.errorf(v, "more than %d files include one another in a row", maxDepth)
	case len(n.known) >= maxIncludes:
		return n.errorf(v, "more than %d files are included", maxIncludes)
	}
	text, err := n.fetch(name)
	if err != nil {
		return n.errorf(v, "include: %w", err)
	}
	n.known[name] = true
	n.list.Included = append(n.list.Included, name)
	sub := &reader{file: path.Join(path.Dir(n.opts.File), name), name: name, action: n.action, shared: n.shared}
	n.open = append(n.open, name)
	defer func() { n.open = n.open[:len(n.open)-1] }()
	return sub.read(text)
}

func (n *reader) fetch(name string) ([]byte, error) {
	f, err := n.opts.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return text, nil
}
