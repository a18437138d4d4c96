package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config/canaries"
	"nightlatch/journal"
	"nightlatch/tunnel/phone"
)

// canaryResult is what `canary show --json` prints.
type canaryResult struct {
	Verdict  string
	Opened   []time.Time
	CameBack []struct {
		Way, To, Form, Path, Excerpt, Confidence, Device string
		Chain                                            []string
		Count                                            int
	} `json:"came_back"`
}

// plant puts a canary into the home of a running gateway and waits until the
// gateway serves it.
func plant(h *house, p *phone.Phone) canaries.Canary {
	h.t.Helper()
	now := time.Now()
	c, err := (home.Home{Dir: h.dir}).AddCanary(now, func(n int) (canaries.Canary, error) { return canaries.New(n, "", now) })
	if err != nil {
		h.t.Fatal(err)
	}
	h.noticed("reloaded:")
	resp, err := p.HTTPClient(nil).Get(c.URL)
	if err != nil {
		h.t.Fatal("the page of the canary does not open:", err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		h.t.Fatalf("the page of the canary: HTTP %d", resp.StatusCode)
	}
	h.noticed("canary #1 was opened")
	return c
}

// send posts a body to a blocked name, as an SDK does.
func send(h *house, p *phone.Phone, to, contentType, body string) {
	h.t.Helper()
	resp, err := p.HTTPClient(nil).Post(to, contentType, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	resp.Body.Close()
}

// showCanary runs `canary show 1 --json` on what the gateway wrote.
func showCanary(h *house) (r canaryResult) {
	h.t.Helper()
	if err := h.journal.Flush(context.WithoutCancel(h.ctx)); err != nil {
		h.t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run([]string{"canary", "show", "1", "--json", "--home", h.dir}, nil, &out, &errs); code != exitOK {
		h.t.Fatalf("exit code %d: %s", code, errs.String())
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		h.t.Fatal(err, out.String())
	}
	return r
}

// TestLeakingBrowser: what is opened comes back as base64 over gzip in a report,
// as a hash, and as a label of a name; all of it is found, and the journal does
// not hold the token.
func TestLeakingBrowser(t *testing.T) {
	t.Parallel() // it mostly waits
	h := newHouse(t)
	p := h.connect("phone")
	c := plant(h, p)

	text, err := json.Marshal([]map[string]any{{"event": "page_view", "properties": map[string]string{"url": c.URL, "title": "private words"}}})
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	form := url.Values{"gzip": {"1"}, "data_list": {base64.StdEncoding.EncodeToString(packed.Bytes())}}
	send(h, p, "http://sa.api.intl.miui.com/sa", "application/x-www-form-urlencoded", form.Encode())
	sum := md5.Sum([]byte(c.URL))
	send(h, p, "http://tracking.miui.com/t", "application/json", fmt.Sprintf(`{"p":{"h":"%s"}}`, hex.EncodeToString(sum[:])))
	h.blocked(p, c.Token+".data.mistat.intl.xiaomi.com")
	h.noticed("canary #1 came back in what was meant for sa.api.intl.miui.com", "form -> base64 -> gzip -> json")
	h.noticed("canary #1 came back in what was meant for tracking.miui.com")
	h.noticed("canary #1 came back in a name that was asked for: (canary #1).data.mistat.intl.xiaomi.com")

	r := showCanary(h)
	if r.Verdict != "came back" || len(r.Opened) != 1 {
		t.Errorf("verdict %q, opened %v", r.Verdict, r.Opened)
	}
	want := map[string]bool{"form base64 gzip json": false, "md5.hex": false, "(canary #1).data.mistat.intl.xiaomi.com": false}
	for _, b := range r.CameBack {
		switch {
		case b.To == "sa.api.intl.miui.com" && strings.Join(b.Chain, " ") == "form base64 gzip json":
			want["form base64 gzip json"] = true
			if !strings.Contains(b.Excerpt, "(canary #1)") || strings.Contains(b.Excerpt, "private") {
				t.Errorf("excerpt %q", b.Excerpt)
			}
		case b.To == "tracking.miui.com":
			want[b.Form] = true
		case b.Way == "name":
			want[b.To] = true
		}
		if b.Confidence != "proved" || b.Device != "phone" || strings.Contains(fmt.Sprint(b), c.Token) {
			t.Errorf("%+v", b)
		}
	}
	for what, met := range want {
		if !met {
			t.Errorf("not reported: %s, in %+v", what, r.CameBack)
		}
	}
	if err := h.end(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"journal.db", "journal.db-wal"} {
		if raw, err := os.ReadFile(filepath.Join(h.dir, name)); err == nil && bytes.Contains(raw, []byte(c.Token)) {
			t.Errorf("%s holds the token", name)
		}
	}
}

// TestCleanBrowser: a browser that opens the page, and tells its vendor other
// things, is not accused of anything.
func TestCleanBrowser(t *testing.T) {
	t.Parallel() // it mostly waits
	h := newHouse(t)
	p := h.connect("phone")
	plant(h, p)
	send(h, p, "http://sa.api.intl.miui.com/sa", "application/json", `{"event":"start","url":"https://other.example.org/a","id":"3f1c9a7e5b2d8046","h":"d41d8cd98f00b204e9800998ecf8427e"}`)
	h.blocked(p, "abcdefghijklmnopqrstuvwxyz.data.mistat.intl.xiaomi.com")
	await(h, "the capture", func(c journal.Capture) bool { return c.Name == "sa.api.intl.miui.com" })
	r := showCanary(h)
	if r.Verdict != "did not come back" || len(r.Opened) != 1 || len(r.CameBack) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestCanaryWaits: the command itself waits for what comes back and ends with 1.
func TestCanaryWaits(t *testing.T) {
	t.Parallel() // it mostly waits
	h := newHouse(t)
	p := h.connect("phone")
	control, err := listenControl(home.Home{Dir: h.dir})
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	go (&http.Server{Handler: h.controlHandler()}).Serve(control)

	codes := make(chan int, 1)
	var out, errs bytes.Buffer
	go func() {
		codes <- run([]string{"canary", "--home", h.dir, "--incognito", "--for", "6s", "--json"}, nil, &out, &errs)
	}()
	h.noticed("reloaded:")
	list, err := canaries.Load(filepath.Join(h.dir, "canaries.yaml"))
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	send(h, p, "http://tracking.miui.com/t", "text/plain", "url="+url.QueryEscape(list[0].URL))
	if code := <-codes; code != exitFailed {
		t.Errorf("exit code %d, want %d; %s", code, exitFailed, errs.String())
	}
	var r canaryResult
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Verdict != "came back" || r.CameBack[0].To != "tracking.miui.com" {
		t.Errorf("%v: %s", err, out.String())
	}
}

// TestTimingReplay: planted bursts after every opening are found among traffic
// that knows nothing of them.
func TestTimingReplay(t *testing.T) {
	h := home.Home{Dir: t.TempDir()}
	if _, err := h.Prepare(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now().Add(-time.Hour).Truncate(time.Second)
	at := func(s float64) time.Time { return begin.Add(time.Duration(s * float64(time.Second))) }
	announced := []float64{31, 140, 222, 390, 512, 700, 835, 1004} // as drawn once
	var events []journal.Event
	for _, s := range announced {
		events = append(events, journal.Capture{Time: at(s + 6), Device: "phone", Name: "tracking.miui.com", Scheme: "tls", Size: 900})
	}
	for s := 10.0; s < 1200; s += 60 {
		events = append(events, journal.Flow{Time: at(s), Device: "phone", Name: "push.example.org", Up: 300})
		events = append(events, journal.Flow{Time: at(s / 2), Device: "tablet", Name: "tracking.miui.com", Up: 300})
	}
	events = append(events, journal.Query{Time: at(140), Device: "phone", Name: "nightlatch.internal"})
	record(t, h, events...)
	var stamps []string
	for _, s := range announced {
		stamps = append(stamps, `"`+at(s).Format(time.RFC3339)+`"`)
	}
	session := filepath.Join(h.Dir, "session.json")
	text := fmt.Sprintf(`{"session":{"device":"phone","begin":%q,"length_s":1200,"window_s":30,"gap_s":45,"announced":[%s]}}`, begin.Format(time.RFC3339), strings.Join(stamps, ","))
	if err := os.WriteFile(session, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run([]string{"canary", "timing", "--home", h.Dir, "--replay", session, "--json"}, nil, &out, &errs); code != exitOK {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	var r struct {
		Destinations []struct {
			Name, Meaning string
			Hits, Events  int
			P             float64 `json:"p_adjusted"`
		}
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || len(r.Destinations) != 2 {
		t.Fatal(err, out.String())
	}
	if d := r.Destinations[0]; d.Name != "tracking.miui.com" || d.P > 0.001 || d.Hits != 8 || d.Events != 8 || !strings.Contains(d.Meaning, "strong evidence") {
		t.Errorf("%+v", d)
	}
	if d := r.Destinations[1]; d.Name != "push.example.org" || d.P < 0.05 || !strings.HasPrefix(d.Meaning, "no sign") {
		t.Errorf("%+v", d)
	}
	out.Reset()
	if code := run([]string{"canary", "timing", "--home", h.Dir, "--replay", session}, nil, &out, &errs); code != exitOK ||
		!strings.Contains(out.String(), "1 experiment in") || !strings.Contains(out.String(), "8 of 8") {
		t.Errorf("exit code %d: %s", code, out.String())
	}
}

// record writes events into the journal of a home without a gateway.
func record(t *testing.T, h home.Home, events ...journal.Event) {
	t.Helper()
	key, err := h.MarkKey()
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(t.Context(), journal.Options{Path: h.Path("journal.db"), Driver: "sqlite", MarkKey: key})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- j.Run(ctx) }()
	for _, e := range events {
		j.Record(e)
	}
	if err := j.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// TestDiff: after the advertising ID was reset, the one that stayed is shown
// first, although both are masked alike.
func TestDiff(t *testing.T) {
	h := home.Home{Dir: t.TempDir()}
	if _, err := h.Prepare(); err != nil {
		t.Fatal(err)
	}
	base := time.Now().Add(-3 * time.Hour)
	capture := func(at time.Duration, item int, gaid, oaid string) journal.Capture {
		c := journal.Capture{Time: base.Add(at), Device: "phone", Name: "tracking.miui.com", Scheme: "http", Size: 9}
		for kind, v := range map[string]string{"gaid": gaid, "oaid": oaid, "model": "Redmi Note 8"} {
			c.Result.Findings = append(c.Result.Findings, foundIn{Kind: kind, Value: v, Path: fmt.Sprintf("body/json:/%d/%s", item, kind), Chain: []string{"json"}})
		}
		return c
	}
	stays := "5a0c8d7e-1111-4222-8333-944455556666"
	record(t, h,
		capture(0, 0, "aa0c8d7e-1111-4222-8333-94445555aaaa", stays),
		capture(time.Hour, 3, "aa0c8d7e-1111-4222-8333-94445555aaaa", stays),
		capture(2*time.Hour, 0, "aa9f8d7e-9999-4222-8333-94445555aaaa", strings.ToUpper(stays)))
	var out, errs bytes.Buffer
	args := []string{"canary", "diff", "--home", h.Dir, "--device", "phone", "--before", base.Add(90 * time.Minute).Format(time.RFC3339), "--after", base.Add(91 * time.Minute).Format(time.RFC3339)}
	if code := run(append(args, "--json"), nil, &out, &errs); code != exitOK {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	var d struct {
		Captures []int
		Fields   []struct {
			Name, Kind, Path, Fate string
			Before, After          []struct {
				Value, Mark string
				Count       int
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &d); err != nil || len(d.Fields) != 2 || !slices.Equal(d.Captures, []int{2, 1}) {
		t.Fatal(err, out.String())
	}
	if f := d.Fields[0]; f.Kind != "oaid" || f.Fate != "stayed" || f.Path != "body/json:/*/oaid" || f.Before[0].Count != 2 || f.Before[0].Mark != f.After[0].Mark {
		t.Errorf("%+v", f)
	}
	f := d.Fields[1]
	if f.Kind != "gaid" || f.Fate != "changed" || f.Before[0].Mark == f.After[0].Mark {
		t.Errorf("%+v", f)
	}
	if f.Before[0].Value != f.After[0].Value {
		t.Error("the test means to compare two values that are masked alike")
	}
	out.Reset()
	if code := run(args, nil, &out, &errs); code != exitOK || !strings.Contains(out.String(), "values stayed at 1 name") {
		t.Errorf("exit code %d: %s", code, out.String())
	}
}
