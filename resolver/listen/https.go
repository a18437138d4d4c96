package listen

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"nightlatch/policy"
	"nightlatch/resolver/wire"
)

const (
	dohPath = "/dns-query" // RFC 8484 leaves it open; every client knows this one
	dohType = "application/dns-message"

	maxHeader  = 16 << 10 // octets: a question in a path is 900 at most
	maxStreams = 100      // questions under way on one HTTP/2 or QUIC connection
	dohIdle    = 2 * time.Minute
)

// callerKey finds the *asked of a connection in the context of its requests.
type callerKey struct{}

// serveHTTPS answers HTTP/1.1 and HTTP/2 until the gate is closed.
func (s *Server) serveHTTPS(ctx context.Context, g *gate) error {
	protos := new(http.Protocols)
	protos.SetHTTP1(true)
	protos.SetHTTP2(true)
	srv := &http.Server{
		Handler: http.HandlerFunc(s.serveDoH), TLSConfig: protocols(s.opt.Config, "h2", "http/1.1"), Protocols: protos,
		ReadHeaderTimeout: readPatience, ReadTimeout: 2 * readPatience, WriteTimeout: 4 * readPatience, IdleTimeout: dohIdle,
		MaxHeaderBytes: maxHeader, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if t, ok := c.(*tls.Conn); ok {
				c = t.NetConn()
			}
			in, ok := c.(*caller)
			if !ok {
				return ctx
			}
			return context.WithValue(ctx, callerKey{}, &asked{client: in.client, device: in.client.device, src: in.src, dst: in.dst, over: overHTTPS})
		},
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	s.running.Go(func() { _ = g.run(ctx) })
	if err := srv.ServeTLS(g, "", ""); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// serveDoH answers one request (RFC 8484 §4).
func (s *Server) serveDoH(w http.ResponseWriter, r *http.Request) {
	conn, ok := r.Context().Value(callerKey{}).(*asked)
	if !ok {
		http.Error(w, "this connection is not known", http.StatusInternalServerError)
		return
	}
	a := *conn
	if status, text := s.device(&a.device, r); status != 0 {
		s.counts.malformed.Add(1)
		http.Error(w, text, status)
		return
	}
	query, status, text := dohQuery(w, r)
	if status != 0 {
		s.counts.malformed.Add(1)
		if status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", "GET, POST")
		}
		http.Error(w, text, status)
		return
	}
	out := s.answer(r.Context(), &a, query)
	if out == nil {
		panic(http.ErrAbortHandler) // silence: the stream is reset
	}
	h := w.Header()
	h.Set("Content-Type", dohType)
	h.Set("Content-Length", strconv.Itoa(len(out)))
	h.Set("Cache-Control", "private, max-age="+strconv.FormatUint(uint64(lowestTTL(out)), 10)) // RFC 8484 §5.1
	_, _ = w.Write(out)
}

// device finds the device that a request names in its path, or in the name of
// the server it asks. A status other than 0 means that there is none.
func (s *Server) device(d *policy.Device, r *http.Request) (status int, text string) {
	name, ok := pathName(r.URL.Path)
	if !ok {
		return http.StatusNotFound, "ask at " + dohPath
	}
	if name == "" && r.TLS != nil {
		if named, ok := s.named(s.nameBefore(r.TLS.ServerName)); ok {
			*d = named
		}
		return 0, ""
	}
	if name == "" {
		return 0, ""
	}
	named, ok := s.named(name)
	if !ok {
		return http.StatusNotFound, "no device has this name"
	}
	*d = named
	return 0, ""
}

// pathName gives the device that a path names, in lower case; "" when it names
// none. ok is false when the path is not one of ours.
func pathName(path string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(path, dohPath)
	if !ok || rest == "" || rest == "/" {
		return "", ok
	}
	name = strings.ToLower(strings.TrimPrefix(rest, "/"))
	if rest[0] != '/' || len(name) > 63 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return "", false
	}
	return name, true
}

// dohQuery reads the message of a request; a status other than 0 means that it
// has none.
func dohQuery(w http.ResponseWriter, r *http.Request) (query []byte, status int, text string) {
	switch r.Method {
	case http.MethodGet:
		// Padding is not allowed (RFC 4648 §3.2 by RFC 8484 §6), and harmless.
		query, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(r.URL.Query().Get("dns"), "="))
		if err != nil || len(query) < wire.HeaderLen {
			return nil, http.StatusBadRequest, "dns wants a DNS message in base64url"
		}
		return query, 0, ""
	case http.MethodPost:
		if r.Header.Get("Content-Type") != dohType {
			return nil, http.StatusUnsupportedMediaType, "the body wants the type " + dohType
		}
		query, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
		var long *http.MaxBytesError
		switch {
		case errors.As(err, &long):
			return nil, http.StatusRequestEntityTooLarge, "a DNS message has 65535 octets at most"
		case err != nil || len(query) < wire.HeaderLen:
			return nil, http.StatusBadRequest, "the body is no DNS message"
		}
		return query, 0, ""
	}
	return nil, http.StatusMethodNotAllowed, "use GET or POST"
}

// lowestTTL is how long an answer may be kept: as long as its shortest-lived
// record, and not at all when it has none.
func lowestTTL(msg []byte) uint32 {
	var m dns.Msg
	if m.Unpack(msg) != nil || len(m.Answer)+len(m.Ns) == 0 {
		return 0
	}
	low := ^uint32(0)
	for _, rr := range append(m.Answer, m.Ns...) {
		low = min(low, rr.Header().Ttl)
	}
	return low
}
