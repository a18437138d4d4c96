package sinkhole

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const vectors = "../../shared/payloads/vectors"

// TestVectors sends every vector as it stands through a connection: what
// arrives in the journal is its payload, byte for byte.
func TestVectors(t *testing.T) {
	files, _ := filepath.Glob(vectors + "/*")
	if len(files) == 0 {
		t.Skip("the shared vectors are not here: ", vectors)
	}
	ca, roots := newCA(t)
	for _, way := range []string{"http", "https", "h2"} {
		for _, file := range files {
			t.Run(way+"/"+filepath.Base(file), func(t *testing.T) {
				raw, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				b := build(t, func(o *Options) { o.CA = ca })
				switch {
				case strings.HasSuffix(file, ".bin") && way != "http":
					t.Skip("not a request")
				case strings.HasSuffix(file, ".bin"):
					sendRaw(t, b, raw)
				default:
					sendRequest(t, b, raw, way, &tls.Config{RootCAs: roots, ServerName: sunk})
				}
			})
		}
	}
}

func sendRaw(t *testing.T, b *bench, raw []byte) {
	c := b.dial(t, b.flow(sunk, 5222))
	c.Write(raw)
	c.(*net.TCPConn).CloseWrite()
	answerTo0(t, c)
	g := b.tape.wait(t, 1)[0]
	if !bytes.Equal(g.Sample, raw) || g.Size != int64(len(raw)) {
		t.Errorf("%d bytes arrived, %d were sent", g.Size, len(raw))
	}
}

func sendRequest(t *testing.T, b *bench, raw []byte, way string, cfg *tls.Config) {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	want, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	target := req.RequestURI
	switch way {
	case "h2":
		c := b.client(t, sunk, &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: cfg, DisableCompression: true})
		req.URL.Scheme, req.URL.Host, req.RequestURI = "https", sunk, ""
		req.Body, req.ContentLength, req.TransferEncoding = io.NopCloser(bytes.NewReader(want)), int64(len(want)), nil
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	default:
		c := b.dial(t, b.flow(sunk, 443))
		if way == "https" {
			c = tls.Client(c, cfg)
		}
		go c.Write(raw)
		if _, err := http.ReadResponse(bufio.NewReader(c), req); err != nil {
			t.Fatal(err)
		}
	}
	g := b.tape.wait(t, 1)[0]
	if !bytes.Equal(g.Sample, want) || g.Size != int64(len(want)) || g.Method != req.Method || g.Path != clip(target, maxPath) {
		t.Errorf("%s %s: %d bytes arrived, %d were sent", g.Method, g.Path, g.Size, len(want))
	}
	seen := b.dec.last.Load()
	if !bytes.Equal(seen.Body, want) || seen.Target != target || seen.Host == "" {
		t.Errorf("the decoder saw %s %s with %d bytes", seen.Method, seen.Target, len(seen.Body))
	}
	for k, v := range req.Header {
		if got := strings.Join(seen.Header[k], ","); got != strings.Join(v, ",") {
			t.Errorf("header %s: %q, want %q", k, got, v)
		}
	}
}
