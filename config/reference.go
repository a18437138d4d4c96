package config

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
)

// lineWidth is where comments in a printed file are broken.
const lineWidth = 96

// Write prints a config as a commented YAML file: every key with what it
// means. Keys for which active answers true are in force; the others stand as
// comments with their defaults, ready to be changed.
func Write(w io.Writer, c *Config, active func(path string) bool) error {
	var b strings.Builder
	writeStruct(&b, reflect.ValueOf(c).Elem(), "", 0, active)
	_, err := io.WriteString(w, b.String())
	return err
}

func writeStruct(b *strings.Builder, v reflect.Value, path string, depth int, active func(string) bool) {
	indent := strings.Repeat("  ", depth)
	for i, f := range keysOf(v.Type()) {
		at := v.FieldByIndex(f.Index)
		key := f.Tag.Get("yaml")
		name := strings.TrimPrefix(path+"."+key, ".")
		if depth == 0 && i > 0 {
			b.WriteByte('\n')
		}
		comment(b, indent, f.Tag.Get("doc"))
		if _, text := at.Addr().Interface().(encoding.TextUnmarshaler); f.Type.Kind() == reflect.Struct && !text {
			fmt.Fprintf(b, "%s%s:\n", indent, key)
			writeStruct(b, at, name, depth+1, active)
			continue
		}
		hash := "#"
		if active(name) {
			hash = ""
		}
		if example := examples[name]; example != "" && hash != "" {
			b.WriteString(reindent(example, indent+"#"))
			continue
		}
		fmt.Fprintf(b, "%s%s%s: %s\n", indent, hash, key, scalarText(at))
	}
}

// examples show the keys whose default is empty but whose form must be seen.
var examples = map[string]string{
	"devices": `devices:
  phone:
    lists: [mine, xiaomi]     # only these
    action: deny              # sink, deny, drop or observe
    literal_addresses: deny   # refuse flows to hard-coded addresses
`,
	"groups": `groups:
  kids:
    devices: [anna, ben]
    safe_search: on
    schedules:
      bedtime: {days: [sun-thu], from: 21:00, to: 06:30, block: all}
`,
	"policy.list_actions": `list_actions:
  xiaomi: deny                # whatever the list says itself
`,
	"policy.schedules": `schedules:
  homework:
    days: [mon-fri]
    from: 14:00
    to: 16:00                 # not after from: on the next day
    services: [tiktok]        # services, lists, action, or block: all
`,
	"lists.files": `files:
  - name: hagezi-light
    path: /srv/lists/light.txt
    format: adblock           # auto, native, hosts, domains, adblock, ...
    match: subtree            # what a bare name means: exact or subtree
    action: deny              # sink, deny or drop
`,
	"lists.subscriptions": `subscriptions:
  - name: hagezi-pro
    url: https://cdn.jsdelivr.net/gh/hagezi/dns-blocklists@latest/adblock/pro.txt
    format: adblock           # empty looks at the content
    action: deny              # sink, deny, drop or observe
    every: 12h                # once a day when absent
`,
}

func reindent(text, prefix string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(prefix + line)
	}
	return b.String()
}

func comment(b *strings.Builder, indent, text string) {
	line := indent + "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > lineWidth {
			b.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

// scalarText writes a value as it would be read back.
func scalarText(v reflect.Value) string {
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return quoteIfNeeded(zeroPrefix(s.String()))
	}
	switch v.Kind() {
	case reflect.Slice:
		var items []string
		long := 0
		for i := range v.Len() {
			items = append(items, scalarText(v.Index(i)))
			long += len(items[i]) + 2
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.String:
		return quoteIfNeeded(v.String())
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10)
	}
	return "{}"
}

func zeroPrefix(s string) string {
	if s == "invalid Prefix" {
		return "" // made at first start
	}
	return s
}

func quoteIfNeeded(s string) string {
	if s == "" || strings.ContainsAny(s, "#,[]{}'\"\n ") || strings.HasPrefix(s, ":") || strings.Contains(s, ": ") || strings.Contains(s, "::") {
		return strconv.Quote(s)
	}
	return s
}

// Reference prints every key with its meaning and default as Markdown, for
// docs/config.md.
func Reference(w io.Writer) error {
	c := Default()
	var b strings.Builder
	b.WriteString("# The config file\n\nThis page is printed by the program (`nightlatch docs config`).\n\n" +
		"`nightlatch up` makes a commented `nightlatch.yaml` in its home folder at the first start and never writes to it again.\n" +
		"Unknown keys are errors that name file, line and column. `nightlatch check` reads everything without starting.\n")
	section(&b, reflect.ValueOf(&c).Elem(), "")
	_, err := io.WriteString(w, b.String())
	return err
}

func section(b *strings.Builder, v reflect.Value, path string) {
	table := false
	for _, f := range keysOf(v.Type()) {
		at := v.FieldByIndex(f.Index)
		name := strings.TrimPrefix(path+"."+f.Tag.Get("yaml"), ".")
		if len(f.Index) > 1 && strings.HasSuffix(path, ".*") {
			continue // the keys of policy, which stand there
		}
		if _, text := at.Addr().Interface().(encoding.TextUnmarshaler); f.Type.Kind() == reflect.Struct && !text {
			fmt.Fprintf(b, "\n## %s\n\n%s\n", name, f.Tag.Get("doc"))
			section(b, at, name)
			continue
		}
		if elem := elemStruct(f.Type); elem != nil {
			fmt.Fprintf(b, "\n### %s\n\n%s\n", name, f.Tag.Get("doc"))
			fmt.Fprintf(b, "\n```yaml\n%s```\n", examples[name])
			table = false
			section(b, reflect.New(elem).Elem(), name+".*")
			continue
		}
		if !table {
			b.WriteString("\n| key | default | meaning |\n| --- | --- | --- |\n")
			table = true
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, defaultText(at), f.Tag.Get("doc"))
	}
}

func defaultText(v reflect.Value) string {
	s := scalarText(v)
	switch s {
	case `""`, "[]":
		return ""
	}
	return "`" + strings.ReplaceAll(s, "|", `\|`) + "`"
}

// elemStruct gives the struct that a map or slice of a config holds, if any.
func elemStruct(t reflect.Type) reflect.Type {
	if k := t.Kind(); k != reflect.Map && k != reflect.Slice {
		return nil
	}
	e := t.Elem()
	if e.Kind() != reflect.Struct || reflect.PointerTo(e).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return nil
	}
	return e
}
