//go:build e2e

package pages

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"nightlatch/blocklists"
	"nightlatch/decoder"
	"nightlatch/journal"
	"nightlatch/policy"
)

// house is a running gateway whose journal holds a week of three phones.
type house struct {
	t       *testing.T
	bin     string
	dir     string
	url     string // of the dashboard
	token   string
	printed string // what up prints
}

const settings = `tunnel:
  listen: ["127.0.0.1:%d"]
  endpoint: 192.168.1.10:51820
  network4: 10.66.0.0/24
  network6: fd66:1:2:3::/64
dns:
  upstreams: ["udp://127.0.0.1:%d"]
  dnssec: off
dashboard:
  listen: 127.0.0.1:%d
policy:
  action: sink
`

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func newHouse(t *testing.T) *house {
	t.Helper()
	tmp := t.TempDir()
	h := &house{t: t, bin: filepath.Join(tmp, "nightlatch"), dir: filepath.Join(tmp, "home"), printed: filepath.Join(tmp, "up.txt")}
	if h.bin = os.Getenv("NIGHTLATCH"); h.bin == "" {
		h.bin = filepath.Join(tmp, "nightlatch")
		if out, err := exec.Command("go", "build", "-o", h.bin, "../../cmd/nightlatch").CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
	}
	port := freePort(t)
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h.write("nightlatch.yaml", fmt.Sprintf(settings, freePort(t), emptyDNS(t), port))
	for _, d := range []string{"redmi", "galaxy", "ipad"} {
		h.cli("device", "add", d)
	}
	h.write("blocklists/mine.yaml", "name: My list\nabout: Names I want stopped, and names I want to keep.\nrules:\n  - graph.facebook.com\n  - app-measurement.com\nallow:\n  - wiki.example.org\n")
	h.fillJournal(time.Now())
	h.up(port)
	return h
}

func (h *house) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) read(name string) string {
	text, _ := os.ReadFile(filepath.Join(h.dir, name))
	return string(text)
}

func (h *house) cli(args ...string) string {
	h.t.Helper()
	out, err := exec.Command(h.bin, append([]string{"--home", h.dir}, args...)...).CombinedOutput()
	if err != nil {
		h.t.Fatalf("nightlatch %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// logs waits until the journal's file has these words.
func (h *house) logs(words ...string) {
	h.t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		log := h.cli("log", "-n", "40")
		missing := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return strings.Contains(log, w) })
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			h.t.Errorf("the journal does not say %q:\n%s", missing, log)
			return
		}
	}
}

// up starts the gateway and waits for its page.
func (h *house) up(port int) {
	h.t.Helper()
	out, err := os.Create(h.printed)
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.Command(h.bin, "--home", h.dir, "up")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	h.t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		<-ended
		out.Close()
		if h.t.Failed() {
			text, _ := os.ReadFile(h.printed)
			h.t.Logf("up printed:\n%s", text)
		}
	})
	h.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		if c, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://")); err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			h.t.Fatal("the gateway does not come up")
		}
		select {
		case err := <-ended:
			h.t.Fatalf("the gateway ended: %v", err)
		default:
		}
	}
	h.token = strings.TrimSpace(h.read("dashboard.token"))
}

// emptyDNS is a DNS server that knows of no records: it sends every question
// back as an answer without any.
func emptyDNS(t *testing.T) (port int) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if n > 3 {
				buf[2], buf[3] = buf[2]|0x80, 0x80 // QR, RA, NOERROR (RFC 1035 §4.1.1)
				c.WriteTo(buf[:n], from)
			}
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// site is a name that the phones of the week ask for.
type site struct {
	name   string
	list   string // that stops it; empty: it passes
	line   int
	weight int
}

func sites() []site {
	return []site{
		{"www.wikipedia.org", "", 0, 14}, {"i.instagram.com", "", 0, 20}, {"mail.example.net", "", 0, 9}, {"clients4.google.com", "", 0, 12}, {"time.android.com", "", 0, 3},
		{"news.example.org", "", 0, 10}, {"cdn.video.example", "", 0, 22}, {"maps.example.com", "", 0, 5},
		{"sa.api.intl.miui.com", "xiaomi", 14, 10}, {"tracking.intl.miui.com", "xiaomi", 9, 8}, {"data.mistat.intl.xiaomi.com", "xiaomi", 21, 4},
		{"samsung-directory.edge.hiyaapi.com", "samsung", 41, 3}, {"graph.facebook.com", "mine", 4, 6}, {"app-measurement.com", "mine", 5, 7},
	}
}

