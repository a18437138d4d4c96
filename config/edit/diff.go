package edit

import (
	"fmt"
	"strings"
)

// Diff writes what changed from one text to another, as lines that begin with
// -, + or a blank, in groups that begin with @@ (the unified format, without its
// head). It is empty when nothing changed.
func Diff(old, new []byte) string {
	a, b := diffLines(old), diffLines(new)
	var out strings.Builder
	for _, h := range hunks(changes(a, b)) {
		h.write(&out, a, b)
	}
	return out.String()
}

const (
	around    = 3       // lines shown around a change
	maxMatrix = 4 << 20 // cells of the comparison; beyond, the middle counts as replaced
)

func diffLines(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	lines := strings.SplitAfter(string(text), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// change replaces the lines a..aEnd of the old text by b..bEnd of the new one.
type change struct{ a, aEnd, b, bEnd int }

// changes finds a shortest way from a to b: the longest common subsequence of
// what lies between the first and the last difference.
func changes(a, b []string) []change {
	lo := 0
	for lo < len(a) && lo < len(b) && a[lo] == b[lo] {
		lo++
	}
	aEnd, bEnd := len(a), len(b)
	for aEnd > lo && bEnd > lo && a[aEnd-1] == b[bEnd-1] {
		aEnd, bEnd = aEnd-1, bEnd-1
	}
	if lo == aEnd && lo == bEnd {
		return nil
	}
	n, m := aEnd-lo, bEnd-lo
	if n*m > maxMatrix {
		return []change{{lo, aEnd, lo, bEnd}}
	}
	common := make([]int32, (n+1)*(m+1)) // of the rests that begin at i and j
	at := func(i, j int) *int32 { return &common[i*(m+1)+j] }
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if a[lo+i] == b[lo+j] {
				*at(i, j) = *at(i+1, j+1) + 1
			} else {
				*at(i, j) = max(*at(i+1, j), *at(i, j+1))
			}
		}
	}
	var out []change
	for i, j := 0, 0; i < n || j < m; {
		if i < n && j < m && a[lo+i] == b[lo+j] {
			i, j = i+1, j+1
			continue
		}
		c := change{a: lo + i, b: lo + j}
		for (i < n || j < m) && !(i < n && j < m && a[lo+i] == b[lo+j]) {
			if j == m || i < n && *at(i+1, j) >= *at(i, j+1) {
				i++
			} else {
				j++
			}
		}
		c.aEnd, c.bEnd = lo+i, lo+j
		out = append(out, c)
	}
	return out
}

// hunk is changes that are shown together.
type hunk []change

func hunks(all []change) (out []hunk) {
	for _, c := range all {
		if n := len(out); n > 0 {
			if last := out[n-1][len(out[n-1])-1]; c.a-last.aEnd <= 2*around {
				out[n-1] = append(out[n-1], c)
				continue
			}
		}
		out = append(out, hunk{c})
	}
	return out
}

func (h hunk) write(out *strings.Builder, a, b []string) {
	first, last := h[0], h[len(h)-1]
	before, after := min(around, first.a), min(around, len(a)-last.aEnd)
	span := func(from, to int) string {
		if from == to {
			return fmt.Sprintf("%d,0", from)
		}
		return fmt.Sprintf("%d,%d", from+1, to-from)
	}
	fmt.Fprintf(out, "@@ -%s +%s @@\n", span(first.a-before, last.aEnd+after), span(first.b-before, last.bEnd+after))
	at := first.a - before
	show := func(sign string, lines []string) {
		for _, l := range lines {
			body, ended := strings.CutSuffix(l, "\n")
			out.WriteString(sign + strings.TrimSuffix(body, "\r") + "\n")
			if !ended {
				out.WriteString("\\ no line end at the end of the file\n")
			}
		}
	}
	for _, c := range h {
		show(" ", a[at:c.a])
		show("-", a[c.a:c.aEnd])
		show("+", b[c.b:c.bEnd])
		at = c.aEnd
	}
	show(" ", a[at:last.aEnd+after])
}
