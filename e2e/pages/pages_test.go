//go:build e2e

package pages

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// everyPage is every page of the house, by name.
func everyPage() map[string]string {
	return map[string]string{"now": "/", "leaks": "/leaks", "queries": "/queries", "flows": "/flows?device=redmi", "device": "/devices/redmi", "lists": "/lists", "list": "/lists/mine",
		"edit": "/lists/mine/edit", "why": "/why?name=sa.api.intl.miui.com&device=redmi", "rules": "/rules", "health": "/health", "devices": "/devices", "ca": "/ca", "error": "/nowhere"}
}

func TestDashboard(t *testing.T) {
	h := newHouse(t)
	b := newBrowser(t)
	b.screen(1280, 900, false)
	b.open(h.url + "/?token=" + h.token)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *house, *browser)
	}{
		{"first page", testFirstPage}, {"every page for everyone", testEveryPage}, {"block and undo", testBlockAndUndo}, {"pause", testPause},
		{"edit a list", testEdit}, {"open a leak", testLeak}, {"report", testReport}, {"by keyboard", testKeyboard}, {"without scripts", testNoScripts},
	} {
		t.Run(part.name, func(t *testing.T) {
			b.t, h.t = t, t
			part.run(t, h, b)
		})
		b.t, h.t = t, t
	}
	if folder := os.Getenv("PICTURES"); folder != "" {
		pictures(t, h, b, folder)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.errors {
		if !strings.Contains(e, "/nowhere") && !strings.Contains(e, "422") { // asked for on purpose
			t.Errorf("the console says: %s", e)
		}
	}
}

// pictures takes those of docs/: a page each, in one of the looks that they
// have. With PICTURES_OF=all it takes every page in every look.
func pictures(t *testing.T, h *house, b *browser, folder string) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	type look struct {
		name  string
		width int
		dark  bool
	}
	looks := []look{{"now", 1280, false}, {"now", 360, true}, {"device", 1280, false}, {"why", 1280, true}, {"queries", 360, false}, {"edit", 1280, false}}
	if os.Getenv("PICTURES_OF") == "all" {
		looks = nil
		for name := range everyPage() {
			looks = append(looks, look{name, 360, false}, look{name, 360, true}, look{name, 1280, false}, look{name, 1280, true})
		}
	}
	for _, l := range looks {
		b.screen(l.width, 900, l.dark)
		b.open(h.url + everyPage()[l.name])
		b.picture(filepath.Join(folder, fmt.Sprintf("%s-%d-%s.png", l.name, l.width, map[bool]string{true: "dark", false: "light"}[l.dark])), 1100)
	}
}

// says waits until the page shows some words.
func (b *browser) says(words string) {
	b.t.Helper()
	b.until(words, fmt.Sprintf("document.body.innerText.toLowerCase().includes(%q)", strings.ToLower(words)))
}

func testFirstPage(t *testing.T, _ *house, b *browser) {
	b.says("questions today")
	b.says("Live")
	var token bool
	if b.js("location.search.includes('token')", &token); token {
		t.Error("the token stays in the address bar")
	}
}

