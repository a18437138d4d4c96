package upstream

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"nightlatch/resolver/upstream/spec"
)

const (
	// quicSpread questions on one connection: servers commonly allow a hundred
	// streams, and answer them side by side.
	quicSpread = 64
	// quicWindow is what a server may send ahead on one stream: the longest
	// message with its length, and a little of HTTP around it.
	quicWindow = 80 << 10
	// quicConnWindow is the same for a connection with all its streams.
	quicConnWindow = 1 << 20
)

// Error codes of DNS over QUIC (RFC 9250 §4.3).
const (
	doqNoError   = 0x0
	doqProtocol  = 0x2
	doqCancelled = 0x3
)

// quicConfig bounds what a server may make us keep. It may open the few
// one-way streams that HTTP/3 needs, and none over plain DoQ (RFC 9250 §4.2).
func quicConfig(oneWay int64) *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           dialTime,
		MaxIdleTimeout:                 idleTime,
		InitialStreamReceiveWindow:     quicWindow,
		MaxStreamReceiveWindow:         quicWindow,
		InitialConnectionReceiveWindow: quicConnWindow,
		MaxConnectionReceiveWindow:     quicConnWindow,
		MaxIncomingStreams:             -1,
		MaxIncomingUniStreams:          oneWay,
		DisablePathMTUDiscovery:        true, // questions fit the smallest packet
	}
}

// datagrams lets QUIC use a connected socket: the kernel then drops what others
// send, and tells of a closed port.
type datagrams struct{ net.Conn }

func (d datagrams) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := d.Read(b)
	return n, d.RemoteAddr(), err
}

func (d datagrams) WriteTo(b []byte, _ net.Addr) (int, error) { return d.Write(b) }

// SetReadBuffer and SetWriteBuffer leave the system's sizes: a home's answers
// fit them.
func (datagrams) SetReadBuffer(int) error  { return nil }
func (datagrams) SetWriteBuffer(int) error { return nil }

// dialQUIC opens a QUIC connection with a socket of its own.
func dialQUIC(ctx context.Context, dial DialFunc, addrs []netip.AddrPort, h *hello, qc *quic.Config) (*quic.Conn, error) {
	return greet(h, func(tc *tls.Config) (*quic.Conn, error) { return raceQUIC(ctx, dial, addrs, tc, qc) })
}

func raceQUIC(ctx context.Context, dial DialFunc, addrs []netip.AddrPort, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
	return race(ctx, addrs, func(ctx context.Context, addr string) (*quic.Conn, error) {
		raw, err := dial(ctx, "udp", addr)
		if err != nil {
			return nil, err
		}
		c, err := quic.Dial(ctx, datagrams{raw}, raw.RemoteAddr(), tc, qc)
		if err != nil {
			raw.Close()
			return nil, fmt.Errorf("quic: %w", quicErr(ctx, err))
		}
		context.AfterFunc(c.Context(), func() { raw.Close() })
		return c, nil
	}, func(c *quic.Conn) { _ = c.CloseWithError(doqNoError, "") })
}

// quicErr says silence in the words that the rest of the package knows.
func quicErr(ctx context.Context, err error) error {
	var idle *quic.IdleTimeoutError
	var shake *quic.HandshakeTimeoutError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &idle), errors.As(err, &shake):
		return fmt.Errorf("%w: %w", err, os.ErrDeadlineExceeded)
	case errors.Is(err, syscall.ECONNREFUSED):
		return syscall.ECONNREFUSED // QUIC would wrap it in the addresses a second time
	}
	return err
}

// quicPipe is what DoQ and HTTP/3 connections have in common.
type quicPipe struct {
	conn    *quic.Conn
	waiting atomic.Int32
	heard   atomic.Int64 // when the last reply came in, in nanoseconds since 1970
}

func (p *quicPipe) load() int    { return int(p.waiting.Load()) }
func (p *quicPipe) isDead() bool { return p.conn.Context().Err() != nil }
func (p *quicPipe) fail(error)   { _ = p.conn.CloseWithError(doqNoError, "") }

