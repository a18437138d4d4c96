package listen

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// serveStreams answers TCP or TLS connections until the gate is closed.
func (s *Server) serveStreams(ctx context.Context, g *gate) error {
	s.running.Go(func() {
		for {
			c, err := g.Accept()
			if err != nil {
				return
			}
			s.running.Go(func() { s.serveStream(ctx, c.(*caller), g.over) })
		}
	})
	return g.run(ctx)
}

// serveStream answers one connection.
func (s *Server) serveStream(ctx context.Context, c *caller, over way) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	st := &stream{s: s, conn: c, places: make(chan struct{}, maxPipelined)}
	st.asks = asked{client: c.client, device: c.client.device, src: c.src, dst: c.dst, over: over}
	if over == overTLS {
		t := tls.Server(c, protocols(s.opt.Config, "dot")) // RFC 7858 names none; the registry has dot
		hello, cancel := context.WithTimeout(ctx, readPatience)
		err := t.HandshakeContext(hello)
		cancel()
		if err != nil {
			return
		}
		if d, ok := s.named(s.nameBefore(t.ConnectionState().ServerName)); ok {
			st.asks.device = d
		}
		st.conn = t
	}
	st.read(ctx)
}

// protocols is a TLS config that speaks certain protocols (ALPN) and nothing
// below TLS 1.2 (RFC 8310 §9, RFC 9325).
func protocols(c *tls.Config, names ...string) *tls.Config {
	c = c.Clone()
	c.NextProtos = names
	c.MinVersion = max(c.MinVersion, tls.VersionTLS12)
	return c
}

// nameBefore gives what stands before the server's own name: phone of
// phone.dns.example; "" when nothing does.
func (s *Server) nameBefore(server string) string {
	label, ok := strings.CutSuffix(canonical(server), "."+s.opt.Name)
	if !ok || s.opt.Name == "" || strings.Contains(label, ".") {
		return ""
	}
	return label
}

// stream is one connection with messages behind one another. Answers go out as
// they are ready, in any order (RFC 7766 §6.2.1.1, §7).
type stream struct {
	s      *Server
	conn   net.Conn
	asks   asked
	places chan struct{} // one for each question under way
	wg     sync.WaitGroup

	mu sync.Mutex // for writing
}

// read takes messages until the client ends, is silent, or is slow. What is
// under way is answered before the connection is closed.
func (st *stream) read(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer st.wg.Wait()
	in := bufio.NewReaderSize(st.conn, 2048)
	for {
		msg, err := st.next(in)
		if err != nil {
			return
		}
		select {
		case st.places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		st.wg.Go(func() {
			defer func() { <-st.places }()
			if out := st.s.answer(ctx, &st.asks, msg); out != nil {
				st.write(out)
			}
		})
	}
}

// next reads one message: it may be waited for, but once it has begun it comes.
func (st *stream) next(in *bufio.Reader) ([]byte, error) {
	for {
		_ = st.conn.SetReadDeadline(time.Now().Add(idlePatience))
		if _, err := in.Peek(1); err == nil {
			break
		} else if len(st.places) == 0 || !isTimeout(err) {
			return nil, err // RFC 7766 §6.2.3: idle is who has nothing under way
		}
	}
	_ = st.conn.SetReadDeadline(time.Now().Add(readPatience))
	var size [2]byte
	if _, err := io.ReadFull(in, size[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(in, msg)
	return msg, err
}

func isTimeout(err error) bool {
	t, ok := err.(net.Error)
	return ok && t.Timeout()
}

// write sends one answer, length and message in one segment (RFC 7766 §8).
// Who does not read is hung up on.
func (st *stream) write(out []byte) {
	b := append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(out)), uint16(len(out))), out...)
	st.mu.Lock()
	defer st.mu.Unlock()
	_ = st.conn.SetWriteDeadline(time.Now().Add(readPatience))
	if _, err := st.conn.Write(b); err != nil {
		st.conn.Close()
	}
}
