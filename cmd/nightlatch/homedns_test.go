package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nightlatch/cmd/nightlatch/home"
	"nightlatch/journal"
	"nightlatch/sinkhole/authority"
)

const homeConfig = `
  home:
    plain: ["127.0.0.1:0"]
    tls: ["127.0.0.1:0"]
    https: ["127.0.0.1:0"]
    quic: ["127.0.0.1:0"]
    devices:
      tv: [127.0.0.1]
`

// withHome puts settings of dns.home into the config.
func withHome(text string) func(dir string) {
	return func(dir string) {
		path := filepath.Join(dir, "nightlatch.yaml")
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(strings.Replace(string(b), "\n  home:\n", text, 1)), 0o600)
		}
		if err != nil {
			panic(err)
		}
	}
}

func withCA(dir string) {
	if _, err := authority.Create(home.Home{Dir: dir}.CADir(), authority.Options{Now: time.Now()}); err != nil {
		panic(err)
	}
}

// TestHomeDNS: a device at home is answered as it is called there, with the
// owner's CA; sunk names are denied to it, and a new name counts after a reload.
func TestHomeDNS(t *testing.T) {
	h := newHouse(t, withHome(homeConfig), withCA)
	plain := h.home.Addrs("udp")[0].String()
	ask := func(network, server, name string) *dns.Msg {
		t.Helper()
		c := &dns.Client{Net: network, Timeout: 10 * time.Second}
		if network == "tcp-tls" {
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(h.sinkhole.CA().PEM())
			c.TLSConfig = &tls.Config{RootCAs: pool, ServerName: "tv.dns.nightlatch.internal"}
		}
		r, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), server)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	secure := h.home.Addrs("tls")[0].String()
	for _, r := range []*dns.Msg{ask("udp", plain, site+"."), ask("tcp", plain, site+"."), ask("tcp-tls", secure, site+".")} {
		if len(r.Answer) != 1 || r.Answer[0].(*dns.A).A.String() != siteAddr {
			t.Errorf("%v", r)
		}
	}
	if r := ask("udp", plain, "data.mistat.xiaomi.com."); r.Rcode != dns.RcodeNameError {
		t.Errorf("a sunk name: %v", r)
	}
	if r := ask("udp", plain, "dns.nightlatch.internal."); len(r.Answer) != 1 || r.Answer[0].(*dns.A).A.String() != "127.0.0.1" {
		t.Errorf("its own name: %v", r)
	}
	withHomeName := strings.Replace(homeConfig, "tv:", "radio:", 1)
	path := filepath.Join(h.dir, "nightlatch.yaml")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), homeConfig, withHomeName, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.reload(); err != nil {
		t.Fatal(err)
	}
	ask("udp", plain, site+".")
	if err := h.end(); err != nil {
		t.Fatal(err)
	}
	asked := map[string]int{}
	for _, e := range h.events {
		if q, ok := e.(journal.Query); ok {
			asked[q.Device+" "+q.Network]++
			if q.Name == "data.mistat.xiaomi.com" && q.Verdict.Rule.List == "" {
				t.Errorf("no list is named: %+v", q)
			}
		}
	}
	if asked["tv udp"] != 3 || asked["tv tcp"] != 1 || asked["tv tls"] != 1 || asked["radio udp"] != 1 {
		t.Errorf("%v", asked)
	}
	if c, err := net.Dial("tcp", plain); err == nil {
		c.Close()
		t.Error("the listener is open after the end")
	}
}

// TestHomeDNSTroubles: what cannot be listened with is told before the start.
func TestHomeDNSTroubles(t *testing.T) {
	for text, want := range map[string]string{
		"\n  home:\n    tls: [\"127.0.0.1:0\"]\n":                                                   "nightlatch ca create",
		"\n  home:\n    tls: [\"127.0.0.1:0\"]\n    certificate: absent.pem\n    key: absent.key\n": "absent.pem",
	} {
		h := home.Home{Dir: t.TempDir()}
		if _, _, err := tryHome(h, "udp://127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		withHome(text)(h.Dir)
		r := checkHome(h)
		if len(r.Errors) != 1 || !strings.Contains(r.Errors[0], want) {
			t.Errorf("%s: %v", text, r.Errors)
		}
	}
}
