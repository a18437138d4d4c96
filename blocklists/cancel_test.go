package blocklists

import "testing"

// TestTakeBack: $badfilter is about all lists, as far as they stand no higher.
func TestTakeBack(t *testing.T) {
	adblock := func(name, text string, own bool) *List {
		return parsed(t, Source{Name: name, Format: Adblock, Own: own}, text)
	}
	a := adblock("a", "||x.example^\n||y.example^$important\n||z.example^\n", false)
	b := adblock("b", "||x.example^$badfilter\n||y.example^$badfilter\n||w.example^\n||mine.example^$badfilter\n", false)
	mine := adblock("mine", "||mine.example^\n||w.example^$badfilter\n", true)
	for _, lists := range [][]*List{{a, b, mine}, {mine, b, a}, {b, a, mine}} {
		s := Compile(lists...)
		for name, want := range map[string]string{"x.example": "", "y.example": "a", "z.example": "a", "w.example": "", "mine.example": "mine"} {
			if r, _ := s.Match(name, Selection{}); r.List != want {
				t.Errorf("%s: stopped by %q, want %q", name, r.List, want)
			}
		}
	}
	if a.Len() != 3 {
		t.Error("the list itself was changed")
	}
	for _, i := range Compile(a, b).Lists() {
		if want := map[string]int{"a": 2, "b": 1}[i.Name]; i.Rules != want {
			t.Errorf("%s: %d rules, want %d", i.Name, i.Rules, want)
		}
	}
}
