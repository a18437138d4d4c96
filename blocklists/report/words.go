package report

import (
	"fmt"
	"strconv"
	"strings"

	"nightlatch/blocklists/syntax"
)

// Words tells a report in lines for a person: what was read and as what, the rules
// by kind, and what was left out, with examples. They hold nothing that could
// harm a terminal.
func (r *Report) Words() []string {
	how := "as the config says"
	if r.Detected {
		how = "found out from its content"
	}
	first := fmt.Sprintf("%d lines read as %s (%s)", r.Lines, r.Format, how)
	if r.Gzip {
		first += ", compressed"
	}
	out := []string{first}
	switch r.Format {
	case syntax.Hosts, syntax.Domains, syntax.Wildcard:
		out = append(out, "a bare name means "+bare(r.BareNames))
	}
	out = append(out, fmt.Sprintf("%d rules stop something, %d let through%s", r.Blocks, r.Allows, r.kinds()))
	if r.Cancelled > 0 {
		out = append(out, fmt.Sprintf("%d rules are taken back by the list itself", r.Cancelled))
	}
	if len(r.Included) > 0 {
		out = append(out, "includes "+strings.Join(r.Included, ", "))
	}
	if r.Blocks+r.Allows == 0 && r.IgnoredLines() > 0 {
		out = append(out, "nothing of it is used")
	}
	return append(out, Tell("lines left out", r.Ignored)...)
}

func bare(m syntax.Match) string {
	if m == syntax.MatchSubtree {
		return "the name and every name below it"
	}
	return "the name alone"
}

// kinds tells the rules that are not about one name.
func (r *Report) kinds() string {
	var out []string
	for _, k := range []struct {
		n    int
		what string
	}{{r.Addresses, "about addresses"}, {r.Patterns, "patterns"}, {r.Clients, "about who asks"}, {r.Rewrites, "with an answer of their own"}, {r.Limited, "for some questions only"}} {
		if k.n > 0 {
			out = append(out, fmt.Sprintf("%d %s", k.n, k.what))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "; among them " + strings.Join(out, ", ")
}

// Tell tells groups of lines: how many in all, then each reason with examples.
func Tell(what string, groups []Group) []string {
	total := 0
	for _, g := range groups {
		total += g.Count
	}
	if total == 0 {
		return nil
	}
	out := []string{fmt.Sprintf("%d %s:", total, what)}
	for _, g := range groups {
		var examples []string
		for _, e := range g.Examples {
			examples = append(examples, fmt.Sprintf("line %d, %s", e.Line, quote(e.Text)))
		}
		out = append(out, fmt.Sprintf("  %d %s: %s", g.Count, g.Reason, strings.Join(examples, "; ")))
	}
	return out
}

// quote makes a line of a list safe to print, and short.
func quote(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strings.Trim(strconv.Quote(s), `"`)
}
