package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"nightlatch/blocklists"
	"nightlatch/dashboard/geo"
	"nightlatch/dashboard/visible"
	"nightlatch/decoder"
	"nightlatch/journal"
	"nightlatch/policy"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func about(change ...func(*Options)) Options {
	o := Options{
		Device: "redmi", Since: noon.Add(-7 * 24 * time.Hour), Until: noon, Now: noon, Zone: time.FixedZone("CET", 3600),
		OwnerOf:   func(list string) string { return map[string]string{"xiaomi": "Xiaomi"}[list] },
		TitleOf:   func(list string) string { return list + " telemetry" },
		CompanyOf: func(name string) string { return map[string]string{"update.miui.com": "Xiaomi"}[name] },
		Place: func(a netip.Addr) geo.Place {
			if a == netip.MustParseAddr("203.0.113.10") {
				return geo.Place{Country: "Singapore", Code: "SG", ASN: 45102, Network: "Alibaba"}
			}
			return geo.Place{}
		},
		Databases: []geo.Source{{File: "country.mmdb", Type: "GeoLite2-Country", Built: noon}},
		Gateway:   Gateway{Version: "0.1", Action: "led to the gateway itself", Retention: "30d", MaxSize: "512MB", Known: 2, Lists: []string{"xiaomi (40 rules)"}},
	}
	for _, c := range change {
		c(&o)
	}
	return o
}

func sink(list string, line int) policy.Verdict {
	return policy.Verdict{Action: policy.Sink, Rule: blocklists.Rule{List: list, Line: line, Text: "tracking.miui.com", Why: "usage events", Source: "a paper"}}
}

func finding(kind, value, confidence string, n int) journal.StoredFinding {
	return journal.StoredFinding{Kind: kind, Value: value, Confidence: confidence, Path: fmt.Sprintf("body/form:data/base64/gzip/json:/%d/%s", n, kind),
		Chain: []string{"form", "base64", "gzip", "json"}, Time: noon.Add(-time.Hour), Mark: journal.Mark(len(value))}
}

// week is what a phone did.
func week(o Options) *Builder {
	b := New(o)
	at := func(h int) time.Time { return noon.Add(-time.Duration(h) * time.Hour) }
	for h := range 100 {
		b.Query(journal.StoredQuery{Query: journal.Query{Time: at(h), Name: "news.example.net", Answers: []string{"alias.example.net", "203.0.113.10"}}})
	}
	for h := range 5 {
		b.Query(journal.StoredQuery{Query: journal.Query{Time: at(10 * h), Name: "tracking.miui.com", Verdict: sink("xiaomi", 17)}})
	}
	b.Flow(journal.StoredFlow{Flow: journal.Flow{Time: at(3), Name: "news.example.net", Dst: netip.MustParseAddrPort("203.0.113.10:443"), Up: 1500, Down: 2_000_000}})
	b.Flow(journal.StoredFlow{Flow: journal.Flow{Time: at(2), Dst: netip.MustParseAddrPort("198.51.100.7:80"), Up: 10}})
	b.Flow(journal.StoredFlow{Flow: journal.Flow{Time: at(2), Name: "update.miui.com", Dst: netip.MustParseAddrPort("203.0.113.99:80"), Up: 10}})
	b.Flow(journal.StoredFlow{Flow: journal.Flow{Time: at(4), Dst: netip.MustParseAddrPort("8.8.8.8:853"), Verdict: policy.Verdict{Action: policy.Deny, Reason: "DNS over TLS"}}})
	b.Flow(journal.StoredFlow{Flow: journal.Flow{Time: at(4), Name: "tracking.miui.com", Dst: netip.MustParseAddrPort("28.53.0.1:80"), Verdict: policy.Verdict{Action: policy.Sink}}})
	b.Capture(journal.StoredCapture{Capture: journal.Capture{Time: at(4), Name: "tracking.miui.com", Scheme: "http", Repeats: 2, Result: decoder.Result{Verdict: "leak"}},
		Findings: []journal.StoredFinding{finding("url", "https://cli****.org****", "proved", 0), finding("url", "https://cli****.org****", "proved", 7), finding("android_id", "3f****46", "likely", 0), finding("imei", "nothing", "possible", 0)}})
	b.Capture(journal.StoredCapture{Capture: journal.Capture{Time: at(5), Name: "tracking.miui.com", Scheme: "tls", TLS: &journal.TLS{Outcome: "refused our certificate"}}})
	b.Capture(journal.StoredCapture{Capture: journal.Capture{Time: at(5), Name: "plain.example.com", Scheme: "http", Result: decoder.Result{Verdict: "leak", Flags: []string{"observed"}}},
		Findings: []journal.StoredFinding{finding("search_query", "is****es", "likely", 0)}})
	b.Notice(journal.StoredNotice{Notice: journal.Notice{Time: at(6), Room: "journal", Text: "12 events were lost: they came faster than could be written"}})
	b.Notice(journal.StoredNotice{Notice: journal.Notice{Time: at(6), Room: "config", Text: "reloaded: 3 rules"}})
	b.Oldest(at(200))
	return b
}

