package dashboard

import (
	"encoding/xml"
	"errors"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"nightlatch/blocklists"
	"nightlatch/dashboard/visible"
	"nightlatch/decoder"
	"nightlatch/journal"
	"nightlatch/policy"
)

// xss are strings that have broken pages: out of text, of attributes, of
// addresses, of scripts, styles, comments and templates, and out of the eye.
func xss() []string {
	return []string{
		`<script>alert(1)</script>`, `</script><script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, `"><svg onload=alert(1)>`,
		`'><svg/onload=alert(1)>`, `" onmouseover="alert(1)`, `' onfocus='alert(1)' autofocus='`, "` onclick=alert(1) `", `javascript:alert(1)`,
		`JaVaScRiPt:alert(1)`, `data:text/html,<script>alert(1)</script>`, `vbscript:x`, `//evil.example/`, `https://evil.example/`, `/\evil.example`,
		`</title><script>alert(1)</script>`, `</textarea><script>alert(1)</script>`, `</style><script>alert(1)</script>`, `--><script>alert(1)</script><!--`,
		`]]><script>alert(1)</script>`, `<!--`, `<![CDATA[`, `<?xml version="1.0"?>`, `&lt;script&gt;`, `&#60;script&#62;alert(1)`, `&amp;lt;`, `&`, `&#x0;`,
		`{{.}}`, `{{template "main" .}}`, `{{printf "%s" .}}`, `${alert(1)}`, `#{7*7}`, `<%= 7*7 %>`, `<a href="javascript:alert(1)">x</a>`,
		`<iframe srcdoc="<script>alert(1)</script>">`, `<base href="//evil.example/">`, `<meta http-equiv="refresh" content="0;url=//evil.example">`,
		`<form action="//evil.example"><input name=token>`, `<link rel=stylesheet href=//evil.example>`, `<object data=x>`, `<embed src=x>`, `<math><mi xlink:href="javascript:alert(1)">`,
		`<svg><animate onbegin=alert(1)>`, `<details open ontoggle=alert(1)>`, `<template><script>alert(1)</script>`, `<noscript><p title="</noscript><img src=x onerror=alert(1)>">`,
		"<scr\x00ipt>alert(1)</scr\x00ipt>", "<img\x0csrc=x\x0conerror=alert(1)>", "\u202e\u2066<b>", "\x1b]0;pwned\x07", "\xff\xfe<script>", "+ADw-script+AD4-", `%3Cscript%3E`,
		`\u003cscript\u003e`, `\x3cscript\x3e`, "a\r\nSet-Cookie: x=y", "a\nevent: section\ndata: {}\n\n", `"}],"x":[{"y":"`, `'; DROP TABLE queries; --`, `../../etc/passwd`,
		`x" style="position:fixed;inset:0`, `expression(alert(1))`, `url(javascript:alert(1))`, strings.Repeat("<", 500), strings.Repeat("\u0301", 400), strings.Repeat("W", 5000),
	}
}

// hostile is a day in which every word that someone else chose is s.
func hostile(now time.Time, s string) (*fakeJournal, Status) {
	v := policy.Verdict{Action: policy.Sink, Rule: blocklists.Rule{List: s, Line: 7, Text: "x" + s, Why: s, Breaks: s, Source: s}}
	j := &fakeJournal{}
	addr := netip.MustParseAddrPort("192.0.2.1:443")
	finding := journal.StoredFinding{Kind: s, Value: s, Path: s, Chain: []string{s, s}, Confidence: "proved", Device: s, Name: s}
	only := finding
	only.Confidence = "possible"
	j.queries = []journal.StoredQuery{{ID: 9, Query: journal.Query{Time: now, Device: s, Name: s, Type: s, Network: s, Verdict: v, Through: s, RCode: s, Answers: []string{s}, Upstream: s}},
		{ID: 8, Query: journal.Query{Time: now, Device: s, Name: s, Type: s, RCode: "NOERROR", Upstream: "x" + s}}}
	j.flows = []journal.StoredFlow{{ID: 7, Flow: journal.Flow{Time: now, Device: s, Proto: s, Dst: addr, Name: s, Verdict: v, Err: s}},
		{ID: 6, Flow: journal.Flow{Time: now, Device: s, Proto: s, Dst: addr, Name: "x" + s, Verdict: policy.Verdict{Reason: s}, Err: "x" + s}}}
	j.captures = []journal.StoredCapture{{ID: 5, Findings: []journal.StoredFinding{finding, only}, Capture: journal.Capture{Time: now, Device: s, Name: s, Scheme: s, Method: s, Path: "/?" + s,
		ContentType: "x" + s, UserAgent: "x" + s, TLS: &journal.TLS{SNI: "x" + s, ALPN: []string{s}, Version: "x" + s, JA4: s, Outcome: "x" + s, Alert: "x" + s}, Size: 9, Sample: []byte(s),
		Result: decoder.Result{Verdict: "x" + s, Flags: []string{s}, Layers: []decoder.Layer{{Codec: s, Path: "other"}}}}}}
	j.notices = []journal.StoredNotice{{ID: 4, Notice: journal.Notice{Time: now, Level: journal.Error, Room: "x" + s, Device: "x" + s, Text: s}},
		{ID: 3, Notice: journal.Notice{Time: now, Room: s, Device: "x" + s, Text: s}}}
	j.events = []journal.StoredEvent{{ID: 9, Event: j.queries[0]}, {ID: 8, Event: j.queries[1]}, {ID: 7, Event: j.flows[0]}, {ID: 6, Event: j.flows[1]}, {ID: 5, Event: j.captures[0]}, {ID: 4, Event: j.notices[0]}}
	j.sum = journal.Summary{Total: journal.DeviceSummary{Queries: 2, BlockedQueries: 1}, Devices: []journal.DeviceSummary{{Device: s, Queries: 2, Findings: 1}},
		Blocked: []journal.BlockedName{{Name: s, List: "x" + s, Line: 1, Rule: "x" + s, Owner: "x" + s, Reason: s, Count: 2, Devices: 1}},
		Leaks:   []journal.FindingSummary{{Kind: s, Name: s, Owner: "x" + s, Device: s, Confidence: "proved", Count: 2, Last: now}}}
	st := Status{Version: s, Started: now, Listen: []string{s},
		Devices:   []Device{{Name: s, Handshake: now}, {Name: s + "y"}},
		Upstreams: []Upstream{{Name: s, Err: s}}, Lists: []List{{Name: s, Title: s, Owner: s, Note: "x" + s}}}
	return j, st
}

