package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"nightlatch/dashboard/draft"
	"nightlatch/dashboard/visible"
	"nightlatch/journal"
)

// post sends a form as the browser of a signed-in owner does.
func (h *house) post(target string, form url.Values, cookie *http.Cookie) *http.Response {
	r := request("POST", target, form.Encode())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.AddCookie(cookie)
	return h.do(r)
}

func (h *house) session() *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: h.door.Begin(h.now())}
}

// look loads a page in a session.
func (h *house) look(t *testing.T, target string, c *http.Cookie, want int) string {
	t.Helper()
	r := request("GET", target, "")
	r.AddCookie(c)
	res := h.do(r)
	body := read(t, res)
	if res.StatusCode != want {
		t.Fatalf("GET %s: %d, want %d: %s", target, res.StatusCode, want, visible.Cut(body, 300))
	}
	return body
}

// TestOneClick presses the first button of each kind on the page of questions,
// and then the button that takes it back.
func TestOneClick(t *testing.T) {
	h := newHouse(t, nil, nil)
	c := h.session()
	body := h.look(t, "/queries?device=redmi&since=24h", c, 200)
	for verb, want := range map[string]string{"allow": "allow sa.api.intl.miui.com|redmi|1h0m0s", "block": "block en.m.wikipedia.org|redmi|0s"} {
		m := regexp.MustCompile(`name="one" value="(` + verb + ` [0-9]+ [0-9]+)"`).FindStringSubmatch(body)
		if m == nil {
			t.Fatalf("no button to %s", verb)
		}
		back := regexp.MustCompile(`name="back" value="([^"]*)"`).FindStringSubmatch(body)[1]
		res := h.post("/change", url.Values{"one": {m[1]}, "back": {strings.ReplaceAll(back, "&amp;", "&")}}, c)
		if got := h.fake.take(); got != want {
			t.Errorf("asked %q, want %q", got, want)
		}
		to := res.Header.Get("Location")
		if res.StatusCode != http.StatusSeeOther || to != "/queries?device=redmi&since=24h" {
			t.Fatalf("%d to %q", res.StatusCode, to)
		}
		after := h.look(t, to, c, 200)
		if !strings.Contains(after, "done: "+want) || !strings.Contains(after, `action="/undo"`) {
			t.Errorf("the page does not say what was done, or cannot take it back")
		}
		if again := h.look(t, to, c, 200); strings.Contains(again, "done: ") {
			t.Error("it is said twice")
		}
		if res := h.post("/undo", url.Values{"command": {want}}, c); res.StatusCode != http.StatusSeeOther || h.fake.take() != "undo "+want {
			t.Errorf("undo: %d", res.StatusCode)
		}
	}
	if len(h.fake.notes) != 4 {
		t.Fatalf("%d notices of 4 changes", len(h.fake.notes))
	}
	if n := h.fake.notes[0].(journal.Notice); n.Room != "dashboard" || !strings.Contains(n.Text, "127.0.0.1") || !strings.Contains(n.Text, "redmi") {
		t.Errorf("notice %+v", n)
	}
}

// TestForms sends every form that changes something.
func TestForms(t *testing.T) {
	h := newHouse(t, nil, nil)
	c := h.session()
	for _, tc := range []struct{ path, form, asked string }{
		{"/change", "does=sink&name=ads.example&device=&for=86400", "sink ads.example||24h0m0s"},
		{"/change", "does=observe&name=ads.example&device=redmi&for=0", "observe ads.example|redmi|0s"},
		{"/remove", "number=2&name=x.example", "remove 2 x.example"},
		{"/pause", "device=redmi&for=600", "pause redmi|10m0s"},
		{"/resume", "device=", "resume "},
	} {
		form, err := url.ParseQuery(tc.form)
		if err != nil {
			t.Fatal(err)
		}
		if res := h.post(tc.path, form, c); res.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: %d", tc.path, res.StatusCode)
		}
		if got := h.fake.take(); got != tc.asked {
			t.Errorf("%s %s asked %q, want %q", tc.path, tc.form, got, tc.asked)
		}
	}
	for _, tc := range [][2]string{
		{"/change", "does=block&name=a.example&for=-1"}, {"/change", "does=block&name=a.example&for=99999999999999999999"}, {"/change", "one=block+0"}, {"/change", "one=block+0+77777"},
		{"/change", "one=block+x+8999"}, {"/change", "one=block+0+-8999"}, {"/pause", "for=90000"}, {"/remove", "number=all"},
	} {
		form, _ := url.ParseQuery(tc[1])
		res := h.post(tc[0], form, c)
		if got := h.fake.take(); got != "" || res.StatusCode != http.StatusSeeOther {
			t.Errorf("%s %s: %d, asked %q", tc[0], tc[1], res.StatusCode, got)
		}
		if body := h.look(t, "/", c, 200); !strings.Contains(body, "Nothing was changed.") {
			t.Errorf("%s %s: nothing says that nothing was changed", tc[0], tc[1])
		}
	}
	h.fake.err = errors.New("there is no device <b>")
	h.post("/pause", url.Values{"for": {"600"}}, c)
	if body := h.look(t, "/rules", c, 200); !strings.Contains(body, "There is no device &lt;b&gt;.") {
		t.Error("the reason is not shown as text")
	}
}

