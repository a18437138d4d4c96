package dashboard

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"nightlatch/dashboard/row"
	"nightlatch/dashboard/words"
	"nightlatch/journal"
)

// everyPage is every page with an ordinary day on it.
func everyPage(t *testing.T, h *house) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, target := range []string{"/", "/queries", "/flows", "/leaks", "/leaks/8998",
		"/why", "/why?event=8997", "/why?name=ads.example&device=redmi", "/devices/redmi", "/devices/ipad", "/lists", "/lists/xiaomi", "/lists/mine/edit", "/rules", "/health", "/devices"} {
		out[target] = h.get(t, target, 200)
	}
	out["/login"] = read(t, h.do(request("GET", "/login", "")))
	out["/nowhere"] = h.get(t, "/nowhere", 404)
	return out
}

// TestPagesStandAlone: nothing is loaded from elsewhere, nothing is inline, and
// a page with all it loads is light.
func TestPagesStandAlone(t *testing.T) {
	h := newHouse(t, nil, nil)
	shared := 0
	for _, file := range h.assets.files {
		shared += len(file)
		if url := regexp.MustCompile(`(?i)url\(|@import|https?://[^ "]*`).FindString(string(file)); url != "" && url != "http://www.w3.org/2000/svg" {
			t.Errorf("an asset leads elsewhere: %s", url)
		}
	}
	for target, body := range everyPage(t, h) {
		skeleton(t, body) // no handlers, no inline styles, no foreign addresses
		if strings.Contains(body, "<style") || regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(body) {
			t.Errorf("%s has inline script or style", target)
		}
		if len(body)+shared > maxPage {
			t.Errorf("%s weighs %d bytes with its assets", target, len(body)+shared)
		}
		for _, m := range regexp.MustCompile(`(?:href|src)="(/static/[^"]+)"`).FindAllStringSubmatch(body, -1) {
			if res := h.do(request("GET", m[1], "")); res.StatusCode != 200 || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
				t.Errorf("%s loads %s: %d", target, m[1], res.StatusCode)
			}
		}
	}
	for _, wrong := range []string{"/static/old/style.css", "/static/" + h.assets.version + "/base.html", "/static/" + h.assets.version + "/..%2fbase.html"} {
		if res := h.do(request("GET", wrong, "")); res.StatusCode != 404 {
			t.Errorf("%s: %d", wrong, res.StatusCode)
		}
	}
}

// TestPagesAreBuiltForAll: what a screen reader and a keyboard need.
func TestPagesAreBuiltForAll(t *testing.T) {
	h := newHouse(t, nil, nil)
	for target, body := range everyPage(t, h) {
		for _, must := range []string{`<html lang="en">`, `name="viewport"`, `class="skip" href="#main"`, `<main id="main"`, "<title>"} {
			if !strings.Contains(body, must) {
				t.Errorf("%s lacks %s", target, must)
			}
		}
		if n := strings.Count(body, "<h1"); n != 1 {
			t.Errorf("%s has %d first headings", target, n)
		}
		ids := map[string]bool{}
		for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(body, -1) {
			if ids[m[1]] {
				t.Errorf("%s has the id %s twice", target, m[1])
			}
			ids[m[1]] = true
		}
		for _, m := range regexp.MustCompile(`aria-(?:labelledby|describedby)="([^"]+)"`).FindAllStringSubmatch(body, -1) {
			for _, id := range strings.Fields(m[1]) {
				if !ids[id] {
					t.Errorf("%s points at the missing id %s", target, id)
				}
			}
		}
		last := 0
		for _, m := range regexp.MustCompile(`<h([1-6])`).FindAllStringSubmatch(body, -1) {
			level, _ := strconv.Atoi(m[1])
			if level > last+1 {
				t.Errorf("%s steps from h%d to h%d", target, last, level)
			}
			last = level
		}
		labels := strings.Count(body, "<label")
		if fields := len(regexp.MustCompile(`<(?:select|input)(?: |>)`).FindAllString(body, -1)) - strings.Count(body, `type="hidden"`); fields > labels {
			t.Errorf("%s has %d fields and %d labels", target, fields, labels)
		}
		if heads, scoped := strings.Count(body, "<th "), strings.Count(body, "<th scope="); heads != scoped || strings.Contains(body, "<th>") {
			t.Errorf("%s has table heads without a scope", target)
		}
	}
}