// skeleton is the elements and attributes of a page without any of its words.
func skeleton(t *testing.T, page string) (out []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		tok, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("the page does not parse: %v", err)
		}
		switch v := tok.(type) {
		case xml.StartElement:
			s := "<" + v.Name.Local
			for _, a := range v.Attr {
				checkAttr(t, v.Name.Local, a)
				s += " " + a.Name.Local
			}
			out = append(out, s)
		case xml.EndElement:
			out = append(out, "/"+v.Name.Local)
		case xml.Comment:
			t.Fatal("the page has a comment")
		}
	}
}

// checkAttr: no handlers, no inline style, and no address that leaves the house.
func checkAttr(t *testing.T, element string, a xml.Attr) {
	t.Helper()
	name := strings.ToLower(a.Name.Local)
	if strings.HasPrefix(name, "on") || name == "style" || name == "srcdoc" {
		t.Errorf("<%s %s=%q>", element, name, a.Value)
	}
	if slices.Contains([]string{"href", "src", "action", "formaction", "data", "poster"}, name) &&
		(!strings.HasPrefix(a.Value, "/") && !strings.HasPrefix(a.Value, "?") && !strings.HasPrefix(a.Value, "#") || strings.HasPrefix(a.Value, "//") || strings.HasPrefix(a.Value, `/\`)) {
		t.Errorf("<%s %s=%q> leaves the house", element, name, a.Value)
	}
}

// TestHostileWordsStayWords renders every page with every string of the corpus
// in every place, and asks that the page is built exactly as with a good word.
func TestHostileWordsStayWords(t *testing.T) {
	targets := []string{"/", "/queries", "/queries?blocked=1&device=WORD", "/flows", "/leaks", "/leaks?device=WORD", "/leaks/5",
		"/why?event=9", "/why?event=6", "/why?event=5", "/devices/WORD", "/lists", "/lists/mine", "/lists/mine/edit", "/rules", "/health", "/devices"}
	want := map[string][]string{}
	for _, word := range append([]string{"word"}, xss()...) {
		j, st := hostile(time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC), word)
		h := houseOf(t, j, func() Status { return st }, word)
		for _, target := range targets {
			if strings.Contains(target, "WORD") && (len(word) > 100 || strings.TrimSpace(word) != word || !utf8.ValidString(word)) {
				continue // a filter would refuse or trim it, so it is no longer the same device
			}
			body := h.get(t, strings.ReplaceAll(target, "WORD", map[bool]func(string) string{true: url.QueryEscape, false: url.PathEscape}[strings.Contains(target, "?")](word)), 200)
			got := skeleton(t, body)
			if want[target] == nil {
				want[target] = got
			}
			if len(got) < 40 {
				t.Fatalf("%s shows almost nothing: %d elements", target, len(got))
			}
			if !slices.Equal(got, want[target]) {
				t.Errorf("%s is built otherwise by %q:\n%s", target, visible.Cut(word, 60), firstChange(want[target], got))
			}
			if string(visible.Text([]byte(body))) != body {
				t.Errorf("%s shows deceiving letters of %q", target, visible.Cut(word, 60))
			}
			if len(body) > maxPage {
				t.Errorf("%s weighs %d bytes with %q", target, len(body), visible.Cut(word, 60))
			}
		}
	}
}

// maxPage is what a page may weigh, whatever is on it.
const maxPage = 150_000

func firstChange(want, got []string) string {
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			return want[i] + " became " + got[i]
		}
	}
	return "it is longer or shorter"
}

// TestHostileFilterIsEchoedSafely: what a link puts into a filter or a path
// comes back as text.
func TestHostileFilterIsEchoedSafely(t *testing.T) {
	h := newHouse(t, nil, nil)
	base := map[string][]string{}
	for _, s := range append([]string{"word"}, xss()...) {
		for _, field := range []string{"name", "since", "before", "nonsense"} {
			for _, path := range []string{"/queries", "/flows", "/leaks"} {
				r := h.in(request("GET", path, ""))
				q := r.URL.Query()
				q.Set(field, s)
				r.URL.RawQuery = q.Encode()
				res := h.do(r)
				if len(r.URL.RawQuery) <= maxQuery && field != "name" && res.StatusCode != 400 {
					t.Errorf("%s with %s=%q: %d", path, field, visible.Cut(s, 40), res.StatusCode)
				}
				key := path + field + res.Status
				got := skeleton(t, read(t, res))
				if base[key] == nil {
					base[key] = got
				} else if !slices.Equal(base[key], got) {
					t.Errorf("%s with %s=%q: %s", path, field, visible.Cut(s, 40), firstChange(base[key], got))
				}
			}
		}
	}
}
