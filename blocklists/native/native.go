// Package native reads nightlatch's own list format: YAML that people write by
// hand, with a place and advice for every slip.
package native

import (
	"fmt"
	"io"
	"net/netip"
	"strings"

	"gopkg.in/yaml.v3"

	"nightlatch/blocklists/syntax"
)

const (
	// MaxSize is the most bytes a list may weigh, included files and all. It is
	// read into a tree of nodes, about 50 times its size, and is written by hand;
	// 2 MiB are 50,000 rules.
	MaxSize = 2 << 20

	maxText     = 200 // bytes quoted in a message
	maxIncludes = 64  // files a list may include, those that its files include as well
	maxDepth    = 8   // files that include one another in a row
)

// Error says where a list is broken and what to do about it.
type Error struct {
	File    string // path, or the name of the list
	Line    int    // 1-based
	Column  int    // 1-based, in characters; 0 when the YAML parser knows only the line
	Message string
}

// Error gives file:line:column: message.
func (e *Error) Error() string {
	if e.Column == 0 {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Rule is one entry of a list, with what its group and its file give it.
type Rule struct {
	File    string          // the included file it stands in; empty for the list's own
	Line    int             // 1-based
	Text    string          // the name as written
	Name    string          // without the signs that say how much it covers; empty for an address and a pattern
	Prefix  netip.Prefix    // valid for an address
	Pattern *syntax.Pattern // of a wildcard or a regular expression
	Scope   syntax.Scope
	Allow   bool
	Action  string // deny, sink, drop, observe, or empty
	Limits  *syntax.Limits
	Reply   syntax.Reply       // the zero value when neither the rule nor its group says
	Rewrite *syntax.Rewrite    // of "answer: cname:NAME"; nil for nearly every rule
	Decode  *syntax.DecodeHint // shared by the rules of a group

	Category, Why, Breaks, Source, Confidence, Risk string
}

// List is what a list says about itself.
type List struct {
	Title, Owner, About string
	Reply               syntax.Reply // of every rule that does not say; it goes for included files too
	Lines               int
	Included            []string // the files it includes, as they were opened
}

// Options says how a list is read.
type Options struct {
	File  string       // how messages call the list
	Scope syntax.Scope // what a bare name covers
	// Open opens an included file, named relative to the list's own; nil when the
	// list is no file and can include none.
	Open func(name string) (io.ReadCloser, error)
	// Emit gets every rule; its error becomes one at the place of the rule.
	Emit func(*Rule) error
}

// reader reads one file of a list.
type reader struct {
	file   string // how messages call it
	name   string // relative to the list's own; empty for that one
	action string
	lines  []string
	*shared
}

// shared is what the files of one list have in common.
type shared struct {
	opts  Options
	list  List
	size  int
	open  []string        // the files that include one another, down to the one being read
	known map[string]bool // included files
}

// Read reads a list. A list that is no YAML, or says what is not understood, is
// an [*Error]: nothing of it is to be used.
func Read(text []byte, o Options) (List, error) {
	r := &reader{file: o.File, shared: &shared{opts: o, known: map[string]bool{}}}
	if err := r.read(text); err != nil {
		return List{}, err
	}
	r.list.Lines = len(r.lines)
	if strings.HasSuffix(string(text), "\n") {
		r.list.Lines--
	}
	return r.list, nil
}

func (n *reader) read(text []byte) error {
	if n.size += len(text); n.size > MaxSize {
		return fmt.Errorf("larger than %d MiB: a native list is written by hand; give large lists as domains or hosts", MaxSize>>20)
	}
	n.lines = strings.Split(string(text), "\n")
	root, err := n.tree(text)
	if err != nil || root == nil {
		return err
	}
	return n.document(root)
}

// tree parses the YAML; nil is an empty document. yaml.v3 has panicked on
// broken input before, so a panic counts as broken YAML.
func (n *reader) tree(text []byte) (root *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, &Error{n.file, 1, 0, fmt.Sprintf("broken YAML: %v", r)}
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

// listKeys are the keys of a list, in the order they are best written.
func listKeys() []string {
	return []string{"name", "owner", "about", "action", "answer", "include", "rules", "allow"}
}

func (n *reader) document(root *yaml.Node) error {
	var include, rules, allow *yaml.Node
	about := &n.list
	if n.name != "" {
		about = &List{} // what an included file says about itself is for whoever opens it
	}
	err := n.mapping(root, "the list", func(key string, k, v *yaml.Node) error {
		switch key {
		case "name":
			return n.text(v, key, &about.Title)
		case "owner":
			return n.text(v, key, &about.Owner)
		case "about":
			return n.text(v, key, &about.About)
		case "action":
			return n.word(v, key, &n.action, actions()...)
		case "answer":
			if n.name != "" {
				return n.errorf(k, "the answer of a whole list is said in its own file; say it of a group here")
			}
			return n.readReply(v, &n.list.Reply)
		case "include":
			include = v
		case "rules":
			rules = v
		case "allow":
			allow = v
		default:
			return n.unknown(k, listKeys()...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := n.entries(rules, "rules", entry{}); err != nil {
		return err
	}
	if err := n.entries(allow, "allow", entry{allow: true}); err != nil {
		return err
	}
	if include == nil || isNull(include) {
		return nil
	}
	return n.words(include, "include", n.include)
}

func actions() []string { return []string{"deny", "sink", "drop", "observe"} }

// clip shortens what is shown to a person.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "")
}
