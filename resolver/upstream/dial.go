package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"nightlatch/resolver/upstream/spec"
)

// DialFunc opens a connection; address is always an IP address and a port.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// stagger is how long an address may keep silent before the next one is tried
// beside it (RFC 8305 §5 recommends 250 ms).
const stagger = 250 * time.Millisecond

// race opens a connection to the first address that takes it, handshake
// included; what comes second is closed.
func race[C any](ctx context.Context, addrs []netip.AddrPort, open func(context.Context, string) (C, error), drop func(C)) (C, error) {
	var none C
	if len(addrs) == 1 {
		return open(ctx, addrs[0].String())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		conn C
		err  error
	}
	got := make(chan outcome)
	tick := time.NewTicker(stagger)
	defer tick.Stop()
	next, running := 0, 0
	start := func() {
		addr := addrs[next].String()
		next, running = next+1, running+1
		go func() {
			c, err := open(ctx, addr)
			select {
			case got <- outcome{c, err}:
			case <-ctx.Done(): // another won, or nobody waits any more
				if err == nil {
					drop(c)
				}
			}
		}()
	}
	err := errors.New("no address is known")
	if len(addrs) > 0 {
		start()
	}
	for running > 0 {
		select {
		case o := <-got:
			if running--; o.err == nil {
				return o.conn, nil
			}
			if err = o.err; next < len(addrs) {
				start()
			}
		case <-tick.C:
			if next < len(addrs) {
				start()
			}
		case <-ctx.Done():
			return none, ctx.Err()
		}
	}
	return none, err
}

// dialAny opens a TCP connection.
func dialAny(ctx context.Context, dial DialFunc, addrs []netip.AddrPort) (net.Conn, error) {
	return race(ctx, addrs, func(ctx context.Context, addr string) (net.Conn, error) {
		return dial(ctx, "tcp", addr)
	}, closeConn)
}

func closeConn(c net.Conn) { c.Close() }

// hello is how the handshake with one server begins.
type hello struct {
	cfg *tls.Config
	ech atomic.Pointer[[]byte] // the keys that hide the server's name (RFC 9849); nil: it is not hidden
}

// config gives the configuration for one handshake.
func (h *hello) config() *tls.Config {
	keys := h.ech.Load()
	if keys == nil {
		return h.cfg
	}
	c := h.cfg.Clone()
	c.EncryptedClientHelloConfigList, c.MinVersion = *keys, tls.VersionTLS13
	return c
}

// greet opens a connection with a handshake. A server that has other keys by
// now tells them, and proves that it may (RFC 9849 §6.1.6): then once more.
// Without keys that it takes there is no connection; the name is not shown.
func greet[C any](h *hello, open func(*tls.Config) (C, error)) (C, error) {
	c, err := open(h.config())
	var rejected *tls.ECHRejectionError
	if errors.As(err, &rejected) && len(rejected.RetryConfigList) > 0 {
		h.ech.Store(&rejected.RetryConfigList)
		return open(h.config())
	}
	return c, err
}

// dialTLS opens a TCP connection and makes the handshake on it.
func dialTLS(ctx context.Context, dial DialFunc, addrs []netip.AddrPort, h *hello) (net.Conn, error) {
	return greet(h, func(cfg *tls.Config) (net.Conn, error) {
		return race(ctx, addrs, func(ctx context.Context, addr string) (net.Conn, error) {
			raw, err := dial(ctx, "tcp", addr)
			if err != nil {
				return nil, err
			}
			c := tls.Client(raw, cfg)
			if err := c.HandshakeContext(ctx); err != nil {
				raw.Close()
				return nil, fmt.Errorf("tls: %w", err)
			}
			return c, nil
		}, closeConn)
	})
}

// newHello is what we ask of a server's TLS: its certificate must carry the
// host's name, an authority must vouch for it, and the owner's pins must fit.
//
// Sessions are resumed: that saves a round trip and the certificate, and tells
// the server no more than our address does; the tickets of one server are
// never shown to another. Early data (0-RTT) is not sent, neither here nor over
// QUIC: whoever records it can replay it, and watch what the server then does
// (RFC 8446 §8, RFC 9250 §7.1).
func newHello(s spec.Spec, roots *x509.CertPool, now func() time.Time, protocols ...string) *hello {
	cfg := &tls.Config{
		ServerName:         s.Host,
		RootCAs:            roots,
		MinVersion:         tls.VersionTLS12, // RFC 9325 §3.1.1
		ClientSessionCache: tls.NewLRUClientSessionCache(8),
		Time:               now,
		NextProtos:         protocols,
	}
	if !s.Pins.Empty() {
		cfg.VerifyConnection = func(c tls.ConnectionState) error { return s.Pins.Check(c.VerifiedChains) }
	}
	h := &hello{cfg: cfg}
	if len(s.ECH) > 0 {
		h.ech.Store(&s.ECH)
	}
	return h
}
