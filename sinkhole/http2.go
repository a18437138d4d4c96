package sinkhole

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strconv"
	"time"

	"nightlatch/decoder"
)

const (
	// maxStreams bounds the requests of one HTTP/2 connection that are open
	// at a time; telemetry uses one or two.
	maxStreams = 16

	// pingAfter ends HTTP/2 connections whose phone has gone away.
	pingAfter = 30 * time.Second
)

type sessionKey struct{}

// newHTTP2 makes the server for HTTP/2 alone: over TLS by ALPN, or in the
// clear by prior knowledge. HTTP/1.x is read by our own loop, which keeps
// requests that a server library would throw away.
func (s *Sinkhole) newHTTP2() *http.Server {
	var p http.Protocols
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           http.HandlerFunc(s.handleHTTP2),
		Protocols:         &p,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: pingAfter, WriteByteTimeout: writeTime},
		MaxHeaderBytes:    headMax,
		ReadHeaderTimeout: s.limits.Hello,
		IdleTimeout:       s.limits.Idle,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // hostile clients are no trouble of ours
		ConnState:         begun,
		BaseContext:       func(l net.Listener) context.Context { return l.(*single).ctx },
	}
}

// begun notes requests before their handlers run, so that a client which
// hangs up at once does not count as silent. net/http calls every HTTP/2
// connection active once at its start, and again when a request comes.
func begun(c net.Conn, state http.ConnState) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*tail); ok {
		c = t.Conn
	}
	if x, ok := c.(*stream); ok && state == http.StateActive {
		x.active.Add(1)
	}
}

// serveHTTP2 serves a connection and returns when it is closed. conn is the
// session's stream or the TLS connection over it.
func (x *session) serveHTTP2(conn net.Conn) {
	x.conn.lend()
	conn.SetDeadline(time.Time{}) // the server sets its own
	x.s.h2.Serve(&single{conn: conn, ctx: context.WithValue(x.ctx, sessionKey{}, x)})
	select {
	case <-x.conn.closed:
	case <-x.ctx.Done():
		conn.Close()
	}
}

// handleHTTP2 answers and records one request.
func (s *Sinkhole) handleHTTP2(w http.ResponseWriter, req *http.Request) {
	x := req.Context().Value(sessionKey{}).(*session)
	defer s.caught("request", x.flow.Name)
	x.understood()
	at := x.capture()
	control := http.NewResponseController(w)
	b := s.readBody(req.Body, s.limits.BodyIdle, func(t time.Time) { control.SetReadDeadline(t) })
	defer s.free(b)
	r := s.answer(x.flow.Name, req)
	maps.Copy(w.Header(), r.Header)
	if r.Status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(r.Body)))
	}
	control.SetWriteDeadline(time.Now().Add(writeTime))
	w.WriteHeader(r.Status)
	if req.Method != http.MethodHead && r.Status != http.StatusNoContent {
		w.Write(r.Body)
	}
	control.Flush() // the client need not wait for the decoder
	target := req.RequestURI
	if target == "" {
		target = req.URL.RequestURI()
	}
	s.takeRequest(req.Context(), at, decoder.Request{Method: req.Method, Host: req.Host, Target: target, Header: req.Header}, b)
}

// single is a listener that gives one connection and then no more.
type single struct {
	conn net.Conn
	ctx  context.Context
}

func (l *single) Accept() (net.Conn, error) {
	if l.conn == nil {
		return nil, io.EOF
	}
	c := l.conn
	l.conn = nil
	return c, nil
}

func (l *single) Close() error   { return nil }
func (l *single) Addr() net.Addr { return &net.TCPAddr{} }
