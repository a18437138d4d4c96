package blocklists

import (
	"slices"
	"strings"
	"testing"
)

func TestCrossings(t *testing.T) {
	guard := NewGuard(parseText(t, Source{Name: neverBlock, Format: Native}, `
allow:
  - =time.example.com
  - =find.cloud.example
  - zone.example
  - =a.b.deep.example
  - 192.0.2.1
`))
	for text, want := range map[string]string{
		"rules: [other.example, =example.com, sub.time.example.com]": "",
		"rules: [time.example.com]":                                  "time.example.com",
		"rules: [=time.example.com]":                                 "=time.example.com",
		"rules: [example.com]":                                       "example.com",
		"rules: [com]":                                               "com",
		"rules: [\"*.example.com\"]":                                 "*.example.com",
		"rules: [\"*.time.example.com\"]":                            "",
		"rules: [cloud.example]\nallow: [=find.cloud.example]":       "",
		"rules: [cloud.example]\nallow: [find.cloud.example]":        "",
		"rules: [cloud.example, =find.cloud.example]":                "=find.cloud.example",
		"rules: [deep.example]\nallow: [b.deep.example]":             "",
		"rules: [zone.example]":                                      "zone.example",
		"rules: [=x.zone.example]":                                   "=x.zone.example",
		"rules: [x.zone.example]\nallow: [zone.example]":             "x.zone.example",
		"rules: [x.zone.example]\nallow: [x.zone.example]":           "",
		"rules: [\"*.zone.example\"]":                                "*.zone.example",
		"rules: [example]\nallow: [zone.example]":                    "example", // find.cloud.example is not allowed
		"rules: [192.0.2.0/24]":                                      "192.0.2.0/24",
	} {
		var got []string
		for _, c := range guard.Crossings(parseText(t, Source{Name: "x", Format: Native}, text)) {
			if c.Name.List != neverBlock || !c.Name.Allow {
				t.Errorf("%q: crosses %+v", text, c.Name)
			}
			got = append(got, c.Rule.Text)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%q: crossings %q, want %q", text, got, want)
		}
	}
}

// TestCrossingsOfOthers: an imported list is held against the guard too.
func TestCrossingsOfOthers(t *testing.T) {
	guard, err := NeverBlock()
	if err != nil {
		t.Fatal(err)
	}
	l := parseText(t, Source{Name: "rough"}, "||connectivitycheck.gstatic.com^\n||time.android.com^\n||doubleclick.net^\n||gvt1.com^\n@@||gvt1.com^\n")
	var got []int
	for _, c := range guard.Crossings(l) {
		got = append(got, c.Rule.Line)
	}
	slices.Sort(got)
	if !slices.Equal(got, []int{1, 2}) {
		t.Errorf("lines %v, want 1 and 2", got)
	}
}

func TestProtects(t *testing.T) {
	guard, err := NeverBlock()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"push.apple.com": true, "1-courier.push.apple.com": true, "CAPTIVE.apple.com.": true,
		"find.api.micloud.xiaomi.net": true, "x.captive.apple.com": false, "sa.api.intl.miui.com": false, "apple.com": false,
	} {
		if got := guard.Protects(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
