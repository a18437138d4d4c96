package sinkhole

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nightlatch/decoder"
	"nightlatch/journal"
	"nightlatch/policy"
)

// tape is a recorder that keeps everything.
type tape struct {
	mu     sync.Mutex
	events []journal.Event
	came   chan struct{}
}

func newTape() *tape { return &tape{came: make(chan struct{}, 1<<16)} }

func (t *tape) Record(e journal.Event) {
	t.mu.Lock()
	t.events = append(t.events, e)
	t.mu.Unlock()
	t.came <- struct{}{}
}

func (t *tape) captures() (out []journal.Capture) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.events {
		if c, ok := e.(journal.Capture); ok {
			out = append(out, c)
		}
	}
	return out
}

// wait waits for n captures.
func (t *tape) wait(tb testing.TB, n int) []journal.Capture {
	tb.Helper()
	end := time.After(10 * time.Second)
	for {
		if c := t.captures(); len(c) >= n {
			return c
		}
		select {
		case <-t.came:
		case <-end:
			tb.Fatalf("%d captures, want %d", len(t.captures()), n)
		}
	}
}

// fakeDecoder tells what it was asked.
type fakeDecoder struct {
	requests, raws atomic.Int64
	hook           func()
	last           atomic.Pointer[decoder.Request]
}

func (d *fakeDecoder) DecodeRequest(r decoder.Request) decoder.Result {
	d.requests.Add(1)
	d.last.Store(&r)
	if d.hook != nil {
		d.hook()
	}
	return decoder.Result{Verdict: "leak", Findings: []decoder.Finding{{Kind: "fake", Value: string(r.Body)}}}
}

func (d *fakeDecoder) Decode(raw []byte) decoder.Result {
	d.raws.Add(1)
	if d.hook != nil {
		d.hook()
	}
	return decoder.Result{Verdict: "clean"}
}

const sunk = "tracking.miui.com"

var phone = policy.Device{Name: "redmi"}

type bench struct {
	*Sinkhole
	tape *tape
	dec  *fakeDecoder
}

func build(tb testing.TB, change func(*Options)) *bench {
	tb.Helper()
	b := &bench{tape: newTape(), dec: &fakeDecoder{}}
	o := Options{Prefix4: netip.MustParsePrefix("198.18.0.0/15"), Prefix6: netip.MustParsePrefix("fd00:6e6c::/64"),
		Decoder: b.dec, Recorder: b.tape, KeepSamples: true}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	b.Sinkhole = s
	return b
}

func (b *bench) flow(name string, port uint16) policy.Flow {
	a, _ := b.Addr(name, false)
	return policy.Flow{Device: phone, Proto: 6, Src: netip.MustParseAddrPort("10.88.0.2:40000"),
		Dst: netip.AddrPortFrom(a, port), Name: name, Exact: true}
}

// dial opens a loopback connection that the sinkhole serves as flow.
func (b *bench) dial(tb testing.TB, f policy.Flow) net.Conn {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	accepted, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		l.Close()
		close(accepted)
		if err == nil {
			b.ServeConn(tb.Context(), f, c)
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	<-accepted
	tb.Cleanup(func() {
		c.Close()
		<-done
	})
	return c
}

// client is an HTTP client whose every connection leads to the sinkhole.
func (b *bench) client(tb testing.TB, name string, t *http.Transport) *http.Client {
	t.DialContext = func(context.Context, string, string) (net.Conn, error) { return b.dial(tb, b.flow(name, 443)), nil }
	tb.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: 20 * time.Second}
}

func say(tb testing.TB, c net.Conn, s string) {
	tb.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		tb.Fatal(err)
	}
}

func answerTo(tb testing.TB, c net.Conn) string {
	tb.Helper()
	c.SetReadDeadline(time.Now().Add(15 * time.Second))
	b, err := io.ReadAll(c)
	if err != nil && len(b) == 0 {
		tb.Fatal(err)
	}
	return string(b)
}