func page(t *testing.T, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.HTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFacts: the numbers are those of the events.
func TestFacts(t *testing.T) {
	r := week(about()).Report()
	if r.Totals != (Totals{Questions: 105, StoppedQuestions: 5, Connections: 5, Refused: 2, Payloads: 4, Observed: 1, Read: 3, Values: 9, Proved: 6, Passed: 1, Up: 1520, Down: 2_000_000}) {
		t.Errorf("totals %+v", r.Totals)
	}
	s := r.Stopped[0]
	if s.Name != "tracking.miui.com" || s.Company != "Xiaomi" || s.Questions != 5 || s.Payloads != 4 || s.Unread[0] != (Unread{"encrypted: refused our certificate", 1}) {
		t.Errorf("%+v", s)
	}
	if len(s.Rules) != 1 || s.Rules[0].List != "xiaomi" || s.Rules[0].Line != 17 || s.Rules[0].Count != 5 || s.Rules[0].Why != "usage events" {
		t.Errorf("rules %+v", s.Rules)
	}
	if len(s.Values) != 2 || s.Values[0].Kind != "url" || s.Values[0].Count != 6 || s.Values[0].Path != "body/form:data/base64/gzip/json:/*/url" || s.Values[1].Count != 3 {
		t.Errorf("values %+v", s.Values)
	}
	if !s.First.Equal(noon.Add(-40*time.Hour)) || !s.Last.Equal(noon) {
		t.Errorf("from %s to %s", s.First, s.Last)
	}
	by := map[string]Server{}
	for _, s := range r.Received {
		by[s.Name] = s
	}
	if got := by["news.example.net"]; got.Where() != "Singapore, Alibaba (AS45102)" || got.Up != 1500 || got.Questions != 100 || len(got.Places) != 1 {
		t.Errorf("%+v", got)
	}
	if got := by["198.51.100.7"]; !got.Literal || got.Where() != "" {
		t.Errorf("%+v", got)
	}
	if got := by["update.miui.com"]; got.Company != "Xiaomi" {
		t.Errorf("%+v", got)
	}
	if got := by["plain.example.com"]; got.Payloads != 1 || len(got.Values) != 1 {
		t.Errorf("what was observed did reach its server: %+v", got)
	}
	if len(r.Integrity.Losses) != 1 || r.Integrity.Losses[0].Room != "journal" {
		t.Errorf("losses %+v", r.Integrity.Losses)
	}
	sum := int64(0)
	for _, p := range r.Periods {
		sum += p.Asked
	}
	if sum != 105 || len(r.Periods) != 5 { // five days in the owner's zone
		t.Errorf("%d questions in %d columns", sum, len(r.Periods))
	}
}

// TestLocated: a stopped server that is asked for now is placed, and the page
// says when that was.
func TestLocated(t *testing.T) {
	b := week(about())
	if names := b.Unlocated(5); !slices.Equal(names, []string{"tracking.miui.com"}) {
		t.Errorf("not located: %v", names)
	}
	b.Located("tracking.miui.com", []netip.Addr{netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("203.0.113.10")})
	b.Located("unknown.example", []netip.Addr{netip.MustParseAddr("203.0.113.10")})
	if names := b.Unlocated(5); len(names) != 0 {
		t.Errorf("not located: %v", names)
	}
	if text := page(t, b.Report()); !strings.Contains(text, "Location when this was written: Singapore, Alibaba (AS45102).") {
		t.Error("the page does not say it")
	}
}

// TestPage: a person finds the facts on the page, and the page needs nothing else.
func TestPage(t *testing.T) {
	text := page(t, week(about()).Report())
	for _, want := range []string{
		"What <span class=\"device\">redmi</span> told others", "105 times", "5 questions", "4 messages", "6 of these are proved",
		"Xiaomi", "tracking.miui.com", "xiaomi:17", "usage events", "visited address", "form → base64 → gzip → json", "3f****46", "✓ proved",
		"1 message not read: encrypted: refused our certificate", "Singapore, Alibaba (AS45102)", "DNS over TLS", "no name led there", "2.0 MB",
		"12 events were lost", "30d", "country.mmdb (GeoLite2-Country, of 22 November 2026)", "times are in CET", "22 Nov 2026, 13:00", "What this cannot see",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, never := range []string{"<script", "src=", "href=", "url(", "http://", "@import", "reloaded"} {
		if strings.Contains(text, never) && never != "http://" {
			t.Errorf("the page has %q", never)
		}
	}
	skeleton(t, text)
}

// TestEmpty: a device that did nothing gives a page that says so.
func TestEmpty(t *testing.T) {
	r := New(about()).Report()
	text := page(t, r)
	if !strings.Contains(text, "The journal has nothing of redmi in this period") || strings.Contains(text, "0001") || strings.Contains(text, "<svg") {
		t.Error(text)
	}
	var b bytes.Buffer
	if err := r.JSON(&b); err != nil || strings.Contains(b.String(), "null") {
		t.Errorf("%v %s", err, b.String())
	}
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := week(about()).Report().JSON(&b); err != nil {
		t.Fatal(err)
	}
	var back struct {
		Format  int
		Stopped []struct {
			Name   string
			Values []struct{ Kind, Confidence, Path string }
		}
		Summary []string
	}
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.Format != 1 || back.Stopped[0].Values[0].Confidence != "proved" || len(back.Summary) < 4 {
		t.Errorf("%v %+v", err, back)
	}
}

// hostileWords have broken pages: out of text, attributes, styles and scripts,
// and out of the eye.
func hostileWords() []string {
	return []string{
		`<script>alert(1)</script>`, `</style><script>alert(1)</script>`, `</title><script>alert(1)</script>`, `"><svg onload=alert(1)>`, `' onfocus='alert(1)`,
		`<img src=x onerror=alert(1)>`, `javascript:alert(1)`, `--><script>alert(1)</script><!--`, `]]><script>`, `{{.}}`, `{{template "x"}}`, `${alert(1)}`,
		`&lt;script&gt;`, `&#60;script&#62;`, `<base href="//evil.example/">`, `<meta http-equiv="refresh" content="0;url=//evil.example">`, `<form action=//evil.example>`,
		`<link rel=stylesheet href=//evil.example>`, `<iframe srcdoc="x">`, `expression(alert(1))`, `url(javascript:alert(1))`, `x;}*{background:url(//evil.example)`,
		"<scr\x00ipt>", "\u202e\u2066<b>", "\x1b]0;pwned\x07", "\xff\xfe<script>", "+ADw-script+AD4-", strings.Repeat("<", 500), strings.Repeat("\u0301", 400), strings.Repeat("W", 5000), "a\r\nb", "",
	}
}

// skeleton is the elements and attributes of a page without its words.
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
				if name := strings.ToLower(a.Name.Local); strings.HasPrefix(name, "on") || slices.Contains([]string{"style", "src", "href", "srcdoc", "action"}, name) {
					t.Errorf("<%s %s=%q>", v.Name.Local, name, a.Value)
				}
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

// TestHostileWordsStayWords: with any word in any place the page is built as
// with a good one, and bounded.
func TestHostileWordsStayWords(t *testing.T) {
	var want []string
	for _, s := range append([]string{"word"}, hostileWords()...) {
		if s == "" {
			continue // what is empty is left out, so that the page is another
		}
		o := about(func(o *Options) {
			o.Device, o.Gateway.Version, o.Gateway.Lists = s, s, []string{s}
			o.OwnerOf, o.TitleOf, o.CompanyOf = func(string) string { return s }, func(string) string { return s }, func(string) string { return s }
			o.Place = func(netip.Addr) geo.Place { return geo.Place{Country: s, Network: s} }
			o.Databases = []geo.Source{{File: s, Type: s, Built: noon}}
		})
		b := New(o)
		v := policy.Verdict{Action: policy.Sink, Rule: blocklists.Rule{List: s, Line: 7, Text: s, Why: s, Source: s}}
		f := journal.StoredFinding{Kind: s, Value: s, Path: s, Chain: []string{s, s}, Confidence: "proved", Time: noon}
		b.Query(journal.StoredQuery{Query: journal.Query{Time: noon, Name: s, Verdict: v, Answers: []string{s}}})
		b.Query(journal.StoredQuery{Query: journal.Query{Time: noon, Name: "2" + s, Verdict: policy.Verdict{Action: policy.Deny, Reason: s}}})
		b.Flow(journal.StoredFlow{Flow: journal.Flow{Time: noon, Name: "3" + s, Dst: netip.MustParseAddrPort("203.0.113.1:443")}})
		b.Capture(journal.StoredCapture{Capture: journal.Capture{Time: noon, Name: s, Scheme: "tls", TLS: &journal.TLS{Outcome: s}}, Findings: []journal.StoredFinding{f}})
		b.Notice(journal.StoredNotice{Notice: journal.Notice{Time: noon, Room: s, Text: "lost " + s}})
		r := b.Report()
		text := page(t, r)
		got := skeleton(t, text)
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("the page is built otherwise by %q", visible.Cut(s, 60))
		}
		if string(visible.Text([]byte(text))) != text || len(text) > 60_000 {
			t.Errorf("%q: %d bytes, or deceiving letters", visible.Cut(s, 60), len(text))
		}
		var out bytes.Buffer
		if err := r.JSON(&out); err != nil || !json.Valid(out.Bytes()) || strings.ContainsAny(out.String(), "\x1b\u202e") {
			t.Errorf("%q: JSON %v", visible.Cut(s, 60), err)
		}
	}
	if len(want) < 100 {
		t.Errorf("the page shows almost nothing: %d elements", len(want))
	}
}

// TestMuch: a phone that spoke to very many servers, with very many values,
// still gives a page one can open, and the JSON says what the page leaves out.
func TestMuch(t *testing.T) {
	b := New(about())
	for i := range maxServers + 500 {
		name := fmt.Sprintf("n%d.example.com", i)
		b.Query(journal.StoredQuery{Query: journal.Query{Time: noon.Add(-time.Duration(i) * time.Minute), Name: name, Verdict: sink("xiaomi", i)}})
	}
	var found []journal.StoredFinding
	for i := range 300 {
		found = append(found, finding("url", fmt.Sprint("v", i), "likely", i))
	}
	b.Capture(journal.StoredCapture{Capture: journal.Capture{Time: noon, Name: "n1.example.com", Scheme: "http"}, Findings: found})
	r := b.Report()
	if len(r.Stopped) != maxServers || !r.Integrity.Cut || r.Totals.Questions != maxServers+500 {
		t.Errorf("%d servers, cut %v, %d questions", len(r.Stopped), r.Integrity.Cut, r.Totals.Questions)
	}
	if s := r.Stopped[0]; len(s.Values) != maxValues || s.MoreValues != 300-maxValues {
		t.Errorf("%d values and %d more", len(s.Values), s.MoreValues)
	}
	text := page(t, r)
	if len(text) > 400_000 || !strings.Contains(text, "more servers are in the JSON form") {
		t.Errorf("%d bytes", len(text))
	}
	if len(r.Periods) > maxPeriods+2 {
		t.Errorf("%d columns", len(r.Periods))
	}
}

// TestLongPeriod: a year becomes weeks; daylight saving does not lose an hour.
func TestLongPeriod(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here:", err)
	}
	b := New(about(func(o *Options) { o.Zone = zone }))
	n := int64(0)
	for at := noon.AddDate(-1, 0, 0); at.Before(noon); at = at.Add(5 * time.Hour) {
		b.Query(journal.StoredQuery{Query: journal.Query{Time: at, Name: "x.example"}})
		n++
	}
	r := b.Report()
	sum := int64(0)
	for _, p := range r.Periods {
		sum += p.Asked
	}
	if sum != n || len(r.Periods) > maxPeriods+2 || len(r.Periods) < 40 {
		t.Errorf("%d of %d questions in %d columns", sum, n, len(r.Periods))
	}
}
