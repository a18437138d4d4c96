package sinkhole

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nightlatch/decoder"
	"nightlatch/journal"
)

// pipe serves a net.Pipe as one connection, for tests with a fake clock.
func (b *bench) pipe(ctx context.Context, port uint16) (net.Conn, <-chan struct{}) {
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() { b.ServeConn(ctx, b.flow(sunk, port), far); close(done) }()
	return near, done
}

// TestSlowClients: whatever a client does slowly, it ends in bounded time and
// what it sent is captured.
func TestSlowClients(t *testing.T) {
	for _, tt := range []struct {
		name, send string
		every      time.Duration // between two bytes
		within     time.Duration
		captured   bool
	}{
		{"says nothing", "", time.Second, 16 * time.Second, false},
		{"slow request line", "GET /" + strings.Repeat("a", 1000), time.Second, 6 * time.Minute, true}, // taken for raw bytes
		{"slow header fields", "GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 1000), 500 * time.Millisecond, 20 * time.Second, true},
		{"stops in the body", "POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\nabc", 0, 40 * time.Second, true},
		{"trickles the body", "POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("a", 999), 300 * time.Millisecond, 6 * time.Minute, true},
		{"trickles slower", "POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n" + strings.Repeat("a", 999), 450 * time.Millisecond, 6 * time.Minute, true},
		{"idle after a request", "GET / HTTP/1.1\r\n\r\n", 0, 62 * time.Second, true},
		{"half a ClientHello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 0, 20 * time.Second, true},
		{"raw, then silence", "\x00\x01\x02", 0, 30 * time.Second, true},
		{"HTTP/2 preface, then silence", preface, 0, 3 * time.Minute, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := build(t, nil)
				near, done := b.pipe(t.Context(), 80)
				defer near.Close()
				go io.Copy(io.Discard, near)
				start := time.Now()
				var sender sync.WaitGroup
				sender.Go(func() {
					for i := range len(tt.send) {
						if tt.every == 0 {
							io.WriteString(near, tt.send)
							return
						}
						if _, err := near.Write([]byte{tt.send[i]}); err != nil {
							return
						}
						<-time.After(tt.every)
					}
				})
				<-done
				if took := time.Since(start); took > tt.within {
					t.Errorf("ended after %v", took)
				}
				if got := b.tape.captures(); (len(got) == 1) != tt.captured {
					t.Errorf("%d captures", len(got))
				}
				near.Close()
				sender.Wait()
			})
		})
	}
}

func TestLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := build(t, func(o *Options) { o.Limits.Life = 10 * time.Minute })
		near, done := b.pipe(t.Context(), 80)
		go io.Copy(io.Discard, near)
		start := time.Now()
		go func() {
			for {
				if _, err := io.WriteString(near, "GET / HTTP/1.1\r\n\r\n"); err != nil {
					return
				}
				<-time.After(30 * time.Second)
			}
		}()
		<-done
		if took := time.Since(start); took != 10*time.Minute {
			t.Errorf("ended after %v", took)
		}
		near.Close()
		<-time.After(time.Minute)
	})
}

// TestFolding: every capture counts, recorded or not: the sum of 1+Repeats is
// what was sent.
func TestFolding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := build(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- b.Run(ctx) }()
		near, done := b.pipe(ctx, 80)
		go func() {
			br := bufio.NewReader(near)
			for i := range 100 {
				fmt.Fprintf(near, "POST /%d HTTP/1.1\r\nContent-Length: 4\r\n\r\nsame", i%2)
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					return
				}
				io.Copy(io.Discard, resp.Body)
				<-time.After(2 * time.Second)
			}
			near.Close()
		}()
		<-done
		<-time.After(3 * time.Minute)
		cancel()
		<-ran
		sum, got := map[string]int{}, b.tape.captures()
		for _, c := range got {
			sum[c.Path] += 1 + c.Repeats
			if c.Result.Verdict != "leak" || len(c.Result.Layers) != 0 {
				t.Errorf("a repeat lost its result: %+v", c)
			}
		}
		if sum["/0"] != 50 || sum["/1"] != 50 || len(got) > 12 || len(got) < 6 {
			t.Errorf("%v in %d captures", sum, len(got))
		}
		if st := b.Stats(); st.Captured != uint64(len(got)) || b.dec.requests.Load() > 10 {
			t.Errorf("%+v, decoded %d", st, b.dec.requests.Load())
		}
	})
}

func TestFoldingTellsDifferences(t *testing.T) {
	b := build(t, nil)
	at := journal.Capture{Time: time.Now(), Device: "a", Name: sunk, Method: "GET", Path: "/x"}
	keys := map[uint64]string{}
	add := func(what string, c journal.Capture, h http.Header, sample string) {
		k := b.fingerprint(c, h, []byte(sample))
		if other, ok := keys[k]; ok {
			t.Errorf("%s looks like %s", what, other)
		}
		keys[k] = what
	}
	add("plain", at, nil, "")
	add("sample", at, nil, "x")
	other := at
	other.Device = "b"
	add("device", other, nil, "")
	other = at
	other.Path, other.Method = "x", "GET/"
	add("shifted", other, nil, "")
	add("header", at, http.Header{"A": {"b"}}, "")
	add("header value", at, http.Header{"A": {"c"}}, "")
	other = at
	other.Size = 5
	add("size", other, nil, "")
	other = at
	other.TLS = &journal.TLS{Outcome: OutcomeRead}
	add("tls", other, nil, "")
}

