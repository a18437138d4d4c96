package dashboard

import (
	"net/http"
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	h := newHouse(t, nil, nil)
	for host, want := range map[string]int{
		"127.0.0.1:8080": 200, "127.0.0.1": 200, "localhost:9": 200, "LOCALHOST": 200, "localhost.": 200, "[::1]:8080": 200, "[::1]": 200,
		"[0:0:0:0:0:0:0:1]:80": 200, "10.66.0.1:8080": 200, "nightlatch.internal": 200, "NightLatch.Internal:8080": 200,
		"[::ffff:127.0.0.1]:8080": 200,
		"10.66.0.1":               421, // configured with its port alone
		"10.66.0.1:80":            421,
		"evil.example":            421, "evil.example:8080": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421,
		"nightlatch.internal.": 200, "x.nightlatch.internal": 421, "": 421, "127.0.0.1:80:80": 421, "[::1%25lo]": 421, "localhost@evil.example": 421, "127.0.0.2": 421,
		"localhost/evil": 421, "local host": 421, "2130706433": 421,
	} {
		r := request("GET", "/healthz", "")
		r.Host = host
		if res := h.do(r); res.StatusCode != want {
			t.Errorf("Host %q: %d, want %d", host, res.StatusCode, want)
		}
	}
}

func TestNoForeignHostSeesAnything(t *testing.T) {
	h := newHouse(t, nil, nil)
	for _, target := range []string{"/", "/login", "/api/v1/summary", "/live", "/static/x/style.css", "/?token=" + testToken} {
		r := h.in(request("GET", target, ""))
		r.Host = "rebound.example"
		res := h.do(r)
		if res.StatusCode != http.StatusMisdirectedRequest || sessionCookie(res) != nil {
			t.Errorf("%s under a foreign host: %d", target, res.StatusCode)
		}
		if body := read(t, res); strings.Contains(body, "redmi") {
			t.Errorf("%s under a foreign host shows a device", target)
		}
	}
}

func TestBadHostOption(t *testing.T) {
	for _, host := range []string{"", "a b", "http://x", "[::1", "x/y"} {
		_, err := New(Options{Journal: &fakeJournal{}, Gateway: func() Status { return Status{} }, Token: testToken, Hosts: []string{host}})
		if err == nil {
			t.Errorf("host %q was taken", host)
		}
	}
}

