package watch

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"nightlatch/config/canaries"
	"nightlatch/decoder"
	"nightlatch/journal"
	"nightlatch/policy"
)

// kept records what would go into the journal.
type kept struct{ events []journal.Event }

func (k *kept) Record(e journal.Event) { k.events = append(k.events, e) }

// notices gives the texts of notices so far.
func (k *kept) notices() (out []string) {
	for _, e := range k.events {
		if n, ok := e.(journal.Notice); ok {
			out = append(out, n.Text)
		}
	}
	return out
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func planted(t *testing.T, template string) (*Watcher, *kept, canaries.Canary) {
	t.Helper()
	c, err := canaries.New(3, template, noon)
	if err != nil {
		t.Fatal(err)
	}
	k := &kept{}
	w := New(k, func() time.Time { return noon })
	w.Set([]canaries.Canary{c})
	return w, k, c
}

// clean fails when a token is left anywhere in what goes to the journal.
func (k *kept) clean(t *testing.T, token string) {
	t.Helper()
	for _, e := range k.events {
		if c, ok := e.(journal.Capture); ok {
			for i := range c.Result.Layers { // never kept
				c.Result.Layers[i].Data = nil
			}
			e = c
		}
		if text := fmt.Sprintf("%+v", e); strings.Contains(strings.ToLower(text), token) {
			t.Errorf("the token is left in %s", text)
		}
	}
}

func TestNames(t *testing.T) {
	w, k, c := planted(t, "")
	sum := md5.Sum([]byte(c.Token))
	b32 := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(c.Token)))
	for _, q := range []struct{ name, want string }{
		{"www.example.org", ""},
		{c.Token + ".canary.nightlatch.internal", ""},
		{c.Token + ".ads.example.com", "(canary #3).ads.example.com"},
		{strings.ToUpper(c.Token) + ".ads2.example.com", "(canary #3).ads2.example.com"},
		{c.Token[:13] + "." + c.Token[13:] + ".x.example.com", "(canary #3 as split).example.com"},
		{hex.EncodeToString(sum[:]) + ".h.example.com", "(canary #3 as md5.hex).h.example.com"},
		{b32 + ".b.example.com", "(canary #3 as base32).b.example.com"},
		{hex.EncodeToString([]byte(c.Token)) + ".hex.example.com", "(canary #3 as hex).hex.example.com"},
		{"x" + c.Token + "y.example.com", "x(canary #3)y.example.com"},
		{c.Token[:20] + ".example.com", ""},
	} {
		k.events = nil
		w.Record(journal.Query{Time: noon, Device: "phone", Name: q.name, Verdict: policy.Verdict{Action: policy.Sink}})
		got := k.events[len(k.events)-1].(journal.Query)
		seen := Sightings(journal.StoredQuery{Query: got}, []canaries.Canary{c})
		switch q.want {
		case "":
			if len(seen) != 0 || len(k.notices()) != 0 {
				t.Errorf("%s: %+v %q", q.name, seen, k.notices())
			}
		default:
			if len(seen) != 1 || seen[0].Way != Name || seen[0].To != q.want || seen[0].Canary != 3 || !seen[0].Stopped || len(k.notices()) != 1 {
				t.Errorf("%s: %+v %q", q.name, seen, k.notices())
			}
			k.clean(t, c.Token)
		}
	}
}

// TestForgedLabel: an app cannot make it look as if a canary had come back. A
// name holds parentheses only behind a backslash, and a payload's findings are
// of other kinds.
func TestForgedLabel(t *testing.T) {
	q := journal.StoredQuery{Query: journal.Query{Name: `\(canary\ #3\).evil.example`}}
	c := journal.StoredCapture{Findings: []journal.StoredFinding{{Kind: "url", Value: "canary #3"}}}
	n := journal.StoredNotice{Notice: journal.Notice{Room: "sinkhole", Text: "canary #3 was opened"}}
	for _, e := range []journal.Event{q, c, n} {
		if s := Sightings(e, nil); len(s) != 0 {
			t.Errorf("%T: %+v", e, s)
		}
	}
}

