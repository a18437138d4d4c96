//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// need skips when a part is missing, or fails where nothing may be skipped.
func need(t *testing.T, programs ...string) {
	t.Helper()
	missing := []string{}
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		missing = append(missing, "/dev/net/tun")
	}
	if len(missing) == 0 {
		return
	}
	if os.Getenv("E2E_REQUIRE") != "" {
		t.Fatalf("missing: %s", strings.Join(missing, ", "))
	}
	t.Skipf("missing: %s (.ci/run installs the packages)", strings.Join(missing, ", "))
}

// house is a running gateway and a connected phone.
type house struct {
	*lab
	bin, home string
	gatewayUp *exec.Cmd
	log       string // what up prints
}

// Where sunk names live by default; a * stands for the rest.
const (
	sink4 = "28.53.*"
	sink6 = "3ffe:6e69:6768:746c:*"
)

// nobody is who the gateway runs as: it needs no root.
const nobody = "65534"

// asNobody puts the command that drops all privileges in front.
func asNobody(args ...string) []string {
	return append([]string{"setpriv", "--reuid", nobody, "--regid", nobody, "--clear-groups", "--no-new-privs", "--bounding-set", "-all"}, args...)
}

// cli runs a subcommand as the gateway's owner.
func (h *house) cli(args ...string) string {
	h.t.Helper()
	return h.mustIn(h.gateway, asNobody(append([]string{h.bin, "--home", h.home}, args...)...)...)
}

// config is what the owner writes: encrypted upstream first, plain one behind.
const config = `tunnel:
  listen: [":51820"]
  endpoint: %[1]s:51820
  network4: 10.88.0.0/24
  network6: fd88:1:2:3::/64
dns:
  upstreams:
    - tls://dns.upstream-operator.net#%[2]s
    - udp://%[2]s
  ca_file: %[3]s
`

func newHouse(t *testing.T) *house {
	need(t, "ip", "wg", "wireguard-go", "dig", "curl", "nsd", "unbound", "chromium", "setpriv", "zbarimg", "sysctl", "openssl", "ping", "ss", "python3")
	h := &house{lab: newLab(t)}
	h.startInternet()
	h.bin = filepath.Join(h.dir, "nightlatch")
	build := exec.Command("go", "build", "-o", h.bin, "../cmd/nightlatch")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	h.home = filepath.Join(h.dir, "home")
	h.file("home/nightlatch.yaml", fmt.Sprintf(config, gatewayLAN, dnsAddr, filepath.Join(h.dir, "dns.crt")), 0o600)
	for _, p := range []string{h.home, filepath.Join(h.home, "nightlatch.yaml")} {
		if err := os.Chown(p, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// up starts the gateway and waits until it says so.
func (h *house) up() {
	h.t.Helper()
	h.gatewayUp, h.log = h.start(h.gateway, "up", nil, asNobody(h.bin, "--home", h.home, "up")...)
	h.until("the gateway", 20*time.Second, func() bool { return strings.Contains(h.read(h.log), "ready;") })
}

func (h *house) read(path string) string {
	b, _ := os.ReadFile(path)
	return string(b)
}

// connect brings the phone's tunnel up with Debian's tools, as the app does:
// every packet and every name goes through it.
func (h *house) connect() {
	h.t.Helper()
	conf := h.read(filepath.Join(h.home, "devices", "phone.conf"))
	var setconf strings.Builder
	var addrs []string
	for line := range strings.Lines(conf) {
		key, value, _ := strings.Cut(line, "=")
		switch strings.TrimSpace(key) {
		case "Address":
			addrs = strings.Split(strings.TrimSpace(value), ",")
		case "DNS", "MTU":
		default:
			setconf.WriteString(line)
		}
	}
	h.start(h.phone, "wireguard-go", []string{"WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1"}, "wireguard-go", "-f", h.phone)
	h.until("the phone's interface", 10*time.Second, func() bool {
		_, err := h.in(h.phone, "wg", "setconf", h.phone, h.file("wg0.conf", setconf.String(), 0o600))
		return err == nil
	})
	for _, a := range addrs {
		h.must("ip", "-n", h.phone, "addr", "add", strings.TrimSpace(a), "dev", h.phone, "nodad")
	}
	h.must("ip", "-n", h.phone, "link", "set", h.phone, "mtu", "1280", "up")
	// As the app does it: everything but the tunnel's own packets goes in,
	// the network around the phone too.
	h.mustIn(h.phone, "wg", "set", h.phone, "fwmark", "51820")
	for _, family := range []string{"-4", "-6"} {
		h.must("ip", "-n", h.phone, family, "route", "add", "default", "dev", h.phone, "table", "51820")
		h.must("ip", "-n", h.phone, family, "rule", "add", "not", "fwmark", "51820", "table", "51820")
	}
	os.MkdirAll("/etc/netns/"+h.phone, 0o755)
	if err := os.WriteFile("/etc/netns/"+h.phone+"/resolv.conf", []byte("nameserver 10.88.0.1\nnameserver fd88:1:2:3::1\n"), 0o644); err != nil {
		h.t.Fatal(err)
	}
	h.until("a first answer through the tunnel", 20*time.Second, func() bool {
		out, err := h.in(h.phone, "dig", "+short", "+time=1", "+tries=1", "@10.88.0.1", "www.news-site.org", "A")
		return err == nil && out == webAddr+"\n"
	})
}

// dig gives the short answer, and the status of the long one.
func (h *house) dig(args ...string) (short, status string) {
	h.t.Helper()
	out, err := h.in(h.phone, append([]string{"dig", "+time=3", "+tries=2"}, args...)...)
	if err != nil {
		h.t.Errorf("dig %v: %v\n%s", args, err, out)
	}
	_, rest, _ := strings.Cut(out, "status: ")
	status, _, _ = strings.Cut(rest, ",")
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) == 5 && f[2] == "IN" && !strings.HasPrefix(line, ";") && f[3] != "SOA" {
			short += f[4] + " "
		}
	}
	return strings.TrimSpace(short), status
}

// journal gives every event that nightlatch log finds.
func (h *house) journal(args ...string) []map[string]any {
	h.t.Helper()
	var out []map[string]any
	lines := bufio.NewScanner(strings.NewReader(h.cli(append([]string{"log", "--json", "-n", "10000"}, args...)...)))
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e map[string]any
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			h.t.Fatalf("log --json: %v: %s", err, lines.Text())
		}
		out = append(out, e)
	}
	return out
}

