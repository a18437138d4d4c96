package edits

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"nightlatch/blocklists"
	"nightlatch/config/edit"
)

// overlayHead begins the overlay.
const overlayHead = `# yaml-language-server: $schema=` + schemaName + `
# Written by nightlatch block, allow, sink and observe; it stands above every list.
# You may edit it too: it is a list like your own. nightlatch rules shows it,
# nightlatch undo takes the last change of a command back.
`

// rule is one entry of the overlay.
type rule struct {
	Number  int        `json:"number,omitempty"` // as nightlatch rules counts
	Name    string     `json:"name"`             // as written, with its signs
	Does    string     `json:"does"`             // block, allow, sink, observe, drop; empty when the policy chooses
	Devices []string   `json:"devices,omitempty"`
	Until   *time.Time `json:"until,omitempty"`
	Answer  string     `json:"answer,omitempty"`
	Why     string     `json:"why,omitempty"`
	Line    int        `json:"line,omitempty"`
	Ended   bool       `json:"ended,omitempty"`
	Group   bool       `json:"group,omitempty"` // several rules that a person wrote together

	about   subject
	section string // rules or allow
	index   int    // in its section
	end     int    // its last line
	plain   bool   // it has nothing that a command does not write
}

func sections() []string { return []string{"rules", "allow"} }

// parseOverlay reads the overlay as the commands see it, once the list parser
// has found no fault with it.
func parseOverlay(path string, text []byte, now time.Time) ([]rule, error) {
	if err := checkOverlay(path, text); err != nil {
		return nil, err
	}
	var out []rule
	for _, section := range sections() {
		items, err := edit.Items(text, edit.Path{section})
		if err != nil {
			return nil, err
		}
		for _, it := range items {
			r := readRule(it, section, now)
			r.Number = len(out) + 1
			out = append(out, r)
		}
	}
	return out, nil
}

