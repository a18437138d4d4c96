package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nightlatch/journal"
	"nightlatch/sinkhole"
	"nightlatch/sinkhole/authority"
	"nightlatch/tunnel/phone"
)

const tracker = "tracking.miui.com"

// sunkAddr is the address that a phone gets for a stopped name.
func (h *house) sunkAddr(p *phone.Phone, name string) netip.Addr {
	h.t.Helper()
	addrs, err := p.Resolver().LookupNetIP(h.ctx, "ip4", name)
	if err != nil {
		h.t.Fatal(err)
	}
	return addrs[0].Unmap()
}

// TestSunkUDP: a browser's QUIC to a stopped name is refused at once in QUIC's
// own terms, with the name it asked for in the journal, and other datagrams
// are captured. Nothing leaves the gateway.
func TestSunkUDP(t *testing.T) {
	h := newHouse(t)
	p := h.connect("phone")
	packets, err := os.ReadFile("../../sinkhole/testdata/chromium-quic.hex")
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.DialContext(h.ctx, "udp", netip.AddrPortFrom(h.sunkAddr(p, tracker), 443).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	for line := range strings.Lines(string(packets)) {
		b, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	answer := make([]byte, 2000)
	if n, err := c.Read(answer); err != nil || n < 30 || answer[0]&0xf0 != 0xc0 {
		t.Errorf("no refusal: %x %v", answer[:n], err)
	}
	got := await(h, "the attempt", func(c journal.Capture) bool { return c.Name == tracker && c.Scheme == "quic" })
	if got.TLS == nil || got.TLS.SNI != "quic0.test" || !strings.HasPrefix(got.TLS.JA4, "q13d") || sinkhole.StateOf(got) != sinkhole.StateOpaque {
		t.Errorf("%+v", got.TLS)
	}
	io.WriteString(c, "imei=490154203237518")
	await(h, "the datagram", func(c journal.Capture) bool {
		return c.Scheme == "udp" && slices.ContainsFunc(c.Result.Findings, func(f foundIn) bool { return f.Kind == "imei" })
	})
	for _, n := range h.net.Dialled() {
		t.Errorf("something left the gateway: %s", n)
	}
}

// TestAuthorityComesAndGoes: nightlatch ca create and remove take effect while
// the gateway runs, and the page in the tunnel hands the certificate out.
func TestAuthorityComesAndGoes(t *testing.T) {
	h := newHouse(t)
	p := h.connect("phone")
	dir := filepath.Join(h.dir, "ca")
	page := func() (int, string) {
		resp, err := (&http.Client{Transport: &http.Transport{DialContext: p.DialContext}}).Get("http://nightlatch.internal/ca/nightlatch.crt")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	if code, _ := page(); code != 404 {
		t.Errorf("a certificate without an authority: %d", code)
	}
	if _, err := authority.Create(dir, authority.Options{Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := h.gateway.reload(); err != nil {
		t.Fatal(err)
	}
	code, der := page()
	cert, err := x509.ParseCertificate([]byte(der))
	if code != 200 || err != nil {
		t.Fatalf("%d %v", code, err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	dial := func() error {
		c, err := p.DialContext(h.ctx, "tcp", netip.AddrPortFrom(h.sunkAddr(p, tracker), 443).String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		tc := tls.Client(c, &tls.Config{RootCAs: roots, ServerName: tracker})
		if err := tc.Handshake(); err != nil {
			return err
		}
		fmt.Fprintf(tc, "POST /track/v4 HTTP/1.1\r\nHost: %s\r\nContent-Length: 20\r\nConnection: close\r\n\r\nimei=490154203237518", tracker)
		_, err = io.Copy(io.Discard, tc)
		return err
	}
	if err := dial(); err != nil {
		t.Error(err)
	}
	await(h, "the HTTPS capture", func(c journal.Capture) bool { return c.Scheme == "https" && sinkhole.StateOf(c) == sinkhole.StateRead })
	if err := authority.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := h.gateway.reload(); err != nil {
		t.Fatal(err)
	}
	if err := dial(); err == nil {
		t.Error("read without an authority")
	}
}

// TestOwnReplies: a file in replies/ is taken while the gateway runs; a broken
// one is told with its place, and the last good ones stay in force.
func TestOwnReplies(t *testing.T) {
	h := newHouse(t)
	p := h.connect("phone")
	ask := func() string {
		resp, err := (&http.Client{Transport: &http.Transport{DialContext: p.DialContext}}).Get("http://" + tracker + "/track/v4")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	if got := ask(); got != `{"code":0}` {
		t.Errorf("built-in: %q", got)
	}
	dir := filepath.Join(h.dir, "replies")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put := func(text string) error {
		if err := os.WriteFile(filepath.Join(dir, "mine.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return h.gateway.reload()
	}
	if err := put("replies:\n  - {name: mine, hosts: [miui.com], status: 200, text: thanks}\n"); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != "thanks" {
		t.Errorf("own: %q", got)
	}
	if err := put("replies:\n  - {name: mine, staus: 200}\n"); err == nil || !strings.Contains(err.Error(), `mine.yaml:2:18: unknown key "staus"`) {
		t.Errorf("%v", err)
	}
	if got := ask(); got != "thanks" {
		t.Errorf("after a broken edit: %q", got)
	}
}

// TestObserved: a name that is observed is reached as ever, and what was sent
// to it in the clear is in the journal, marked.
func TestObserved(t *testing.T) {
	h := newHouse(t, func(dir string) {
		list := "name: mine\nabout: x\nrules:\n  - {domain: " + site + ", action: observe}\n"
		if err := os.WriteFile(filepath.Join(dir, "blocklists", "mine.yaml"), []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	p := h.connect("phone")
	resp, err := (&http.Client{Transport: &http.Transport{DialContext: func(c context.Context, n, a string) (net.Conn, error) { return p.DialContext(c, n, a) }}}).
		Post("http://"+site+"/form", "application/x-www-form-urlencoded", strings.NewReader("imei=490154203237518"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("HTTP %d", resp.StatusCode)
	}
	got := await(h, "the observed request", func(c journal.Capture) bool { return c.Name == site })
	if !slices.Contains(got.Result.Flags, "observed") || got.Path != "/form" {
		t.Errorf("%+v", got)
	}
	if !slices.Contains(h.net.Dialled(), siteAddr+":80") {
		t.Error("it was not reached")
	}
}

// TestDecodeHint: what a rule of the owner's list says of a payload reaches the
// decoder, and an edit of it while the gateway runs, too.
func TestDecodeHint(t *testing.T) {
	t.Parallel() // it mostly waits
	h := newHouse(t)
	p := h.connect("phone")
	h.write("blocklists/mine.yaml", "name: mine\nrules:\n  - domain: hinted.example\n    action: sink\n    decode: {param: blob, encodings: [hex, base64]}\n")
	if err := eventually("the rule", func() error {
		if !h.blocked(p, "hinted.example") {
			return fmt.Errorf("not in force")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: p.DialContext}}
	resp, err := client.Get("http://a.hinted.example/up?blob=" + hex.EncodeToString([]byte("aW1laT00OTAxNTQyMDMyMzc1MTg=")))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	c := await(h, "the capture", func(c journal.Capture) bool { return c.Name == "a.hinted.example" })
	if c.Result.Vendor != "mine:3" || !slices.ContainsFunc(c.Result.Findings, func(f foundIn) bool { return f.Kind == "imei" && f.Value == "490154203237518" }) {
		t.Errorf("%q %+v", c.Result.Vendor, c.Result.Findings)
	}
}
