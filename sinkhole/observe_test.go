package sinkhole

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// observe reads along with a flow on which one device sends text, cut anywhere,
// and gives what was recorded by its end.
func observe(tb testing.TB, b *bench, text string, seed uint64) {
	tb.Helper()
	f := b.flow(sunk, 80)
	w := b.Observe(tb.Context(), f)
	rnd := rand.New(rand.NewPCG(seed, 2))
	for rest := []byte(text); len(rest) > 0; {
		n := 1 + rnd.IntN(min(len(rest), 1+rnd.IntN(300)))
		part := bytes.Clone(rest[:n])
		if got, err := w.Write(part); got != n || err != nil {
			tb.Fatalf("the flow would notice: %d %v", got, err)
		}
		clear(part) // nothing of it may be kept
		rest = rest[n:]
	}
	w.Close()
	until(tb, "the end of the tap", func() bool { return b.taps.Load() == 0 })
	if n := b.memory.Load(); n != 0 {
		tb.Errorf("%d bytes held", n)
	}
}

func TestObserve(t *testing.T) {
	post := func(body string) string {
		return fmt.Sprintf("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	big := strings.Repeat("0123456789", 10_000)
	for _, tt := range []struct {
		name, text string
		want       []string // bodies, or samples
	}{
		{"one", post("secret"), []string{"secret"}},
		{"pipelined", post("a") + post("b") + "GET /c HTTP/1.1\r\nHost: h\r\n\r\n" + post("d"), []string{"a", "b", "", "d"}},
		{"chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nchun\r\n3;x=y\r\nked\r\n0\r\nT: v\r\n\r\n" + post("after"), []string{"chunked", "after"}},
		{"expect", "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody", []string{"body"}},
		{"large", post(big) + post("after"), []string{big, "after"}},
		{"websocket", "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello" + post("not this"), []string{""}},
		{"h2c", "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n" + preface, []string{""}},
		{"connect", "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n\x16\x03\x01 whatever" + post("not this"), []string{""}},
		{"prior knowledge", preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00", nil},
		{"another protocol", "\x00\x01\x02 SSH or what", nil},
		{"nothing", "", nil},
		{"smuggled: both lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + post("x"), []string{"", "x"}},
		{"smuggled: two lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd" + post("x"),
			[]string{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n"}},
		{"smuggled: obs-fold", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" + post("x"), nil},
		{"lying chunks", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + post("x"), []string{""}},
		{"cut body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc", []string{"abc"}},
		{"cut head", "POST / HTTP/1.1\r\nHos", []string{"POST / HTTP/1.1\r\nHos"}},
		{"huge head", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 2*headMax), []string{("GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 2*headMax))[:headMax]}},
	} {
		for seed := range uint64(3) {
			b := build(t, nil)
			observe(t, b, tt.text, seed)
			var got []string
			for _, c := range b.tape.captures() {
				got = append(got, string(c.Sample))
				if !slices.Contains(c.Result.Flags, flagObserved) {
					t.Errorf("%s: not marked as observed: %+v", tt.name, c.Result)
				}
			}
			if tt.name == "smuggled: obs-fold" { // whatever it is taken for, the server decides what follows
				continue
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s: %d captures %.100q", tt.name, len(got), got)
			}
		}
	}
}

// TestObserveTLS: TLS on any port is never opened; its ClientHello is read.
func TestObserveTLS(t *testing.T) {
	ca, _ := newCA(t)
	b := build(t, func(o *Options) { o.CA = ca }) // with an authority, too
	raw := hello(t, &tls.Config{ServerName: "other.example", NextProtos: []string{"h2"}})
	observe(t, b, string(raw)+"and what follows", 1)
	c := b.tape.wait(t, 1)
	if len(c) != 1 || c[0].Scheme != "tls" || c[0].TLS.Outcome != OutcomeObserved || c[0].TLS.SNI != "other.example" || !slices.Equal(c[0].Result.Flags, []string{"tls", flagObserved}) {
		t.Errorf("%+v %+v", c[0], c[0].TLS)
	}
	if b.mint.Load().Size() != 0 || b.Stats().Untrusted != 0 {
		t.Error("a certificate was made")
	}
}

// TestObserveNeverWaits: a decoder that hangs holds up the tap, not the flow.
func TestObserveNeverWaits(t *testing.T) {
	b := build(t, nil)
	release := make(chan struct{})
	b.dec.hook = func() { <-release }
	w := b.Observe(t.Context(), b.flow(sunk, 80))
	part := []byte("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("x", 1000))
	for range 100_000 { // returns only if nothing waits
		w.Write(part)
	}
	w.(*tap).mu.Lock()
	held, done := len(w.(*tap).buf), w.(*tap).done
	w.(*tap).mu.Unlock()
	if held > maxTap || !done || b.memory.Load() > maxTap+1<<20 {
		t.Errorf("%d bytes held, done %v", held, done)
	}
	close(release)
	w.Close()
	until(t, "the end of the tap", func() bool { return b.taps.Load() == 0 && b.memory.Load() == 0 })
	if len(b.tape.captures()) == 0 {
		t.Error("nothing was recorded")
	}
}

// TestObserveBounds: taps end with their context, and no more of them are open
// than connections may be.
func TestObserveBounds(t *testing.T) {
	b := build(t, func(o *Options) { o.Limits.Conns = 4 })
	ctx, stop := context.WithCancel(t.Context())
	var all []io.WriteCloser
	for range 10 {
		all = append(all, b.Observe(ctx, b.flow(sunk, 80)))
	}
	if n := b.taps.Load(); n != 2 || b.Stats().Refused != 8 { // half of them for one device
		t.Errorf("%d taps, %d refused", n, b.Stats().Refused)
	}
	for _, w := range all {
		io.WriteString(w, "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf")
	}
	stop()
	until(t, "the end of the taps", func() bool { return b.taps.Load() == 0 })
	if len(b.shares.open) != 0 {
		t.Errorf("%v", b.shares.open)
	}
}

func FuzzObserve(f *testing.F) {
	f.Add([]byte("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nchun\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"), uint64(1))
	f.Add([]byte("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n\x81\x05hello"), uint64(2))
	f.Add([]byte("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"), uint64(3))
	b := build(f, func(o *Options) { o.Recorder = nil; o.Limits.Rate = 1 << 30 })
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		observe(t, b, string(text), seed)
		if b.Stats().Panics > 0 {
			t.Fatal("a fault was caught")
		}
	})
}
