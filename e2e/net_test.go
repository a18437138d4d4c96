//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Addresses of the small internet. All of them live in namespaces made here;
// no packet for them ever leaves this machine.
const (
	phoneLAN   = "192.168.77.2"
	gatewayLAN = "192.168.77.1"
	webAddr    = "93.184.216.34"
	webAddr6   = "2a00:1450:4001:dead::34"
	dnsAddr    = "93.184.216.53"
	vendorAddr = "93.184.216.66"
	googleDNS  = "8.8.8.8"
	httpDNS    = "110.43.0.83" // Xiaomi's HTTPDNS, hard-coded in firmware
)

// lab is three hosts on one machine.
type lab struct {
	t                       *testing.T // the test that runs now
	all                     *testing.T // the whole; what was started lives as long
	phone, gateway, network string     // namespace names
	dir                     string     // world-readable scratch folder
}

// newLab makes the namespaces and the cables between them. They are removed
// when the test ends.
func newLab(t *testing.T) *lab {
	t.Helper()
	id := fmt.Sprintf("nl%d", os.Getpid())
	l := &lab{t: t, all: t, phone: id + "p", gateway: id + "g", network: id + "i"}
	var err error
	if l.dir, err = os.MkdirTemp("/tmp", "nl-e2e-"); err != nil {
		t.Fatal(err)
	}
	os.Chmod(l.dir, 0o755)
	t.Cleanup(func() { os.RemoveAll(l.dir) })
	for _, ns := range []string{l.phone, l.gateway, l.network} {
		l.must("ip", "netns", "add", ns)
		t.Cleanup(func() { l.removeNamespace(ns) })
		l.must("ip", "-n", ns, "link", "set", "lo", "up")
	}
	l.cable(l.phone, "lan0", phoneLAN+"/24", l.gateway, "lan0", gatewayLAN+"/24")
	l.cable(l.gateway, "wan0", "172.31.255.1/30", l.network, "wan0", "172.31.255.2/30")
	l.must("ip", "-n", l.gateway, "addr", "add", "fd99::1/64", "dev", "wan0", "nodad")
	l.must("ip", "-n", l.network, "addr", "add", "fd99::2/64", "dev", "wan0", "nodad")
	l.must("ip", "-n", l.gateway, "route", "add", "default", "via", "172.31.255.2")
	l.must("ip", "-n", l.gateway, "-6", "route", "add", "default", "via", "fd99::2")
	for _, a := range []string{webAddr, dnsAddr, vendorAddr, googleDNS, httpDNS} {
		l.must("ip", "-n", l.network, "addr", "add", a+"/32", "dev", "lo")
	}
	l.must("ip", "-n", l.network, "addr", "add", webAddr6+"/128", "dev", "lo", "nodad")
	// What every distribution sets: echo through unprivileged sockets.
	l.in(l.gateway, "sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647")
	return l
}

func (l *lab) cable(a, ifA, addrA, b, ifB, addrB string) {
	l.t.Helper()
	l.must("ip", "link", "add", ifA, "netns", a, "type", "veth", "peer", "name", ifB, "netns", b)
	for _, end := range [][3]string{{a, ifA, addrA}, {b, ifB, addrB}} {
		l.must("ip", "-n", end[0], "addr", "add", end[2], "dev", end[1])
		l.must("ip", "-n", end[0], "link", "set", end[1], "up")
	}
}

// removeNamespace ends what still runs in a namespace made here, by id, and
// takes the namespace away.
func (l *lab) removeNamespace(ns string) {
	for pid := range strings.FieldsSeq(l.output("ip", "netns", "pids", ns)) {
		exec.Command("kill", "-9", pid).Run()
	}
	exec.Command("ip", "netns", "del", ns).Run()
	os.RemoveAll(filepath.Join("/etc/netns", ns))
}

func (l *lab) must(args ...string) string {
	l.t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (l *lab) output(args ...string) string {
	out, _ := exec.Command(args[0], args[1:]...).Output()
	return string(out)
}

// in runs a command in a namespace and gives its output; a command may take
// half a minute.
func (l *lab) in(ns string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(l.t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func (l *lab) mustIn(ns string, args ...string) string {
	l.t.Helper()
	out, err := l.in(ns, args...)
	if err != nil {
		l.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// start runs a command in a namespace until the test ends; its output goes to
// a file whose path is returned.
func (l *lab) start(ns, name string, env []string, args ...string) (*exec.Cmd, string) {
	l.t.Helper()
	logPath := filepath.Join(l.dir, name+".log")
	f, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command("ip", append([]string{"netns", "exec", ns}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.Env = f, f, append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	f.Close()
	l.all.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd, logPath
}

func (l *lab) file(name, content string, mode os.FileMode) string {
	l.t.Helper()
	path := filepath.Join(l.dir, name)
	os.MkdirAll(filepath.Dir(path), 0o755)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// until tries again until ok is true or the time is over.
func (l *lab) until(what string, limit time.Duration, ok func() bool) {
	l.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	end := time.After(limit)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			l.t.Fatalf("%s: not within %s", what, limit)
		}
	}
}
