//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nightlatch/blocklists"
	"nightlatch/policy"
	"nightlatch/resolver"
	"nightlatch/resolver/listen"
	"nightlatch/sinkhole/authority"
)

// TestHomeListeners asks every listener for the home with Debian's dig and
// kdig, on loopback: each finds the answer, and what belongs to its way.
func TestHomeListeners(t *testing.T) {
	programs := map[string]string{}
	for _, p := range []string{"dig", "kdig"} {
		path, err := exec.LookPath(p)
		if err != nil && os.Getenv("E2E_REQUIRE") != "" {
			t.Fatal(err)
		}
		programs[p] = path // empty: it is not installed, and its lines are skipped
	}
	s, ca := homeServer(t)
	encrypted := []string{"+tls-ca=" + ca, "+tls-hostname=dns.test"}
	named := []string{"+tls-ca=" + ca, "+tls-hostname=kdig.dns.test"}
	for _, c := range []struct {
		program, network string
		args             []string
		want             []string
	}{
		{"dig", "udp", []string{"+norec"}, []string{"status: NOERROR", "(UDP)", "COOKIE: ", "(good)"}},
		{"dig", "udp", []string{"+bufsize=512", "+dnssec"}, []string{"status: NOERROR", "flags: do; udp: 1232"}},
		{"dig", "tcp", []string{"+tcp", "+keepalive"}, []string{"(TCP)", "TCP KEEPALIVE: 30.0 secs"}},
		{"dig", "tls", append([]string{"+tls"}, encrypted...), []string{"(TLS)", "PAD"}},
		{"dig", "https", append([]string{"+https"}, encrypted...), []string{"(HTTPS)"}},
		{"dig", "https", append([]string{"+https-get"}, encrypted...), []string{"(HTTPS-GET)"}},
		{"kdig", "udp", nil, []string{"status: NOERROR"}},
		{"kdig", "tcp", []string{"+tcp", "+keepopen"}, []string{"status: NOERROR"}},
		{"kdig", "tls", append([]string{"+padding"}, append([]string{"+tls"}, named...)...), []string{"TLS session", "PADDING"}},
		{"kdig", "https", append([]string{"+https=/dns-query"}, named...), []string{"HTTP session (HTTP/2-POST)"}},
		{"kdig", "https", append([]string{"+https=/dns-query", "+https-get"}, named...), []string{"HTTP session (HTTP/2-GET)"}},
	} {
		t.Run(strings.Join(append([]string{c.program}, c.args...), " "), func(t *testing.T) {
			if programs[c.program] == "" {
				t.Skip(c.program + " is not installed")
			}
			at := s.Addrs(c.network)[0]
			args := append([]string{"@" + at.Addr().String(), "-p", fmt.Sprint(at.Port()), "known.test", "A"}, c.args...)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			out, err := exec.CommandContext(ctx, programs[c.program], args...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range append(c.want, "192.0.2.7") {
				if !strings.Contains(string(out), want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
	t.Run("DDR", func(t *testing.T) {
		if programs["dig"] == "" {
			t.Skip("dig is not installed")
		}
		at := s.Addrs("udp")[0]
		out, err := exec.CommandContext(t.Context(), programs["dig"], "@127.0.0.1", "-p", fmt.Sprint(at.Port()), "+short", "_dns.resolver.arpa", "SVCB").CombinedOutput()
		want := fmt.Sprintf(`2 dns.test. alpn="dot" port=%d ipv4hint=127.0.0.1`, s.Addrs("tls")[0].Port())
		if err != nil || !strings.Contains(string(out), want) || strings.Count(string(out), "\n") != 3 {
			t.Errorf("%v\n%s\nwant %s", err, out, want)
		}
	})
}

// homeServer is a resolver that knows known.test, behind listeners of every
// kind, and the file of the CA that signed their certificate.
func homeServer(t *testing.T) (s *listen.Server, caFile string) {
	t.Helper()
	ca, err := authority.Create(filepath.Join(t.TempDir(), "ca"), authority.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	mint, err := authority.NewMint(ca, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	owners, ownersPEM := ownersCertificate(t, "kdig.dns.test")
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, append(ca.PEM(), ownersPEM...), 0o600); err != nil {
		t.Fatal(err)
	}
	var current policy.Current
	p, err := policy.New(policy.Options{Set: blocklists.Compile()})
	if err != nil {
		t.Fatal(err)
	}
	current.Store(p)
	r, err := resolver.New(resolver.Options{Policy: &current, Upstreams: []string{"udp://127.0.0.1"}, Local: func(name string) []netip.Addr {
		if name == "known.test" {
			return []netip.Addr{netip.MustParseAddr("192.0.2.7")}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	loop := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	for range 20 { // the port that UDP was given may be taken for TCP
		s, err = listen.New(listen.Options{
			Plain: loop, TLS: loop, HTTPS: loop, QUIC: loop, Name: "dns.test", Resolver: r,
			Config: &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				if hello.ServerName == "kdig.dns.test" {
					return owners.Get(hello)
				}
				return mint.Leaf("dns.test")
			}},
		})
		if err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- s.Run(ctx) }()
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	return s, caFile
}

// ownersCertificate is one that the owner brings along. It has a subject: kdig
// 3.2 shows the subject of every certificate and gives up on ours, which have
// none (RFC 9525 §2 reads the names alone).
func ownersCertificate(t *testing.T, name string) (c *listen.Certificate, certPEM []byte) {
	t.Helper()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	out, err := exec.CommandContext(t.Context(), "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
		"-keyout", key, "-out", cert, "-subj", "/CN="+name, "-addext", "subjectAltName=DNS:"+name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if c, err = listen.LoadCertificate(cert, key, nil); err != nil {
		t.Fatal(err)
	}
	if certPEM, err = os.ReadFile(cert); err != nil {
		t.Fatal(err)
	}
	return c, certPEM
}
