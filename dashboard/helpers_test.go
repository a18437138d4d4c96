package dashboard

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"nightlatch/dashboard/visible"
)

const testToken = "a-token-of-twenty-six-char"

// house is a dashboard with its handler, and a clock that tests move.
type house struct {
	*Dashboard
	handler http.Handler
	clock   time.Time
	fake    *fakeDesk
}

// mineText is the list that the fake desk lets people edit.
const mineText = "name: Mine\nrules:\n  - a.example\n"

func newHouse(t testing.TB, j Journal, st func() Status) *house {
	return houseOf(t, j, st, "Fancy Corp")
}

// houseOf is a house whose desk answers with word.
func houseOf(t testing.TB, j Journal, st func() Status, word string) *house {
	t.Helper()
	h := &house{clock: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC), fake: &fakeDesk{text: mineText}}
	if st == nil {
		st = func() Status { return sampleStatus(h.clock) }
	}
	if j == nil {
		j = sample(h.clock)
	}
	d, err := New(Options{Journal: j, Gateway: st, Token: testToken, Hosts: []string{"10.66.0.1:8080", "nightlatch.internal"}, Now: func() time.Time { return h.clock },
		Desk: h.fake.desk(word, h.clock), Recorder: h.fake})
	if err != nil {
		t.Fatal(err)
	}
	h.Dashboard, h.handler = d, d.Handler()
	return h
}

// request makes one as a browser on loopback would.
func request(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:8080"
	r.RemoteAddr = "127.0.0.1:40000"
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

func (h *house) do(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	return w.Result()
}

// in adds a fresh session to a request.
func (h *house) in(r *http.Request) *http.Request {
	r.AddCookie(&http.Cookie{Name: cookieName, Value: h.door.Begin(h.now())})
	return r
}

func (h *house) get(t testing.TB, target string, want int) string {
	t.Helper()
	res := h.do(h.in(request("GET", target, "")))
	body := read(t, res)
	if res.StatusCode != want {
		t.Fatalf("GET %s: %d, want %d: %s", target, res.StatusCode, want, visible.Cut(body, 400))
	}
	return body
}

func (h *house) knockForm(token, from string) *http.Response {
	r := request("POST", "/login", url.Values{"token": {token}}.Encode())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.RemoteAddr = from
	return h.do(r)
}

func read(t testing.TB, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func sessionCookie(res *http.Response) *http.Cookie {
	for _, c := range res.Cookies() {
		if c.Name == cookieName {
			return c
		}
	}
	return nil
}

// problemOf reads a problem and checks that it is one.
func problemOf(t testing.TB, res *http.Response) Problem {
	t.Helper()
	var p Problem
	if ct := res.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Fatalf("content type %q, want a problem", ct)
	}
	if err := json.Unmarshal([]byte(read(t, res)), &p); err != nil {
		t.Fatal(err)
	}
	if p.Status != res.StatusCode || p.Title != http.StatusText(p.Status) || p.Detail == "" {
		t.Fatalf("problem %+v does not fit status %d", p, res.StatusCode)
	}
	return p
}
