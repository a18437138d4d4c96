package native

import (
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"nightlatch/blocklists/syntax"
)

// entry is one rule, or one group of them, on its way from the tree.
type entry struct {
	node   *yaml.Node // where the name or address stands
	allow  bool
	domain string
	match  string // as written; empty when nothing is
	said   bool   // match is the rule's own word, not its group's
	action string
	types  []uint16
	until  syntax.Expiry

	devices []syntax.Client
	answer  answer
	decode  *syntax.DecodeHint

	category, why, breaks, source, confidence, risk string
}

// commonKeys are the keys that a rule and a group of rules share.
func commonKeys() []string {
	return []string{"match", "action", "answer", "types", "devices", "until", "decode", "risk", "category", "why", "breaks", "source", "confidence"}
}

func ruleKeys() []string { return append([]string{"domain"}, commonKeys()...) }

func groupKeys() []string { return slices.Concat([]string{"group"}, commonKeys(), []string{"rules"}) }

func matches() []string {
	return []string{"subtree", "exact", "below", "wildcard", "regex"}
}

// entries reads a sequence of rules, each of which begins with what above says.
func (n *reader) entries(seq *yaml.Node, key string, above entry) error {
	if seq == nil || isNull(seq) {
		return nil
	}
	if seq.Kind != yaml.SequenceNode {
		return n.errorf(seq, "%s must be a sequence: one \"- name\" a line", key)
	}
	for _, node := range seq.Content {
		if err := n.entry(node, above); err != nil {
			return err
		}
	}
	return nil
}

func (n *reader) entry(node *yaml.Node, e entry) error {
	inGroup := e.node != nil
	e.node, e.said = node, false
	switch node.Kind {
	case yaml.ScalarNode:
		if isNull(node) {
			return n.errorf(node, "an empty rule")
		}
		e.domain = node.Value
	case yaml.MappingNode:
		if group := child(node, "rules"); group != nil || child(node, "group") != nil {
			if inGroup {
				return n.errorf(node, "a group inside a group")
			}
			return n.group(node, group, e)
		}
		if err := n.fields(node, &e); err != nil {
			return err
		}
	case yaml.AliasNode:
		return n.errorf(node, "a YAML alias; write the name, and in quotes if it begins with *")
	default:
		return n.errorf(node, "a rule is a name, a mapping with domain:, or a group with rules:")
	}
	return n.add(&e)
}

