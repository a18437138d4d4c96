package dashboard

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"nightlatch/dashboard/form"
	"nightlatch/dashboard/visible"
	"nightlatch/journal"
)

func decode[T any](t *testing.T, body string) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, visible.Cut(body, 300))
	}
	return v
}

func TestAPIPages(t *testing.T) {
	j := &fakeJournal{}
	at := time.Date(2026, 3, 14, 15, 0, 0, 0, time.UTC)
	for id := int64(25); id > 0; id-- {
		j.queries = append(j.queries, journal.StoredQuery{ID: id, Query: journal.Query{Time: at, Device: "redmi", Name: "x.example", Took: 1500 * time.Microsecond}})
	}
	h := newHouse(t, j, nil)
	next, seen, pages := "/api/v1/queries?limit=10&name=EXAMPLE", int64(26), 0
	for next != "" {
		page := decode[form.List[form.Query]](t, h.get(t, next, 200))
		for _, q := range page.Items {
			if q.ID != seen-1 || q.TookMS != 1.5 || !q.Time.Equal(at) {
				t.Fatalf("after %d comes %+v", seen, q)
			}
			seen = q.ID
		}
		if page.Next != "" && !strings.Contains(page.Next, "name=EXAMPLE") {
			t.Errorf("the next page forgets the filter: %s", page.Next)
		}
		next = page.Next
		pages++
	}
	if seen != 1 || pages != 3 {
		t.Errorf("%d pages down to %d", pages, seen)
	}
	if body := h.get(t, "/api/v1/queries?name=nothing", 200); !strings.Contains(body, `"items":[]`) {
		t.Errorf("nothing found is no list: %s", body)
	}
}

func TestAPIShapes(t *testing.T) {
	h := newHouse(t, nil, nil)
	sum := decode[form.Summary](t, h.get(t, "/api/v1/summary", 200))
	if sum.Total.Queries != 4812 || len(sum.Hours) != 24 || sum.Blocked[0].List != "xiaomi" || sum.Blocked[0].Line != 14 || sum.Leaks[0].Owner != "Xiaomi" {
		t.Errorf("summary %+v", sum)
	}
	devices := decode[form.List[form.Device]](t, h.get(t, "/api/v1/devices", 200)).Items
	if len(devices) != 3 || devices[0].Name != "redmi" || !devices[0].Connected || devices[0].Today.BlockedQueries != 1066 || devices[1].Connected || devices[2].Handshake != nil {
		t.Errorf("devices %+v", devices)
	}
	queries := decode[form.List[form.Query]](t, h.get(t, "/api/v1/queries?blocked=1", 200)).Items
	if len(queries) != 3 || queries[0].Verdict.Action != "sink" || queries[0].Verdict.List != "xiaomi" || queries[0].Server != "8.8.8.8:53" {
		t.Errorf("queries %+v", queries)
	}
	flows := decode[form.List[form.Flow]](t, h.get(t, "/api/v1/flows", 200)).Items
	if len(flows) != 3 || flows[0].Verdict.Reason != "DNS over TLS" || flows[0].To != "8.8.8.8:853" {
		t.Errorf("flows %+v", flows)
	}
	captures := decode[form.List[form.Capture]](t, h.get(t, "/api/v1/captures", 200)).Items
	if len(captures) != 2 || len(captures[0].Layers) != 4 || captures[0].Findings[0].Kind != "url" || strings.Join(captures[0].Findings[0].Chain, ">") != "form>base64>gzip>json" {
		t.Errorf("captures %+v", captures)
	}
	one := decode[form.Capture](t, h.get(t, "/api/v1/captures/8998", 200))
	if one.ID != 8998 || one.Name != "sa.api.intl.miui.com" {
		t.Errorf("capture %+v", one)
	}
}

func TestUnknownCapture(t *testing.T) {
	h := newHouse(t, nil, nil)
	for _, id := range []string{"1", "0", "-1", "x", "8998x", "99999999999999999999", "9223372036854775807", "8999"} {
		if p := problemOf(t, h.do(h.in(request("GET", "/api/v1/captures/"+id, "")))); p.Status != 404 {
			t.Errorf("%s: %+v", id, p)
		}
		h.get(t, "/leaks/"+id, 404)
	}
}

// TestRawIsNotTold: what a device sent as it is stays out of pages and API.
func TestRawIsNotTold(t *testing.T) {
	j := sample(time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC))
	j.captures[0].Path = "/sa?imei=490154203237518"
	j.captures[0].Sample = []byte("raw-sample-490154203237518")
	j.captures[0].Result.Layers[0].Data = []byte("raw-layer-490154203237518")
	h := newHouse(t, j, nil)
	for _, target := range []string{"/", "/leaks", "/leaks/8998", "/api/v1/captures", "/api/v1/captures/8998"} {
		if body := h.get(t, target, 200); strings.Contains(body, "490154203237518") {
			t.Errorf("%s tells what was sent", target)
		}
	}
}

func TestBrokenJournal(t *testing.T) {
	j := &fakeJournal{err: errors.New("journal: read: disk I/O error at /home/owner/secret")}
	h := newHouse(t, j, nil)
	for _, target := range []string{"/", "/queries", "/flows", "/leaks", "/leaks/1", "/api/v1/summary", "/api/v1/devices", "/api/v1/queries", "/api/v1/captures/1"} {
		res := h.do(h.in(request("GET", target, "")))
		if body := read(t, res); res.StatusCode != http.StatusInternalServerError || strings.Contains(body, "secret") {
			t.Errorf("%s: %d %s", target, res.StatusCode, visible.Cut(body, 100))
		}
	}
}

func TestAPIIsFitForATerminal(t *testing.T) {
	for _, word := range xss() {
		j, st := hostile(time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC), word)
		h := newHouse(t, j, func() Status { return st })
		for _, target := range []string{"/api/v1/summary", "/api/v1/devices", "/api/v1/queries", "/api/v1/flows", "/api/v1/captures"} {
			body := h.get(t, target, 200)
			for _, r := range body {
				if r != '\n' && !visible.Honest(r) {
					t.Fatalf("%s holds %U", target, r)
				}
			}
			if strings.ContainsAny(body, "<>") {
				t.Errorf("%s holds markup", target)
			}
		}
		if got := decode[form.List[form.Query]](t, h.get(t, "/api/v1/queries", 200)).Items[0].Name; utf8.ValidString(word) && got != word {
			t.Errorf("the API changed %q to %q", word, got)
		}
	}
}