// a11y gives what a screen reader, a keyboard or a thumb would stumble over.
const a11y = `(() => {
  const out = [];
  const name = (e) => e.tagName.toLowerCase() + (e.id ? '#' + e.id : '') + (e.className && e.className.baseVal === undefined ? '.' + e.className : '');
  const seen = (e) => { const r = e.getBoundingClientRect(); return r.width > 0 && r.height > 0 && getComputedStyle(e).visibility !== 'hidden'; };
  const text = (e) => (e.getAttribute('aria-label') || e.innerText || e.textContent || e.title || '').trim();
  if (!document.documentElement.lang) out.push('no language');
  if (document.querySelectorAll('h1').length !== 1) out.push('not one h1');
  if (document.querySelectorAll('main').length !== 1) out.push('not one main');
  let level = 0;
  for (const h of document.querySelectorAll('h1,h2,h3,h4')) {
    const n = Number(h.tagName[1]);
    if (n > level + 1) out.push('from h' + level + ' to ' + name(h));
    if (!text(h)) out.push('empty ' + name(h));
    level = n;
  }
  for (const e of document.querySelectorAll('a[href], button')) if (seen(e) && !text(e)) out.push('no name: ' + name(e));
  for (const e of document.querySelectorAll('input:not([type=hidden]), select, textarea')) if (seen(e) && !e.labels.length) out.push('no label: ' + name(e));
  for (const e of document.querySelectorAll('[aria-labelledby],[aria-describedby]'))
    for (const id of (e.getAttribute('aria-labelledby') || '').concat(' ', e.getAttribute('aria-describedby') || '').split(' ').filter(Boolean))
      if (!document.getElementById(id)) out.push(name(e) + ' points at nothing: ' + id);
  const ids = new Set();
  for (const e of document.querySelectorAll('[id]')) { if (ids.has(e.id)) out.push('twice: ' + e.id); ids.add(e.id); }
  for (const e of document.querySelectorAll('svg[role=img]')) if (!e.querySelector('title')) out.push('picture without a title');
  // 2.5.8: what is pressed is 24 pixels each way, or stands in a line of text.
  for (const e of document.querySelectorAll('button, select, input:not([type=hidden])')) {
    if (!seen(e)) continue;
    const box = (e.type === 'radio' || e.type === 'checkbox') && e.labels.length ? e.labels[0] : e;
    const r = box.getBoundingClientRect();
    if (r.width < 24 || r.height < 24) out.push('too small: ' + name(e) + ' ' + Math.round(r.width) + 'x' + Math.round(r.height));
  }
  // 1.4.10: nothing is cut off, nothing scrolls sideways.
  if (document.documentElement.scrollWidth > innerWidth) out.push('scrolls sideways: ' + document.documentElement.scrollWidth + ' > ' + innerWidth);
  // 1.4.3: text stands out from what is behind it.
  const rgb = (c) => { const m = c.match(/[\d.]+/g).map(Number); return m.length > 3 && m[3] === 0 ? null : m; };
  const lum = (c) => { const f = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const told = new Set();
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !e || !seen(e) || e.closest('.sr, svg, script, select')) continue;
    let back = null;
    for (let p = e; p && !back; p = p.parentElement) back = rgb(getComputedStyle(p).backgroundColor);
    const a = lum(rgb(getComputedStyle(e).color) || [0, 0, 0]), c = lum(back || [255, 255, 255]);
    const ratio = (Math.max(a, c) + 0.05) / (Math.min(a, c) + 0.05);
    if (ratio < 4.5 && !told.has(name(e))) { told.add(name(e)); out.push('contrast ' + ratio.toFixed(2) + ': ' + name(e) + ' ' + walk.currentNode.data.trim().slice(0, 30)); }
  }
  return out;
})()`

// testEveryPage looks at every page on a phone and a wide screen, light and
// dark. It stands in for axe-core, which Debian does not package.
func testEveryPage(t *testing.T, h *house, b *browser) {
	for name, path := range everyPage() {
		for _, width := range []int{360, 1280} {
			for _, dark := range []bool{false, true} {
				b.screen(width, 900, dark)
				b.open(h.url + path)
				var found []string
				b.js(a11y, &found)
				var load struct{ Bytes, Paint float64 }
				b.js("({Bytes: performance.getEntriesByType('navigation')[0].encodedBodySize, Paint: (performance.getEntriesByName('first-contentful-paint')[0] || {startTime: 0}).startTime})", &load)
				t.Logf("%s, %d pixels: %.0f bytes, first paint after %.0f ms", name, width, load.Bytes, load.Paint)
				if load.Bytes > 150_000 {
					t.Errorf("%s weighs %.0f bytes", name, load.Bytes)
				}
				for _, f := range found {
					t.Errorf("%s, %d pixels, dark %v: %s", name, width, dark, f)
				}
			}
		}
	}
	b.screen(1280, 900, false)
	b.js(`for (const tag of ['h4', 'button', 'input']) document.querySelector('main').append(document.createElement(tag))`, nil)
	var found []string
	if b.js(a11y, &found); len(found) < 3 {
		t.Errorf("the check itself misses mistakes that were made on purpose: %q", found)
	}
}

// testBlockAndUndo stops a name from its line, sees that the gateway stops it,
// and takes it back.
func testBlockAndUndo(t *testing.T, h *house, b *browser) {
	b.open(h.url + "/queries?name=news.example.org")
	b.press("button[name=one][value^='block ']")
	b.says("blocked: news.example.org")
	if out := h.cli("why", "news.example.org", "--device", "redmi"); !strings.Contains(out, "deny") && !strings.Contains(h.cli("why", "news.example.org", "--device", "galaxy"), "deny") {
		t.Errorf("it is not stopped: %s", out)
	}
	b.press(".flash button")
	b.says("took back")
	if strings.Contains(h.read("overlay.yaml"), "news.example.org") {
		t.Error("the rule is still there")
	}
	h.logs("changed from 127.0.0.1: block news.example.org", "took back: block news.example.org")
}

