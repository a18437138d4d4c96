package sinkhole

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"nightlatch/decoder"
	"nightlatch/sinkhole/authority"
)

// TestRealDecoder: the room's own seam, with the decoder that cmd hands in.
func TestRealDecoder(t *testing.T) {
	raw, err := os.ReadFile(vectors + "/01-sensors-android-gzip1.http")
	if err != nil {
		t.Skip("the shared vectors are not here: ", err)
	}
	d, err := decoder.New(decoder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := build(t, func(o *Options) { o.Decoder = d })
	c := b.dial(t, b.flow("sa.api.intl.miui.com", 80))
	c.Write(raw)
	if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
		t.Fatal(err)
	}
	g := b.tape.wait(t, 1)[0]
	if g.Result.Verdict != "leak" || len(g.Result.Findings) == 0 {
		t.Errorf("%s with %d findings", g.Result.Verdict, len(g.Result.Findings))
	}
}

// BenchmarkRequest is one kept-alive request with a new payload of 1 KiB,
// answered, handed to a decoder that does nothing, and recorded.
func BenchmarkRequest(b *testing.B) {
	s := build(b, func(o *Options) { o.Limits.Rate = 1 << 30; o.Limits.Life = 24 * time.Hour; o.Recorder = nil })
	c := s.dial(b, s.flow(sunk, 80))
	br := bufio.NewReader(c)
	body := make([]byte, 1000)
	i := 0
	for b.Loop() {
		if i++; i%maxRequests == 0 {
			c = s.dial(b, s.flow(sunk, 80))
			br.Reset(c)
		}
		fmt.Fprintf(c, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1024\r\n\r\n%024d%s", i, body)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
	}
}

// BenchmarkHandshake is a TLS connection that is read, leaf cached.
func BenchmarkHandshake(b *testing.B) {
	ca, roots := newCA(b)
	s := build(b, func(o *Options) { o.CA = ca; o.Limits.Rate = 1 << 30; o.Recorder = nil })
	for b.Loop() {
		c := tls.Client(s.dial(b, s.flow(sunk, 443)), &tls.Config{ServerName: sunk, RootCAs: roots, NextProtos: []string{"http/1.1"}})
		say(b, c, "GET / HTTP/1.0\r\n\r\n")
		io.Copy(io.Discard, c)
		c.Close()
	}
}

// BenchmarkMint signs a leaf for a new name.
func BenchmarkMint(b *testing.B) {
	ca, _ := newCA(b)
	m, err := authority.NewMint(ca, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		if _, err := m.Leaf(fmt.Sprintf("n%d.example", i)); err != nil {
			b.Fatal(err)
		}
	}
}