func TestHTTPKeepAlive(t *testing.T) {
	b := build(t, nil)
	c := b.client(t, sunk, &http.Transport{})
	for _, body := range []string{"one", "two", strings.Repeat("three", 10_000)} {
		resp, err := c.Post("http://"+sunk+"/track/v4?x=1", "application/octet-stream", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || string(got) != `{"code":0}` {
			t.Errorf("answer %d %q", resp.StatusCode, got)
		}
	}
	got := b.tape.wait(t, 3)
	if string(got[2].Sample) != strings.Repeat("three", 10_000) || got[2].Size != 50_000 {
		t.Errorf("third capture: %d bytes, size %d", len(got[2].Sample), got[2].Size)
	}
	g := got[0]
	if g.Device != "redmi" || g.Name != sunk || g.Scheme != "http" || g.Method != "POST" || g.Path != "/track/v4?x=1" ||
		g.ContentType != "application/octet-stream" || g.UserAgent == "" || g.TLS != nil || g.Result.Verdict != "leak" {
		t.Errorf("capture %+v", g)
	}
	if n := b.Stats().Accepted; n != 1 {
		t.Errorf("%d connections for three requests, want 1", n)
	}
}

func TestHTTPWire(t *testing.T) {
	tests := []struct {
		name, send string
		want       []string // in the answer
		not        string
		bodies     []string
		method     string
	}{
		{"chunked", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n",
			[]string{"HTTP/1.1 200 OK\r\n", "\r\nConnection: close\r\n", "\r\n\r\n{}"}, "", []string{"abcdefg"}, "POST"},
		{"pipelined", "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
			[]string{"{}HTTP/1.1 200 OK"}, "", []string{"", "hi"}, "GET"},
		{"expect", "POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
			[]string{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"}, "", []string{"hi"}, "POST"},
		{"head", "HEAD /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
			[]string{"Content-Length: 2\r\n"}, "{}", []string{""}, "HEAD"},
		{"http/1.0", "GET /a HTTP/1.0\r\n\r\n", []string{"HTTP/1.1 200 OK", "{}"}, "keep-alive", []string{""}, "GET"},
		{"gif", "GET /sa.gif?data=1 HTTP/1.0\r\n\r\n", []string{"image/gif", "GIF89a"}, "", []string{""}, "GET"},
		{"options", "OPTIONS /a HTTP/1.1\r\nOrigin: https://x.example\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-a\r\nConnection: close\r\n\r\n",
			[]string{"204 No Content", "Access-Control-Allow-Origin: https://x.example\r\n", "Access-Control-Allow-Methods: POST", "Access-Control-Allow-Headers: x-a"}, "Content-Length", []string{""}, "OPTIONS"},
		{"protobuf", "POST /a HTTP/1.0\r\nContent-Type: application/x-protobuffer\r\nContent-Length: 1\r\n\r\n\b",
			[]string{"application/x-protobuf", "Content-Length: 0"}, "{}", []string{"\b"}, "POST"},
		{"bare LF and blank lines", "\r\n\nPOST /a HTTP/1.1\nContent-Length: 2\nConnection: close\n\nhi", []string{"200 OK"}, "", []string{"hi"}, "POST"},
		{"no host", "POST /a HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", []string{"200 OK"}, "", []string{"hi"}, "POST"},
		{"absolute form", "GET http://other.example/p HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", []string{"200 OK"}, "", []string{""}, "GET"},
		{"body cut off", "POST /a HTTP/1.1\r\nContent-Length: 100\r\n\r\nhi", []string{"400 Bad Request"}, "", []string{"hi"}, "POST"},
		{"chunks that lie", "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n", []string{"400 Bad Request"}, "", []string{"abc"}, "POST"},
		// RFC 9112 §6.1: both framings; the chunked one wins, nothing is lost.
		{"smuggling CL.TE", "POST /a HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nConnection: close\r\n\r\n",
			[]string{"{}HTTP/1.1 200 OK"}, "", []string{"", ""}, "POST"},
		{"two lengths", "POST /a HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", []string{"400 Bad Request"}, "",
			[]string{"POST /a HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"}, ""},
		{"TE unknown", "POST /a HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", []string{"400 Bad Request"}, "",
			[]string{"POST /a HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"}, ""},
		// net/http keeps such a field under its odd name: no length, so the bytes are the next request.
		{"space before colon", "POST /a HTTP/1.1\r\nContent-Length : 5\r\n\r\nabcde", []string{"200 OK", "400 Bad Request"}, "",
			[]string{"", "abcde"}, "POST"},
		{"half a head", "POST /a HTTP/1.1\r\nContent-Le", []string{"400 Bad Request"}, "", []string{"POST /a HTTP/1.1\r\nContent-Le"}, ""},
		{"endless head", "GET / HTTP/1.1\r\nX: " + strings.Repeat("y", headMax) + "\r\n\r\n", []string{"431 "}, "",
			[]string{"GET / HTTP/1.1\r\nX: " + strings.Repeat("y", headMax) + "\r\n\r\n"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := build(t, nil)
			c := b.dial(t, b.flow("stats.vendor.example", 8080))
			say(t, c, tt.send)
			c.(*net.TCPConn).CloseWrite()
			got := answerTo(t, c)
			for _, w := range tt.want {
				if !strings.Contains(got, w) {
					t.Errorf("answer %q lacks %q", got, w)
				}
			}
			if tt.not != "" && strings.Contains(got, tt.not) {
				t.Errorf("answer %q holds %q", got, tt.not)
			}
			caps := b.tape.wait(t, max(1, len(tt.bodies)))
			for i, w := range tt.bodies {
				if string(caps[i].Sample) != w {
					t.Errorf("capture %d: %q, want %q", i, caps[i].Sample, w)
				}
			}
			if caps[0].Method != tt.method {
				t.Errorf("method %q, want %q", caps[0].Method, tt.method)
			}
		})
	}
}

func TestContinueIsAwaited(t *testing.T) {
	b := build(t, nil)
	c := b.client(t, sunk, &http.Transport{ExpectContinueTimeout: 30 * time.Second})
	req, _ := http.NewRequest("PUT", "http://"+sunk+"/a", strings.NewReader("payload"))
	req.Header.Set("Expect", "100-continue")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := b.tape.wait(t, 1); string(got[0].Sample) != "payload" {
		t.Errorf("capture %q", got[0].Sample)
	}
}

func TestLargeUpload(t *testing.T) {
	b := build(t, func(o *Options) { o.Limits = Limits{Keep: 8 << 20} })
	c := b.client(t, sunk, &http.Transport{})
	up := bytes.Repeat([]byte("0123456789abcdef"), 10<<20/16)
	resp, err := c.Post("http://"+sunk+"/big", "x/y", bytes.NewReader(up))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	got := b.tape.wait(t, 1)[0]
	if got.Size != 10<<20 || !bytes.Equal(got.Sample, up[:4<<20]) || resp.StatusCode != 200 {
		t.Errorf("size %d, sample %d, status %d", got.Size, len(got.Sample), resp.StatusCode)
	}
	until(t, "samples given back", func() bool { return b.memory.Load() == 0 })
	if b.Stats().Cut != 1 {
		t.Error("the cut was not counted")
	}
}

// until waits for a condition that another goroutine brings about.
func until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick, end := time.NewTicker(time.Millisecond), time.After(10*time.Second)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			tb.Fatal("not in time: ", what)
		}
	}
}

