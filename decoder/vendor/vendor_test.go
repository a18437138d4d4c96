package vendor

import (
	"strings"
	"testing"

	"nightlatch/decoder/codec"
	"nightlatch/decoder/walk"
)

func TestBuiltin(t *testing.T) {
	s, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	if len(s.vendors) < 30 {
		t.Errorf("%d descriptions", len(s.vendors))
	}
	for _, v := range s.vendors {
		if v.Source == "" {
			t.Errorf("%s: where do its facts come from?", v.Name)
		}
	}
}

// TestBad holds that a broken description is refused with a line that says
// what is wrong.
func TestBad(t *testing.T) {
	for text, want := range map[string]string{
		"- hosts: [a]":                                             "needs a name",
		"- {name: a, hosts: [b], colour: red}":                     "colour",
		"- {name: a, hosts: [b], open: [{key: hex:00}]}":           "needs data",
		"- {name: a, hosts: [b], open: [{data: body | melt}]}":     `no step "melt"`,
		"- {name: a, hosts: [b], open: [{data: 'body | skip(4'}]}": "missing",
		"- {name: a, hosts: [b], open: [{data: 'body | '}]}":       "empty step",
		"a: b": "own.yaml",
		"- {name: a, hosts: [b], open: [{data: '" + strings.Repeat("body|", 20) + "hex'}]}": "more than",
	} {
		if _, err := (&Set{}).With("own.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"a.b", "a.b", true}, {"*.b", "a.b", true}, {"*.b", "ab", false}, {"a.*.c", "a.x.y.c", true}, {"a.*.c", "a.c", false}, {"/sa*", "/sa.gif", true}, {"*", "", true},
	} {
		if glob(c.pattern, c.s) != c.want {
			t.Errorf("%s against %s is not %v", c.pattern, c.s, c.want)
		}
	}
}

func TestPlaces(t *testing.T) {
	v := []*Vendor{{Fields: []Field{{At: "protobuf:1.19", Kind: "gaid"}, {At: "list/*/bs", Kind: "bssid"}, {At: "json:/5", Kind: "model"}}}}
	for at, want := range map[string]string{
		"body/gzip/protobuf:1.19": "gaid", "body/protobuf:1[3].19": "gaid", "body/protobuf:1.190": "", "body/json:/list/7/bs": "bssid", "body/form:x/json:/5": "model", "x": "",
	} {
		if got := Kind(v, at); got != want {
			t.Errorf("%s: %q, want %q", at, got, want)
		}
	}
}

// TestRecipes runs pipelines, good and impossible ones.
func TestRecipes(t *testing.T) {
	src := func(name string) ([]byte, *walk.Step, bool) {
		v, ok := map[string]string{"form:a": "68656c6c6f", "query:t": "1588512345", "body": "abcdef"}[name]
		return []byte(v), &walk.Step{Codec: "body", Index: -1}, ok
	}
	for data, want := range map[string]string{
		"form:a | hex":                                 "hello",
		"form:a | hex | slice(1, 3)":                   "el",
		"form:a | hex | slice(1, 30)":                  "",
		"query:t | mod(100000000) | bitxor(0x1001111)": "71730760",
		"query:t | bitand(255) | byte":                 "Y",
		"query:t | mod(0)":                             "",
		"body | after(b) | before(e)":                  "cd",
		"body | before(z)":                             "",
		"body | skip(4)":                               "ef",
		"body | skip(40)":                              "",
		"body | skip(-1)":                              "",
		"body | upper | unhex":                         "414243444546",
		"body | aes_cbc(text:short, text:short)":       "",
		"missing | hex":                                "",
		"body | des_ecb(hex:00)":                       "",
		"body | rc4(hex:)":                             "",
		"body | base64(too short an alphabet)":         "",
		"text:eA== | base64 | xor(hex:20)":             "X",
	} {
		r := Recipe{Data: data}
		if err := r.check(); err != nil {
			t.Errorf("%s: %v", data, err)
		}
		out, _, ok := r.Run(src, codec.NewBudget(), nil)
		if !ok {
			out = nil
		}
		if string(out) != want {
			t.Errorf("%s: %q, want %q", data, out, want)
		}
	}
}

// FuzzRecipe runs any recipe over any text.
func FuzzRecipe(f *testing.F) {
	f.Add("body | hex | aes_cbc(key, iv)", "00")
	f.Add("body | slice(1,2) | mod(3)", "abc")
	f.Fuzz(func(t *testing.T, data, body string) {
		src := func(string) ([]byte, *walk.Step, bool) { return []byte(body), nil, body != "" }
		r := Recipe{Data: data, Key: "text:0123456789abcdef"}
		if r.check() == nil && r.Applies(src) {
			r.Run(src, &codec.Budget{Inflate: 1 << 16, Work: 1 << 22}, nil)
		}
	})
}
