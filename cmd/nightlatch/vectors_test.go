package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
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

	"nightlatch/decoder"
	"nightlatch/journal"
	"nightlatch/sinkhole/authority"
	"nightlatch/tunnel/phone"
)

type foundIn = decoder.Finding

// vector is one payload of the shared manifest.
type vector struct {
	ID       string `json:"id"`
	File     string `json:"file"`
	MustFind []struct {
		Kind  string `json:"kind"`
		Value string `json:"value"`
	} `json:"must_find"`
}

// loadVectors gives the payloads that are HTTP requests, and the known values
// that were planted in them.
func loadVectors(t *testing.T) (requests []vector, known string) {
	t.Helper()
	folder := filepath.Dir(vectors)
	text, err := os.ReadFile(filepath.Join(folder, "manifest.json"))
	if err != nil {
		t.Skip("the shared payload vectors are not here: ", err)
	}
	var m struct {
		Vectors []vector `json:"vectors"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	for _, v := range m.Vectors {
		if strings.HasSuffix(v.File, ".http") {
			v.File = filepath.Join(folder, v.File)
			requests = append(requests, v)
		}
	}
	text, err = os.ReadFile(filepath.Join(folder, "known_values.json"))
	if err != nil {
		t.Fatal(err)
	}
	return requests, string(text)
}

// ways are how a phone may send a payload.
var ways = []struct {
	name string
	send func(h *house, p *phone.Phone, roots *x509.CertPool, name string, raw []byte) bool
}{
	{"http", (*house).overHTTP}, {"https", (*house).overTLS}, {"h2", (*house).overHTTP2},
}

// TestVectors sends every payload the way a phone does: through the tunnel to
// the sunk name it is for, over HTTP, HTTPS with the owner's authority, and
// HTTP/2. What the decoder finds in the bytes alone must stand in the capture
// that the journal is told of, and the report must show every one of them.
func TestVectors(t *testing.T) {
	all, known := loadVectors(t)
	h := newHouse(t, func(dir string) {
		if err := os.WriteFile(filepath.Join(dir, "known.yaml"), []byte(known), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := authority.Create(filepath.Join(dir, "ca"), authority.Options{Now: time.Now()}); err != nil {
			t.Fatal(err)
		}
	})
	values, err := decoder.ParseKnown([]byte(known))
	if err != nil {
		t.Fatal(err)
	}
	alone, err := decoder.New(decoder.Options{Known: values})
	if err != nil {
		t.Fatal(err)
	}
	p, roots := h.connect("phone"), h.roots()
	items, sent := map[string]int{}, []string{}
	for _, v := range all {
		raw, err := os.ReadFile(v.File)
		if err != nil {
			t.Fatal(err)
		}
		direct := alone.Decode(raw)
		for _, way := range ways {
			name := v.ID + "." + way.name + ".tracking.miui.com"
			if !way.send(h, p, roots, name, raw) {
				continue // no client would send this so
			}
			sent = append(sent, name)
			got := await(h, name, func(c journal.Capture) bool { return c.Name == name && c.Scheme != "tls" })
			for _, m := range v.MustFind {
				has := func(f foundIn) bool { return f.Kind == m.Kind && f.Value == m.Value && f.Confidence >= decoder.Likely }
				if !slices.ContainsFunc(direct.Findings, has) {
					continue // the decoder's own tests say why
				}
				items[way.name]++
				if !slices.ContainsFunc(got.Result.Findings, has) {
					t.Errorf("%s: %s %q is found in the bytes, but not in the capture", name, m.Kind, m.Value)
				}
			}
		}
	}
	for _, way := range ways {
		if items[way.name] < 100 {
			t.Errorf("only %d items of %d payloads were looked for over %s", items[way.name], len(all), way.name)
		}
	}
	t.Logf("items that went from the phone to the journal: %v, of %d payloads", items, len(all))
	for _, n := range h.net.Dialled() {
		t.Errorf("something left the gateway: %s", n)
	}
	h.reported(sent)
}

// reported holds that a device's report shows what every name received.
func (h *house) reported(names []string) {
	h.t.Helper()
	if err := h.journal.Flush(context.WithoutCancel(h.ctx)); err != nil {
		h.t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run([]string{"report", "phone", "--home", h.dir, "--json"}, nil, &out, &errs); code != exitOK {
		h.t.Fatalf("exit code %d: %s", code, errs.String())
	}
	var r struct {
		Stopped []struct {
			Name     string
			Payloads int
		}
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		h.t.Fatal(err)
	}
	shown := map[string]int{}
	for _, s := range r.Stopped {
		shown[s.Name] = s.Payloads
	}
	for _, name := range names {
		if shown[name] == 0 {
			h.t.Errorf("the report does not show what %s received", name)
		}
	}
}

// roots are what the phone trusts when the owner's authority is installed.
func (h *house) roots() *x509.CertPool {
	h.t.Helper()
	ca, err := authority.Load(filepath.Join(h.dir, "ca"))
	if err != nil {
		h.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM())
	return pool
}

func (h *house) dialSunk(p *phone.Phone, name string, port uint16) net.Conn {
	h.t.Helper()
	c, err := p.DialContext(h.ctx, "tcp", netip.AddrPortFrom(h.sunkAddr(p, name), port).String())
	if err != nil {
		h.t.Fatal(name, err)
	}
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func (h *house) overHTTP(p *phone.Phone, _ *x509.CertPool, name string, raw []byte) bool {
	h.pour(h.dialSunk(p, name, 80), name, raw)
	return true
}

func (h *house) overTLS(p *phone.Phone, roots *x509.CertPool, name string, raw []byte) bool {
	h.pour(tls.Client(h.dialSunk(p, name, 443), &tls.Config{RootCAs: roots, ServerName: name}), name, raw)
	return true
}

// overHTTP2 sends a payload that is a well-formed request.
func (h *house) overHTTP2(p *phone.Phone, roots *x509.CertPool, name string, raw []byte) bool {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return false
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return false
	}
	out, err := http.NewRequestWithContext(h.ctx, req.Method, "https://"+name+req.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return false
	}
	out.Header = req.Header
	out.Host = req.Host
	for _, k := range []string{"Connection", "Transfer-Encoding", "Keep-Alive", "Upgrade", "Expect"} { // RFC 9113 §8.2.2
		out.Header.Del(k)
	}
	tr := &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name}, DisableCompression: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return h.dialSunk(p, name, 443), nil },
	}
	defer tr.CloseIdleConnections()
	resp, err := tr.RoundTrip(out)
	if err != nil {
		h.t.Logf("%s: %v", name, err)
		return false
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	if resp.ProtoMajor != 2 {
		h.t.Errorf("%s: answered over %s", name, resp.Proto)
	}
	return true
}

// pour sends bytes as they are and reads the answer.
func (h *house) pour(c net.Conn, name string, raw []byte) {
	h.t.Helper()
	defer c.Close()
	go func() { // a server may answer before it has read all
		c.Write(raw)
		if half, ok := c.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		}
	}()
	_, err := io.Copy(io.Discard, c)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		h.t.Errorf("%s: no answer within %s", name, patience)
	}
}
