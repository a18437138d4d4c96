package dashboard

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightlatch/dashboard/door"
)

func TestLoginByForm(t *testing.T) {
	h := newHouse(t, nil, nil)
	res := h.knockForm("  "+testToken+" ", "127.0.0.1:1")
	c := sessionCookie(res)
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/" || c == nil {
		t.Fatalf("login: %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || len(c.Value) < 26 || c.Domain != "" {
		t.Errorf("cookie %v", c)
	}
	r := request("GET", "/", "")
	r.AddCookie(c)
	if res := h.do(r); res.StatusCode != 200 {
		t.Errorf("with the cookie: %d", res.StatusCode)
	}
	if again := sessionCookie(h.knockForm(testToken, "127.0.0.1:1")); again == nil || again.Value == c.Value {
		t.Error("a second login reused the id")
	}
}

func TestLoginByLink(t *testing.T) {
	h := newHouse(t, nil, nil)
	for _, target := range []string{"/?token=", "/login?token="} {
		res := h.do(request("GET", target+testToken, ""))
		c := sessionCookie(res)
		if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/" || c == nil {
			t.Fatalf("%s: %d to %q", target, res.StatusCode, res.Header.Get("Location"))
		}
		if res.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: the token may leave as a referrer", target)
		}
		r := request("GET", target+testToken, "") // opened again: nothing but a clean address
		r.AddCookie(c)
		if res := h.do(r); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/" || sessionCookie(res) != nil {
			t.Errorf("%s again: %d", target, res.StatusCode)
		}
		if res := h.do(request("GET", target+"wrong", "")); res.StatusCode != http.StatusUnauthorized || sessionCookie(res) != nil {
			t.Errorf("%s with a wrong token: %d", target, res.StatusCode)
		}
	}
	if res := h.do(request("GET", "/queries?token="+testToken, "")); sessionCookie(res) != nil {
		t.Error("the token signs in where it was not meant to")
	}
}

func TestBearer(t *testing.T) {
	h := newHouse(t, nil, nil)
	try := func(header, target string) *http.Response {
		r := request("GET", target, "")
		r.Header.Set("Authorization", header)
		return h.do(r)
	}
	if res := try("Bearer "+testToken, "/api/v1/summary"); res.StatusCode != 200 || sessionCookie(res) != nil {
		t.Errorf("right bearer: %d", res.StatusCode)
	}
	if res := try("Bearer "+testToken, "/"); res.StatusCode == 200 {
		t.Error("a bearer opened a page")
	}
	for _, bad := range []string{"Bearer wrong", "Bearer", "Basic " + testToken, testToken} {
		res := try(bad, "/api/v1/summary")
		if problemOf(t, res).Status != 401 || res.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q: %d", bad, res.StatusCode)
		}
	}
	for range door.FreeGuesses {
		try("Bearer wrong", "/api/v1/summary")
	}
	if res := try("Bearer "+testToken, "/api/v1/summary"); res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("after many wrong bearers: %d", res.StatusCode)
	}
}

func TestLockout(t *testing.T) {
	h := newHouse(t, nil, nil)
	const thief, owner = "10.66.0.9:5", "127.0.0.1:5"
	for i := range door.FreeGuesses - 1 {
		if res := h.knockForm("wrong", thief); res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("guess %d: %d", i, res.StatusCode)
		}
	}
	waits := []time.Duration{}
	for range 12 {
		res := h.knockForm("wrong", thief)
		after, err := strconv.Atoi(res.Header.Get("Retry-After"))
		if res.StatusCode != http.StatusTooManyRequests || err != nil {
			t.Fatalf("after %v: %d, Retry-After %q", waits, res.StatusCode, res.Header.Get("Retry-After"))
		}
		wait := time.Duration(after) * time.Second
		h.clock = h.clock.Add(wait - time.Second)
		if res := h.knockForm(testToken, thief); res.StatusCode != http.StatusTooManyRequests || sessionCookie(res) != nil {
			t.Fatalf("the right token was looked at %v early: %d", time.Second, res.StatusCode)
		}
		if res := h.knockForm(testToken, owner); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("a thief locked the owner out: %d", res.StatusCode)
		}
		h.clock = h.clock.Add(time.Second)
		waits = append(waits, wait)
	}
	for i, w := range waits {
		if want := min(time.Second<<i, door.LongestWait); w != want {
			t.Errorf("wait %d is %v, want %v", i, w, want)
		}
	}
	if res := h.knockForm(testToken, thief); res.StatusCode != http.StatusSeeOther {
		t.Errorf("after the wait: %d", res.StatusCode)
	}
	if res := h.knockForm("wrong", thief); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("success did not clear the count: %d", res.StatusCode)
	}
}

// TestSessionExpiry runs on the clock of the bubble.
func TestSessionExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := New(Options{Journal: &fakeJournal{}, Gateway: func() Status { return Status{} }, Token: testToken})
		if err != nil {
			t.Fatal(err)
		}
		h := &house{Dashboard: d, handler: d.Handler()}
		c := sessionCookie(h.do(request("GET", "/?token="+testToken, "")))
		visit := func() int {
			r := request("GET", "/", "")
			r.AddCookie(c)
			return h.do(r).StatusCode
		}
		for day := range 8 { // used every 23 hours: idle never ends it
			if got := visit(); got != 200 {
				t.Fatalf("visit %d: %d", day, got)
			}
			if day < 7 {
				<-time.After(door.Idle - time.Hour)
			}
		}
		<-time.After(6 * time.Hour)
		if got := visit(); got != 200 {
			t.Errorf("an hour before its end: %d", got)
		}
		<-time.After(time.Hour) // in use, but a week old
		if got := visit(); got != 303 {
			t.Errorf("after its life: %d", got)
		}
		c = sessionCookie(h.do(request("GET", "/?token="+testToken, "")))
		<-time.After(door.Idle)
		if got := visit(); got != 303 {
			t.Errorf("after a day idle: %d", got)
		}
	})
}

func TestLogout(t *testing.T) {
	h := newHouse(t, nil, nil)
	c := sessionCookie(h.knockForm(testToken, "127.0.0.1:1"))
	r := request("POST", "/logout", "")
	r.AddCookie(c)
	res := h.do(r)
	if gone := sessionCookie(res); res.StatusCode != 303 || gone == nil || gone.MaxAge >= 0 {
		t.Errorf("logout: %d, cookie %v", res.StatusCode, gone)
	}
	r = request("GET", "/", "")
	r.AddCookie(c) // the browser's word does not count
	if res := h.do(r); res.StatusCode != 303 {
		t.Errorf("after logout: %d", res.StatusCode)
	}
}

func TestTokenIsNowhere(t *testing.T) {
	h := newHouse(t, nil, nil)
	for _, target := range []string{"/", "/login", "/queries", "/leaks", "/api/v1/summary", "/login?token=x" + testToken} {
		if body := read(t, h.do(h.in(request("GET", target, "")))); strings.Contains(body, testToken) {
			t.Errorf("%s shows the token", target)
		}
	}
	if s := fmt.Sprintf("%+v", h.door); strings.Contains(s, testToken) {
		t.Error("the token is kept as it is")
	}
}