// report is a leaking browser's body: base64 over gzip over JSON in a form.
func report(t *testing.T, token, address string) string {
	t.Helper()
	text, err := json.Marshal([]map[string]any{{"event": "page_view", "properties": map[string]any{"url": address, "title": "News " + token, "secret": "my private thing"}}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return "gzip=1&data_list=" + strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(base64.StdEncoding.EncodeToString(b.Bytes()))
}

func decode(t *testing.T, list []canaries.Canary, body string) decoder.Result {
	t.Helper()
	d, err := decoder.New(decoder.Options{Known: Known(nil, list, noon)})
	if err != nil {
		t.Fatal(err)
	}
	return d.DecodeRequest(decoder.Request{Method: "POST", Host: "t.example", Target: "/sa", Header: map[string][]string{"Content-Type": {"application/x-www-form-urlencoded"}}, Body: []byte(body)})
}

func TestPayload(t *testing.T) {
	w, k, c := planted(t, "")
	r := decode(t, []canaries.Canary{c}, report(t, c.Token, c.URL))
	w.Record(journal.Capture{Time: noon, Device: "phone", Name: "t.example", Scheme: "http", Method: "POST", Path: "/sa/" + c.Token, UserAgent: "x " + c.Token,
		TLS: &journal.TLS{SNI: c.Token + ".t.example"}, Result: r})
	k.clean(t, c.Token)
	got := k.events[len(k.events)-1].(journal.Capture)
	stored := journal.StoredCapture{Capture: got}
	for _, f := range got.Result.Findings {
		stored.Findings = append(stored.Findings, journal.StoredFinding{Kind: f.Kind, Value: f.Value, Path: f.Path, Chain: f.Chain, Confidence: f.Confidence.String()})
	}
	seen := Sightings(stored, []canaries.Canary{c})
	var deep *Sighting
	for i := range seen {
		if strings.Contains(strings.Join(seen[i].Chain, " "), "gzip") && strings.HasSuffix(seen[i].Path, "url") {
			deep = &seen[i]
		}
	}
	if deep == nil {
		t.Fatalf("the address was not found: %+v", seen)
	}
	if strings.Join(deep.Chain, " ") != "form base64 gzip json" || deep.Confidence != "proved" || deep.To != "t.example" {
		t.Errorf("%+v", deep)
	}
	if !strings.Contains(deep.Excerpt, `(canary #3)`) || !strings.Contains(deep.Excerpt, `"url":`) || strings.Contains(deep.Excerpt, "private") {
		t.Errorf("excerpt %q", deep.Excerpt)
	}
	if got.Result.Verdict != decoder.Leak || len(k.notices()) == 0 {
		t.Errorf("verdict %s, notices %q", got.Result.Verdict, k.notices())
	}
	before := len(k.notices())
	w.Record(journal.Capture{Time: noon, Device: "phone", Name: "t.example", Result: r})
	if n := len(k.notices()); n != before {
		t.Errorf("told again: %d notices after %d", n, before)
	}
}

// TestOpaque: without any way to read the payload, the SNI still gives it away.
func TestOpaque(t *testing.T) {
	w, k, c := planted(t, "")
	w.Record(journal.Capture{Time: noon, Device: "phone", Name: c.Token + ".t.example", Scheme: "tls", TLS: &journal.TLS{SNI: c.Token + ".t.example"},
		Result: decoder.Result{Verdict: decoder.Opaque}})
	k.clean(t, c.Token)
	got := k.events[len(k.events)-1].(journal.Capture)
	if len(got.Result.Findings) != 2 || got.Result.Verdict != decoder.OpaqueLeak {
		t.Errorf("%+v", got.Result)
	}
}

// TestOtherValuesStayMasked: a value that holds the token is still masked in
// the target that repeats it.
func TestOtherValuesStayMasked(t *testing.T) {
	w, k, c := planted(t, "")
	value := "private thing " + c.Token
	w.Record(journal.Capture{Name: "t.example", Path: "/x/" + value, Result: decoder.Result{Findings: []decoder.Finding{{Kind: "search_query", Value: value}}}})
	got := k.events[len(k.events)-1].(journal.Capture)
	f := got.Result.Findings[len(got.Result.Findings)-1]
	if f.Kind != "search_query" || !strings.Contains(got.Path, f.Value) {
		t.Errorf("the target %q no longer holds the value %q that is to be masked in it", got.Path, f.Value)
	}
	k.clean(t, c.Token)
}

func TestKnown(t *testing.T) {
	c, err := canaries.New(1, "", noon)
	if err != nil {
		t.Fatal(err)
	}
	old := c
	old.Token, old.Expires = "aaaaaaaaaaaaaaaaaaaaaaaaaa", noon
	mine := map[string][]string{"imei": {"490154203237518"}}
	got := Known(mine, []canaries.Canary{c, old}, noon)
	if len(mine) != 1 || len(got["imei"]) != 1 || len(got["canary"]) != 5 {
		t.Errorf("%v from %v", got, mine)
	}
}

func TestPage(t *testing.T) {
	w, k, c := planted(t, "")
	next := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusTeapot) })
	h := w.Page(next, func(a netip.Addr) string {
		if a == netip.MustParseAddr("10.88.0.2") {
			return "phone"
		}
		return ""
	})
	for _, r := range []struct {
		url  string
		want int
	}{
		{"http://nightlatch.internal/", http.StatusTeapot},
		{c.URL, http.StatusOK},
		{strings.ToUpper(c.URL[:40]) + c.URL[40:], http.StatusOK},
		{"http://" + c.Token + ".canary.nightlatch.internal/favicon.ico", http.StatusNotFound},
		{"http://aaaaaaaaaaaaaaaaaaaaaaaaaa.canary.nightlatch.internal/news/x", http.StatusNotFound},
		{"http://x.canary.nightlatch.internal/api/v1/summary", http.StatusNotFound},
	} {
		req := httptest.NewRequest("GET", r.url, nil)
		req.RemoteAddr = "10.88.0.2:1234"
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code != r.want {
			t.Errorf("%s: %d, want %d", r.url, rec.Code, r.want)
		}
		if r.want == http.StatusOK && !strings.Contains(rec.Body.String(), "<title>News "+c.Token) {
			t.Errorf("the title has no token: %s", rec.Body)
		}
	}
	if got := k.notices(); len(got) != 2 || got[0] != "canary #3 was opened" {
		t.Errorf("notices %q", got)
	}
	if e := k.events[0].(journal.Notice); e.Device != "phone" {
		t.Errorf("opened by %q", e.Device)
	}
	if s := Sightings(journal.StoredNotice{Notice: k.events[0].(journal.Notice)}, nil); len(s) != 1 || s[0].Way != Opened {
		t.Errorf("%+v", s)
	}
	if !w.Host(c.Host()+".") || w.Host("nightlatch.internal") || w.Host("x.canary.nightlatch.internal") {
		t.Error("Host")
	}
	w.Set(nil)
	if w.Host(c.Host()) {
		t.Error("a removed canary is served")
	}
}