func testPause(t *testing.T, h *house, b *browser) {
	b.open(h.url + "/devices/redmi")
	b.press("form[action='/pause'] button[value='600']")
	b.says("Paused:")
	if out := h.cli("why", "sa.api.intl.miui.com", "--device", "redmi"); !strings.Contains(out, "pass") {
		t.Errorf("blocking goes on: %s", out)
	}
	b.press("form[action='/resume'] button")
	b.says("resumed")
}

// testEdit makes a mistake, is told where, puts it right, and saves.
func testEdit(t *testing.T, h *house, b *browser) {
	b.open(h.url + "/lists/mine/edit")
	kept := h.read("blocklists/mine.yaml")
	typed := func(text string) {
		b.js(fmt.Sprintf("(() => { const e = document.getElementById('text'); e.value = %q; e.dispatchEvent(new Event('input', {bubbles: true})) })()", text), nil)
	}
	typed(kept + "rulez: []\n")
	b.until("the mistake, while it is typed", "document.getElementById('verdict').innerText.includes('mine.yaml:8:')")
	b.press("button[value=look]")
	b.says("mine.yaml:8:")
	var save bool
	if b.js("!!document.querySelector('button[value=save]')", &save); save {
		t.Error("a broken list may be saved")
	}
	typed(strings.Replace(kept, "rules:\n", "rules:\n  - added.example.net\n", 1))
	b.until("no mistake", "document.getElementById('verdict').innerText.includes('no mistake')")
	b.press("button[value=look]")
	b.says("+  - added.example.net")
	if h.read("blocklists/mine.yaml") != kept {
		t.Error("it was saved before anybody said so")
	}
	b.press("button[value=save]")
	b.says("saved: mine.yaml")
	if out := h.cli("why", "added.example.net"); !strings.Contains(out, "mine:") {
		t.Errorf("it is not in force: %s", out)
	}
}

func testLeak(t *testing.T, h *house, b *browser) {
	b.open(h.url + "/leaks")
	b.press(".rows a.name")
	for _, words := range []string{"Layer by layer", "base64", "It hides nothing", "visited address", "The host never saw it."} {
		b.says(words)
	}
}

func testReport(t *testing.T, h *house, b *browser) {
	b.open(h.url + "/devices/redmi")
	var doc string
	b.js("fetch(document.querySelector('a[download]').href).then((r) => r.text())", &doc)
	if !strings.Contains(doc, "redmi") || !strings.Contains(doc, "Xiaomi") || strings.Contains(doc, "Insomnia") {
		t.Errorf("a report of %d bytes", len(doc))
	}
}

// testKeyboard goes through a page by the tabulator alone.
func testKeyboard(t *testing.T, h *house, b *browser) {
	b.open(h.url + "/rules")
	var seen []string
	for range 24 {
		for _, kind := range []string{"keyDown", "keyUp"} {
			b.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}, nil)
		}
		var at struct {
			Text    string
			Outline string
		}
		b.js("(() => { const e = document.activeElement; return {Text: e === document.body ? '' : (e.innerText || e.name || '').trim(), Outline: getComputedStyle(e).outlineStyle} })()", &at)
		if at.Text != "" && at.Outline == "none" {
			t.Errorf("nothing shows that %q has the focus", at.Text)
		}
		seen = append(seen, at.Text)
	}
	for _, want := range []string{"Skip to the content", "Now", "Changes", "Pause blocking"} {
		if !slices.Contains(seen, want) {
			t.Errorf("the tabulator does not reach %q: %q", want, seen)
		}
	}
}

// testNoScripts blocks a name with scripts switched off.
func testNoScripts(t *testing.T, h *house, b *browser) {
	b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
	defer b.call("Emulation.setScriptExecutionDisabled", map[string]any{"value": false}, nil)
	b.open(h.url + "/why?name=plain.example.net&device=redmi")
	b.press("button[name=does][value=block]")
	b.says("blocked: plain.example.net")
	if !strings.Contains(h.read("overlay.yaml"), "plain.example.net") {
		t.Error("there is no rule")
	}
	b.press(".flash button")
	b.says("took back")
}
