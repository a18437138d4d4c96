package blocklists

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestNative(t *testing.T) {
	l := parseText(t, Source{Name: "xiaomi", Own: true}, `name: Xiaomi telemetry
owner: Xiaomi
about: Analytics of MIUI.
action: sink
rules:
  - tracking.miui.com           # the name and everything below it
  - =sa.api.intl.miui.com
  - domain: Data.Mistat.intl.xiaomi.com.
    category: analytics
    why: usage events
    breaks: nothing known
    source: a-list#299
    action: deny
  - {domain: exact.example, match: exact}
  - 198.51.100.7/24
allow:
  - find.api.micloud.xiaomi.net
`)
	want := []Rule{
		{List: "xiaomi", Line: 6, Text: "tracking.miui.com", Domain: "tracking.miui.com", Action: ActionSink},
		{List: "xiaomi", Line: 7, Text: "=sa.api.intl.miui.com", Domain: "sa.api.intl.miui.com", Match: Exact, Action: ActionSink},
		{List: "xiaomi", Line: 8, Text: "Data.Mistat.intl.xiaomi.com.", Domain: "data.mistat.intl.xiaomi.com", Action: ActionDeny,
			Category: "analytics", Why: "usage events", Breaks: "nothing known", Source: "a-list#299"},
		{List: "xiaomi", Line: 14, Text: "exact.example", Domain: "exact.example", Match: Exact, Action: ActionSink},
		{List: "xiaomi", Line: 15, Text: "198.51.100.7/24", Match: Address, Action: ActionSink},
		{List: "xiaomi", Line: 17, Text: "find.api.micloud.xiaomi.net", Domain: "find.api.micloud.xiaomi.net", Allow: true},
	}
	got := slices.Collect(l.Rules())
	if len(got) != len(want) {
		t.Fatalf("%d rules, want %d", len(got), len(want))
	}
	for i, w := range want {
		if w.Match == Address {
			w.Prefix = got[i].Prefix
			if w.Prefix.String() != "198.51.100.0/24" {
				t.Errorf("prefix %s", w.Prefix)
			}
		}
		if got[i] != w {
			t.Errorf("got  %+v\nwant %+v", got[i], w)
		}
	}
	if l.Title != "Xiaomi telemetry" || l.Owner != "Xiaomi" || l.About != "Analytics of MIUI." || !l.Own {
		t.Errorf("%q %q %q %v", l.Title, l.Owner, l.About, l.Own)
	}
	if r := l.Report; r.Format != Native || !r.Detected || r.Lines != 17 || r.Blocks != 5 || r.Allows != 1 || r.Addresses != 1 {
		t.Errorf("report %+v", r)
	}
}

