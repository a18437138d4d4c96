package dashboard

import (
	"context"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"nightlatch/dashboard/form"
	"nightlatch/dashboard/words"
	"nightlatch/decoder"
	"nightlatch/journal"
	"nightlatch/policy"
)

// TestWithTheJournal lets a real journal keep a real event of each kind, and
// reads them on the pages: what the fake promises, the journal holds.
func TestWithTheJournal(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	j, err := journal.Open(ctx, journal.Options{Path: filepath.Join(t.TempDir(), "journal.db"), Driver: "sqlite", Mask: true,
		OwnerOf: func(list string) string { return strings.ToUpper(list) }})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- j.Run(ctx) }()
	defer func() {
		cancel()
		<-done
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	now := time.Now()
	v := sampleRule("xiaomi", 14, "=sa.api.intl.miui.com", "")
	const path = "body/form:data_list/base64/gzip/json"
	for _, e := range []journal.Event{
		journal.Query{Time: now, Device: "redmi", Name: "en.wikipedia.org", Type: "A", RCode: "NOERROR", Upstream: "cache"},
		journal.Query{Time: now, Device: "redmi", Name: "sa.api.intl.miui.com", Type: "A", RCode: "NOERROR", Verdict: v},
		journal.Flow{Time: now, Device: "redmi", Proto: "tcp", Dst: netip.MustParseAddrPort("8.8.8.8:853"), Verdict: policy.Verdict{Action: policy.Deny, Reason: "DNS over TLS"}},
		journal.Capture{Time: now, Device: "redmi", Name: "sa.api.intl.miui.com", Scheme: "http", Method: "POST", Path: "/sa", Size: 812, Result: decoder.Result{Verdict: "leak",
			Layers:   []decoder.Layer{{Codec: "form", Path: "body/form:data_list"}, {Codec: "json", Path: path}},
			Findings: []decoder.Finding{{Kind: "android_id", Value: "3f1c9a7e5b2d8046", Path: path + ":/0/distinct_id", Chain: []string{"form", "base64", "gzip", "json"}, Confidence: decoder.Proved}}}},
		journal.Notice{Time: now, Level: journal.Warn, Room: "tunnel", Text: "a notice of warning"},
	} {
		j.Record(e)
	}
	if err := j.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	d, err := New(Options{Journal: j, Gateway: func() Status { return sampleStatus(time.Now()) }, Token: testToken})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{Dashboard: d, handler: d.Handler()}
	text := plainText(h.get(t, "/", 200))
	for _, must := range []string{"2 questions today, 1 stopped, 1 private value kept from 1 host.", "xiaomi :14", "DNS over TLS", "Android ID", "a notice of warning",
		"caught with 1 private value", "1 connection, 1 refused", "en.wikipedia.org A answered cache"} {
		if !strings.Contains(text, must) {
			t.Errorf("the first page does not say %q:\n%s", must, text)
		}
	}
	id := decode[form.List[form.Capture]](t, h.get(t, "/api/v1/captures", 200)).Items[0].ID
	opened := h.get(t, "/leaks/"+words.Count(id), 200)
	if !strings.Contains(opened, "Android ID") || !strings.Contains(opened, `in1"><h3><span class="codec">json`) {
		t.Errorf("the capture does not open:\n%s", plainText(opened))
	}
	for _, target := range []string{"/", "/leaks", "/leaks/" + words.Count(id), "/api/v1/captures"} {
		if strings.Contains(h.get(t, target, 200), "3f1c9a7e5b2d8046") {
			t.Errorf("%s shows the value unmasked", target)
		}
	}
	if rows := decode[form.List[form.Query]](t, h.get(t, "/api/v1/queries?blocked=1&name=MIUI&device=redmi", 200)).Items; len(rows) != 1 {
		t.Errorf("the filter found %+v", rows)
	}
}
