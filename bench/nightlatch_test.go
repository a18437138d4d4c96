//go:build bench

package bench

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nobody is who the gateway runs as: it needs no root.
const nobody = "65534"

// devices is how many the gateway knows; one of them is connected.
const devices = 10

// ours is nightlatch as a side.
type ours struct {
	*side
	binary, home string
	up           *program
}

const gatewayConfig = `tunnel:
  listen: [":%d"]
  endpoint: %s:%d
  network4: 10.88.0.0/24
  network6: fd88:1:2:3::/64
dns:
  upstreams: ["udp://%s"]
`

// nightlatchSide makes a home with devices in it and connects a phone; the
// gateway itself does not run yet.
func (b *bench) nightlatchSide(n int, phone, binary string) *ours {
	b.Helper()
	s := &ours{side: b.newSide("nightlatch", n, phone), binary: binary, home: filepath.Join(b.dir, "home")}
	if err := os.Mkdir(s.home, 0o700); err != nil {
		b.Fatal(err)
	}
	conf := b.file("home/nightlatch.yaml", fmt.Sprintf(gatewayConfig, port, gatewayLAN, port, dnsAddr))
	for _, path := range []string{s.home, conf} {
		if err := os.Chown(path, 65534, 65534); err != nil {
			b.Fatal(err)
		}
	}
	for i := range devices {
		b.inside(s.gateway, s.asNobody("device", "add", fmt.Sprintf("phone%d", i), "--json")...)
	}
	s.conf = b.file(s.phone+".conf", setconf(b.T, filepath.Join(s.home, "devices", "phone0.conf")))
	s.connect()
	return s
}

// asNobody gives the command line of the program without any privilege.
func (s *ours) asNobody(args ...string) []string {
	return append([]string{"setpriv", "--reuid", nobody, "--regid", nobody, "--clear-groups", "--no-new-privs",
		"--bounding-set", "-all", s.binary, "--home", s.home}, args...)
}

// setconf leaves out what only the apps and wg-quick understand, and the
// keepalive: it would begin a handshake before the gateway is there.
func setconf(t *testing.T, path string) string {
	t.Helper()
	conf, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(conf)) {
		switch key, _, _ := strings.Cut(line, "="); strings.TrimSpace(key) {
		case "Address", "DNS", "MTU", "PersistentKeepalive":
		default:
			out.WriteString(line)
		}
	}
	return out.String()
}

// restart starts the gateway, after ending the one that runs, and measures the
// time until a name is answered through the tunnel. asker asks when told.
func (s *ours) restart(asker *helper) time.Duration {
	s.Helper()
	s.stop()
	s.forget()
	s.up = s.command(s.gateway, "nightlatch", nil, s.asNobody("up", "--quiet")...)
	begin := time.Now()
	if err := s.up.launch(); err != nil {
		s.Fatal(err)
	}
	s.running = []*program{s.up}
	s.until("the gateway's port", time.Millisecond, s.listens)
	fmt.Fprintln(asker.in) // earlier, and the phone would try again only after five seconds
	asker.line()
	return time.Since(begin)
}

func (s *ours) stop() {
	if s.up != nil {
		s.up.stop()
	}
}

// listens tells whether the gateway's UDP socket is open.
func (s *ours) listens() bool {
	if s.up.ended() {
		s.Fatalf("nightlatch: %s", s.up.output())
	}
	proc := fmt.Sprintf("/proc/%d/", s.up.Process.Pid)
	if exe, err := os.Readlink(proc + "exe"); err != nil || exe != s.binary {
		return false // still on its way into the namespace
	}
	sockets, _ := os.ReadFile(proc + "net/udp")
	return strings.Contains(string(sockets), fmt.Sprintf(":%04X 00000000:0000", port))
}

// key is a key pair as wg writes it.
type key struct{ private, public string }

func newKey(t *testing.T) key {
	t.Helper()
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key{base64.StdEncoding.EncodeToString(k.Bytes()), base64.StdEncoding.EncodeToString(k.PublicKey().Bytes())}
}
