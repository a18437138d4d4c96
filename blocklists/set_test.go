package blocklists

import (
	"net/netip"
	"strings"
	"testing"
)

// parseText is Parse of a text that must be a list.
func parseText(t testing.TB, src Source, text string) *List {
	t.Helper()
	l, err := Parse(src, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// said is what a set says about a name, in a form a table can hold.
func said(r Rule, ok bool) string {
	switch {
	case !ok:
		return "pass"
	case r.Allow:
		return "allow " + r.List + " " + r.Text
	}
	return "block " + r.List + " " + r.Text
}

func TestMatch(t *testing.T) {
	lists := []*List{
		parseText(t, Source{Name: "vendor", Format: Native}, `
rules:
  - miui.com
  - =exact.example
  - "*.below.example"
  - 192.0.2.1
  - 198.51.100.0/24
  - 2001:db8::/32
  - bücher.example
allow:
  - find.miui.com
  - =both.example
  - 198.51.100.7
`),
		parseText(t, Source{Name: "more", Format: Native}, "rules: [both.example, find.miui.com, =deep.find.miui.com, imp.example]"),
		parseText(t, Source{Name: "web", Format: Adblock}, `
||ads.example^
@@||ok.ads.example^
||deep.ok.ads.example^
@@||imp.example^
||imp2.example^$important
@@||imp2.example^
||imp3.example^$important
@@||imp3.example^$important
`),
	}
	own := parseText(t, Source{Name: "mine", Format: Native, Own: true}, "rules: [pass.ads.example, imp3.example]\nallow: [deep.ads.example, find.miui.com]")
	s, mine := Compile(lists...), Compile(append(lists, own)...)
	for _, c := range []struct {
		set        *Set
		name, want string
	}{
		{s, "miui.com", "block vendor miui.com"},
		{s, "A.B.MiUi.Com.", "block vendor miui.com"},
		{s, "xmiui.com", "pass"},
		{s, "com", "pass"},
		{s, "", "pass"},
		{s, ".", "pass"},
		{s, "*.miui.com", "block vendor miui.com"},
		{s, "exact.example", "block vendor =exact.example"},
		{s, "www.exact.example", "pass"},
		{s, "below.example", "pass"},
		{s, "a.below.example", "block vendor *.below.example"},
		{s, "xn--bcher-kva.example", "block vendor bücher.example"},
		{s, "Bücher.example", "block vendor bücher.example"},
		{s, "find.miui.com", "allow vendor find.miui.com"},
		{s, "x.find.miui.com", "allow vendor find.miui.com"},
		{s, "deep.find.miui.com", "block more =deep.find.miui.com"},
		{s, "both.example", "allow vendor =both.example"},
		{s, "x.both.example", "block more both.example"},
		{s, "ads.example", "block web ||ads.example^"},
		{s, "deep.ok.ads.example", "allow web @@||ok.ads.example^"},
		{s, "imp.example", "allow web @@||imp.example^"},
		{s, "imp2.example", "block web ||imp2.example^$important"},
		{s, "imp3.example", "allow web @@||imp3.example^$important"},
		{mine, "imp3.example", "block mine imp3.example"},
		{mine, "deep.ads.example", "allow mine deep.ads.example"},
		{mine, "pass.ads.example", "block mine pass.ads.example"},
		{mine, "deep.find.miui.com", "allow mine find.miui.com"},
		{mine, strings.Repeat("a.", 126) + "aa", "pass"},
		{mine, strings.Repeat("a.", 127) + "miui.com", "pass"}, // over 255 octets: no name
	} {
		if got := said(c.set.Match(c.name, Selection{})); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	for addr, want := range map[string]string{
		"192.0.2.1":           "block vendor 192.0.2.1",
		"192.0.2.2":           "pass",
		"198.51.100.1":        "block vendor 198.51.100.0/24",
		"::ffff:198.51.100.1": "block vendor 198.51.100.0/24",
		"198.51.100.7":        "allow vendor 198.51.100.7",
		"2001:db8:1::1":       "block vendor 2001:db8::/32",
		"2001:db8::1%eth0":    "block vendor 2001:db8::/32",
		"2001:db9::1":         "pass",
	} {
		if got := said(s.MatchAddr(netip.MustParseAddr(addr), Selection{})); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	if got := said(s.MatchAddr(netip.Addr{}, Selection{})); got != "pass" {
		t.Errorf("no address: %s", got)
	}
}

func TestSelect(t *testing.T) {
	a := parseText(t, Source{Name: "alpha", Format: Domains}, "one.example")
	b := parseText(t, Source{Name: "beta", Format: Domains}, "one.example\ntwo.example")
	s := Compile(a, b)
	for _, c := range []struct{ lists, name, want string }{
		{"", "one.example", "block alpha one.example"},
		{"beta", "one.example", "block beta one.example"},
		{"alpha", "two.example", "pass"},
		{"beta,alpha", "two.example", "block beta two.example"},
	} {
		var names []string
		if c.lists != "" {
			names = strings.Split(c.lists, ",")
		}
		in, err := s.Select(names...)
		if err != nil {
			t.Fatal(err)
		}
		if got := said(s.Match(c.name, in)); got != c.want {
			t.Errorf("%s in %q: %s, want %s", c.name, c.lists, got, c.want)
		}
	}
	if got := said(s.Match("one.example", s.SelectNone())); got != "pass" {
		t.Errorf("no list: %s", got)
	}
	_, err := s.Select("alpha", "betta")
	if want := `blocklists: no list is called "betta"; did you mean "beta"?`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if info := s.Lists(); len(info) != 2 || info[1].Rules != 2 || s.Len() != 3 {
		t.Errorf("lists %+v, len %d", info, s.Len())
	}
}

func TestDuplicates(t *testing.T) {
	l := parseText(t, Source{Name: "a", Format: Adblock}, "||x.example^\n||X.example^\nx.example\n@@||x.example^\n||1.2.3.4^\n1.2.3.4\n")
	info := Compile(l).Lists()[0]
	if info.Rules != 4 || info.Duplicates != 2 {
		t.Errorf("%d rules, %d duplicates", info.Rules, info.Duplicates)
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	s := Compile(parseText(t, Source{Name: "a", Format: Adblock}, "||x.example^\n||1.2.3.0^\n@@||ok.x.example^\n"))
	in, err := s.Select("a")
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddr("1.2.3.0")
	n := testing.AllocsPerRun(100, func() {
		s.Match("a.B.x.example.", in)
		s.Match("ok.x.example", in)
		s.Match("www.somewhere.else.test", in)
		s.MatchAddr(addr, in)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
