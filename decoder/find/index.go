package find

import (
	"bytes"
	"sort"
	"strconv"
	"strings"
)

// Index holds all needles and searches them in one pass. It is immutable.
type Index struct {
	needles []Needle
	machine *automaton
}

// NewIndex builds the index; a nil index finds nothing.
func NewIndex(needles []Needle) *Index {
	if len(needles) == 0 {
		return nil
	}
	sort.Slice(needles, func(i, j int) bool {
		a, b := needles[i], needles[j]
		return a.Kind < b.Kind || a.Kind == b.Kind && (a.Value < b.Value || a.Value == b.Value && a.Text < b.Text)
	})
	texts := make([]string, len(needles))
	for i, n := range needles {
		texts[i] = n.Text
	}
	return &Index{needles: needles, machine: newAutomaton(texts)}
}

// Len gives the number of needles.
func (x *Index) Len() int {
	if x == nil {
		return 0
	}
	return len(x.needles)
}

// Hit is a known value that occurs in a leaf.
type Hit struct {
	Needle   *Needle
	Form     string // the needle's form, made exact by what was observed
	Observed string // as it stands in the leaf
	Whole    bool   // the leaf is nothing else
}

// maxHits bounds the known values reported for one leaf.
const maxHits = 32

// Search gives the known values in p. A needle must stand alone: letters or
// digits that go on beside it make it part of something else, such as half of
// a longer hash. loose forgives one such byte before the needle, which in
// undecoded binary is its length.
func (x *Index) Search(p []byte, loose bool) []Hit {
	if x == nil || len(p) < minKnown {
		return nil
	}
	var hits []Hit
	x.machine.scan(p, func(n int32, end int) bool {
		if h, ok := x.check(&x.needles[n], p, end, loose); ok && !contains(hits, h) {
			hits = append(hits, h)
		}
		return len(hits) < maxHits
	})
	return hits
}

// maxBare bounds what [bare] looks at, minBare what it gives: what is left of a
// version number is shorter.
const (
	maxBare = 128
	minBare = 10
)

// bare gives the hex digits of a text that is nothing else but them and
// separators: a number in groups, a digest with colons. Otherwise nil.
func bare(p []byte) []byte {
	if len(p) > maxBare || len(p) <= minBare {
		return nil
	}
	digits := 0
	for i, c := range p {
		switch {
		case hexDigit(c):
			digits++
		case c == ' ', c == ':', c == '.', c == '-', c == '(', c == ')', c == '+' && i == 0:
		default:
			return nil
		}
	}
	if digits < minBare || digits == len(p) {
		return nil
	}
	out := make([]byte, 0, digits)
	for _, c := range p {
		if hexDigit(c) {
			out = append(out, c)
		}
	}
	return out
}

// SearchBare looks for a known value in groups: the separators of p are left
// out, and the value must be all that remains.
func (x *Index) SearchBare(p []byte) []Hit {
	if x == nil {
		return nil
	}
	plain := bare(p)
	hits := x.Search(plain, false)
	whole := hits[:0]
	for _, h := range hits {
		if h.Whole {
			h.Observed = string(p)
			whole = append(whole, h)
		}
	}
	return whole
}

func contains(hits []Hit, h Hit) bool {
	for _, o := range hits {
		if o.Needle.Kind == h.Needle.Kind && o.Needle.Value == h.Needle.Value {
			return true
		}
	}
	return false
}

// check looks again at a hit of the machine, which folds more than is true.
func (x *Index) check(n *Needle, p []byte, end int, loose bool) (Hit, bool) {
	start := end - len(n.Text)
	form, text := n.Form, n.Text
	if n.Full != "" { // as much of the digest as stands there
		for end < len(p) && end-start < len(n.Full) && same(n, n.Full[end-start:end-start+1], p[end:end+1]) {
			end++
		}
		if text = n.Full[:end-start]; len(text) < len(n.Full) {
			form += "[:" + strconv.Itoa(len(text)) + "]"
		}
	}
	got := p[start:end]
	if !same(n, text, got) {
		return Hit{}, false
	}
	pieces := strings.HasPrefix(n.Form, "base64[")
	if !pieces && (!edge(p, start, loose) || end < len(p) && word(p[end]) && word(p[end-1])) {
		return Hit{}, false
	}
	return Hit{Needle: n, Form: refine(form, n, got), Observed: string(got), Whole: start == 0 && end == len(p)}, true
}

// same compares what the needle says with what stands there.
func same(n *Needle, text string, got []byte) bool {
	if !n.Exact {
		return strings.EqualFold(text, string(got))
	}
	if bytes.ContainsAny(got, "-_") {
		text = strings.NewReplacer("+", "-", "/", "_").Replace(text)
	}
	return text == string(got)
}

// refine names the form as observed: upper-case hex is HEX, the URL alphabet
// is b64url, a value in capitals is upper.
func refine(form string, n *Needle, got []byte) string {
	up := bytes.Equal(got, bytes.ToUpper(got)) && !bytes.Equal(got, bytes.ToLower(got))
	switch {
	case n.Exact && bytes.ContainsAny(got, "-_"):
		return strings.Replace(form, "base64", "b64url", 1)
	case up && strings.Contains(form, ".hex"):
		return strings.Replace(form, ".hex", ".HEX", 1)
	case up && form == "" && string(got) != n.Value:
		return "upper"
	case form == "" && string(got) != n.Value:
		return "lower"
	}
	return form
}

func word(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// edge reports that what begins at start does not continue something.
func edge(p []byte, start int, loose bool) bool {
	if start == 0 || !word(p[start]) || !word(p[start-1]) {
		return true
	}
	return loose && (start == 1 || !word(p[start-2]))
}
