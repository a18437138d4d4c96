//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// pagePlain is what the wanted site shows. Its picture is a telemetry beacon:
// the page must load all the same.
const pagePlain = `<!doctype html><title>news</title><h1>the wanted page</h1>
<img src="http://sa.api.intl.miui.com/sa.gif?project=web&data=eyJkaXN0aW5jdF9pZCI6IjNmMWM5YTdlNWIyZDgwNDYiLCJldmVudCI6IiRwYWdldmlldyIsInByb3BlcnRpZXMiOnsiJHVybCI6Imh0dHBzOi8vd3d3Lm5ld3Mtc2l0ZS5vcmcvcHJpdmF0ZS1wYWdlIn19">`

// TestMain lets the lab run this binary again, inside the internet's
// namespace, to be its web servers and its recorders.
func TestMain(m *testing.M) {
	if dir := os.Getenv("NL_E2E_SERVERS"); dir != "" {
		if err := serveInternet(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// serveInternet serves until the lab ends this process.
func serveInternet(dir string) error {
	web := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, pagePlain)
	})
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "web.crt"), filepath.Join(dir, "web.key"))
	if err != nil {
		return err
	}
	for _, host := range []string{webAddr, webAddr6} {
		go func() { log.Print(http.ListenAndServe(net.JoinHostPort(host, "80"), web)) }()
		srv := &http.Server{Addr: net.JoinHostPort(host, "443"), Handler: web, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}
		go func() { log.Print(srv.ListenAndServeTLS("", "")) }()
	}
	echo, err := net.ListenPacket("udp", net.JoinHostPort(webAddr, "7"))
	if err != nil {
		return err
	}
	go func() {
		b := make([]byte, 65536)
		for {
			n, from, err := echo.ReadFrom(b)
			if err != nil {
				return
			}
			echo.WriteTo(b[:n], from)
		}
	}()
	if err := record(filepath.Join(dir, "vendor.txt")); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "servers.ready"), nil, 0o644); err != nil {
		return err
	}
	select {}
}

// record listens where nothing may ever arrive and writes down what does.
func record(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	for _, host := range []string{vendorAddr, googleDNS, httpDNS} {
		for _, port := range []string{"53", "80", "443", "853", "8080"} {
			at := net.JoinHostPort(host, port)
			l, err := net.Listen("tcp", at)
			if err != nil {
				return err
			}
			u, err := net.ListenPacket("udp", at)
			if err != nil {
				return err
			}
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					fmt.Fprintf(f, "tcp %s from %s\n", at, c.RemoteAddr())
					c.Close()
				}
			}()
			go func() {
				b := make([]byte, 65536)
				for {
					n, from, err := u.ReadFrom(b)
					if err != nil {
						return
					}
					fmt.Fprintf(f, "udp %s from %s: %d bytes\n", at, from, n)
				}
			}()
		}
	}
	return nil
}

// writeCert makes a certificate for names, signed by itself.
func writeCert(t *testing.T, dir, name string, hosts ...string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: hosts[0]}, DNSNames: hosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(dir, name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
	os.WriteFile(filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o644)
}

// startInternet starts nsd (the zones), unbound (UDP, TCP and TLS in front of
// it), the web servers and the recorders.
func (l *lab) startInternet() {
	l.t.Helper()
	writeCert(l.t, l.dir, "web", "www.news-site.org", "news-site.org")
	writeCert(l.t, l.dir, "dns", "dns.upstream-operator.net")
	zone := func(name, records string) string {
		l.file("zones/"+name, "$TTL 60\n@ IN SOA ns."+name+". hostmaster."+name+". 1 3600 600 86400 60\n@ IN NS ns."+name+".\nns IN A "+dnsAddr+"\n"+records, 0o644)
		return fmt.Sprintf("zone:\n  name: %q\n  zonefile: %q\n", name, filepath.Join(l.dir, "zones", name))
	}
	conf := fmt.Sprintf("server:\n  ip-address: 127.0.0.1@5353\n  username: \"\"\n  chroot: \"\"\n  zonesdir: %q\n  pidfile: %q\n  database: \"\"\n  xfrdfile: %q\n  zonelistfile: %q\n  logfile: %q\n",
		l.dir, l.dir+"/nsd.pid", l.dir+"/xfrd", l.dir+"/zonelist", l.dir+"/nsd.out") + "remote-control:\n  control-enable: no\n"
	site := fmt.Sprintf("@ IN A %s\nwww IN A %s\nwww IN AAAA %s\nmetrics IN CNAME tracking.intl.miui.com.\n", webAddr, webAddr, webAddr6)
	conf += zone("news-site.org", site)
	conf += zone("miui.com", fmt.Sprintf("* IN A %s\nsa.api.intl IN A %s\ntracking.intl IN A %s\ntracking IN A %s\n", vendorAddr, vendorAddr, vendorAddr, vendorAddr))
	conf += zone("dns.google", "@ IN A "+googleDNS+"\n")
	l.start(l.network, "nsd", nil, "nsd", "-d", "-c", l.file("nsd.conf", conf, 0o644))

	unbound := fmt.Sprintf(`server:
  interface: %[1]s@53
  interface: %[1]s@853
  tls-service-key: %[2]q
  tls-service-pem: %[3]q
  access-control: 0.0.0.0/0 allow
  access-control: ::0/0 allow
  username: ""
  chroot: ""
  directory: %[4]q
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  do-not-query-localhost: no
  so-rcvbuf: 0
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@5353
remote-control:
  control-enable: no
`, dnsAddr, filepath.Join(l.dir, "dns.key"), filepath.Join(l.dir, "dns.crt"), l.dir)
	l.start(l.network, "unbound", nil, "unbound", "-d", "-c", l.file("unbound.conf", unbound, 0o644))

	self, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	l.start(l.network, "servers", []string{"NL_E2E_SERVERS=" + l.dir}, self)
	l.until("the servers of the internet", 20*time.Second, func() bool {
		_, err := os.Stat(filepath.Join(l.dir, "servers.ready"))
		return err == nil
	})
	l.until("unbound and nsd", 20*time.Second, func() bool {
		out, err := l.in(l.network, "dig", "+short", "+time=1", "+tries=1", "@"+dnsAddr, "www.news-site.org", "A")
		return err == nil && out == webAddr+"\n"
	})
}
