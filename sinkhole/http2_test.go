package sinkhole

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"
)

// frame is an HTTP/2 frame (RFC 9113 §4.1).
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	n := len(payload)
	b := append([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}, binary.BigEndian.AppendUint32(nil, stream)...)
	return append(b, payload...)
}

const (
	frameHeaders, framePriority, frameSettings, framePing, frameContinuation = 1, 2, 4, 6, 9

	endStream, endHeaders = 1, 4
)

// opening begins an HTTP/2 connection in the clear.
func opening(tb testing.TB, b *bench) net.Conn {
	tb.Helper()
	c := b.dial(tb, b.flow(sunk, 80))
	say(tb, c, preface+string(frame(frameSettings, 0, 0, nil)))
	return c
}

// TestHTTP2Floods: frames that cost the server more than their sender, as fast
// as they can be sent. Either the sinkhole ends the connection, or it takes
// them in without growing; others are served all the while.
func TestHTTP2Floods(t *testing.T) {
	request := []byte{0x83, 0x86, 0x84, 0x41, 0x01, 'h'}                                             // POST http / :authority h (RFC 7541 appendix A)
	literal := append([]byte{0x00, 0x01, 'x', 0x7f, 0x81, 0x07}, bytes.Repeat([]byte("y"), 1024)...) // a field x of 1024 bytes, not indexed
	for _, tt := range []struct {
		name  string
		first []byte // once
		each  []byte // again and again
		n     int
		ends  bool // the sinkhole must end the connection
	}{
		{"settings", nil, frame(frameSettings, 0, 0, []byte{0, 3, 0, 0, 0, 9}), 100_000, false},
		{"ping", nil, frame(framePing, 0, 0, make([]byte, 8)), 100_000, false},
		{"empty data", frame(frameHeaders, endHeaders, 1, request), frame(0, 0, 1, nil), 100_000, false},
		{"priority", nil, frame(framePriority, 0, 1, make([]byte, 5)), 100_000, false},
		{"continuation", frame(frameHeaders, 0, 1, request), frame(frameContinuation, 0, 1, literal), 20_000, true},
		{"empty continuation", frame(frameHeaders, 0, 1, request), frame(frameContinuation, 0, 1, nil), 200_000, false},
		{"too large a frame", nil, frame(0, 0, 1, make([]byte, 1<<20)), 4, true},
		{"settings that lie", nil, frame(frameSettings, 0, 0, []byte{0, 4, 0xff, 0xff, 0xff, 0xff}), 4, true},
		{"stream zero", nil, frame(frameHeaders, endHeaders|endStream, 0, request), 4, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := build(t, nil)
			c := opening(t, b)
			ended := make(chan struct{})
			go func() { io.Copy(io.Discard, c); close(ended) }()
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			c.SetWriteDeadline(time.Now().Add(20 * time.Second))
			_, err := c.Write(tt.first)
			chunk := bytes.Repeat(tt.each, 64)
			for sent := 0; sent < tt.n && err == nil; sent += 64 {
				_, err = c.Write(chunk[:min(64, tt.n-sent)*len(tt.each)])
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
				t.Errorf("%d bytes more in use", grown)
			}
			if tt.ends {
				select {
				case <-ended:
				case <-time.After(10 * time.Second):
					t.Error("the connection goes on")
				}
			}
			other := b.client(t, sunk, &http.Transport{})
			resp, err := other.Get("http://" + sunk + "/track")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			c.Close()
			until(t, "the end of the connection", func() bool { return b.conns.Load() <= 1 })
			if st := b.Stats(); st.Panics != 0 || st.Captured > 10 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// TestHTTP2HugeHeaders: a request with more header fields than a server takes
// is no request, whether the connection survives it or not.
func TestHTTP2HugeHeaders(t *testing.T) {
	b := build(t, nil)
	c := opening(t, b)
	ended := make(chan struct{})
	go func() { io.Copy(io.Discard, c); close(ended) }()
	block := []byte{0x83, 0x86, 0x84, 0x41, 0x01, 'h'}
	for range 200 {
		block = append(block, 0x00, 0x01, 'x', 0x7f, 0x81, 0x07)
		block = append(block, bytes.Repeat([]byte("y"), 1024)...)
	}
	kind, flags := byte(frameHeaders), byte(endStream)
	for len(block) > 0 {
		n := min(len(block), 1<<14)
		if n == len(block) {
			flags |= endHeaders
		}
		if _, err := c.Write(frame(kind, flags, 1, block[:n])); err != nil {
			break
		}
		block, kind, flags = block[n:], frameContinuation, 0
	}
	c.(*net.TCPConn).CloseWrite()
	<-ended
	if st := b.Stats(); st.Captured != 0 || st.Panics != 0 {
		t.Errorf("%+v", st)
	}
}