// TestNowAnswersInTenSeconds: the page holds what a person came for.
func TestNowAnswersInTenSeconds(t *testing.T) {
	h := newHouse(t, nil, nil)
	text := plainText(h.get(t, "/", 200))
	for _, must := range []string{
		"4,812 questions today, 1,204 stopped, 299 private values kept from 2 hosts.", "1 of 3 devices connected",
		"redmi connected asked 3,120 stopped 1,066 caught 299", "mine yours, 4 rules", "handshake 48 s ago", "galaxy away", "ipad never connected",
		"Xiaomi sa.api.intl.miui.com", "visited address https://en.m.wiki…/wiki/Insom… ×141", "proved",
		"form ›, then base64 ›, then gzip ›, then json",
		"sa.api.intl.miui.com ×511", "xiaomi :14 =sa.api.intl.miui.com", "caught with 5 private values", "8.8.8.8 tcp 853 refused DNS over TLS", "hard-coded address",
		"hagezi-pro was last refreshed 9 days ago", "not read; plain HTTP alone", "dns.quad9.net", "0 lost",
	} {
		if !strings.Contains(text, must) {
			t.Errorf("the first page does not say %q", must)
		}
	}
	if strings.Contains(text, "1a…9f") {
		t.Error("a value that is only possible is on the first page")
	}
	if t.Failed() {
		t.Log(text)
	}
}

// plainText is the text of a page, with its blanks folded.
func plainText(body string) string {
	body = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, " ")
	body = strings.NewReplacer("&#39;", "'", "&amp;", "&", "&#34;", `"`).Replace(body)
	body = strings.Join(strings.Fields(body), " ")
	return strings.NewReplacer(" ,", ",", " .", ".").Replace(body)
}

func TestEmptyStatesTeach(t *testing.T) {
	empty := &fakeJournal{}
	for name, tc := range map[string]struct {
		st     Status
		target string
		want   string
	}{
		"no device":          {Status{}, "/", "nightlatch device add my-phone"},
		"never connected":    {Status{Devices: []Device{{Name: "my-phone"}}}, "/", "nightlatch device show my-phone"},
		"no capture, no CA":  {Status{Devices: []Device{{Name: "a"}}}, "/", "nightlatch ca create"},
		"leaks, no CA":       {Status{}, "/leaks", "nightlatch ca create"},
		"no lists":           {Status{}, "/", "No blocklist is in force"},
		"lists stand ready":  {Status{Lists: []List{{Rules: 1200}, {Rules: 34}}}, "/", "1,234 rules in 2 lists stand ready"},
		"no upstream":        {Status{}, "/", "nothing can be answered"},
		"no queries":         {Status{}, "/queries", "Scan the QR code"},
		"nothing matches":    {Status{}, "/queries?name=x", "Nothing matches"},
		"no flows":           {Status{}, "/flows", "Scan the QR code"},
		"nothing in a chart": {Status{}, "/", "Nothing was asked in the last 24 hours"},
	} {
		h := newHouse(t, empty, func() Status { return tc.st })
		if text := plainText(h.get(t, tc.target, 200)); !strings.Contains(text, tc.want) {
			t.Errorf("%s: the page does not say %q:\n%s", name, tc.want, text)
		}
	}
	h := newHouse(t, empty, func() Status { return Status{SinkHTTPS: true} })
	if strings.Contains(h.get(t, "/", 200), "ca create") {
		t.Error("an owner who has a CA is told to make one")
	}
}

func TestTablePages(t *testing.T) {
	j := &fakeJournal{}
	now := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	for id := int64(250); id > 0; id-- {
		j.queries = append(j.queries, journal.StoredQuery{ID: id, Query: journal.Query{Time: now, Device: "redmi", Name: fmt.Sprintf("n%d.example", id)}})
	}
	h := newHouse(t, j, nil)
	target, pages, seen := "/queries?device=redmi", 0, 0
	for target != "" {
		body := h.get(t, target, 200)
		seen += strings.Count(body, `data-key="query`)
		pages++
		m := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(body)
		if target = ""; m != nil {
			target = "/queries" + strings.ReplaceAll(m[1], "&amp;", "&")
			if !strings.Contains(target, "device=redmi") {
				t.Fatalf("the next page forgets the filter: %s", target)
			}
		}
	}
	if pages != 3 || seen != 250 {
		t.Errorf("%d rows on %d pages", seen, pages)
	}
	body := h.get(t, "/queries?name=%22n1.&device=gone&blocked=1", 200)
	for _, must := range []string{`value="&#34;n1."`, `<option selected>gone</option>`, ` checked>`} {
		if !strings.Contains(body, must) {
			t.Errorf("the form forgets what was asked: no %s", must)
		}
	}
}