// checkOverlay holds the overlay against the list parser. A file is read from
// its place, since it may include others; a text that is no file yet is not.
func checkOverlay(path string, text []byte) error {
	src := blocklists.Source{Name: "overlay", Format: blocklists.Native, Overlay: true}
	onDisk, err := os.ReadFile(path)
	if err == nil && bytes.Equal(onDisk, text) {
		_, err = blocklists.ParseFile(src, path)
	} else {
		_, err = blocklists.Parse(src, bytes.NewReader(text))
	}
	var at *blocklists.SyntaxError
	if errors.As(err, &at) {
		at.File = path
		return at
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func readRule(it edit.Item, section string, now time.Time) rule {
	r := rule{Name: it.Value, Line: it.Line, section: section, index: it.Index, end: it.EndLine, plain: true}
	for _, key := range it.Keys() {
		switch key {
		case "domain":
			r.Name = it.Text(key)
		case "action":
			r.Does = it.Text(key)
		case "devices":
			r.Devices = slices.Sorted(slices.Values(it.Texts(key)))
		case "until":
			r.Until = readUntil(it.Text(key))
		case "answer":
			r.Answer = strings.Join(it.Texts(key), ", ")
		case "why":
			r.Why = it.Text(key)
		case "group", "rules":
			r.Group, r.plain, r.Name = true, false, "group "+it.Text("group")
		case "match":
			r.plain = r.plain && slices.Contains([]string{"exact", "subtree"}, it.Text(key))
		default:
			r.plain = false
		}
	}
	switch {
	case section == "allow":
		r.Does = "allow"
	case r.Does == "deny":
		r.Does = "block"
	}
	r.Ended = r.Until != nil && !r.Until.After(now)
	if !r.Group {
		r.about, _ = parseSubject(r.Name, it.Text("match") == "exact")
	}
	return r
}

// readUntil reads until: as lists have it; a day ends with it, in local time.
func readUntil(word string) *time.Time {
	if at, err := time.Parse(time.RFC3339, word); err == nil {
		return &at
	}
	if day, err := time.ParseInLocation(time.DateOnly, word, time.Local); err == nil {
		end := day.AddDate(0, 0, 1)
		return &end
	}
	return nil
}

// item writes a rule as an entry of the overlay.
func (r *rule) item() string {
	var b strings.Builder
	line := func(key, value string) {
		sign := "  "
		if b.Len() == 0 {
			sign = "- "
		}
		fmt.Fprintf(&b, "%s%s: %s\n", sign, key, value)
	}
	line("domain", edit.Quote(r.about.written))
	if r.section == "rules" {
		action := r.Does
		if action == "block" {
			action = "deny"
		}
		line("action", action)
	}
	if r.Answer != "" {
		line("answer", edit.Quote(r.Answer))
	}
	if len(r.Devices) > 0 {
		quoted := make([]string, len(r.Devices))
		for i, d := range r.Devices {
			quoted[i] = edit.Quote(d)
		}
		line("devices", "["+strings.Join(quoted, ", ")+"]")
	}
	if r.Until != nil {
		line("until", r.Until.UTC().Format(time.RFC3339))
	}
	if r.Why != "" {
		line("why", edit.Quote(r.Why))
	}
	return b.String()
}

// whom says in words which devices a rule is for.
func whom(devices []string) string {
	switch n := len(devices); n {
	case 0:
		return "every device"
	case 1:
		return devices[0]
	default:
		return strings.Join(devices[:n-1], ", ") + " and " + devices[n-1]
	}
}

// words describes a rule in a line.
func (r *rule) words(now time.Time) string {
	does := r.Does
	if does == "" {
		does = "stop"
	}
	s := fmt.Sprintf("%s %s for %s", does, r.Name, whom(r.Devices))
	if r.Until != nil {
		s += ", until " + when(*r.Until, now)
	}
	return s
}

// put writes a rule into the overlay: in the place of an entry about the same
// name and devices, else as the last of its section. Entries that have ended and
// that a command wrote go.
func (r *rule) put(path string, text []byte, now time.Time, o *outcome) ([]byte, error) {
	rules, err := parseOverlay(path, text, now)
	if err != nil {
		return nil, err
	}
	o.Ended, o.Removed = 0, nil // the change may be asked for again
	placed, gone := false, map[string][]int{}
	for i := len(rules) - 1; i >= 0; i-- {
		old := &rules[i]
		again := old.plain && old.about.same(r.about) && slices.Equal(old.Devices, r.Devices)
		if again && old.item() != r.item() || again && old.section != r.section {
			o.Removed = append(o.Removed, old.words(now))
		}
		switch {
		case again && old.section == r.section && !placed:
			placed = true
			if text, err = edit.Replace(text, edit.Path{old.section}, old.index, r.item()); err != nil {
				return nil, err
			}
		case again:
			gone[old.section] = append(gone[old.section], old.index)
		case old.Ended && old.plain:
			o.Ended++
			gone[old.section] = append(gone[old.section], old.index)
		}
	}
	for _, section := range sections() {
		if text, err = edit.Remove(text, edit.Path{section}, gone[section]...); err != nil {
			return nil, err
		}
	}
	if !placed {
		if text, err = edit.Append(text, edit.Path{r.section}, r.item()); err != nil {
			return nil, err
		}
	}
	return text, checkOverlay(path, text)
}

// without takes a rule out of the overlay, and those that have ended.
func without(path string, text []byte, wanted *rule, now time.Time, o *outcome) ([]byte, error) {
	rules, err := parseOverlay(path, text, now)
	if err != nil {
		return nil, err
	}
	o.Ended, o.Removed = 0, nil
	gone := map[string][]int{}
	for _, r := range rules {
		switch {
		case len(o.Removed) == 0 && r.section == wanted.section && r.words(now) == wanted.words(now):
			o.Removed = []string{r.words(now)}
		case r.Ended && r.plain:
			o.Ended++
		default:
			continue
		}
		gone[r.section] = append(gone[r.section], r.index)
	}
	if len(o.Removed) == 0 {
		return nil, fmt.Errorf("another command has taken out %s already", wanted.Name)
	}
	for _, section := range sections() {
		if text, err = edit.Remove(text, edit.Path{section}, gone[section]...); err != nil {
			return nil, err
		}
	}
	return text, nil
}

// find gives the entry of a command about the same name and devices.
func (r *rule) find(all []rule) *rule {
	for i := range all {
		if all[i].plain && all[i].section == r.section && all[i].about.same(r.about) && slices.Equal(all[i].Devices, r.Devices) {
			return &all[i]
		}
	}
	return nil
}
