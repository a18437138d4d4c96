package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/upstream/spec"
)

const (
	// maxBody is the longest DNS message there is.
	maxBody = 65535
	// maxHeader bounds what a server may say before its answer.
	maxHeader = 16 << 10
	// maxHTTPConns connections to one server; HTTP/2 carries a hundred or more
	// questions on each.
	maxHTTPConns = 8
	mediaType    = "application/dns-message"
)

// https asks over HTTP/2, or HTTP/1.1 where a server has nothing newer
// (RFC 8484).
type https struct {
	url       string
	client    *http.Client
	transport *http.Transport
	open      connSet
}

// connSet knows the connections of a transport, which by itself would keep
// one for a minute after the end when a question was given up on it.
type connSet struct {
	mu     sync.Mutex
	conns  map[*trackedConn]struct{}
	closed bool
}

type trackedConn struct {
	net.Conn
	set *connSet
}

func (s *connSet) add(c net.Conn) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return nil, errClosed
	}
	if s.conns == nil {
		s.conns = map[*trackedConn]struct{}{}
	}
	t := &trackedConn{c, s}
	s.conns[t] = struct{}{}
	return t, nil
}

// Close closes the connection and forgets it.
func (c *trackedConn) Close() error {
	c.set.mu.Lock()
	delete(c.set.conns, c)
	c.set.mu.Unlock()
	return c.Conn.Close()
}

func (s *connSet) closeAll() {
	s.mu.Lock()
	s.closed = true
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}

func newHTTPS(s spec.Spec, dial DialFunc, at *book, hi *hello) *https {
	h := &https{}
	known := func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return h.open.add(c)
	}
	t := &http.Transport{
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) { // never a look-up by the system
			ctx, cancel := context.WithTimeout(ctx, dialTime)
			defer cancel()
			return through(ctx, at, func(addrs []netip.AddrPort) (net.Conn, error) { return dialTLS(ctx, known, addrs, hi) })
		},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxConnsPerHost:        maxHTTPConns,
		MaxIdleConnsPerHost:    maxHTTPConns,
		MaxResponseHeaderBytes: maxHeader,
		IdleConnTimeout:        time.Minute,
		// A connection that died without a word is found by a ping.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 2 * time.Second, PingTimeout: 2 * time.Second, WriteByteTimeout: 2 * time.Second},
	}
	h.url, h.transport = s.URL(), t
	h.client = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a resolver that sends us elsewhere is not the one the owner chose
	}}
	return h
}

func (h *https) close() {
	h.transport.CloseIdleConnections()
	h.open.closeAll()
}

func (h *https) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	return post(ctx, h.url, m, h.client.Do)
}

// post asks by one HTTP request, of whatever version, and reads the response.
func post(ctx context.Context, url string, m *dns.Msg, do func(*http.Request) (*http.Response, error)) (*dns.Msg, error) {
	b, err := pack(m, 0) // RFC 8484 §4.1: ID 0, so that caches on the way can work
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{"Content-Type": {mediaType}, "Accept": {mediaType}, "User-Agent": {""}} // an empty agent is not sent
	resp, err := do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("receive: %w", err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("http status %d", resp.StatusCode)
	case !isDNS(resp.Header.Get("Content-Type")):
		return nil, errors.New("the reply is not " + mediaType)
	}
	r, ok := accept(body, m, 0)
	if !ok || len(body) > maxBody || r.Truncated {
		return nil, errReply
	}
	ageOf(r, resp.Header.Get("Age"))
	return r, nil
}

// isDNS compares media types without their parameters (RFC 9110 §8.3.1).
func isDNS(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(kind), mediaType)
}

// ageOf lowers the TTLs by the time a reply spent in HTTP caches
// (RFC 8484 §5.1).
func ageOf(r *dns.Msg, header string) {
	age, err := strconv.ParseUint(header, 10, 32)
	if err != nil || age == 0 {
		return
	}
	for _, section := range [][]dns.RR{r.Answer, r.Ns} {
		for _, rr := range section {
			h := rr.Header()
			h.Ttl -= min(h.Ttl, uint32(age))
		}
	}
}