func TestHouse(t *testing.T) {
	h := newHouse(t)
	h.cli("device", "add", "phone", "--json")
	h.cli("ca", "create")
	h.cli("check")
	h.up()
	h.run("qr", h.testQR)
	h.connect()
	h.run("dns", h.testDNS)
	h.run("web", h.testWeb)
	h.run("ways around", h.testWaysAround)
	h.run("guard", h.testGuard)
	h.run("chromium", h.testChromium)
	h.run("sinkhole", h.testSinkhole)
	h.run("https with the owner's CA", h.testHTTPS)
	h.run("dashboard", h.testDashboard)
	h.run("live edit", h.testLiveEdit)
	h.run("kill -9", h.testKill)
	h.run("journal", h.testJournal)
	if got := h.read(filepath.Join(h.dir, "vendor.txt")); got != "" {
		t.Errorf("these reached servers that nothing may reach:\n%s", got)
	}
	if t.Failed() {
		t.Logf("the journal:\n%s", h.cli("log", "-n", "60"))
		t.Logf("what up printed:\n%s", h.read(h.log))
	}
	h.gatewayUp.Process.Signal(syscall.SIGTERM)
}

// run is t.Run for a part of the test.
func (h *house) run(name string, part func(*testing.T)) {
	h.all.Run(name, func(t *testing.T) {
		h.t = t
		defer func() { h.t = h.all }()
		part(t)
	})
}

