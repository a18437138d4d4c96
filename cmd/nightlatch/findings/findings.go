// Package findings prints what the decoder found, for a person: what stands at
// several places of a payload is said once.
package findings

import (
	"fmt"
	"io"
	"strings"

	"nightlatch/decoder"
)

// Found is one value, with every place at which it stood.
type Found struct {
	decoder.Finding          // the surest of them
	Paths           []string // at least one
}

// Group is what was found behind one chain of encodings.
type Group struct {
	Chain string // "form -> base64 -> gzip -> json"; empty when nothing was encoded
	Found []Found
}

// Fold puts findings of the same kind and value into one and groups them by
// the chain of the first, all in the order in which they were found.
func Fold(all []decoder.Finding) []Group {
	type place struct{ group, index int }
	type value struct{ kind, value, form string }
	var groups []Group
	seen, chains := map[value]place{}, map[string]int{}
	for _, f := range all {
		key := value{f.Kind, f.Value, f.Form}
		if at, again := seen[key]; again {
			groups[at.group].Found[at.index].add(f)
			continue
		}
		chain := strings.Join(f.Chain, " -> ")
		g, known := chains[chain]
		if !known {
			g = len(groups)
			chains[chain], groups = g, append(groups, Group{Chain: chain})
		}
		seen[key] = place{g, len(groups[g].Found)}
		groups[g].Found = append(groups[g].Found, Found{f, []string{f.Path}})
	}
	return groups
}

func (f *Found) add(again decoder.Finding) {
	f.Paths = append(f.Paths, again.Path)
	f.Confidence = max(f.Confidence, again.Confidence)
}

// Style says how findings are printed.
type Style struct {
	Indent string // before every line
	Sure   bool   // also how sure each is
	Paths  bool   // also the place of each
	Width  int    // bytes of a value at the most
}

// Print writes the findings. Values come from outside and are made harmless
// for the terminal.
func Print(w io.Writer, all []decoder.Finding, s Style) {
	for i, g := range Fold(all) {
		if i > 0 && s.Sure {
			fmt.Fprintln(w)
		}
		chain := g.Chain
		if chain == "" {
			chain = "as it is"
		}
		fmt.Fprintf(w, "%s%s\n", s.Indent, decoder.Safe(chain))
		for _, f := range g.Found {
			f.print(w, s)
		}
	}
}

func (f *Found) print(w io.Writer, s Style) {
	sure, more := "", ""
	if s.Sure {
		sure = fmt.Sprintf("%-9s", f.Confidence)
	}
	if f.Form != "" {
		more = fmt.Sprintf("  (as %s)", f.Form)
	}
	if n := len(f.Paths); n > 1 {
		more += fmt.Sprintf("  (at %d places)", n)
	}
	fmt.Fprintf(w, "%s  %-18s %s%s%s\n", s.Indent, decoder.Safe(f.Kind), sure, decoder.Safe(Clip(f.Value, s.Width)), decoder.Safe(more))
	if s.Paths {
		for _, p := range f.Paths {
			fmt.Fprintf(w, "%s    at %s\n", s.Indent, decoder.Safe(p))
		}
	}
}

// Clip shortens a value to n bytes, whole characters kept.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