func TestFoldsAreBounded(t *testing.T) {
	f := newFolds(time.Minute)
	long := strings.Repeat("v", 1<<20)
	many := decoder.Result{Verdict: "leak", Findings: make([]decoder.Finding, 1000), Layers: make([]decoder.Layer, 10)}
	for i := range many.Findings {
		many.Findings[i] = decoder.Finding{Value: long, Path: long}
	}
	now := time.Now()
	for i := range uint64(maxFolds + 100) {
		for range 2 {
			f.see(i, journal.Capture{Time: now})
		}
		f.decoded(i, many)
	}
	got := f.sweep(now, true)
	if len(got) != maxFolds || len(f.table) != 0 {
		t.Fatalf("%d folds", len(got))
	}
	for _, c := range got {
		if r := c.Result; r.Verdict != "leak" || len(r.Findings) != foldFindings || r.Layers != nil || len(r.Findings[3].Value) != maxField {
			t.Fatalf("kept too much: %d findings", len(r.Findings))
		}
	}
	if len(many.Findings) != 1000 || len(many.Findings[0].Value) != 1<<20 {
		t.Error("the capture's own result was changed")
	}
}

// TestFlood: 10,000 captures in a minute from one device, all different.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := build(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- b.Run(ctx) }()
		for i := range 10_000 {
			b.takeRaw(ctx, journal.Capture{Time: time.Now(), Device: "redmi", Path: fmt.Sprint(i)}, body{sample: []byte("x"), size: 1})
			<-time.After(6 * time.Millisecond)
		}
		// The first thousand are of as many kinds, the rest of one.
		if st := b.Stats(); st.Captured < 1600 || st.Captured > 2400 || st.Captured+st.Sampled != 10_000 || st.Limited != 0 {
			t.Errorf("%+v", st)
		}
		b.folds.mu.Lock()
		b.shapes.mu.Lock()
		if len(b.folds.table) > maxFolds || len(b.shapes.table) > maxShapes || b.memory.Load() != 0 {
			t.Errorf("%d folds, %d shapes, %d bytes", len(b.folds.table), len(b.shapes.table), b.memory.Load())
		}
		b.shapes.mu.Unlock()
		b.folds.mu.Unlock()
		for i := range 5000 { // and then at once
			b.takeRaw(ctx, journal.Capture{Time: time.Now(), Device: "redmi", Path: fmt.Sprint("b", i)}, body{})
		}
		st := b.Stats()
		if st.Limited < 3900 || st.Limited > 4100 {
			t.Errorf("limited %d", st.Limited)
		}
		b.takeRaw(ctx, journal.Capture{Time: time.Now(), Device: "other"}, body{})
		if b.Stats().Captured != st.Captured+1 {
			t.Error("one device's flood silences another")
		}
		<-time.After(time.Minute)
		cancel()
		<-ran
		told := 0
		for _, e := range b.tape.events {
			if n, ok := e.(journal.Notice); ok && n.Device == "redmi" && strings.Contains(n.Text, fmt.Sprint(st.Limited)) {
				told++
			}
		}
		if told != 1 || len(b.folds.table) != 0 {
			t.Errorf("told %d times, %d folds left", told, len(b.folds.table))
		}
	})
}

// TestBusyDecoder: when every place is taken, a capture is recorded unread.
func TestBusyDecoder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := build(t, func(o *Options) { o.Limits.Decoders = 2 })
		var running, most atomic.Int64
		b.dec.hook = func() {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-time.After(300 * time.Millisecond)
			running.Add(-1)
		}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() { b.takeRaw(t.Context(), journal.Capture{Path: fmt.Sprint(i)}, body{sample: []byte("x")}) })
		}
		wg.Wait()
		if st := b.Stats(); st.Captured != 8 || st.Undecoded != 4 || most.Load() != 2 {
			t.Errorf("%+v, at most %d at a time", st, most.Load())
		}
	})
}

// TestMemoryBudget: many large uploads at a time share one budget.
func TestMemoryBudget(t *testing.T) {
	b := build(t, func(o *Options) { o.Limits.Memory = 100_000 })
	var held []body
	for range 5 {
		held = append(held, b.readBody(io.LimitReader(zeros{}, 60_000), time.Second, func(time.Time) {}))
	}
	kept := 0
	for _, h := range held {
		kept += len(h.sample)
		if h.size != 60_000 {
			t.Errorf("size %d", h.size)
		}
	}
	if kept != 100_000 {
		t.Errorf("kept %d", kept)
	}
	for _, h := range held {
		b.free(h)
	}
	if b.memory.Load() != 0 {
		t.Errorf("%d still held", b.memory.Load())
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestStaleHandshake: a client that stops in the middle of a TLS handshake.
func TestStaleHandshake(t *testing.T) {
	ca, roots := newCA(t)
	synctest.Test(t, func(t *testing.T) {
		b := build(t, func(o *Options) { o.CA = ca })
		near, done := b.pipe(t.Context(), 443)
		c := tls.Client(&deaf{near}, &tls.Config{ServerName: sunk, RootCAs: roots})
		go c.Handshake()
		<-done
		got := b.tape.captures()
		if len(got) != 1 || got[0].TLS.Outcome != OutcomeFailed && got[0].TLS.Outcome != OutcomeHungUp {
			t.Errorf("%+v", got)
		}
		near.Close()
		synctest.Wait()
	})
}

// deaf takes nothing in.
type deaf struct{ net.Conn }

func (d *deaf) Read([]byte) (int, error) {
	buf := make([]byte, 1)
	for {
		if _, err := d.Conn.Read(buf); err != nil {
			return 0, err
		}
	}
}
