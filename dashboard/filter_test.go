package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"nightlatch/dashboard/filter"
	"nightlatch/dashboard/visible"
	"nightlatch/journal"
)

func TestFilter(t *testing.T) {
	day := time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)
	for in, want := range map[string]journal.Filter{
		"":                           {Limit: 100},
		"device=redmi&name=+miui+":   {Device: "redmi", NamePart: "miui", Limit: 100},
		"blocked=1":                  {Blocked: true, Limit: 100},
		"blocked=false":              {Limit: 100},
		"device=&name=&blocked=":     {Limit: 100},
		"before=42&limit=7":          {Before: 42, Limit: 7},
		"after=41":                   {After: 41, Limit: 100},
		"type=AAAA&list=xiaomi":      {Type: "AAAA", List: "xiaomi", Limit: 100},
		"finding=imei":               {Finding: "imei", Limit: 100},
		"since=2026-01-31T08:00:00Z": {Since: day, Limit: 100},
		"until=2026-01-31T09:00:00%2B01:00&since=": {Until: day, Limit: 100},
	} {
		q, err := url.ParseQuery(in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := filter.Of(q, 100, day)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if !got.Until.Equal(want.Until) || !got.Since.Equal(want.Since) {
			t.Errorf("%s: times %v %v", in, got.Since, got.Until)
		}
		got.Until, got.Since, want.Until, want.Since = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		if got != want {
			t.Errorf("%s: %+v, want %+v", in, got, want)
		}
	}
}

func badFilters() map[string]string {
	return map[string]string{
		"before=x": "before", "before=-1": "before", "before=9223372036854775807": "before", "before=1e3": "before", "before=0x10": "before",
		"after=%00": "after", "limit=1001": "limit", "limit=-5": "limit", "limit=ten": "limit", "blocked=maybe": "blocked", "since=yesterday": "since",
		"until=2026-13-01T00:00:00Z": "until", "device=a&device=b": "device", "nmae=x": "nmae", "cursor=abc": "cursor",
		"name=%ff": "name", "name=" + strings.Repeat("a", filter.MaxField+1): "name",
	}
}

func TestBadFilterIsAProblem(t *testing.T) {
	h := newHouse(t, nil, nil)
	for in, field := range badFilters() {
		for _, path := range []string{"/api/v1/queries", "/api/v1/flows", "/api/v1/captures", "/api/v1/summary"} {
			res := h.do(h.in(request("GET", path+"?"+in, "")))
			if res.StatusCode != http.StatusBadRequest {
				t.Errorf("%s?%s: %d", path, visible.Cut(in, 40), res.StatusCode)
				continue
			}
			if p := problemOf(t, res); !strings.Contains(strings.ToLower(p.Detail), field) {
				t.Errorf("%s?%s does not say what is wrong: %q", path, visible.Cut(in, 40), p.Detail)
			}
		}
		for _, path := range []string{"/queries", "/flows", "/leaks"} {
			if body := h.get(t, path+"?"+in, 400); !strings.Contains(strings.ToLower(body), field) {
				t.Errorf("%s?%s does not say what is wrong", path, visible.Cut(in, 40))
			}
		}
	}
	if j := h.journal.(*fakeJournal); len(j.asked) != 0 {
		t.Errorf("the journal was asked %d times for nonsense", len(j.asked))
	}
}

func TestSummaryTakesOnlySince(t *testing.T) {
	h := newHouse(t, nil, nil)
	h.get(t, "/api/v1/summary?since=2026-03-01T00:00:00Z", 200)
	if p := problemOf(t, h.do(h.in(request("GET", "/api/v1/summary?device=redmi", "")))); p.Status != 400 {
		t.Errorf("a filter that the summary ignores: %+v", p)
	}
}

func TestOlderKeepsTheFilter(t *testing.T) {
	q, _ := url.ParseQuery("device=red+mi&name=a%26b&blocked=1&before=50&after=3&type=")
	next, err := url.Parse(filter.Older(q, 41))
	if err != nil {
		t.Fatal(err)
	}
	got := next.Query()
	if got.Get("device") != "red mi" || got.Get("name") != "a&b" || got.Get("blocked") != "1" || got.Get("before") != "41" || got.Has("after") || got.Has("type") {
		t.Errorf("next page is %q", next)
	}
}

func FuzzFilter(f *testing.F) {
	for in := range badFilters() {
		f.Add(in)
	}
	f.Add("device=a&before=3&limit=1")
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		got, err := filter.Of(q, 100, time.Unix(0, 0))
		if err != nil {
			if !strings.HasSuffix(sentence(err), ".") {
				t.Fatalf("no sentence: %q", sentence(err))
			}
			return
		}
		if got.Limit < 1 || got.Limit > 100 || got.Before < 0 || got.After < 0 || len(got.NamePart) > filter.MaxField {
			t.Fatalf("%q gives %+v", raw, got)
		}
	})
}
