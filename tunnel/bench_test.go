package tunnel

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"nightlatch/policy"
)

// farEnd is a host server that sends or swallows what it is asked to.
func farEnd(b *testing.B, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); serve(c) }()
		}
	}()
	return l.Addr().String()
}

// benchTCP moves one MiB an iteration through phone, tunnel and a host socket,
// all in this process.
func benchTCP(b *testing.B, serve func(net.Conn), move func(net.Conn, []byte) error) {
	addr := farEnd(b, serve)
	r := newRig(b, 1, func(o *Options) {
		o.Handlers.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	})
	c, err := r.connect(b, 0).DialContext(within(b, patience), "tcp", site4+":5201")
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 1<<20)
	b.SetBytes(1 << 20)
	b.ResetTimer()
	for range b.N {
		if err := move(c, buf); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*8*(1<<20)/1e6/b.Elapsed().Seconds(), "Mbit/s")
	b.StopTimer()
}

func BenchmarkDownload(b *testing.B) {
	benchTCP(b, func(c net.Conn) {
		buf := make([]byte, 256<<10)
		for {
			if _, err := c.Write(buf); err != nil {
				return
			}
		}
	}, func(c net.Conn, buf []byte) error { _, err := io.ReadFull(c, buf); return err })
}

func BenchmarkUpload(b *testing.B) {
	benchTCP(b, func(c net.Conn) { io.Copy(io.Discard, c) },
		func(c net.Conn, buf []byte) error { _, err := c.Write(buf); return err })
}

// BenchmarkDNS asks over 64 sockets of the phone at a time; the handler
// answers at once, so this is the tunnel's share alone.
func BenchmarkDNS(b *testing.B) {
	r := newRig(b, 1, func(o *Options) {
		o.Handlers.DNS = func(_ context.Context, _ policy.Flow, _ string, wire []byte) []byte { return wire }
	})
	p := r.connect(b, 0)
	server := netip.MustParseAddrPort("8.8.8.8:53")
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range 64 {
		c, err := p.DialContext(within(b, patience), "udp", server.String())
		if err != nil {
			b.Fatal(err)
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer c.Close()
			q, buf := query(uint16(i)), make([]byte, 512)
			for left.Add(-1) >= 0 {
				c.Write(q)
				if _, err := c.Read(buf); err != nil {
					b.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
}

// BenchmarkDNSLatency asks one question at a time.
func BenchmarkDNSLatency(b *testing.B) {
	r := newRig(b, 1, func(o *Options) {
		o.Handlers.DNS = func(_ context.Context, _ policy.Flow, _ string, wire []byte) []byte { return wire }
	})
	c, err := r.connect(b, 0).DialContext(within(b, patience), "udp", "8.8.8.8:53")
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	q, buf := query(1), make([]byte, 512)
	b.ResetTimer()
	for range b.N {
		c.Write(q)
		if _, err := c.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}