func TestDrainBound(t *testing.T) {
	b := build(t, func(o *Options) { o.Limits = Limits{Drain: 1 << 20, Sample: 1000, Memory: 500} })
	c := b.dial(t, b.flow(sunk, 80))
	say(t, c, "POST /a HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n")
	chunk := make([]byte, 1<<16)
	for range 64 {
		if _, err := c.Write(chunk); err != nil {
			break // the sinkhole has hung up
		}
	}
	got := b.tape.wait(t, 1)[0]
	if got.Size < 1<<20 || got.Size > 2<<20 || len(got.Sample) != 500 {
		t.Errorf("size %d, sample %d", got.Size, len(got.Sample))
	}
}

func TestRaw(t *testing.T) {
	for _, send := range []string{"\x00\x01\x02\x03hello", "SSH-2.0-x\r\n", "HELLO there\r\n", "GET", "{\"a\":1}\n", "\x16\x03\x01garbage here", "GET /a b HTTP/2.0\r\n\r\n"} {
		b := build(t, nil)
		c := b.dial(t, b.flow(sunk, 5222))
		say(t, c, send)
		c.(*net.TCPConn).CloseWrite()
		if got := answerTo0(t, c); got != "" {
			t.Errorf("%q: answered %q", send, got)
		}
		got := b.tape.wait(t, 1)[0]
		if got.Scheme != "tcp" || string(got.Sample) != send || got.Size != int64(len(send)) || got.Result.Verdict != "clean" {
			t.Errorf("%q: capture %+v", send, got)
		}
	}
}

