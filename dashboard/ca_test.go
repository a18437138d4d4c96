package dashboard

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nightlatch/sinkhole/authority"
)

// TestCAPage: a phone without a session gets the certificate, in the form and
// under the type that its system installs, and words that say what it reads.
func TestCAPage(t *testing.T) {
	h := newHouse(t, nil, nil)
	ask := func(path, agent string) (*http.Response, string) {
		t.Helper()
		r := request("GET", path, "")
		r.Host = "nightlatch.internal"
		r.Header.Set("User-Agent", agent)
		resp := h.do(r)
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(b)
	}
	if resp, body := ask("/ca", ""); resp.StatusCode != 200 || !strings.Contains(body, "nightlatch ca create") || strings.Contains(body, "nightlatch.crt") {
		t.Errorf("without a CA: %d %s", resp.StatusCode, plainText(body))
	}
	if resp, _ := ask("/ca/nightlatch.crt", ""); resp.StatusCode != 404 {
		t.Errorf("a file without a CA: %d", resp.StatusCode)
	}
	ca, err := authority.Create(filepath.Join(t.TempDir(), "ca"), authority.Options{Only: []string{"miui.com", "xiaomi.com"}, Now: h.clock})
	if err != nil {
		t.Fatal(err)
	}
	h.authority = func() *authority.CA { return ca }
	for agent, first := range map[string]string{"Mozilla/5.0 (Linux; Android 14)": "Android", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)": "iPhone"} {
		resp, body := ask("/ca", agent)
		text := plainText(body)
		for _, must := range []string{ca.Name(), ca.FingerprintPairs()[:24], ca.FingerprintPairs()[72:], "13 March 2031", "at or below miui.com", "xiaomi.com",
			"Since Android 7 an app trusts only", "Certificate Trust Settings", "To undo"} {
			if !strings.Contains(text, must) {
				t.Errorf("%s: the page does not say %q", agent, must)
			}
		}
		if a, i := strings.Index(body, "h-android"), strings.Index(body, "h-apple"); resp.StatusCode != 200 || (first == "Android") != (a < i) {
			t.Errorf("%s: the other phone comes first", agent)
		}
		if strings.Contains(body, "<form") || strings.Contains(body, "/queries") {
			t.Errorf("%s: more of the house is row.Shown than the certificate", agent)
		}
	}
	block, _ := pem.Decode(ca.PEM())
	for file, kind := range map[string]string{"nightlatch.crt": "application/x-x509-ca-cert", "nightlatch.mobileconfig": "application/x-apple-aspen-config", "nightlatch.pem": "application/x-pem-file"} {
		resp, body := ask("/ca/"+file, "")
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != kind || strings.Contains(body, "PRIVATE") {
			t.Errorf("%s: %d %s", file, resp.StatusCode, resp.Header.Get("Content-Type"))
		}
		if file == "nightlatch.crt" {
			if c, err := x509.ParseCertificate([]byte(body)); err != nil || !bytes.Equal(c.Raw, block.Bytes) || !strings.Contains(resp.Header.Get("Content-Disposition"), "attachment") {
				t.Errorf("the certificate: %v", err)
			}
		}
	}
	if resp, _ := ask("/ca/ca.key", ""); resp.StatusCode != 404 {
		t.Errorf("another file: %d", resp.StatusCode)
	}
	h.clock = h.clock.Add(6 * 365 * 24 * time.Hour)
	if _, body := ask("/ca", ""); !strings.Contains(plainText(body), "Expired") {
		t.Error("an expired one is not told")
	}
}
