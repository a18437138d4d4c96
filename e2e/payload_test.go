//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// testSinkhole: what the news story's phone sent home arrives in the journal,
// decoded and masked, and nowhere else.
func (h *house) testSinkhole(t *testing.T) {
	vector := "../../shared/payloads/vectors/01-sensors-android-gzip1.http"
	raw, err := os.ReadFile(vector)
	if err != nil {
		if os.Getenv("E2E_REQUIRE") != "" {
			t.Fatal(err)
		}
		t.Skipf("%v", err)
	}
	_, body, _ := strings.Cut(string(raw), "\r\n\r\n")
	out, err := h.in(h.phone, "curl", "-sS", "-m", "10", "-w", "%{http_code}", "--data-binary", "@"+h.file("body", body, 0o644),
		"http://sa.api.intl.miui.com/sa?project=global_browser_mini")
	if err != nil || !strings.HasSuffix(out, "200") {
		t.Fatalf("the sinkhole answered %v\n%s", err, out)
	}
	h.until("the payload in the journal", 10*time.Second, func() bool {
		for _, e := range h.captures() {
			if strings.HasPrefix(fmt.Sprint(e["path"]), "/sa?project=") && finds(e, "android_id") && finds(e, "search_query") && finds(e, "url") {
				return true
			}
		}
		return false
	})
	for _, file := range []string{"journal.db", "journal.db-wal"} {
		for _, private := range []string{"3f1c9a7e5b2d8046", "is this rash shingles", "incognito/7f3c9b1a"} {
			if strings.Contains(h.read(filepath.Join(h.home, file)), private) {
				t.Errorf("%s holds %q unmasked", file, private)
			}
		}
	}
}

// testHTTPS: with the owner's CA trusted, HTTPS of a sunk name is read; a
// client that does not trust it is told apart, and a wanted site is never
// opened.
func (h *house) testHTTPS(t *testing.T) {
	ca := filepath.Join(h.home, "ca", "ca.crt")
	form := "value=eyJpbWVpIjoiNDkwMTU0MjAzMjM3NTE4IiwidXJsIjoiaHR0cHM6Ly9jbGluaWMuZXhhbXBsZS5vcmcvIn0%3D"
	out, err := h.in(h.phone, "curl", "-sS", "-m", "10", "--cacert", ca, "-d", form, "https://tracking.miui.com/track/v1")
	if err != nil {
		t.Errorf("trusting client: %v\n%s", err, out)
	}
	if out, err = h.in(h.phone, "curl", "-sS", "-m", "10", "-d", form, "https://tracking.intl.miui.com/track/v1"); err == nil {
		t.Errorf("a client that does not trust the CA was served: %s", out)
	}
	if out, err = h.in(h.phone, "curl", "-sS", "-m", "10", "--cacert", ca, "https://www.news-site.org/"); err == nil {
		t.Errorf("a wanted site was opened with the owner's CA:\n%s", out)
	}
	defer func() {
		if t.Failed() {
			t.Logf("captures: %v", h.captures())
		}
	}()
	h.until("both in the journal", 10*time.Second, func() bool {
		read, refused := false, false
		for _, e := range h.captures() {
			tls, _ := e["tls"].(map[string]any)
			read = read || e["name"] == "tracking.miui.com" && e["scheme"] == "https" && finds(e, "imei")
			refused = refused || e["name"] == "tracking.intl.miui.com" && strings.Contains(fmt.Sprint(tls["outcome"]), "refused")
		}
		return read && refused
	})
}