// TestNativeErrors: each slip gives its place and what to do about it.
func TestNativeErrors(t *testing.T) {
	for text, want := range map[string]string{
		"rulez: [a.b]": `mine.yaml:1:1: unknown key "rulez"; did you mean "rules"?`,
		"rules:\n  - domain: a.b\n    catgory: ads":                `mine.yaml:3:5: unknown key "catgory"; did you mean "category"?`,
		"rules:\n  - domain: a.b\n    colour: red":                 `mine.yaml:3:5: unknown key "colour"; known are domain, match, action, answer, types, devices, until, decode, risk, category, why, breaks, source, confidence`,
		"rules:\n  - why: x":                                       `mine.yaml:2:5: a rule without domain:`,
		"rules: a.b":                                               `mine.yaml:1:8: rules must be a sequence: one "- name" a line`,
		"rules:\n  - a b":                                          `mine.yaml:2:5: "a b" is not a domain name: the character ' '; one name an entry`,
		"rules:\n  - https://a.b/c":                                `mine.yaml:2:5: "https://a.b/c" is not a domain name: the character ':'; take the name out of the address`,
		"rules:\n  - \"||a.b^\"":                                   `mine.yaml:2:5: "||a.b^" is not a domain name: the character '|'; a native list takes the bare name, and exceptions under allow:`,
		"rules:\n  - a.*.b":                                        `mine.yaml:2:5: "a.*.b" is not a domain name: the character '*'; for a * elsewhere than in "*.example.com" say match: wildcard`,
		"rules:\n  - a..b":                                         `mine.yaml:2:5: "a..b" is not a domain name: an empty label`,
		"rules:\n  - .":                                            `mine.yaml:2:5: "." is not a domain name`,
		"rules:\n  -":                                              `mine.yaml:2:4: an empty rule`,
		"rules:\n  - [a.b]":                                        `mine.yaml:2:5: a rule is a name, a mapping with domain:, or a group with rules:`,
		"rules: [a.b]\nrules: [c.d]":                               `mine.yaml:2:1: "rules" stands twice, first at line 1`,
		"rules:\n  - {domain: a.b, domain: c.d}":                   `mine.yaml:2:19: "domain" stands twice, first at line 2`,
		"action: sinc\nrules: [a.b]":                               `mine.yaml:1:9: action must be deny, sink, drop or observe, not "sinc"; did you mean "sink"?`,
		"rules:\n  - {domain: a.b, match: exakt}":                  `mine.yaml:2:26: match must be subtree, exact, below, wildcard or regex, not "exakt"; did you mean "exact"?`,
		"rules:\n  - {domain: =a.b, match: subtree}":               `mine.yaml:2:14: "=a.b" already says how much it covers, and match: says otherwise`,
		"rules:\n  - {domain: 192.0.2.1, match: exact}":            `mine.yaml:2:14: an address has no match:`,
		"allow:\n  - {domain: a.b, action: deny}":                  `mine.yaml:2:19: an entry of allow has no action`,
		"name: [x]":                                                `mine.yaml:1:7: name must be a text`,
		"- a.b":                                                    `mine.yaml:1:1: the list must be a mapping with keys like "name:"`,
		"rules:\n  - *.a.b":                                        `mine.yaml:2:5: broken YAML: did not find expected alphabetic or numeric character; put what begins with * in quotes`,
		"rules:\n\t- a.b":                                          `mine.yaml:2:1: broken YAML: found character that cannot start any token; indent with blanks, not with a tab`,
		"rules: &x [a.b]\nallow: *x":                               `mine.yaml:2:8: a YAML alias; lists do not use them`,
		"rules:\n  - &x a.b\n  - *x":                               `mine.yaml:3:5: a YAML alias; write the name, and in quotes if it begins with *`,
		"rules: [a.b]\n---\nrules: [c.d]":                          `mine.yaml:2:1: a second document: a list is one YAML document`,
		"rules: [a.b":                                              `mine.yaml:1: broken YAML: did not find expected ',' or ']'`,
		"rules:\n  - {domain: ads.b, match: wildcard}":             `mine.yaml:2:14: "ads.b": no wildcard: only the characters of names and * are used`,
		"rules:\n  - {domain: '*.*', match: wildcard}":             `mine.yaml:2:14: "*.*": names too little besides its wildcards: at least 3 characters`,
		"rules:\n  - {domain: '^a(?=b)', match: regex}":            "mine.yaml:2:14: \"^a(?=b)\": error parsing regexp: invalid or unsupported Perl syntax: `(?=`",
		"rules:\n  - {domain: '.*', match: regex}":                 `mine.yaml:2:14: ".*": matches everything`,
		"rules:\n  - {domain: a.b, types: [A, FLORB]}":             `mine.yaml:2:30: "FLORB" is no DNS type that is known; write a number as TYPE65`,
		"rules:\n  - {types: A, rules: [192.0.2.1]}":               `mine.yaml:2:24: an address has no types:, it is not asked for`,
		"rules:\n  - {domain: a.b, types: []}":                     `mine.yaml:2:26: types must name at least one DNS type, as in [A, HTTPS]`,
		"rules:\n  - {domain: a.b, until: 2026-13-01}":             `mine.yaml:2:26: until must be a day as 2026-12-31 or a moment as 2026-12-31T18:00:00Z, not "2026-13-01"`,
		"rules:\n  - group: x\n    category: ads":                  `mine.yaml:2:5: a group without rules:`,
		"rules:\n  - {domain: a.b, rules: [c.d]}":                  `mine.yaml:2:6: a group has rules:, each with its own domain`,
		"rules:\n  - rules:\n      - {rules: [a.b]}":               `mine.yaml:3:9: a group inside a group`,
		"rules:\n  - rules: [a.b]\n    colour: red":                `mine.yaml:3:5: unknown key "colour"; known are group, match, action, answer, types, devices, until, decode, risk, category, why, breaks, source, confidence, rules`,
		"allow:\n  - {rules: [a.b], action: deny}":                 `mine.yaml:2:20: an entry of allow has no action`,
		"include: more.yaml\nrules: [a.b]":                         `mine.yaml:1:10: include: works only in a list that is a file`,
		"answer: nxdomian\nrules: [a.b]":                           `mine.yaml:1:9: answer: "nxdomian" is no answer: it can be nxdomain, null, nodata, refused, or an address of each family; did you mean "nxdomain"?`,
		"answer: cname:x.y\nrules: [a.b]":                          `mine.yaml:1:9: answer: "cname:x.y" is no answer: it can be nxdomain, null, nodata, refused, or an address of each family`,
		"rules:\n  - {domain: a.b, answer: 'cname:a..b'}":          `mine.yaml:2:14: "a.b" is a rule with an answer that is wrong: cname:"a..b": not a domain name: an empty label`,
		"rules:\n  - {domain: a.b, answer: []}":                    `mine.yaml:2:27: answer has no entry`,
		"allow:\n  - {domain: a.b, answer: null}":                  `mine.yaml:2:19: an entry of allow is answered truthfully: it has no answer:`,
		"rules:\n  - {domain: a.b, decode: {encodings: [base46]}}": `mine.yaml:2:40: an encoding must be base64, brotli, deflate, form, gzip, hex, json, lz4, msgpack, protobuf, snappy, url, zlib or zstd, not "base46"; did you mean "base64"?`,
		"rules:\n  - {domain: a.b, decode: {}}":                    `mine.yaml:2:27: decode says neither param: nor encodings:`,
		"rules:\n  - {domain: a.b, devices: []}":                   `mine.yaml:2:28: devices must name at least one device, as in [redmi]`,
		"rules:\n  - {domain: a.b, risk: maybreak}":                `mine.yaml:2:25: risk must be safe or may-break, not "maybreak"; did you mean "may-break"?`,
		"<<: {rules: [a.b]}":                                       `mine.yaml:1:1: the list has a key that is not a word`,
	} {
		_, err := Parse(Source{Name: "mine.yaml", Format: Native}, strings.NewReader(text))
		if err == nil {
			t.Errorf("%q: no error", text)
			continue
		}
		var at *SyntaxError
		if !errors.As(err, &at) {
			t.Errorf("%q: %T", text, err)
		}
		if got := strings.TrimPrefix(err.Error(), "blocklists: "); got != want {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	}
}

// TestNativeBombs: what YAML can be made to do is refused, and quickly.
func TestNativeBombs(t *testing.T) {
	laughs := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		laughs += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "]\n"
	}
	for name, text := range map[string]string{
		"aliases": laughs,
		"nesting": "rules: " + strings.Repeat("[", 100_000),
		"keys":    strings.Repeat("name: x\n", 200_000),
		"size":    "rules:\n" + strings.Repeat("  - a.example\n", 200_000),
	} {
		if _, err := Parse(Source{Name: name, Format: Native}, strings.NewReader(text)); err == nil {
			t.Errorf("%s: no error", name)
		} else if len(err.Error()) > 300 {
			t.Errorf("%s: %s", name, err)
		}
	}
}

func TestNativeEmpty(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing yet\n", "rules:\n", "rules: []\nallow: []\n", "name: x\nrules:\n  # - later.example\n"} {
		if l := parseText(t, Source{Name: "mine", Format: Native, Own: true}, text); l.Len() != 0 {
			t.Errorf("%q: %d rules", text, l.Len())
		}
	}
}
