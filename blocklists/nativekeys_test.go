package blocklists

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func nativeRules(t *testing.T, src Source, text string) []Rule {
	t.Helper()
	src.Format = Native
	l, err := Parse(src, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(l.Rules())
}

// TestNativeAnswer: the rule's own answer, else its group's, else the list's,
// else the source's.
func TestNativeAnswer(t *testing.T) {
	const text = `
rules:
  - a.example
  - {domain: b.example, answer: nodata}
  - answer: 192.0.2.1
    rules:
      - c.example
      - {domain: d.example, answer: ["192.0.2.2", "2001:db8::2"]}
      - {domain: e.example, answer: refused}
  - {domain: g.example, answer: null}
  - {domain: h.example, answer: "null"}
allow: [f.example]
`
	want := []string{"default", "nodata", "192.0.2.1", "192.0.2.2,2001:db8::2", "refused", "null", "null", "default"}
	check := func(src Source, text string, want []string) {
		t.Helper()
		var got []string
		for _, r := range nativeRules(t, src, text) {
			got = append(got, r.Reply.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	check(Source{}, text, want)
	want[0] = "null"
	check(Source{Reply: Reply{Kind: ReplyNull}}, text, want)
	want[0] = "nxdomain"
	check(Source{Reply: Reply{Kind: ReplyNull}}, "answer: nxdomain\n"+text, want)
}

func TestNativeExtras(t *testing.T) {
	rules := nativeRules(t, Source{}, `
action: observe
rules:
  - a.example
  - decode: {param: data_list, encodings: [base64, gzip]}
    devices: [redmi, 10.0.0.5]
    rules: [b.example, {domain: c.example, action: deny, devices: tv}]
  - {domain: www.d.example, match: exact, answer: "cname:Safe.D.example."}
allow: [e.example]
`)
	if rules[0].Action != ActionObserve || rules[1].Action != ActionObserve || rules[2].Action != ActionDeny || rules[4].Action != ActionDefault {
		t.Errorf("actions: %+v", rules)
	}
	if d := rules[1].Decode; d == nil || d != rules[2].Decode || d.Param != "data_list" || !slices.Equal(d.Encodings, []string{"base64", "gzip"}) {
		t.Errorf("decode: %+v", d)
	}
	if w := rules[3].Rewrite; w == nil || w.CNAME != "safe.d.example" {
		t.Errorf("cname: %+v", w)
	}
}

// TestNativeDevices: a rule for certain devices holds for no other, and for
// nobody who is not known.
func TestNativeDevices(t *testing.T) {
	l, err := Parse(Source{Name: "l", Format: Native}, strings.NewReader("rules: [{domain: a.example, devices: [redmi, 10.0.0.5]}]"))
	if err != nil {
		t.Fatal(err)
	}
	s := Compile(l)
	for _, c := range []struct {
		q    Query
		want bool
	}{
		{Query{}, false},
		{Query{Client: "redmi"}, true},
		{Query{Client: "Redmi"}, false},
		{Query{Client: "tv"}, false},
		{Query{Addr: netip.MustParseAddr("10.0.0.5")}, true},
		{Query{Client: "tv", Addr: netip.MustParseAddr("10.0.0.6")}, false},
	} {
		c.q.Name = "x.a.example"
		if _, ok := s.Ask(c.q, Selection{}); ok != c.want {
			t.Errorf("%+v: %v", c.q, ok)
		}
	}
}

// TestNativeRisk: what is known to break something waits for the owner's word,
// in every list but the owner's own.
func TestNativeRisk(t *testing.T) {
	const text = "rules: [{domain: a.example, risk: may-break}, {domain: b.example, risk: safe}]\nallow: [{domain: c.example, risk: may-break}]"
	for _, c := range []struct {
		src  Source
		want int
	}{{Source{}, 2}, {Source{MayBreak: true}, 3}, {Source{Own: true}, 3}, {Source{Overlay: true}, 3}} {
		if got := nativeRules(t, c.src, text); len(got) != c.want {
			t.Errorf("%+v: %d rules, want %d", c.src, len(got), c.want)
		}
	}
	l, err := Parse(Source{Format: Native}, strings.NewReader(text))
	if err != nil || len(l.Report.Ignored) != 1 || l.Report.Ignored[0].Examples[0].Text != "a.example" {
		t.Errorf("%+v, %v", l.Report.Ignored, err)
	}
}

// TestOverlay: the overlay stands above the owner's files, and these above all
// others, whatever the order they are given in.
func TestOverlay(t *testing.T) {
	lists := []*List{
		parsed(t, Source{Name: "overlay", Format: Native, Overlay: true}, "allow: [a.example, b.example]"),
		parsed(t, Source{Name: "own", Format: Native, Own: true}, "rules: [x.b.example, c.example]\nallow: [d.example]"),
		parsed(t, Source{Name: "other", Format: Adblock}, "||x.a.example^$important\n||a.example^$dnsrewrite=192.0.2.1\n@@||c.example^$important\n||d.example^$important"),
	}
	for range lists {
		s := Compile(lists...)
		for name, want := range map[string]string{"x.a.example": "overlay", "x.b.example": "overlay", "c.example": "own", "d.example": "own"} {
			if r, ok := s.Ask(Query{Name: name, Type: 1}, Selection{}); !ok || r.List != want {
				t.Errorf("%s: %+v, want %s", name, r, want)
			}
		}
		lists = append(lists[1:], lists[0])
	}
}

func parsed(t *testing.T, src Source, text string) *List {
	t.Helper()
	l, err := Parse(src, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestParseReply(t *testing.T) {
	for text, want := range map[string]string{
		"nxdomain": "", "null": "", "nodata": "", "refused": "", "192.0.2.1": "", "2001:db8::1": "", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8::1, 192.0.2.1": "192.0.2.1,2001:db8::1",
		"default":                "!", "NXDOMAIN": "!", "": "!", "192.0.2.1,192.0.2.2": "!", "null,192.0.2.1": "!", "fe80::1%eth0": "!", "224.0.0.1": "!", "192.0.2.1,": "!",
	} {
		r, err := ParseReply(text)
		if want == "" {
			want = text
		}
		if want == "!" != (err != nil) || err == nil && r.String() != want {
			t.Errorf("%q: %v, %v", text, r, err)
		}
		if again, err2 := ParseReply(r.String()); err == nil && (err2 != nil || again != r) {
			t.Errorf("%q: %v, %v", r, again, err2)
		}
	}
}