// TestOwnAddress: opening an address of the owner's is no leak.
func TestOwnAddress(t *testing.T) {
	w, k, c := planted(t, "https://{}.example.org/{}")
	w.Record(journal.Query{Device: "phone", Name: c.Token + ".example.org"})
	got := k.events[0].(journal.Query)
	if s := Sightings(journal.StoredQuery{Query: got}, []canaries.Canary{c}); len(k.notices()) != 0 || len(s) != 1 || s[0].Way != Opened {
		t.Errorf("%+v, notices %q", s, k.notices())
	}
}

func FuzzMaskWords(f *testing.F) {
	f.Add(`{"url":"http://(canary #1).x/?q=(canary #1)","email":"ada@example.org"}`)
	f.Fuzz(func(t *testing.T, s string) { maskWords(s) })
}

func BenchmarkRecordQuery(b *testing.B) {
	c, err := canaries.New(1, "", noon)
	if err != nil {
		b.Fatal(err)
	}
	w := New(nothing{}, nil)
	w.Set([]canaries.Canary{c})
	q := journal.Query{Time: noon, Device: "phone", Name: "sa.api.intl.miui.com", Type: "A"}
	for b.Loop() {
		w.Record(q)
	}
}

type nothing struct{}

func (nothing) Record(journal.Event) {}