// during runs one exchange and notes what it says about the connection: one on
// which nothing at all came in for a while is given up.
func (p *quicPipe) during(ctx context.Context, f func() (*dns.Msg, error)) (*dns.Msg, error) {
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	sent := time.Now()
	r, err := f()
	if err == nil {
		p.heard.Store(time.Now().UnixNano())
		return r, nil
	}
	if ctx.Err() != nil && p.heard.Load() < sent.UnixNano() && time.Since(sent) >= suspectTime {
		p.fail(nil)
	}
	return nil, quicErr(ctx, err)
}

// doqPipe asks over one connection of DNS over QUIC: a stream for each
// question (RFC 9250).
type doqPipe struct{ quicPipe }

func newDoQ(dial DialFunc, at *book, h *hello) *pool {
	return &pool{spread: quicSpread, open: func(ctx context.Context) (carrier, error) {
		c, err := through(ctx, at, func(addrs []netip.AddrPort) (*quic.Conn, error) {
			return dialQUIC(ctx, dial, addrs, h, quicConfig(-1))
		})
		if err != nil {
			return nil, err
		}
		return &doqPipe{quicPipe{conn: c}}, nil
	}}
}

func (p *doqPipe) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	return p.during(ctx, func() (*dns.Msg, error) {
		s, err := p.conn.OpenStreamSync(ctx)
		if err != nil {
			return nil, fmt.Errorf("stream: %w", err)
		}
		defer context.AfterFunc(ctx, func() {
			s.CancelWrite(doqCancelled)
			s.CancelRead(doqCancelled)
		})()
		defer s.CancelRead(doqNoError) // the end of the stream need not be waited for
		b, err := pack(m, 0)           // RFC 9250 §4.2.1
		if err != nil {
			return nil, fmt.Errorf("pack: %w", err)
		}
		if _, err := s.Write(framed(b)); err != nil {
			return nil, fmt.Errorf("send: %w", err)
		}
		if err := s.Close(); err != nil { // the server waits for the end of the query
			return nil, fmt.Errorf("send: %w", err)
		}
		return p.receive(s, m)
	})
}

func (p *doqPipe) receive(s io.Reader, m *dns.Msg) (*dns.Msg, error) {
	var head [2]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	b := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := io.ReadFull(s, b); err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	r, ok := accept(b, m, 0)
	if !ok {
		if len(b) > 1 && b[0]|b[1] != 0 {
			_ = p.conn.CloseWithError(doqProtocol, "message ID") // RFC 9250 §4.3.3
		}
		return nil, errReply
	}
	return r, nil
}

// h3Pipe asks over one connection of HTTP/3 (RFC 8484, RFC 9114).
type h3Pipe struct {
	quicPipe
	url  string
	http *http3.ClientConn
}

// h3OneWay streams a server opens: control, the two of QPACK, and one that is
// there to be ignored (RFC 9114 §6.2).
const h3OneWay = 8

func newHTTP3(s spec.Spec, dial DialFunc, at *book, h *hello) *pool {
	t := &http3.Transport{DisableCompression: true, MaxResponseHeaderBytes: maxHeader}
	return &pool{spread: quicSpread, open: func(ctx context.Context) (carrier, error) {
		c, err := through(ctx, at, func(addrs []netip.AddrPort) (*quic.Conn, error) {
			return dialQUIC(ctx, dial, addrs, h, quicConfig(h3OneWay))
		})
		if err != nil {
			return nil, err
		}
		return &h3Pipe{quicPipe{conn: c}, s.URL(), t.NewClientConn(c)}, nil
	}}
}

func (p *h3Pipe) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	return p.during(ctx, func() (*dns.Msg, error) {
		return post(ctx, p.url, m, func(r *http.Request) (*http.Response, error) { return p.http.RoundTrip(r) })
	})
}
