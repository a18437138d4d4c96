package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nightlatch/journal"
)

// bareConfig lets a gateway start on free ports; rest stands below it.
func bareConfig(t *testing.T, dir, udp, tcp, rest string) {
	t.Helper()
	text := fmt.Sprintf("tunnel:\n  listen: [%q]\n  endpoint: 127.0.0.1:51820\ndashboard:\n  listen: %q\n%s", udp, tcp, rest)
	putFile(t, filepath.Join(dir, "nightlatch.yaml"), text)
}

func putFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fatal lets filesBelow be used in tests.
type fatal struct{ *testing.T }

func (f fatal) Check(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// TestDoors: whatever keeps a gateway from starting is told in one line that
// says what, where and what to do, and no file is touched.
func TestDoors(t *testing.T) {
	busyUDP, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busyUDP.Close()
	busyTCP, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busyTCP.Close()
	const free = "127.0.0.1:0"
	bare := func(rest string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { bareConfig(t, dir, free, free, rest) }
	}
	with := func(name, text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			bareConfig(t, dir, free, free, "")
			putFile(t, filepath.Join(dir, name), text)
		}
	}
	doors := map[string]struct {
		prepare func(t *testing.T, dir string)
		want    []string
	}{
		"the WireGuard port in use": {func(t *testing.T, dir string) { bareConfig(t, dir, busyUDP.LocalAddr().String(), free, "") },
			[]string{busyUDP.LocalAddr().String(), "in use"}},
		"the dashboard's port in use": {func(t *testing.T, dir string) { bareConfig(t, dir, free, busyTCP.Addr().String(), "") },
			[]string{busyTCP.Addr().String(), "in use", "dashboard.listen"}},
		"an address that is not ours":  {func(t *testing.T, dir string) { bareConfig(t, dir, "192.0.2.77:51820", free, "") }, []string{"192.0.2.77:51820"}},
		"an upstream nobody can ask":   {bare("dns:\n  upstreams: [\"ftp://192.0.2.1\"]\n"), []string{"ftp://192.0.2.1"}},
		"no certificates":              {bare("dns:\n  ca_file: gone.pem\n"), []string{"dns.ca_file", "gone.pem"}},
		"certificates that are none":   {bare("dns:\n  ca_file: nightlatch.yaml\n"), []string{"dns.ca_file", "PEM"}},
		"an unknown built-in list":     {bare("lists:\n  builtin: [xiaomy]\n"), []string{"xiaomy", "xiaomi"}},
		"the journal is a folder":      {with("journal.db/x", ""), []string{"journal.db", "not a file"}},
		"devices is a file":            {with("devices", ""), []string{"devices", "not a directory"}},
		"the token is empty":           {with("dashboard.token", ""), []string{"dashboard.token", "delete"}},
		"a folder is where the socket": {with("control.sock/x", ""), []string{"control.sock"}},
		"known values are garbage":     {with("known.yaml", "[[["), []string{"sinkhole.known", "known.yaml"}},
		"the authority is garbage":     {func(t *testing.T, dir string) { with("ca/ca.crt", "x")(t, dir); with("ca/ca.key", "x")(t, dir) }, []string{"ca"}},
		"the config is a folder":       {func(t *testing.T, dir string) { putFile(t, filepath.Join(dir, "nightlatch.yaml/x"), "") }, []string{"nightlatch.yaml", "not a file"}},
		"the config is binary":         {func(t *testing.T, dir string) { putFile(t, filepath.Join(dir, "nightlatch.yaml"), "\x80\x00\xff") }, []string{"nightlatch.yaml:1:1: ", "not YAML"}},
	}
	for name, d := range doors {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "h")
			d.prepare(t, dir)
			var before string
			for again := range 2 { // the first start makes what is missing; the second finds it
				var stdout, stderr bytes.Buffer
				code := run([]string{"up", "--home", dir}, strings.NewReader(""), &stdout, &stderr)
				line := stderr.String()
				if code != exitFailed || strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "nightlatch: error: ") {
					t.Errorf("code %d:\n%s", code, line)
				}
				for _, w := range d.want {
					if !strings.Contains(line, w) {
						t.Errorf("%q is not said: %s", w, line)
					}
				}
				if again == 1 && filesBelow(fatal{t}, dir) != before {
					t.Error("a start that failed changed files")
				}
				before = filesBelow(fatal{t}, dir)
			}
		})
	}
}

// TestGarbageOnThePort: whatever arrives on the WireGuard port, the phones
// are served and the owner is left in peace.
func TestGarbageOnThePort(t *testing.T) {
	h := newHouse(t)
	p := h.connect("phone")
	c, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", h.tunnel.Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		b := make([]byte, random.IntN(1500))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		if len(b) > 3 && random.IntN(2) == 0 { // a message type of WireGuard's, and then garbage
			copy(b, []byte{byte(1 + random.IntN(4)), 0, 0, 0})
		}
		c.Write(b) // a full buffer is the reader's affair
	}
	if !h.blocked(p, "tracking.miui.com") {
		t.Error("the connected phone is not answered any more")
	}
	if n := len(seen(h, func(journal.Notice) bool { return true })); n > 3 {
		t.Errorf("%d notices", n)
	}
}
