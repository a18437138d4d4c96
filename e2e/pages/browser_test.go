//go:build e2e

package pages

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// browser is a headless Chromium, steered over a pair of pipes (Chrome DevTools
// Protocol, --remote-debugging-pipe: JSON with a zero byte behind each message).
type browser struct {
	t       *testing.T
	in      *os.File
	session string

	mu      sync.Mutex
	last    int
	waiting map[int]chan reply
	errors  []string // what pages wrote to the console as an error
}

type reply struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// patience is how long one step of the browser may take on a busy machine.
const patience = 15 * time.Second

func newBrowser(t *testing.T) *browser {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		if os.Getenv("E2E_REQUIRE") != "" {
			t.Fatal(err)
		}
		t.Skip("chromium is missing")
	}
	toThem, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, fromThem, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--force-color-profile=srgb",
		"--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{toThem, fromThem}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toThem.Close()
	fromThem.Close()
	b := &browser{t: t, in: in, waiting: map[int]chan reply{}}
	go b.listen(out)
	t.Cleanup(func() {
		b.send("Browser.close", nil)
		in.Close()
		cmd.Wait()
		out.Close()
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

func (b *browser) listen(out *os.File) {
	r := bufio.NewReaderSize(out, 1<<20)
	for {
		msg, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m reply
		if json.Unmarshal(msg[:len(msg)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if m.ID != 0 {
			if ch := b.waiting[m.ID]; ch != nil {
				delete(b.waiting, m.ID)
				ch <- m
			}
		} else if m.Method == "Log.entryAdded" || m.Method == "Runtime.exceptionThrown" {
			if text := string(m.Params); strings.Contains(text, `"level":"error"`) || m.Method == "Runtime.exceptionThrown" {
				b.errors = append(b.errors, text)
			}
		}
		b.mu.Unlock()
	}
}

func (b *browser) send(method string, params any) chan reply {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	ch := make(chan reply, 1)
	b.waiting[b.last] = ch
	m := map[string]any{"id": b.last, "method": method}
	if params != nil {
		m["params"] = params
	}
	if b.session != "" && !strings.HasPrefix(method, "Browser.") && !strings.HasPrefix(method, "Target.") {
		m["sessionId"] = b.session
	}
	text, err := json.Marshal(m)
	if err == nil {
		_, err = b.in.Write(append(text, 0))
	}
	if err != nil {
		b.t.Logf("%s: %v", method, err)
	}
	return ch
}

func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	select {
	case m := <-b.send(method, params):
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatalf("%s: %v", method, err)
			}
		}
	case <-time.After(patience):
		b.t.Fatalf("%s: no answer", method)
	}
}

// js evaluates an expression, waits for a promise, and gives its value.
func (b *browser) js(expression string, value any) {
	b.t.Helper()
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &out)
	if e := out.ExceptionDetails; e != nil {
		b.t.Fatalf("%s\n%s %s", expression, e.Text, e.Exception.Description)
	}
	if value != nil {
		if err := json.Unmarshal(out.Result.Value, value); err != nil {
			b.t.Fatalf("%s gives %s: %v", expression, out.Result.Value, err)
		}
	}
}

// until waits for an expression to be true; it survives the page changing
// under it.
func (b *browser) until(what, expression string) {
	b.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case m := <-b.send("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}):
			var out struct{ Result struct{ Value any } }
			if m.Error == nil && json.Unmarshal(m.Result, &out) == nil && out.Result.Value == true {
				return
			}
		case <-deadline:
			var text string
			b.js("document.body.innerText", &text)
			b.t.Fatalf("waited in vain for %s; the page says\n%s", what, text)
		}
		<-tick.C
	}
}

// open loads a page and waits until it is whole.
func (b *browser) open(url string) {
	b.t.Helper()
	b.js("window.left = true", nil)
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	b.until(url, "!window.left && document.readyState === 'complete'")
}

// press clicks the first element of a selector, and waits for the next page.
func (b *browser) press(selector string) {
	b.t.Helper()
	b.js("window.left = true", nil)
	b.js(fmt.Sprintf("(() => { const e = document.querySelector(%q); if (!e) throw new Error('no ' + %q); e.click() })()", selector, selector), nil)
	b.until("the page behind "+selector, "!window.left && document.readyState === 'complete'")
}

// screen sets the size and the colours of the screen.
func (b *browser) screen(width, height int, dark bool) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{
		{"name": "prefers-color-scheme", "value": map[bool]string{true: "dark", false: "light"}[dark]},
		{"name": "prefers-reduced-motion", "value": "reduce"}}}, nil)
}

// picture takes a picture of the page down to at most so many pixels.
func (b *browser) picture(path string, most int) {
	b.t.Helper()
	var size struct{ W, H int }
	b.js("({W: innerWidth, H: document.documentElement.scrollHeight})", &size)
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": true,
		"clip": map[string]any{"x": 0, "y": 0, "width": size.W, "height": min(size.H, most), "scale": 1}}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(path, png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
