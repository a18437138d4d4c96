package sinkhole

import (
	"context"
	_ "embed"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

//go:embed testdata/chromium-quic.hex
var initials string

// chromium are the two Initial packets with which Chromium 156 opened a
// connection to quic0.test, from testdata.
func chromium(tb testing.TB) [][]byte {
	tb.Helper()
	var out [][]byte
	for line := range strings.Lines(initials) {
		b, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// running lets Run record what datagrams brought.
func (b *bench) running(tb testing.TB) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	tb.Cleanup(func() { stop(); <-done })
}

func TestQUICRefused(t *testing.T) {
	b := build(t, nil)
	b.running(t)
	f := b.flow(sunk, 443)
	f.Proto = 17
	packets := chromium(t)
	slices.Reverse(packets) // in any order
	if answer, taken := b.ServePacket(f, packets[0]); answer != nil || !taken {
		t.Fatalf("the first packet: %x %v", answer, taken)
	}
	answer, taken := b.ServePacket(f, packets[1])
	if answer == nil || !taken || answer[0]&0xf0 != 0xc0 || len(answer) > 100 {
		t.Fatalf("no refusal: %x %v", answer, taken)
	}
	g := b.tape.wait(t, 1)[0]
	if g.Scheme != "quic" || g.Name != sunk || g.Dst.Port() != 443 || g.Size != 2500 || g.TLS.Outcome != OutcomeQUIC || g.TLS.SNI != "quic0.test" ||
		!slices.Equal(g.TLS.ALPN, []string{"h3"}) || !strings.HasPrefix(g.TLS.JA4, "q13d") || g.TLS.Version != "TLS 1.3" || g.Result.Verdict != "opaque" {
		t.Errorf("%+v %+v %q", g, g.TLS, g.Result.Verdict)
	}
	if len(g.Sample) == 0 || g.Sample[0] != 1 {
		t.Errorf("the ClientHello was not kept: %d bytes", len(g.Sample))
	}
	if n := len(b.attempts.table); n != 0 {
		t.Errorf("%d attempts left", n)
	}
}

// TestQUICRepeats: a client that sends its first half again is refused too.
func TestQUICRepeats(t *testing.T) {
	b := build(t, nil)
	b.running(t)
	f := b.flow(sunk, 443)
	first := chromium(t)[0]
	if answer, _ := b.ServePacket(f, first); answer != nil {
		t.Fatal("refused before the second half could come")
	}
	if answer, _ := b.ServePacket(f, first); answer == nil {
		t.Fatal("not refused")
	}
	if g := b.tape.wait(t, 1)[0]; g.TLS.Outcome != OutcomeQUIC || g.TLS.SNI != "" {
		t.Errorf("%+v", g.TLS)
	}
}

func TestUDPRaw(t *testing.T) {
	b := build(t, nil)
	b.running(t)
	f := b.flow(sunk, 5000)
	for _, payload := range []string{"id=123", "id=123", ""} {
		if answer, taken := b.ServePacket(f, []byte(payload)); answer != nil || !taken {
			t.Errorf("%x %v", answer, taken)
		}
	}
	c := b.tape.wait(t, 2)
	if c[0].Scheme != "udp" || string(c[0].Sample) != "id=123" || c[0].Result.Verdict != "clean" || b.dec.raws.Load() != 2 || b.Stats().Folded != 1 {
		t.Errorf("%+v %d", c[0], b.dec.raws.Load())
	}
	draft := append([]byte{0xc3, 0xff, 0, 0, 29, 4, 1, 2, 3, 4, 0}, make([]byte, 1200)...)
	if answer, taken := b.ServePacket(f, draft); answer != nil || taken {
		t.Error("a version that is not read is to be refused")
	}
	if g := b.tape.wait(t, 3)[2]; g.Scheme != "quic" || g.TLS.Outcome != OutcomeQUICVersion {
		t.Errorf("%+v %+v", g, g.TLS)
	}
}

// TestUDPFlood: what one device sends is bounded in time, and what waits in
// memory.
func TestUDPFlood(t *testing.T) {
	b := build(t, nil) // nothing runs: the queue fills
	p := chromium(t)[0]
	taken := 0
	for i := range 20_000 {
		f := b.flow(sunk, 443)
		f.Src = netip.AddrPortFrom(f.Src.Addr(), uint16(1024+i%60000))
		payload := p
		if i%2 == 0 {
			payload = fmt.Append(make([]byte, 9000), i)
		}
		if _, ok := b.ServePacket(f, payload); ok {
			taken++
		}
	}
	if n := len(b.attempts.table); n > maxAttempts || len(b.datagrams) > maxDatagrams || taken > 2*burst*datagramRate {
		t.Errorf("%d attempts, %d waiting, %d taken", n, len(b.datagrams), taken)
	}
	if b.Stats().Limited == 0 {
		t.Error("nothing was counted")
	}
	for range len(b.datagrams) {
		if d := <-b.datagrams; len(d.payload) > maxDatagram {
			t.Fatalf("%d bytes kept", len(d.payload))
		}
	}
}

func FuzzServePacket(f *testing.F) {
	for _, p := range chromium(f) {
		f.Add(p)
	}
	f.Add([]byte("id=123"))
	b := build(f, func(o *Options) { o.Recorder = nil })
	flow := b.flow(sunk, 443)
	f.Fuzz(func(t *testing.T, p []byte) {
		b.ServePacket(flow, p)
		for range len(b.datagrams) {
			b.takeDatagram(t.Context(), <-b.datagrams)
		}
		if b.Stats().Panics > 0 {
			t.Fatal("a fault was caught")
		}
	})
}

// BenchmarkQUIC is the reading of one Initial packet on the tunnel's own
// goroutine, refusal included.
func BenchmarkQUIC(b *testing.B) {
	s := build(b, nil)
	s.packets.perSecond = 1 << 40
	f := s.flow(sunk, 443)
	packets := chromium(b)
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range packets {
			s.ServePacket(f, p)
		}
	}
}