func answerTo0(tb testing.TB, c net.Conn) string {
	c.SetReadDeadline(time.Now().Add(15 * time.Second))
	b, _ := io.ReadAll(c)
	return string(b)
}

func TestNothingSaidIsNoCapture(t *testing.T) {
	b := build(t, nil)
	c := b.dial(t, b.flow(sunk, 80))
	c.(*net.TCPConn).CloseWrite()
	answerTo0(t, c)
	if got := b.tape.captures(); len(got) != 0 {
		t.Errorf("captures %+v", got)
	}
}

func TestHTTP2PriorKnowledge(t *testing.T) {
	b := build(t, nil)
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	c := b.client(t, sunk, &http.Transport{Protocols: &p})
	resp, err := c.Post("http://"+sunk+"/x", "text/plain", strings.NewReader("over h2c"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	got := b.tape.wait(t, 1)[0]
	if resp.ProtoMajor != 2 || got.Scheme != "http" || string(got.Sample) != "over h2c" || got.Path != "/x" {
		t.Errorf("proto %s, capture %+v", resp.Proto, got)
	}
}

func TestEndsWithContext(t *testing.T) {
	for _, start := range []string{"", "POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\nab", "\x16\x03\x01\x02", preface, "raw\x00"} {
		b := build(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		near, far := net.Pipe()
		done := make(chan struct{})
		go func() { b.ServeConn(ctx, b.flow(sunk, 80), far); close(done) }()
		go io.Copy(io.Discard, near)
		say(t, near, start)
		cancel()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Errorf("%q: still served after the end", start)
		}
		near.Close()
	}
}

func TestConnectionBound(t *testing.T) {
	b := build(t, func(o *Options) { o.Limits.Conns = 1 })
	one := b.dial(t, b.flow(sunk, 80))
	say(t, one, "GET / HTTP/1.1\r\n\r\n")
	b.tape.wait(t, 1)
	if got := answerTo0(t, b.dial(t, b.flow(sunk, 80))); got != "" || b.Stats().Refused != 1 {
		t.Errorf("a second connection was served: %q", got)
	}
}

// TestConnectionShare: a device that holds its half leaves the other half alone.
func TestConnectionShare(t *testing.T) {
	b := build(t, func(o *Options) { o.Limits.Conns = 4 })
	for range 2 {
		say(t, b.dial(t, b.flow(sunk, 80)), "GET / HTTP/1.1\r\n\r\n")
	}
	b.tape.wait(t, 1)
	if got := answerTo0(t, b.dial(t, b.flow(sunk, 80))); got != "" || b.Stats().Refused != 1 {
		t.Errorf("a third connection of one device was served: %q", got)
	}
	f := b.flow(sunk, 80)
	f.Device.Name, f.Device.Key = "tablet", [32]byte{9}
	say(t, b.dial(t, f), "GET / HTTP/1.1\r\n\r\n")
	b.tape.wait(t, 2) // its own capture: the first two are alike
	if n := b.Stats().Refused; n != 1 {
		t.Errorf("%d refused", n)
	}
}

func TestDecoderFaultsAreCaught(t *testing.T) {
	b := build(t, nil)
	b.dec.hook = func() { panic("hostile payload") }
	c := b.dial(t, b.flow(sunk, 80))
	br := bufio.NewReader(c)
	for _, path := range []string{"1", "2"} {
		say(t, c, "POST /"+path+" HTTP/1.1\r\nContent-Length: 1\r\n\r\na")
		if resp, err := http.ReadResponse(br, nil); err != nil {
			t.Fatal(err)
		} else {
			io.Copy(io.Discard, resp.Body)
		}
	}
	b.tape.wait(t, 2)
	if b.Stats().Panics != 2 {
		t.Error("not counted")
	}
}
