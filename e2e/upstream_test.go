//go:build e2e

package e2e

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/upstream"
)

// The servers of this file know one name, and carry one certificate.
const (
	knownName = "www.news-site.org"
	knownAddr = "192.0.2.7"
	serverTLS = "dns.upstream.net"
)

// freePort gives a port of loopback that is free for UDP and TCP.
func freePort(t *testing.T) string {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		u, err := net.ListenPacket("udp4", l.Addr().String())
		l.Close()
		if err == nil {
			u.Close()
			_, port, _ := net.SplitHostPort(l.Addr().String())
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// realServer is a program of Debian's with its ports by scheme.
type realServer struct {
	dir   string
	ports map[string]string
}

// start runs a program until the test ends, and waits until its plain port
// answers.
func (s *realServer) start(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		m, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion(knownName+".", dns.TypeA), "127.0.0.1:"+s.ports["udp"])
		if err == nil && len(m.Answer) == 1 {
			return
		}
		<-tick.C
	}
	t.Fatalf("%s does not answer", program)
}

func (s *realServer) write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func newReal(t *testing.T) *realServer {
	t.Helper()
	s := &realServer{dir: t.TempDir(), ports: map[string]string{"udp": freePort(t), "tls": freePort(t), "https": freePort(t)}}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	writeCert(t, s.dir, "server", serverTLS)
	return s
}

func unboundServer(t *testing.T) *realServer {
	need(t, "unbound")
	s := newReal(t)
	conf := s.write(t, "unbound.conf", fmt.Sprintf(`server:
  interface: 127.0.0.1@%[2]s
  interface: 127.0.0.1@%[3]s
  interface: 127.0.0.1@%[4]s
  tls-port: %[3]s
  https-port: %[4]s
  tls-service-key: %[1]s/server.key
  tls-service-pem: %[1]s/server.crt
  use-syslog: no
  logfile: ""
  chroot: ""
  username: ""
  directory: "%[1]s"
  pidfile: ""
  num-threads: 1
  module-config: "iterator"
  local-zone: "news-site.org." static
  local-data: "%[5]s. 300 IN A %[6]s"
`, s.dir, s.ports["udp"], s.ports["tls"], s.ports["https"], knownName, knownAddr))
	s.start(t, "unbound", "-d", "-c", conf)
	return s
}

func dnsdistServer(t *testing.T) *realServer {
	need(t, "unbound", "dnsdist")
	behind := unboundServer(t)
	s := newReal(t)
	conf := s.write(t, "dnsdist.conf", fmt.Sprintf(`
setLocal("127.0.0.1:%[2]s")
addTLSLocal("127.0.0.1:%[3]s", "%[1]s/server.crt", "%[1]s/server.key")
addDOHLocal("127.0.0.1:%[4]s", "%[1]s/server.crt", "%[1]s/server.key", "/dns-query")
newServer({address="127.0.0.1:%[5]s", checkName="%[6]s."})
setSecurityPollSuffix("")
`, s.dir, s.ports["udp"], s.ports["tls"], s.ports["https"], behind.ports["udp"], knownName))
	s.start(t, "dnsdist", "--supervised", "--disable-syslog", "-C", conf)
	return s
}

func kresdServer(t *testing.T) *realServer {
	need(t, "kresd")
	s := newReal(t)
	conf := s.write(t, "kresd.conf", fmt.Sprintf(`
net.listen('127.0.0.1', %[2]s, { kind = 'dns' })
net.listen('127.0.0.1', %[3]s, { kind = 'tls' })
net.listen('127.0.0.1', %[4]s, { kind = 'doh2' })
net.tls("%[1]s/server.crt", "%[1]s/server.key")
cache.size = 10 * MB
modules = { 'hints > iterate' }
trust_anchors.remove('.')
hints['%[5]s'] = '%[6]s'
`, s.dir, s.ports["udp"], s.ports["tls"], s.ports["https"], knownName, knownAddr))
	s.start(t, "kresd", "-n", "-c", conf, s.dir)
	return s
}

// TestRealUpstreams asks servers of Debian over every transport that they
// speak, several questions at once. Debian has no server of DNS over QUIC or
// HTTP/3; those are asked in the tests of resolver/upstream.
func TestRealUpstreams(t *testing.T) {
	for name, begin := range map[string]func(*testing.T) *realServer{
		"unbound": unboundServer, "dnsdist": dnsdistServer, "knot-resolver": kresdServer,
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t)
			pem, err := os.ReadFile(filepath.Join(s.dir, "server.crt"))
			if err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(pem)
			for _, spec := range []string{
				"udp://127.0.0.1:" + s.ports["udp"],
				"tcp://127.0.0.1:" + s.ports["udp"],
				"tls://" + serverTLS + ":" + s.ports["tls"] + "#127.0.0.1",
				"https://" + serverTLS + ":" + s.ports["https"] + "/dns-query#127.0.0.1",
			} {
				t.Run(strings.SplitN(spec, ":", 2)[0], func(t *testing.T) { askReal(t, spec, roots) })
			}
		})
	}
}

func askReal(t *testing.T, spec string, roots *x509.CertPool) {
	g, err := upstream.New(upstream.Options{Upstreams: []string{spec}, RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	errs := make(chan error)
	const questions = 50
	for range questions {
		go func() {
			r, err := g.Exchange(ctx, upstream.Question{Name: knownName + ".", Type: dns.TypeA, DO: true})
			if err == nil && (len(r.Msg.Answer) == 0 || r.Msg.Answer[0].(*dns.A).A.String() != knownAddr) {
				err = fmt.Errorf("answer %v", r.Msg)
			}
			errs <- err
		}()
	}
	for range questions {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if s := g.Status()[0]; !s.Up || s.Failures != 0 || s.P50 == 0 || s.P95 < s.P50 {
		t.Errorf("%+v", s)
	}
	if strings.HasPrefix(spec, "tls") || strings.HasPrefix(spec, "https") {
		other, err := upstream.New(upstream.Options{Upstreams: []string{strings.Replace(spec, serverTLS, "dns.another.net", 1)}, RootCAs: roots})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if _, err := other.Exchange(ctx, upstream.Question{Name: knownName + ".", Type: dns.TypeA}); err == nil {
			t.Error("a certificate of another name is fine")
		}
	}
}