// testLiveEdit: saving the YAML list takes effect within seconds; a broken
// edit keeps the last good version and is told with its line.
func (h *house) testLiveEdit(t *testing.T) {
	list := filepath.Join(h.home, "blocklists", "mine.yaml")
	if err := os.WriteFile(list, []byte("name: mine\nrules:\n  - news-site.org\nallow:\n  - www.news-site.org\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.until("the new rule", 10*time.Second, func() bool {
		short, _ := h.dig("@10.88.0.1", "news-site.org", "A")
		return strings.HasPrefix(short, "28.53.")
	})
	if short, _ := h.dig("@10.88.0.1", "www.news-site.org", "A"); short != webAddr {
		t.Errorf("the allowed name gives %q", short)
	}
	if err := os.WriteFile(list, []byte("name: mine\nrulez:\n  - news-site.org\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.until("a notice about the broken edit", 10*time.Second, func() bool {
		return strings.Contains(h.read(h.log), "mine.yaml:2:1:")
	})
	if short, _ := h.dig("@10.88.0.1", "news-site.org", "A"); !strings.HasPrefix(short, "28.53.") {
		t.Errorf("a broken edit took the last good version away: %q", short)
	}
	os.WriteFile(list, []byte("name: mine\nrules: []\n"), 0o644)
	h.until("the rule gone", 10*time.Second, func() bool {
		short, _ := h.dig("@10.88.0.1", "news-site.org", "A")
		return short == webAddr
	})
}

// testKill ends the gateway without a word and starts it again: the journal is
// whole, and the phone goes on.
func (h *house) testKill(t *testing.T) {
	before := len(h.journal())
	h.gatewayUp.Process.Signal(syscall.SIGKILL)
	h.gatewayUp.Wait()
	h.killStray()
	h.up()
	h.until("the phone again", 40*time.Second, func() bool {
		out, err := h.in(h.phone, "dig", "+short", "+time=1", "+tries=1", "@10.88.0.1", "www.news-site.org", "A")
		return err == nil && out == webAddr+"\n"
	})
	if after := len(h.journal()); after < before {
		t.Errorf("%d events before the kill, %d after", before, after)
	}
}

// killStray ends the gateway itself where ip netns exec was only its parent.
func (h *house) killStray() {
	for pid := range strings.FieldsSeq(h.output("ip", "netns", "pids", h.gateway)) {
		if exe, _ := os.Readlink("/proc/" + pid + "/exe"); exe == h.bin {
			h.must("kill", "-9", pid)
		}
	}
}

// testJournal: every way around is written down, with the rule that closed it.
func (h *house) testJournal(t *testing.T) {
	var all strings.Builder
	for _, e := range h.journal() {
		fmt.Fprintln(&all, e)
	}
	for _, want := range []string{"sa.api.intl.miui.com", "DNS over TLS", "httpdns", "encrypted-dns", "dns.google", "xiaomi"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("the journal never mentions %q", want)
		}
	}
	if out := h.cli("why", "sa.api.intl.miui.com", "--device", "phone"); !strings.Contains(out, "xiaomi:") || !strings.Contains(out, "sink") {
		t.Errorf("why says\n%s", out)
	}
	if out := h.cli("device", "list"); !strings.Contains(out, "ago") {
		t.Errorf("device list does not know the phone's handshake:\n%s", out)
	}
}

// testDashboard opens the page in the phone's browser, inside the tunnel, and
// keeps a picture of it where E2E_PICTURES says.
func (h *house) testDashboard(t *testing.T) {
	token := strings.TrimSpace(h.read(filepath.Join(h.home, "dashboard.token")))
	page := "http://nightlatch.internal/login?token=" + token
	dom := h.chromium("--dump-dom", page)
	for _, want := range []string{"sa.api.intl.miui.com", "android", "phone"} {
		if !strings.Contains(strings.ToLower(dom), want) {
			t.Errorf("the page does not show %q:\n%s", want, dom)
		}
	}
	if strings.Contains(dom, "3f1c9a7e5b2d8046") {
		t.Error("the page shows an identifier unmasked")
	}
	if out, err := h.in(h.phone, "curl", "-s", "-m", "5", "http://nightlatch.internal/api/v1/summary"); err == nil && strings.Contains(out, "miui") {
		t.Errorf("the API answers without a login: %s", out)
	}
	if dir := os.Getenv("E2E_PICTURES"); dir != "" {
		h.chromium("--window-size=1280,1420", "--hide-scrollbars", "--screenshot="+filepath.Join(h.dir, "dashboard.png"), page)
		b := h.read(filepath.Join(h.dir, "dashboard.png"))
		if err := os.WriteFile(filepath.Join(dir, "dashboard.png"), []byte(b), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
