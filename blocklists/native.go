package blocklists

import (
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"

	"nightlatch/blocklists/syntax"
)

// maxNative is the most a native list may weigh. It is read into a tree of
// nodes, about 50 times its size, and is written by hand; 2 MiB are 50,000 rules.
const maxNative = 2 << 20

// SyntaxError says where a native list is broken and what to do about it.
type SyntaxError struct {
	File    string // path, or the name of the list
	Line    int    // 1-based
	Column  int    // 1-based, in characters; 0 when the YAML parser knows only the line
	Message string
}

// Error gives file:line:column: message.
func (e *SyntaxError) Error() string {
	if e.Column == 0 {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// native reads one native list.
type native struct {
	p      *parser
	list   *List
	action Action
	lines  []string
}

func (p *parser) readNative(r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, maxNative+1))
	if err != nil {
		return err
	}
	if len(text) > maxNative {
		return fmt.Errorf("larger than %d MiB: a native list is written by hand; give large lists as domains or hosts", maxNative>>20)
	}
	n := &native{p: p, list: p.list, action: p.src.Action, lines: strings.Split(string(text), "\n")}
	p.report.Bytes = int64(len(text))
	if p.report.Lines = len(n.lines); strings.HasSuffix(string(text), "\n") {
		p.report.Lines--
	}
	root, err := n.tree(text)
	if err != nil || root == nil {
		return err
	}
	return n.document(root)
}

// tree parses the YAML; nil is an empty document. yaml.v3 has panicked on
// broken input before, so a panic counts as broken YAML.
func (n *native) tree(text []byte) (root *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, &SyntaxError{n.p.file, 1, 0, fmt.Sprintf("broken YAML: %v", r)}
		}
	}()
	var doc yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	if err := dec.Decode(&doc); err == io.EOF {
		return nil, nil
	} else if err != nil {
		return nil, n.broken(err)
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		return nil, n.errorf(&second, "a second document: a list is one YAML document")
	} else if err != io.EOF {
		return nil, n.broken(err)
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil, nil
	}
	return doc.Content[0], nil
}

func (n *native) document(root *yaml.Node) error {
	var rules, allow *yaml.Node
	err := n.mapping(root, "the list", func(key string, k, v *yaml.Node) error {
		switch key {
		case "name":
			return n.text(v, key, &n.list.Title)
		case "owner":
			return n.text(v, key, &n.list.Owner)
		case "about":
			return n.text(v, key, &n.list.About)
		case "action":
			return n.readAction(v, &n.action)
		case "rules":
			rules = v
		case "allow":
			allow = v
		default:
			return n.unknown(k, "name", "owner", "about", "action", "rules", "allow")
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := n.entries(rules, "rules", false); err != nil {
		return err
	}
	return n.entries(allow, "allow", true)
}

func (n *native) entries(seq *yaml.Node, key string, allow bool) error {
	if seq == nil || isNull(seq) {
		return nil
	}
	if seq.Kind != yaml.SequenceNode {
		return n.errorf(seq, "%s must be a sequence: one \"- name\" a line", key)
	}
	for _, e := range seq.Content {
		r := entry{node: e, allow: allow}
		if !allow {
			r.action = n.action
		}
		if err := n.entry(&r); err != nil {
			return err
		}
	}
	return nil
}

// entry is one rule on its way from the tree to a record.
type entry struct {
	node   *yaml.Node // where the name or address stands
	allow  bool
	action Action
	match  *Match // from match:
	domain string
	about  detail
}

func (n *native) entry(r *entry) error {
	switch r.node.Kind {
	case yaml.ScalarNode:
		if isNull(r.node) {
			return n.errorf(r.node, "an empty rule")
		}
		r.domain = r.node.Value
	case yaml.MappingNode:
		if err := n.entryFields(r); err != nil {
			return err
		}
	case yaml.AliasNode:
		return n.errorf(r.node, "a YAML alias; write the name, and in quotes if it begins with *")
	default:
		return n.errorf(r.node, "a rule is a name or a mapping with domain:")
	}
	return n.addEntry(r)
}

func (n *native) entryFields(r *entry) error {
	node := r.node
	r.node = nil
	err := n.mapping(node, "a rule", func(key string, k, v *yaml.Node) error {
		switch key {
		case "domain":
			r.node = v
			return n.text(v, key, &r.domain)
		case "match":
			return n.readMatch(v, &r.match)
		case "action":
			if r.allow {
				return n.errorf(k, "an entry of allow has no action")
			}
			return n.readAction(v, &r.action)
		case "category":
			return n.text(v, key, &r.about.Category)
		case "why":
			return n.text(v, key, &r.about.Why)
		case "breaks":
			return n.text(v, key, &r.about.Breaks)
		case "source":
			return n.text(v, key, &r.about.Source)
		}
		return n.unknown(k, "domain", "match", "action", "category", "why", "breaks", "source")
	})
	if err == nil && r.node == nil {
		return n.errorf(node, "a rule without domain:")
	}
	return err
}

// addEntry turns what was written into a record.
func (n *native) addEntry(r *entry) error {
	name, match := r.domain, Subtree
	if n.p.src.Match != nil {
		match = *n.p.src.Match
	}
	var about *detail
	if r.about != (detail{}) {
		about = &r.about
	}
	if p, ok := syntax.ParsePrefix(name); ok {
		if r.match != nil {
			return n.errorf(r.node, "an address has no match:")
		}
		n.p.addPrefix(r.node.Line, p, []byte(name), nativeFlags(r, Address), about)
		return nil
	}
	if rest, ok := strings.CutPrefix(name, "="); ok {
		name, match = rest, Exact
	} else if rest, ok := strings.CutPrefix(name, "*."); ok {
		name, match = rest, Below
	}
	if r.match != nil {
		if len(name) != len(r.domain) && *r.match != match {
			return n.errorf(r.node, "%q already says how much it covers, and match: says otherwise", clip(r.domain))
		}
		match = *r.match
	}
	size, err := foldName(n.p.buf[:], name)
	if err != nil {
		return n.errorf(r.node, "%q is %w%s", clip(r.domain), err, hint(r.domain))
	}
	n.p.add(r.node.Line, n.p.buf[:size], []byte(r.domain), nativeFlags(r, match), about)
	return nil
}

func nativeFlags(r *entry, m Match) byte {
	f := byte(m) | byte(r.action)<<actionShift
	if r.allow {
		f |= flagAllow
	}
	return f
}

// hint guesses what someone meant who wrote another syntax into a native list.
func hint(s string) string {
	switch {
	case strings.HasPrefix(s, "||"), strings.HasPrefix(s, "@@"):
		return "; a native list takes the bare name, and exceptions under allow:"
	case strings.Contains(s, "://"):
		return "; take the name out of the address"
	case strings.Contains(s, "*"):
		return "; a wildcard stands only at the beginning, as in \"*.example.com\""
	case strings.ContainsAny(s, " \t"):
		return "; one name an entry"
	}
	return ""
}
