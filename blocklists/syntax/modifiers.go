package syntax

import (
	"bytes"
	"slices"
	"strings"
)

// maxValues bounds what a modifier may name: published rules name up to 57 domains.
const maxValues = 1024

// modifiers reads what follows the dollar sign into the rule. One that is not
// about names makes the rule one to leave out.
func modifiers(rule *Rule, list []byte) (reason string) {
	if len(list) == 0 {
		return ""
	}
	for _, m := range split(string(list), ',') {
		name, value, has := strings.Cut(strings.TrimSpace(m), "=")
		switch name {
		case "important":
			rule.Important = true
			continue
		case "dnsrewrite":
			// without a value: an answer without data; of an exception, all there are
			ok := true
			if rule.Rewrite = new(Rewrite); value != "" {
				rule.Rewrite, ok = dnsrewrite(value)
			}
			if !ok {
				return BadValue + name
			}
			continue
		case "denyallow", "dnstype", "client", "ctag":
		default:
			return Modifier + modifierWord(name)
		}
		if rule.Limits == nil {
			rule.Limits = &Limits{}
		}
		if !has || !rule.Limits.set(name, value) {
			return BadValue + name
		}
	}
	return ""
}

// modifierWord shortens a modifier to what a report can group by.
func modifierWord(name string) string {
	name = strings.TrimPrefix(name, "~")
	for i := range len(name) {
		if c := name[i]; c != '-' && !letterOrDigit(c) {
			return "unknown"
		}
	}
	if len(name) == 0 || len(name) > 20 {
		return "unknown"
	}
	return name
}

// split cuts at a separator that no backslash stands before; the backslash stays.
func split(s string, sep byte) []string {
	var out []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == sep:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

func (l *Limits) set(name, value string) bool {
	values := split(value, '|')
	if len(values) > maxValues {
		return false
	}
	switch name { // of a modifier that stands twice the last counts
	case "denyallow":
		l.Except = nil
	case "dnstype":
		l.Types, l.NotTypes = nil, nil
	case "client":
		l.Clients, l.NotClients = nil, nil
	case "ctag":
		l.Tags, l.NotTags = nil, nil
	}
	for _, v := range values {
		not := strings.HasPrefix(v, "~")
		v = strings.TrimPrefix(v, "~")
		ok := v != ""
		switch name {
		case "denyallow":
			ok = ok && !not && hostLike([]byte(v))
			l.Except = append(l.Except, strings.ToLower(v))
		case "dnstype":
			var t uint16
			t, ok = TypeCode(v)
			add(&l.Types, &l.NotTypes, t, not)
		case "client":
			add(&l.Clients, &l.NotClients, client(v), not)
		case "ctag":
			ok = ok && tagLike(v)
			add(&l.Tags, &l.NotTags, v, not)
		}
		if !ok {
			return false
		}
	}
	return true
}

func add[T any](yes, no *[]T, v T, not bool) {
	if not {
		yes = no
	}
	*yes = append(*yes, v)
}

// tagLike says whether a word can be a tag of a client: device_phone.
func tagLike(v string) bool {
	return !strings.ContainsFunc(v, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') && (c < '0' || c > '9') })
}

// client reads an address, a network, or a name, which may be in quotes.
func client(v string) Client {
	if n := len(v); n > 1 && (v[0] == '\'' || v[0] == '"') && v[n-1] == v[0] {
		v = v[1 : n-1]
	}
	var out strings.Builder
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' && i+1 < len(v) {
			i++
		}
		out.WriteByte(v[i])
	}
	if p, ok := ParsePrefix(out.String()); ok {
		return Client{Net: p}
	}
	return Client{Name: out.String()}
}

func (l *Limits) holdType(q *Question) bool {
	if slices.Contains(l.NotTypes, q.Type) {
		return false
	}
	return len(l.Types) == 0 || slices.Contains(l.Types, q.Type)
}

func (l *Limits) holdClient(q *Question) bool {
	for _, c := range l.NotClients {
		if c.is(q) {
			return false
		}
	}
	return len(l.Clients) == 0 || slices.ContainsFunc(l.Clients, func(c Client) bool { return c.is(q) })
}

func (c *Client) is(q *Question) bool {
	if c.Net.IsValid() {
		return q.Addr.IsValid() && c.Net.Contains(q.Addr.Unmap().WithZone(""))
	}
	return q.Client != "" && c.Name == q.Client
}

func (l *Limits) holdTags(q *Question) bool {
	has := func(t string) bool { return slices.Contains(q.Tags, t) }
	if slices.ContainsFunc(l.NotTags, has) {
		return false
	}
	return len(l.Tags) == 0 || slices.ContainsFunc(l.Tags, has)
}

// Cancels says whether a line is a rule that cancels another ($badfilter), and
// gives that other in the form of CancelKey.
func Cancels(text []byte) (key string, ok bool) {
	if !bytes.Contains(text, []byte("badfilter")) {
		return "", false
	}
	pattern, mods := cancelParts(string(text))
	rest := slices.DeleteFunc(mods, func(m string) bool { return m == "badfilter" })
	return pattern + "$" + strings.Join(rest, ","), len(rest) < len(mods)
}

// CancelKey is the form in which a rule and what cancels it are compared: the
// pattern as written, and the modifiers in order. It is empty for a line that is
// a host and nothing more: AdGuard cancels no hosts.
func CancelKey(text string) string {
	pattern, mods := cancelParts(text)
	if len(mods) == 0 && (strings.ContainsAny(pattern, " \t") || hostLike([]byte(pattern))) {
		return ""
	}
	return pattern + "$" + strings.Join(mods, ",")
}

func cancelParts(text string) (pattern string, mods []string) {
	i := strings.LastIndexByte(text, '$')
	if i < 0 {
		return strings.TrimSpace(text), nil
	}
	mods = split(text[i+1:], ',')
	for j, m := range mods {
		mods[j] = strings.TrimSpace(m)
	}
	slices.Sort(mods)
	mods = slices.Compact(mods)
	return strings.TrimSpace(text[:i]), mods
}
