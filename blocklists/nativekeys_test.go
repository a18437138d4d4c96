package blocklists

import (
	"cmp"
	"encoding/json"
	"fmt"
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

// TestSchemaKeys feeds every key that the schema has to the reader, with every
// word it may have and with one it may not.
func TestSchemaKeys(t *testing.T) {
	type node struct {
		Ref        string `json:"$ref"`
		Enum       []string
		Properties map[string]node
		Defs       map[string]node `json:"$defs"`
	}
	var schema node
	if err := json.Unmarshal([]byte(NativeSchema()), &schema); err != nil {
		t.Fatal(err)
	}
	samples := map[string][]string{ // of keys whose words the schema does not list
		"name": {"x", "~"}, "owner": {"x"}, "about": {"x"}, "group": {"x"}, "category": {"ads"}, "why": {"x"}, "breaks": {"x"}, "source": {"x"},
		"answer": {"nxdomain", "null", "nodata", "refused", "192.0.2.1", "'2001:db8::1,192.0.2.1'", "[192.0.2.1, '2001:db8::1']"},
		"types":  {"A", "[A, TYPE65]"}, "devices": {"redmi", "[redmi, 10.0.0.1]"}, "until": {"2030-12-31", "'2030-12-31T18:00:00Z'"},
		"decode": {"{param: p}", "{encodings: gzip}", "{param: p, encodings: [base64, gzip]}"}, "domain": {"b.example", "'*.b.example'", "192.0.2.1"},
		"rules": {"[a.example]", "[{domain: a.example}]", "[]", "~"}, "allow": {"[a.example]", "~"}, "include": {"~", "[]"},
	}
	wrong := map[string]string{"name": "[x]", "domain": "[a]", "rules": "x", "allow": "x", "include": "[a.txt]", "until": "soon", "types": "[]", "devices": "[]", "decode": "{}", "answer": "[]"}
	read := func(text string) error {
		_, err := Parse(Source{Name: "l", Format: Native}, strings.NewReader(text))
		return err
	}
	shapes := map[string]string{"": "%s: %s\n", "rule": "rules:\n  - domain: a.example\n    %s: %s\n", "group": "rules:\n  - rules: [a.example]\n    %s: %s\n"}
	for what, shape := range shapes {
		of := schema
		if what != "" {
			of = schema.Defs[what]
		}
		for key, p := range of.Properties {
			if def := schema.Defs[strings.TrimPrefix(p.Ref, "#/$defs/")]; len(def.Enum) > 0 {
				p.Enum = def.Enum
			}
			values := append(append([]string(nil), p.Enum...), samples[key]...)
			if len(values) == 0 {
				t.Errorf("%s %s: a key without a sample here", what, key)
			}
			for _, v := range values {
				text := fmt.Sprintf(shape, key, v)
				if key == "match" && (v == "wildcard" || v == "regex") {
					text = strings.Replace(text, "a.example", "a*b.example", 1)
				}
				text = strings.Replace(text, "- domain: a.example\n    domain", "- domain", 1)
				text = strings.Replace(text, "- rules: [a.example]\n    rules", "- rules", 1)
				if err := read(text); err != nil {
					t.Errorf("%q: %v", text, err)
				}
			}
			bad := cmp.Or(wrong[key], map[bool]string{true: "florb"}[len(p.Enum) > 0], "[x]")
			if err := read(strings.Replace(fmt.Sprintf(shape, key, bad), "- rules: [a.example]\n    rules", "- rules", 1)); err == nil {
				t.Errorf("%s %s: %s is taken", what, key, bad)
			}
		}
	}
}