// TestNobodyElseChanges: without a session, from another site, by a link.
func TestNobodyElseChanges(t *testing.T) {
	h := newHouse(t, nil, nil)
	form := url.Values{"does": {"allow"}, "name": {"ads.example"}, "text": {"rules: []"}, "do": {"save"}, "command": {"x"}, "number": {"1"}, "for": {"600"}}
	for _, path := range []string{"/change", "/remove", "/pause", "/resume", "/undo", "/lists/mine/edit", "/lists/mine/check"} {
		r := request("POST", path, form.Encode())
		if res := h.do(r); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/login" {
			t.Errorf("%s without a session: %d", path, res.StatusCode)
		}
		for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"} {
			r := h.in(request("POST", path, form.Encode()))
			r.Header.Set(name, value)
			if res := h.do(r); res.StatusCode != http.StatusForbidden {
				t.Errorf("%s with %s %s: %d", path, name, value, res.StatusCode)
			}
		}
		if path == "/lists/mine/edit" {
			continue // a page of its own
		}
		if res := h.do(h.in(request("GET", path+"?"+form.Encode(), ""))); res.StatusCode != http.StatusMethodNotAllowed && res.StatusCode != http.StatusNotFound {
			t.Errorf("%s by a link: %d", path, res.StatusCode)
		}
	}
	if got := h.fake.take(); got != "" || h.fake.text != mineText {
		t.Errorf("something was changed: %s", got)
	}
}

func TestBackStaysInTheHouse(t *testing.T) {
	for in, want := range map[string]string{
		"/queries?device=a+b": "/queries?device=a+b", "/": "/", "": "/", "//evil.example/": "/", "https://evil.example/": "/", `/\evil.example`: "/",
		"javascript:alert(1)": "/", "/x\r\nSet-Cookie: a=b": "/", "queries": "/", "/?token=secret": "/", "/devices/a%2Fb": "/devices/a%2Fb", "/%zz": "/",
		"/" + strings.Repeat("a", maxQuery): "/",
	} {
		if got := backTo(in); got != want {
			t.Errorf("%q leads to %q, want %q", in, got, want)
		}
	}
}

// TestEditAList: a mistake is told with its place and not saved; a change is
// shown before it is; what something else saved meanwhile is not lost.
func TestEditAList(t *testing.T) {
	h := newHouse(t, nil, nil)
	c := h.session()
	body := h.look(t, "/lists/mine/edit", c, 200)
	was := regexp.MustCompile(`name="was" value="([0-9a-f]{64})"`).FindStringSubmatch(body)[1]
	send := func(text, do string) (int, string) {
		res := h.post("/lists/mine/edit", url.Values{"text": {strings.ReplaceAll(text, "\n", "\r\n")}, "was": {was}, "do": {do}}, c)
		return res.StatusCode, read(t, res)
	}
	broken := strings.Replace(mineText, "- a.example", "- BROKEN", 1)
	for _, do := range []string{"look", "save"} {
		if status, body := send(broken, do); status != http.StatusUnprocessableEntity || !strings.Contains(body, "mine.yaml:3:5: ") || strings.Contains(body, `value="save"`) || h.fake.text != mineText {
			t.Errorf("%s of a broken list: %d", do, status)
		}
	}
	better := mineText + "  - b.example\n"
	if status, body := send(better, "look"); status != 200 || !strings.Contains(body, `<span class="plus">&#43;  - b.example</span>`) || !strings.Contains(body, `value="save"`) || h.fake.text != mineText {
		t.Errorf("look: %d %s", status, body)
	}
	if status, _ := send(better, "save"); status != http.StatusSeeOther || h.fake.text != better {
		t.Errorf("save: %d, %q", status, h.fake.text)
	}
	if status, body := send(mineText, "save"); status != http.StatusConflict || h.fake.text != better || !strings.Contains(body, "changed meanwhile") {
		t.Errorf("save over a newer file: %d", status)
	}
	res := h.post("/lists/mine/check", url.Values{"text": {broken}}, c)
	if got := read(t, res); res.StatusCode != 200 || !strings.Contains(got, `"line":3`) || !strings.Contains(got, `"column":5`) {
		t.Errorf("check while typing: %d %s", res.StatusCode, got)
	}
	h.fake.text = "rules:\r\n  - a.example\r\n"
	was = draft.Digest([]byte(h.fake.text))
	if status, _ := send("rules:\n  - c.example\n", "save"); status != http.StatusSeeOther || h.fake.text != "rules:\r\n  - c.example\r\n" {
		t.Errorf("the line ends of a file: %d %q", status, h.fake.text)
	}
	h.fake.text = "rules:\n  - \u202eabc\n"
	h.look(t, "/lists/mine/edit", c, http.StatusUnprocessableEntity)
	h.fake.text = strings.Repeat("# long\n", maxList/7+1)
	h.look(t, "/lists/mine/edit", c, http.StatusRequestEntityTooLarge)
	h.look(t, "/lists/xiaomi/edit", c, http.StatusNotFound)
	if res := h.post("/lists/mine/edit", url.Values{"text": {strings.Repeat("%", 4*maxList)}}, c); res.StatusCode < 400 {
		t.Errorf("an endless form: %d", res.StatusCode)
	}
}