// testQR reads the code that the terminal shows with zbarimg: it must be the
// .conf, character for character.
func (h *house) testQR(t *testing.T) {
	shown := h.cli("device", "show", "phone")
	var lines []string
	for line := range strings.Lines(shown) {
		if strings.ContainsAny(line, "█▀▄") {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	const scale = 4
	img := image.NewGray(image.Rect(0, 0, len([]rune(lines[0]))*scale, len(lines)*2*scale))
	for y, line := range lines {
		for x, r := range []rune(line) {
			for half := range 2 {
				light := r == '█' || r == '▀' && half == 0 || r == '▄' && half == 1
				for i := range scale * scale {
					c := color.Gray{}
					if light {
						c.Y = 255
					}
					img.SetGray(x*scale+i%scale, (2*y+half)*scale+i/scale, c)
				}
			}
		}
	}
	path := filepath.Join(h.dir, "qr.png")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	png.Encode(f, img)
	f.Close()
	got, err := exec.Command("zbarimg", "-q", "--raw", path).Output()
	if err != nil {
		t.Fatalf("zbarimg: %v\n%s", err, shown)
	}
	conf := h.read(filepath.Join(h.home, "devices", "phone.conf"))
	if strings.TrimSpace(string(got)) != strings.TrimSpace(conf) {
		t.Errorf("the QR code says\n%s\nand the file\n%s", got, conf)
	}
}

func (h *house) testDNS(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   []string
		short  string // exact answer, or a prefix ending in *
		status string
	}{
		{"wanted, UDP", []string{"@10.88.0.1", "www.news-site.org", "A"}, webAddr, "NOERROR"},
		{"wanted, TCP", []string{"+tcp", "@10.88.0.1", "www.news-site.org", "A"}, webAddr, "NOERROR"},
		{"wanted, IPv6 server", []string{"@fd88:1:2:3::1", "www.news-site.org", "AAAA"}, webAddr6, "NOERROR"},
		{"blocked, gateway", []string{"@10.88.0.1", "sa.api.intl.miui.com", "A"}, sink4, "NOERROR"},
		{"blocked, AAAA", []string{"@10.88.0.1", "sa.api.intl.miui.com", "AAAA"}, sink6, "NOERROR"},
		{"blocked, 8.8.8.8", []string{"@8.8.8.8", "tracking.miui.com", "A"}, sink4, "NOERROR"},
		{"blocked, 8.8.8.8 TCP", []string{"+tcp", "@8.8.8.8", "tracking.miui.com", "A"}, sink4, "NOERROR"},
		{"blocked, no DNS server there at all", []string{"@192.168.77.1", "tracking.miui.com", "A"}, sink4, "NOERROR"},
		{"DoH host", []string{"@8.8.8.8", "dns.google", "A"}, "", "NXDOMAIN"},
		{"Firefox canary", []string{"@10.88.0.1", "use-application-dns.net", "A"}, "", "NXDOMAIN"},
		{"Private Relay", []string{"@10.88.0.1", "mask.icloud.com", "A"}, "", "NXDOMAIN"},
		{"no such name", []string{"@10.88.0.1", "nothing.news-site.org", "A"}, "", "NXDOMAIN"},
		{"the gateway", []string{"@10.88.0.1", "nightlatch.internal", "A"}, "10.88.0.1", "NOERROR"},
	} {
		short, status := h.dig(c.args...)
		prefix, wild := strings.CutSuffix(c.short, "*")
		if status != c.status || short != c.short && !(wild && strings.HasPrefix(short, prefix)) {
			t.Errorf("%s: got %q %s, want %q %s", c.name, short, status, c.short, c.status)
		}
	}
	// A cloaked name: the CNAME leads to a listed one, so no address of the
	// vendor may be in the answer.
	if short, status := h.dig("@10.88.0.1", "metrics.news-site.org", "A"); strings.Contains(short, vendorAddr) {
		t.Errorf("cloaked name: %q %s", short, status)
	}
	if out, _ := h.in(h.phone, "dig", "@10.88.0.1", "dns.google", "A"); !strings.Contains(out, "EDE: 15") || !strings.Contains(out, "encrypted-dns") {
		t.Errorf("a blocked answer does not say why:\n%s", out)
	}
}

func (h *house) testWeb(t *testing.T) {
	cert := filepath.Join(h.dir, "web.crt")
	for _, args := range [][]string{
		{"http://www.news-site.org/"},
		{"-6", "http://www.news-site.org/"},
		{"--cacert", cert, "https://www.news-site.org/"},
		{"-6", "--cacert", cert, "https://www.news-site.org/"},
	} {
		out, err := h.in(h.phone, append([]string{"curl", "-sS", "-m", "10"}, args...)...)
		if err != nil || !strings.Contains(out, "the wanted page") {
			t.Errorf("curl %v: %v\n%s", args, err, out)
		}
	}
	if out, err := h.in(h.phone, "ping", "-c", "2", "-W", "3", webAddr); err != nil {
		t.Errorf("ping: %v\n%s", err, out)
	}
	out, err := h.in(h.phone, "bash", "-c", "exec 3<>/dev/udp/"+webAddr+"/7; echo hello-over-udp >&3; head -c 15 <&3")
	if err != nil || !strings.Contains(out, "hello-over-udp") {
		t.Errorf("UDP echo: %v\n%s", err, out)
	}
}

// testWaysAround: what goes round the resolver is refused, quickly.
func (h *house) testWaysAround(t *testing.T) {
	for _, c := range []struct{ what, host, port string }{
		{"DNS over TLS", googleDNS, "853"},
		{"DNS over TLS to our own upstream", dnsAddr, "853"},
		{"DNS over HTTPS by address", googleDNS, "443"},
	} {
		begin := time.Now()
		out, err := h.in(h.phone, "bash", "-c", "exec 3<>/dev/tcp/"+c.host+"/"+c.port)
		if err == nil || !strings.Contains(out, "refused") {
			t.Errorf("%s: %v %s", c.what, err, out)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%s was left waiting for %s", c.what, took)
		}
	}
	// Its question is heard before it is refused, and goes nowhere.
	out, err := h.in(h.phone, "curl", "-sS", "-m", "5", "http://"+httpDNS+"/gslb?tver=2&dm=ots.io.mi.com")
	if err == nil || !strings.Contains(out, "reset") {
		t.Errorf("HTTPDNS, hard-coded in firmware: %v %s", err, out)
	}
}

// testGuard: a service of the gateway's own host and of its networks is out of
// reach.
func (h *house) testGuard(t *testing.T) {
	marker := filepath.Join(h.dir, "reached.txt")
	h.start(h.gateway, "local-service", nil, "python3", "-c", `import socket,sys
s=socket.socket(socket.AF_INET6); s.setsockopt(41,26,0); s.bind(("::",8000)); s.listen()
while True:
    c,a=s.accept(); open(sys.argv[1],"a").write(str(a)+"\n"); c.close()`, marker)
	h.until("a service on the gateway's host", 10*time.Second, func() bool {
		out, _ := h.in(h.gateway, "ss", "-ltn")
		return strings.Contains(out, ":8000")
	})
	for _, host := range []string{gatewayLAN, "172.31.255.1", "127.0.0.1", "10.88.0.1", "169.254.169.254", "172.31.255.2", "[fd99::1]", "[::ffff:192.168.77.1]", "[64:ff9b::c0a8:4d01]"} {
		out, err := h.in(h.phone, "curl", "-sS", "-m", "3", "-g", "http://"+host+":8000/")
		if err == nil {
			t.Errorf("%s answers: %s", host, out)
		}
	}
	if got := h.read(marker); got != "" {
		t.Errorf("the host's own service was reached from\n%s", got)
	}
}

// chromium loads a page in the phone's namespace and gives its DOM.
func (h *house) chromium(args ...string) string {
	h.t.Helper()
	profile, err := os.MkdirTemp(h.dir, "chromium-")
	if err != nil {
		h.t.Fatal(err)
	}
	out, err := h.in(h.phone, append([]string{"timeout", "25", "sh", "-c", `exec chromium "$@" 2>/dev/null`, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic", "--disable-dev-shm-usage",
		"--user-data-dir=" + profile, "--timeout=8000"}, args...)...)
	if err != nil {
		h.t.Errorf("chromium %v: %v\n%s", args, err, out)
	}
	return out
}

func (h *house) testChromium(t *testing.T) {
	if dom := h.chromium("--dump-dom", "http://www.news-site.org/"); !strings.Contains(dom, "the wanted page") {
		t.Errorf("the page did not load:\n%s", dom)
	}
	if dom := h.chromium("--ignore-certificate-errors", "--dump-dom", "https://www.news-site.org/"); !strings.Contains(dom, "the wanted page") {
		t.Errorf("the HTTPS page did not load:\n%s", dom)
	}
	h.until("the page's beacon in the journal", 10*time.Second, func() bool {
		for _, e := range h.captures() {
			if strings.HasPrefix(fmt.Sprint(e["path"]), "/sa.gif") && finds(e, "url") && finds(e, "android_id") {
				return true
			}
		}
		return false
	})
}

func (h *house) captures() []map[string]any {
	h.t.Helper()
	var out []map[string]any
	for _, e := range h.journal("--blocked") {
		if e["kind"] == "capture" {
			out = append(out, e)
		}
	}
	return out
}

func finds(capture map[string]any, kind string) bool {
	list, _ := capture["findings"].([]any)
	for _, f := range list {
		if m, ok := f.(map[string]any); ok && m["kind"] == kind {
			return true
		}
	}
	return false
}
