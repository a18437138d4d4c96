package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nightlatch/cmd/nightlatch/story"
	"nightlatch/journal"
)

// TestReportOfStory: the report on the phone of the news story says who would
// have received what, which line stopped it, and how that is known.
func TestReportOfStory(t *testing.T) {
	h := newHouse(t)
	p := h.connect("phone")
	if err := story.Tell(h.ctx, p, h.sink, func(story.Step) {}); err != nil {
		t.Fatal(err)
	}
	await(h, "the capture", func(c journal.Capture) bool { return c.Name == "sa.api.intl.miui.com" })
	await(h, "the last flow", func(f journal.Flow) bool { return f.Dst.String() == story.Literal+":80" })
	if err := h.journal.Flush(context.WithoutCancel(h.ctx)); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run([]string{"report", "phone", "--home", h.dir, "--json"}, nil, &out, &errs); code != exitOK {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	type server struct {
		Name, Company string
		Literal       bool
		Payloads      int
		Up            int64
		Rules         []struct {
			List string
			Line int
		}
		Values []struct {
			Kind, Value, Confidence string
			Chain                   []string
			Count                   int
		}
	}
	var r struct {
		Stopped, Received []server
		Totals            struct{ Payloads, Values int }
		Gateway           struct{ Retention string }
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	s := r.Stopped[0]
	if s.Name != "sa.api.intl.miui.com" || s.Company != "Xiaomi" || s.Payloads != 1 || s.Rules[0].List != "xiaomi" || s.Rules[0].Line == 0 {
		t.Errorf("%+v", s)
	}
	kinds := map[string]bool{}
	for _, v := range s.Values {
		kinds[v.Kind] = true
		if strings.Join(v.Chain, " ") == "" || !strings.Contains(v.Value, "*") && v.Kind != "model" {
			t.Errorf("%+v", v)
		}
	}
	for _, kind := range []string{"url", "search_query", "android_id"} {
		if !kinds[kind] {
			t.Errorf("no %s in %v", kind, kinds)
		}
	}
	literal := false
	for _, s := range r.Received {
		literal = literal || s.Literal && s.Name == story.Literal
	}
	if !literal || r.Totals.Payloads != 1 || r.Gateway.Retention != "30d" {
		t.Errorf("%+v", r)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if code := run([]string{"report", "phone", "--home", h.dir, "--out", file}, nil, &out, &errs); code != exitOK {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Xiaomi", "form → base64 → gzip → json", "visited address", "DNS over TLS"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, secret := range []string{story.AndroidID, "shingles", "clinic"} {
		if bytes.Contains(text, []byte(secret)) || strings.Contains(out.String(), secret) {
			t.Errorf("the report holds %q", secret)
		}
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

// TestReportResolves: only --resolve asks the upstreams where a stopped server is.
func TestReportResolves(t *testing.T) {
	h := newHouse(t, func(dir string) {
		if err := os.WriteFile(filepath.Join(dir, "blocklists", "mine.yaml"), []byte("name: mine\nrules:\n  - "+site+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	p := h.connect("phone")
	if !h.blocked(p, site) || !h.blocked(p, "tracking.miui.com") {
		t.Fatal("not stopped")
	}
	if err := h.journal.Flush(context.WithoutCancel(h.ctx)); err != nil {
		t.Fatal(err)
	}
	for _, flags := range [][]string{nil, {"--resolve"}} {
		var out, errs bytes.Buffer
		args := append([]string{"report", "phone", "--home", h.dir, "--json"}, flags...)
		if code := run(args, nil, &out, &errs); code != exitOK || strings.Contains(out.String(), siteAddr) != (flags != nil) {
			t.Errorf("%v: exit code %d: %s%s", flags, code, errs.String(), out.String())
		}
	}
}