// child gives the value of a key that a mapping has.
func child(m *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

// group reads rules that share fields; what a rule says itself comes first.
func (n *reader) group(node, rules *yaml.Node, e entry) error {
	err := n.mapping(node, "a group", func(key string, k, v *yaml.Node) error {
		switch key {
		case "rules":
			return nil
		case "group":
			var title string // for people alone
			return n.text(v, key, &title)
		case "domain":
			return n.errorf(k, "a group has rules:, each with its own domain")
		}
		return n.common(&e, key, k, v, groupKeys)
	})
	if err == nil && rules == nil {
		err = n.errorf(node, "a group without rules:")
	}
	if err != nil {
		return err
	}
	return n.entries(rules, "rules", e)
}

func (n *reader) fields(node *yaml.Node, e *entry) error {
	e.node = nil
	err := n.mapping(node, "a rule", func(key string, k, v *yaml.Node) error {
		if key == "domain" {
			e.node = v
			return n.text(v, key, &e.domain)
		}
		return n.common(e, key, k, v, ruleKeys)
	})
	if err == nil && e.node == nil {
		return n.errorf(node, "a rule without domain:")
	}
	return err
}

// common reads a field that a rule and a group share.
func (n *reader) common(e *entry, key string, k, v *yaml.Node, known func() []string) error {
	switch key {
	case "match":
		e.said = true
		return n.word(v, key, &e.match, matches()...)
	case "action":
		if e.allow {
			return n.errorf(k, "an entry of allow has no action")
		}
		return n.word(v, key, &e.action, actions()...)
	case "types":
		e.types = nil
		err := n.words(v, key, func(v *yaml.Node, word string) error { return n.readType(v, word, e) })
		if err == nil && len(e.types) == 0 {
			err = n.errorf(v, "types must name at least one DNS type, as in [A, HTTPS]")
		}
		return err
	case "until":
		return n.readUntil(v, e)
	case "answer", "devices", "decode", "risk", "confidence":
		return n.extra(e, key, k, v)
	case "category":
		return n.text(v, key, &e.category)
	case "why":
		return n.text(v, key, &e.why)
	case "breaks":
		return n.text(v, key, &e.breaks)
	case "source":
		return n.text(v, key, &e.source)
	}
	return n.unknown(k, known()...)
}

func (n *reader) readType(v *yaml.Node, word string, e *entry) error {
	t, ok := syntax.AnyType(word)
	if !ok {
		return n.errorf(v, "%q is no DNS type that is known; write a number as TYPE65", clip(word))
	}
	if !slices.Contains(e.types, t) {
		e.types = append(e.types, t)
	}
	return nil
}

func (n *reader) readUntil(v *yaml.Node, e *entry) error {
	var word string
	if err := n.text(v, "until", &word); err != nil {
		return err
	}
	if day, err := time.Parse(time.DateOnly, word); err == nil {
		e.until = syntax.EndOf(day)
		return nil
	}
	at, err := time.Parse(time.RFC3339, word)
	if err != nil {
		return n.errorf(v, "until must be a day as 2026-12-31 or a moment as 2026-12-31T18:00:00Z, not %q", clip(word))
	}
	e.until = syntax.Until(at)
	return nil
}

// add turns what was written into a rule and hands it on.
func (n *reader) add(e *entry) error {
	r := &Rule{File: n.name, Line: e.node.Line, Text: e.domain, Name: e.domain, Scope: n.opts.Scope, Allow: e.allow, Action: e.action,
		Category: e.category, Why: e.why, Breaks: e.breaks, Source: e.source, Confidence: e.confidence, Risk: e.risk,
		Reply: e.answer.reply, Rewrite: e.answer.rewrite, Decode: e.decode}
	if !e.allow && r.Action == "" {
		r.Action = n.action
	}
	if len(e.types) > 0 || len(e.devices) > 0 || e.until != (syntax.Expiry{}) {
		r.Limits = &syntax.Limits{Types: e.types, Clients: e.devices, Until: e.until}
	}
	if err := n.cover(r, e); err != nil {
		return err
	}
	if err := n.opts.Emit(r); err != nil {
		return n.errorf(e.node, "%q is %w%s", clip(e.domain), err, hint(e.domain))
	}
	return nil
}

// cover says what a rule covers: by match:, else by the signs of its name.
func (n *reader) cover(r *Rule, e *entry) (err error) {
	if p, ok := syntax.ParsePrefix(e.domain); ok && e.match != "regex" {
		if e.said {
			return n.errorf(e.node, "an address has no match:")
		}
		if len(e.types) > 0 {
			return n.errorf(e.node, "an address has no types:, it is not asked for")
		}
		r.Prefix, r.Scope, r.Name = p, syntax.Addr, ""
		return nil
	}
	signed := true
	if rest, ok := strings.CutPrefix(e.domain, "="); ok {
		r.Name, r.Scope = rest, syntax.Exact
	} else if rest, ok := strings.CutPrefix(e.domain, "*."); ok && e.match != "wildcard" {
		r.Name, r.Scope = rest, syntax.Below
	} else {
		signed = false
	}
	word := map[string]syntax.Scope{"subtree": syntax.Subtree, "exact": syntax.Exact, "below": syntax.Below}
	switch e.match {
	case "":
		return nil
	case "wildcard":
		r.Pattern, err = syntax.NewWildcard(e.domain)
	case "regex":
		r.Pattern, err = syntax.NewRegex(e.domain)
	default:
		switch {
		case !signed:
			r.Scope = word[e.match]
		case e.said && r.Scope != word[e.match]:
			return n.errorf(e.node, "%q already says how much it covers, and match: says otherwise", clip(e.domain))
		}
		return nil
	}
	if err != nil {
		return n.errorf(e.node, "%q: %w", clip(e.domain), err)
	}
	r.Scope, r.Name = syntax.Patterns, ""
	return nil
}

// hint guesses what someone meant who wrote another syntax into a native list.
func hint(s string) string {
	switch {
	case strings.HasPrefix(s, "||"), strings.HasPrefix(s, "@@"):
		return "; a native list takes the bare name, and exceptions under allow:"
	case strings.Contains(s, "://"):
		return "; take the name out of the address"
	case strings.Contains(s, "*"):
		return "; for a * elsewhere than in \"*.example.com\" say match: wildcard"
	case strings.ContainsAny(s, " \t"):
		return "; one name an entry"
	}
	return ""
}