func TestCaptureOpensLayerByLayer(t *testing.T) {
	h := newHouse(t, nil, nil)
	body := h.get(t, "/leaks/8998", 200)
	at := 0
	for _, step := range []string{`in0"><h3><span class="codec">form`, `in1"><h3><span class="codec">base64`, `in2"><h3><span class="codec">gzip`, `in3"><h3><span class="codec">json`, "3f1c…8046", "<details>", "1a…9f"} {
		i := strings.Index(body[at:], step)
		if i < 0 {
			t.Fatalf("no %s after byte %d", step, at)
		}
		at += i
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		words.Count(0): "0", words.Count(999): "999", words.Count(1000): "1,000", words.Count(-1234567): "-1,234,567",
		words.Size(999): "999 B", words.Size(1000): "1.0 kB", words.Size(2114): "2.1 kB", words.Size(999_499): "999 kB", words.Size(999_500): "1.0 MB", words.Size(1_910_000_000): "1.9 GB", words.Size(45_000_000): "45 MB",
		words.Span(48 * time.Second): "48 s", words.Span(90 * time.Minute): "1 h", words.Span(47 * time.Hour): "47 h", words.Span(51 * time.Hour): "2 days", words.Span(19 * time.Millisecond): "19 ms", words.Span(-time.Second): "0 µs",
		words.Many(1, "day", "days"): "1 day", words.Many(0, "day", "days"): "0 days",
		words.Kind("android_id"): "Android ID", words.Kind("some_new_kind"): "some new kind", row.AnsweredBy("https://dns.quad9.net/dns-query#9.9.9.9"): "dns.quad9.net",
		row.AnsweredBy("cache"): "cache", row.AnsweredBy(""): "answered here", row.AnsweredBy("udp://192.0.2.1:53"): "192.0.2.1:53",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestContrast holds the colours of text to WCAG 2.2 AA (1.4.3): 4.5 to 1, in
// light and in dark, and what carries meaning without text to 3 to 1 (1.4.11).
func TestContrast(t *testing.T) {
	css := string(loadAssets().files["style.css"])
	light, dark, found := strings.Cut(css, "@media (prefers-color-scheme: dark)")
	if !found {
		t.Fatal("no dark colours")
	}
	dark = dark[:strings.Index(dark, "/* ")+1]
	if i := strings.Index(dark, "\n}\n"); i > 0 {
		dark = dark[:i]
	}
	colours := func(block string) map[string]string {
		out := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(block, -1) {
			out[m[1]] = m[2]
		}
		return out
	}
	for mode, c := range map[string]map[string]string{"light": colours(light), "dark": colours(dark)} {
		for _, pair := range strings.Fields("ink/paper ink/card ink/sunk soft/paper soft/card soft/sunk link/paper link/card link/sunk stop/card stop/paper stop/stop-bg leak/card leak/paper leak/leak-bg " +
			"good/card bad/card bad/bad-bg ink/bad-bg ink/stop-bg soft/stop-bg link/stop-bg moon/brand") {
			checkContrast(t, mode, c, pair, 4.5)
		}
		for _, pair := range strings.Fields("good/card soft/card bad/card stop/card stop/asked") {
			checkContrast(t, mode, c, pair, 3)
		}
	}
}

func checkContrast(t *testing.T, mode string, c map[string]string, pair string, least float64) {
	t.Helper()
	a, b, _ := strings.Cut(pair, "/")
	if a == "moon" && c[a] == "" {
		c[a] = "#f4d58a" // the same in both modes
	}
	if c[a] == "" || c[b] == "" {
		t.Errorf("%s: no colour for %s", mode, pair)
		return
	}
	x, y := luminance(c[a]), luminance(c[b])
	if ratio := (max(x, y) + 0.05) / (min(x, y) + 0.05); ratio < least {
		t.Errorf("%s: %s (%s on %s) is %.2f to 1, less than %g", mode, pair, c[a], c[b], ratio, least)
	}
}

func luminance(hex string) float64 {
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, _ := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		v := float64(n) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}