func TestOptionsAreNeeded(t *testing.T) {
	ok := Options{Journal: &fakeJournal{}, Gateway: func() Status { return Status{} }, Token: testToken}
	if _, err := New(ok); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Options){
		"journal": func(o *Options) { o.Journal = nil }, "gateway": func(o *Options) { o.Gateway = nil },
		"no token": func(o *Options) { o.Token = "" }, "short token": func(o *Options) { o.Token = testToken[:MinToken-1] },
	} {
		o := ok
		spoil(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestCSRF: whatever a foreign page can make a browser send changes nothing.
func TestCSRF(t *testing.T) {
	for name, tc := range map[string]struct {
		site, origin string
		want         int
	}{
		"our form":               {"same-origin", "http://127.0.0.1:8080", 303},
		"our form, no metadata":  {"", "http://127.0.0.1:8080", 303},
		"typed":                  {"none", "", 303},
		"no browser":             {"", "", 303},
		"foreign form":           {"cross-site", "https://evil.example", 403},
		"other port":             {"same-site", "http://127.0.0.1:9999", 403},
		"foreign, no metadata":   {"", "https://evil.example", 403},
		"opaque origin":          {"", "null", 403},
		"foreign, origin hidden": {"cross-site", "", 403},
	} {
		h := newHouse(t, nil, nil)
		r := h.in(request("POST", "/logout", "x=1"))
		if tc.site != "" {
			r.Header.Set("Sec-Fetch-Site", tc.site)
		}
		if tc.origin != "" {
			r.Header.Set("Origin", tc.origin)
		}
		res := h.do(r)
		if res.StatusCode != tc.want {
			t.Errorf("%s: %d, want %d", name, res.StatusCode, tc.want)
		}
		c, _ := r.Cookie(cookieName)
		if alive, want := h.door.Admits(c.Value, h.clock, false), tc.want == 403; alive != want {
			t.Errorf("%s: session alive %v, want %v", name, alive, want)
		}
	}
}

// TestGetChangesNothing: no GET or HEAD ends a session, and no HEAD begins one.
func TestGetChangesNothing(t *testing.T) {
	h := newHouse(t, nil, nil)
	for _, target := range []string{"/", "/login", "/logout", "/queries", "/leaks", "/api/v1/summary"} {
		for _, method := range []string{"GET", "HEAD"} {
			r := h.in(request(method, target, ""))
			h.do(r)
			if c, _ := r.Cookie(cookieName); !h.door.Admits(c.Value, h.clock, false) {
				t.Errorf("%s %s ended the session", method, target)
			}
		}
	}
	if res := h.do(request("HEAD", "/?token="+testToken, "")); sessionCookie(res) != nil {
		t.Error("HEAD signed in")
	}
}

func TestEveryAnswerIsHardened(t *testing.T) {
	h := newHouse(t, nil, nil)
	for _, target := range []string{"/", "/login", "/nowhere", "/queries", "/flows", "/leaks", "/leaks/8998", "/leaks/none", "/queries?before=x",
		"/api/v1/summary", "/api/v1/none", "/api/v1/queries?limit=-1", "/healthz", h.assets.url("style.css"), h.assets.url("live.js")} {
		res := h.do(h.in(request("GET", target, "")))
		csp := res.Header.Get("Content-Security-Policy")
		for _, must := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(csp, must) {
				t.Errorf("%s: the policy lacks %s", target, must)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s: the policy has a hole: %s", target, csp)
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: can be sniffed or framed", target)
		}
		if p := res.Header.Get("Referrer-Policy"); p != "no-referrer" && p != "same-origin" {
			t.Errorf("%s: referrer policy %q", target, p)
		}
		if !strings.HasPrefix(target, "/static/") && res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: may be cached", target)
		}
	}
}

func TestStrangersSeeNothing(t *testing.T) {
	h := newHouse(t, nil, nil)
	for target, want := range map[string]int{"/": 303, "/queries": 303, "/flows": 303, "/leaks": 303, "/leaks/8998": 303, "/why": 303, "/devices/redmi": 303, "/devices/redmi/report": 303, "/lists": 303, "/lists/mine": 303, "/lists/mine/edit": 303, "/rules": 303, "/health": 303, "/devices": 303, "/live": 401,
		"/api/v1/summary": 401, "/api/v1/devices": 401, "/api/v1/queries": 401, "/api/v1/flows": 401, "/api/v1/captures": 401, "/api/v1/captures/8998": 401} {
		for _, cookie := range []string{"", "wrong", strings.Repeat("A", 26)} {
			r := request("GET", target, "")
			if cookie != "" {
				r.AddCookie(&http.Cookie{Name: cookieName, Value: cookie})
			}
			res := h.do(r)
			if res.StatusCode != want {
				t.Errorf("%s with cookie %q: %d, want %d", target, cookie, res.StatusCode, want)
			}
			if body := read(t, res); strings.Contains(body, "redmi") || strings.Contains(body, "miui") {
				t.Errorf("%s shows something to a stranger", target)
			}
		}
	}
}

func TestBounds(t *testing.T) {
	h := newHouse(t, nil, nil)
	if res := h.do(h.in(request("GET", "/queries?name="+strings.Repeat("a", maxQuery), ""))); res.StatusCode != http.StatusRequestURITooLong {
		t.Errorf("a long query string: %d", res.StatusCode)
	}
	res := h.do(request("POST", "/login", "token="+strings.Repeat("a", maxBody)))
	if res.StatusCode != http.StatusBadRequest || sessionCookie(res) != nil {
		t.Errorf("a large form: %d", res.StatusCode)
	}
}

func TestMethods(t *testing.T) {
	h := newHouse(t, nil, nil)
	for _, target := range []string{"/", "/queries", "/api/v1/summary", "/live"} {
		r := h.in(request("DELETE", target, ""))
		res := h.do(r)
		if res.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(res.Header.Get("Allow"), "GET") {
			t.Errorf("DELETE %s: %d, Allow %q", target, res.StatusCode, res.Header.Get("Allow"))
		}
	}
	if p := problemOf(t, h.do(h.in(request("GET", "/api/v1/nothing", "")))); p.Status != 404 {
		t.Errorf("unknown API path: %+v", p)
	}
}

func TestPanicIsSurvived(t *testing.T) {
	h := newHouse(t, nil, func() Status { panic("status broke") })
	for _, target := range []string{"/", "/api/v1/devices"} {
		res := h.do(h.in(request("GET", target, "")))
		if res.StatusCode != http.StatusInternalServerError {
			t.Errorf("%s: %d", target, res.StatusCode)
		}
		if body := read(t, res); strings.Contains(body, "status broke") || strings.Contains(body, "goroutine") {
			t.Errorf("%s tells the panic: %s", target, body)
		}
	}
}