// fillJournal records a week: nobody asks at night, most ask in the evening.
func (h *house) fillJournal(now time.Time) {
	h.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	j, err := journal.Open(ctx, journal.Options{Path: filepath.Join(h.dir, "journal.db"), Driver: "sqlite", Retention: 30 * 24 * time.Hour, MaxBytes: 64 << 20, Mask: true})
	if err != nil {
		h.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- j.Run(ctx) }()
	r := rand.New(rand.NewPCG(1, 2)) // the same week every time
	all := sites()
	for back := 7 * 24 * time.Hour; back > 0; back -= 4 * time.Minute {
		at := now.Add(-back)
		busy := []int{0, 0, 0, 0, 0, 0, 1, 2, 2, 1, 1, 1, 2, 2, 1, 1, 2, 2, 3, 4, 4, 4, 3, 1}[at.Local().Hour()]
		if back < 20*time.Minute {
			busy = 3 // there is something on the first page, whenever it is made
		}
		for range busy {
			record(j, r, all[r.IntN(len(all))], at.Add(time.Duration(r.IntN(240))*time.Second), now)
		}
	}
	j.Record(journal.Notice{Time: now.Add(-20 * time.Minute), Level: journal.Info, Room: "config", Text: "reloaded: 612 rules, 3 devices"})
	stop()
	if err := <-done; err != nil {
		h.t.Fatal(err)
	}
	if lost := j.Stats().Lost; lost > 0 {
		h.t.Fatalf("%d events of the week were lost", lost)
	}
	if err := j.Close(); err != nil {
		h.t.Fatal(err)
	}
}

func record(j *journal.Journal, r *rand.Rand, s site, at, now time.Time) {
	if at.After(now) {
		at = now.Add(-time.Second)
	}
	device := []string{"redmi", "redmi", "galaxy"}[r.IntN(3)]
	if strings.Contains(s.name, "miui") || strings.Contains(s.name, "xiaomi") {
		device = "redmi"
	}
	dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(r.IntN(200) + 1)}), 443)
	q := journal.Query{Time: at, Device: device, Name: s.name, Type: []string{"A", "AAAA", "HTTPS"}[r.IntN(3)], Network: "udp", Server: netip.MustParseAddrPort("10.66.0.1:53"),
		RCode: "NOERROR", Upstream: "https://dns.quad9.net/dns-query", Took: time.Duration(8+r.IntN(30)) * time.Millisecond, Answers: []string{dst.Addr().String()}}
	if s.list == "" {
		j.Record(q)
		j.Record(journal.Flow{Time: at.Add(time.Second), Device: device, Proto: "tcp", Dst: dst, Name: s.name, Up: int64(800 + r.IntN(9000)), Down: int64(9000 + r.IntN(900_000)), Took: 3 * time.Second})
		return
	}
	q.Verdict = policy.Verdict{Action: policy.Sink, Rule: blocklists.Rule{List: s.list, Line: s.line, Text: s.name, Why: "usage events"}}
	q.Upstream, q.Answers = "", []string{"28.53.1.7"}
	j.Record(q)
	if s.list != "xiaomi" {
		return
	}
	const path = "body/form:data_list/base64/gzip"
	chain := []string{"form", "base64", "gzip", "json"}
	finding := func(kind, value, where string, sure decoder.Confidence) decoder.Finding {
		return decoder.Finding{Kind: kind, Value: value, Path: path + "/json:" + where, Chain: chain, Confidence: sure}
	}
	j.Record(journal.Capture{Time: at.Add(2 * time.Second), Device: device, Name: s.name, Scheme: "http", Method: "POST", Path: "/sa?project=production", ContentType: "application/x-www-form-urlencoded",
		UserAgent: "Dalvik/2.1.0 (Linux; U; Android 10; Redmi Note 8)", Size: int64(600 + r.IntN(3000)),
		Result: decoder.Result{Verdict: "leak", Layers: []decoder.Layer{{Codec: "form", Path: "body/form:data_list"}, {Codec: "base64", Path: "body/form:data_list/base64"}, {Codec: "gzip", Path: path}, {Codec: "json", Path: path + "/json"}},
			Findings: []decoder.Finding{
				finding("url", "https://en.wikipedia.org/wiki/Insomnia", "/0/properties/$url", decoder.Proved),
				finding("android_id", "3f1c92d07a4b8046", "/0/distinct_id", decoder.Proved),
				finding("gaid", "c7d01f8e-5a55-4c1e-9d0b-6b8f2a1e3c4d", "/0/properties/gaid", decoder.Likely),
				finding("model", "Redmi Note 8", "/0/properties/$model", decoder.Likely)}}})
}
