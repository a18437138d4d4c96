package decoder

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"testing"
)

func gz(t testing.TB, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func post(target, headers, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: collector.vendor.test\r\n%sContent-Length: %d\r\n\r\n%s", target, headers, len(body), body)
}

// TestStory is the case of the news: a browser that reports what its owner
// visits and searches, as form -> base64 -> gzip -> JSON.
func TestStory(t *testing.T) {
	events := `[{"event":"open","properties":{"$device_id":"a81c07d25b3e9f64","url":"https:\/\/clinic.example\/booking?day=3"}},` +
		`{"event":"search","properties":{"search_word":"lump under arm"}}]`
	body := "crc=1&gzip=1&data_list=" + url.QueryEscape(base64.StdEncoding.EncodeToString(gz(t, events)))
	d, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := d.Decode(post("/sa?project=b", "", body))
	if r.Verdict != Leak {
		t.Errorf("verdict %s, want leak", r.Verdict)
	}
	for _, want := range []Finding{
		{Kind: "android_id", Value: "a81c07d25b3e9f64", Path: "body/form:data_list/base64/gzip/json:/0/properties/$device_id"},
		{Kind: "url", Value: "https://clinic.example/booking?day=3", Path: "body/form:data_list/base64/gzip/json:/0/properties/url"},
		{Kind: "search_query", Value: "lump under arm", Path: "body/form:data_list/base64/gzip/json:/1/properties/search_word"},
	} {
		at := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Kind == want.Kind })
		if at < 0 {
			t.Errorf("no %s in %v", want.Kind, r.Findings)
			continue
		}
		f := r.Findings[at]
		if f.Value != want.Value || f.Path != want.Path || f.Confidence != Likely {
			t.Errorf("%s: %q at %s (%s), want %q at %s", want.Kind, f.Value, f.Path, f.Confidence, want.Value, want.Path)
		}
		if !slices.Equal(f.Chain, []string{"form", "base64", "gzip", "json"}) {
			t.Errorf("%s: chain %v", want.Kind, f.Chain)
		}
	}
}
