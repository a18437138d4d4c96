package sinkhole

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nightlatch/decoder"
	"nightlatch/journal"
)

// What cmd hands in.
var _ Decoder = (*decoder.Decoder)(nil)

// script is a connection whose client says all at once and then stops.
type script struct {
	in     *bytes.Reader
	closed chan struct{}
	once   sync.Once
}

func (s *script) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return len(p), nil }
func (s *script) Close() error                     { s.once.Do(func() { close(s.closed) }); return nil }
func (s *script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// FuzzServe: whatever comes, nothing panics, everything ends, and no byte of
// a connection that was understood as raw or as TLS is lost.
func FuzzServe(f *testing.F) {
	for _, s := range []string{
		"", "raw", "GET / HTTP/1.1\r\n\r\n", "POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.0\r\n\r\n",
		"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
		"POST /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "\x16\x03\x01\x00\x01\x01", "CONNECT a:1 HTTP/1.1\r\n\r\n", "OPTIONS * HTTP/1.1\r\nOrigin: x\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	ca, _ := newCA(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		s := build(t, func(o *Options) { o.CA = ca })
		s.ServeConn(t.Context(), s.flow(sunk, 80), &script{in: bytes.NewReader(b), closed: make(chan struct{})})
		if s.Stats().Panics != 0 {
			t.Fatal("a fault was caught")
		}
		if n := s.memory.Load(); n != 0 {
			t.Fatalf("%d bytes of samples are still held", n)
		}
		got := s.tape.captures()
		if k, certain := classify(b); certain && k == speaksRaw && (len(got) != 1 || !bytes.Equal(got[0].Sample, b)) {
			t.Fatalf("%q: captured %+v", b, got)
		}
		for _, c := range got {
			if c.Size > int64(len(b)) || int64(len(c.Sample)) > c.Size {
				t.Fatalf("more was captured than sent: %+v", c)
			}
		}
	})
}

// TestNothingLeaks: after every kind of connection, in good and bad endings,
// no goroutine is left.
func TestNothingLeaks(t *testing.T) {
	ca, roots := newCA(t)
	before := runtime.NumGoroutine()
	t.Run("connections", func(t *testing.T) {
		b := build(t, func(o *Options) { o.CA = ca })
		for range 10 {
			for _, s := range []string{"raw", "GET / HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\na", preface, "\x16\x03\x01\x00\x05\x01"} {
				c := b.dial(t, b.flow(sunk, 80))
				say(t, c, s)
				c.Close()
			}
			for _, cfg := range []*tls.Config{{ServerName: sunk, RootCAs: roots, NextProtos: []string{"h2"}}, {ServerName: sunk, RootCAs: roots}, {ServerName: sunk}} {
				c := tls.Client(b.dial(t, b.flow(sunk, 443)), cfg)
				c.Handshake()
				c.Close()
			}
			c := b.client(t, sunk, &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}})
			if resp, err := c.Get("https://" + sunk); err == nil {
				resp.Body.Close()
			}
		}
	})
	end := time.After(10 * time.Second)
	for runtime.NumGoroutine() > before {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-end:
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}

// TestHTTP2Bodies: large, aborted and parallel uploads over HTTP/2.
func TestHTTP2Bodies(t *testing.T) {
	ca, roots := newCA(t)
	b := build(t, func(o *Options) { o.CA = ca; o.Limits.Keep = 8 << 20 })
	c := b.client(t, sunk, &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots}})
	up := bytes.Repeat([]byte("0123456789abcdef"), 10<<20/16)
	resp, err := c.Post("https://"+sunk+"/big", "x/y", bytes.NewReader(up))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if g := b.tape.wait(t, 1)[0]; g.Size != 10<<20 || !bytes.Equal(g.Sample, up[:4<<20]) || resp.ProtoMajor != 2 {
		t.Errorf("size %d, sample %d", g.Size, len(g.Sample))
	}
	var wg sync.WaitGroup
	for i := range 2 * maxStreams {
		wg.Go(func() {
			resp, err := c.Post("https://"+sunk+"/"+strings.Repeat("p", i), "x/y", strings.NewReader(strings.Repeat("x", i)))
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
		})
	}
	wg.Wait()
	// The transport may open spare connections; those are told as silent ones.
	requests := func(n int) (out []journal.Capture) {
		for all := n; len(out) < n; all++ {
			out = slices.DeleteFunc(b.tape.wait(t, all), func(c journal.Capture) bool { return c.Scheme == "tls" })
		}
		return out
	}
	for _, g := range requests(1 + 2*maxStreams)[1:] {
		if int(g.Size) != len(g.Path)-1 {
			t.Errorf("%s: %d bytes", g.Path, g.Size)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	req, _ := http.NewRequestWithContext(ctx, "POST", "https://"+sunk+"/aborted", r)
	go func() { io.WriteString(w, "half"); cancel() }()
	if _, err := c.Do(req); err == nil {
		t.Error("an aborted upload was answered")
	}
	w.Close()
	if g := requests(2 + 2*maxStreams)[1+2*maxStreams]; g.Path != "/aborted" || g.Size > 4 {
		t.Errorf("%s %d", g.Path, g.Size)
	}
	if resp, err := c.Head("https://" + sunk + "/head"); err != nil || resp.ContentLength != 2 {
		t.Errorf("HEAD: %+v %v", resp, err)
	}
}

// TestHTTP2HangsUpAtOnce: a request and the end in one breath are a request;
// the preface alone is silence.
func TestHTTP2HangsUpAtOnce(t *testing.T) {
	ca, roots := newCA(t)
	const settings = preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	for send, want := range map[string]string{
		settings: OutcomeSilent,
		settings + "\x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x87\x84\x41\x01h": OutcomeRead, // GET https / h
	} {
		for range 20 {
			b := build(t, func(o *Options) { o.CA = ca })
			c := tls.Client(b.dial(t, b.flow(sunk, 443)), &tls.Config{ServerName: sunk, RootCAs: roots, NextProtos: []string{"h2"}})
			say(t, c, send)
			c.Close()
			if got := b.tape.wait(t, 1); got[0].TLS.Outcome != want || len(got) != 1 {
				t.Fatalf("%d captures, %+v, want %s", len(got), got[0].TLS, want)
			}
		}
	}
}

// TestRapidReset: streams that are opened and reset at once (CVE-2023-44487)
// end the connection, not the gateway.
func TestRapidReset(t *testing.T) {
	b := build(t, nil)
	c := b.dial(t, b.flow(sunk, 80))
	say(t, c, preface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	headers := []byte{0x83, 0x86, 0x84, 0x41, 0x01, 'h'} // POST http / :authority h (RFC 7541 appendix A)
	go io.Copy(io.Discard, c)
	for id := uint32(1); id < 40_001; id += 2 {
		frame := append([]byte{0, 0, byte(len(headers)), 1, 4}, binary.BigEndian.AppendUint32(nil, id)...)
		frame = append(frame, headers...)
		frame = append(frame, 0, 0, 4, 3, 0)
		frame = binary.BigEndian.AppendUint32(frame, id)
		frame = append(frame, 0, 0, 0, 8)
		if _, err := c.Write(frame); err != nil {
			break
		}
	}
	c.Close()
	st := b.Stats()
	if st.Panics != 0 || st.Captured > 2000 {
		t.Errorf("%+v", st)
	}
}