// TestDevicePage: what the device did stands together, with whom it talked.
func TestDevicePage(t *testing.T) {
	h := newHouse(t, nil, nil)
	text := plainText(h.get(t, "/devices/redmi", 200))
	for _, must := range []string{"redmi", "connected", "handshake 48 s ago", "asked today 3,120", "sa.api.intl.miui.com", "caught with 5 private values", "Pause 10 min", "Whom it talks to", "Fancy Corp",
		"Download the report", "visited address ×141", "What it may and may not do", "hard-coded addresses"} {
		if !strings.Contains(text, must) {
			t.Errorf("the device's page does not say %q", must)
		}
	}
	h.get(t, "/devices/nobody", 404)
	res := h.do(h.in(request("GET", "/devices/redmi/report", "")))
	if body := read(t, res); res.StatusCode != 200 || !strings.Contains(res.Header.Get("Content-Disposition"), `attachment; filename="redmi-report-2026-03-14.html"`) || !strings.Contains(body, "report of redmi") {
		t.Errorf("report: %d %v", res.StatusCode, res.Header)
	}
}

// TestObservedIsNotStopped: what reached its host is never worded as if it had
// been kept from it.
func TestObservedIsNotStopped(t *testing.T) {
	j := sample(newHouse(t, nil, nil).clock)
	for i := range j.captures {
		j.captures[i].Result.Flags = []string{"observed"}
	}
	j.events = nil
	for _, c := range j.captures {
		j.events = append(j.events, journal.StoredEvent{ID: c.ID, Event: c})
	}
	h := newHouse(t, j, nil)
	for _, target := range []string{"/", "/leaks", fmt.Sprint("/leaks/", j.captures[0].ID)} {
		text := plainText(h.get(t, target, 200))
		for _, wrong := range []string{"Would have leaked", "kept from", "nothing left the house", "never saw it", "caught with"} {
			if strings.Contains(text, wrong) {
				t.Errorf("%s says %q of what was observed", target, wrong)
			}
		}
		if !strings.Contains(text, "reached") {
			t.Errorf("%s does not say that it reached the host", target)
		}
	}
}

// TestReady: a gateway that cannot resolve is not ready, and says no more.
func TestReady(t *testing.T) {
	st := Status{Upstreams: []Upstream{{Name: "secret.example", Err: "refused"}}}
	h := newHouse(t, nil, func() Status { return st })
	res := h.do(request("GET", "/readyz", ""))
	if body := read(t, res); res.StatusCode != http.StatusServiceUnavailable || strings.Contains(body, "secret") {
		t.Errorf("%d %q", res.StatusCode, body)
	}
	if text := plainText(h.get(t, "/health", 200)); !strings.Contains(text, "upstream secret.example fails: refused") || !strings.Contains(text, "no upstream answers") {
		t.Errorf("health: %s", text)
	}
	st.Upstreams[0].Healthy = true
	if res := h.do(request("GET", "/readyz", "")); res.StatusCode != 200 {
		t.Errorf("ready: %d", res.StatusCode)
	}
}

// TestStaleAlertGoes: the banner of a broken list goes once the list is well,
// that of a broken config once a later reload worked.
func TestStaleAlertGoes(t *testing.T) {
	j := sample(newHouse(t, nil, nil).clock)
	now := newHouse(t, nil, nil).clock
	at := func(id int64, level journal.Level, room, text string) journal.StoredNotice {
		return journal.StoredNotice{ID: id, Notice: journal.Notice{Time: now, Level: level, Room: room, Text: text}}
	}
	st := sampleStatus(now)
	h := newHouse(t, j, func() Status { return st })
	alerts := func() string {
		_, rest, _ := strings.Cut(h.get(t, "/", 200), `id="s-alerts"`)
		banner, _, _ := strings.Cut(rest, "</div>")
		return plainText("<body><main>" + banner + "</main></body>")
	}
	j.notices = []journal.StoredNotice{at(2, journal.Info, "config", "reloaded"), at(1, journal.Error, "blocklists", "mine.yaml:3:1: broken")}
	st.Lists[2].Note = "mine.yaml:3:1: broken"
	if !strings.Contains(alerts(), "broken") {
		t.Error("a list that is broken now is not told")
	}
	st.Lists[2].Note = ""
	if strings.Contains(alerts(), "broken") {
		t.Error("the banner stays when the list is well again")
	}
	j.notices = []journal.StoredNotice{at(1, journal.Error, "config", "unknown key")}
	if !strings.Contains(alerts(), "unknown key") {
		t.Error("a broken config is not told")
	}
	j.notices = append([]journal.StoredNotice{at(2, journal.Info, "config", "reloaded")}, j.notices...)
	if strings.Contains(alerts(), "unknown key") {
		t.Error("the banner of a repaired config stays")
	}
}
