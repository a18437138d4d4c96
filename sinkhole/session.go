package sinkhole

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"nightlatch/journal"
	"nightlatch/policy"
)

// headMax bounds what is looked at before a connection's protocol is known,
// a ClientHello with its records, and the head of a request. Telemetry by GET
// puts whole events into the request line, but servers stop at 8 to 64 KiB.
const headMax = 64 << 10

// session is one connection, or the stream inside its TLS.
type session struct {
	s        *Sinkhole
	ctx      context.Context
	flow     policy.Flow
	conn     *stream
	scheme   string       // http, or https inside TLS
	tls      *journal.TLS // inside TLS: what the ClientHello said, outcome read
	client   client       // inside TLS: who trusts us
	observed bool         // the flow is forwarded; this reads along
	requests atomic.Int64 // requests, or one raw payload, that came
	err      error        // why sniffing ended early
}

// serve finds out what the client speaks and serves it.
func (x *session) serve() {
	switch k := x.sniff(); {
	case x.observed && k != speaksTLS && k != speaksHTTP1:
		// what is forwarded and is neither is nobody's business
	case k == speaksTLS && x.tls == nil:
		x.serveTLS()
	case k == speaksHTTP1:
		x.serveHTTP1()
	case k == speaksHTTP2:
		x.serveHTTP2(x.conn)
	case k != speaksNothing:
		x.serveRaw()
	}
}

// capture begins a capture with all that the connection says.
func (x *session) capture() journal.Capture {
	c := journal.Capture{Time: x.s.now(), Device: x.flow.Device.Name, Name: x.flow.Name,
		Dst: x.flow.Dst, Scheme: x.scheme, TLS: x.tls}
	if x.observed {
		c.Result.Flags = []string{flagObserved}
	}
	return c
}

// understood counts something that the client sent for the server to have.
func (x *session) understood() {
	if x.requests.Add(1) == 1 && x.tls != nil {
		x.s.refusals.trust(x.client)
	}
}

// within sets the read deadline of the connection.
func (x *session) within(d time.Duration) { x.conn.SetReadDeadline(time.Now().Add(d)) }

// stream is a connection whose next bytes can be looked at before they are
// read, and which tells when it was closed.
type stream struct {
	net.Conn
	br     *bufio.Reader
	pool   *sync.Pool
	once   sync.Once
	closed chan struct{}
	active atomic.Int32 // HTTP/2: how often the connection became active, see begun
}

func (s *Sinkhole) newStream(c net.Conn) *stream {
	br, ok := s.readers.Get().(*bufio.Reader)
	if ok {
		br.Reset(c)
	} else {
		br = bufio.NewReaderSize(c, headMax)
	}
	return &stream{Conn: c, br: br, pool: &s.readers, closed: make(chan struct{})}
}

// release gives the buffer back. Nobody may read any more; a stream that was
// handed to other goroutines keeps its buffer instead (see lend).
func (t *stream) release() {
	if t.pool == nil {
		return
	}
	t.br.Reset(nil)
	t.pool.Put(t.br)
}

// lend says that another goroutine may read the stream until after it is closed.
func (t *stream) lend() { t.pool = nil }

// Read reads what was looked at, then the connection.
func (t *stream) Read(p []byte) (int, error) { return t.br.Read(p) }

// Write writes to the connection. A client that has gone is no error: what it
// sent before is still to be read, and reading tells its end soon enough.
func (t *stream) Write(p []byte) (int, error) {
	n, err := t.Conn.Write(p)
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return n, err
	}
	return len(p), nil
}

// Close closes the connection.
func (t *stream) Close() error {
	t.once.Do(func() { close(t.closed) })
	return t.Conn.Close()
}

// seen is all that has arrived and was not read yet; it holds until the next read.
func (t *stream) seen() []byte {
	b, _ := t.br.Peek(t.br.Buffered())
	return b
}

// more waits until more has arrived than was seen. bufio.ErrBufferFull says
// that the look-ahead is full.
func (t *stream) more() error {
	_, err := t.br.Peek(t.br.Buffered() + 1)
	return err
}

// closeWrite sends the end of our side where the connection can do that.
func (t *stream) closeWrite() {
	if c, ok := t.Conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
}
