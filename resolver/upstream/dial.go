package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// stagger is how long an address may keep silent before the next one is tried
// beside it (RFC 8305 §5 recommends 250 ms).
const stagger = 250 * time.Millisecond

// dialAny opens a TCP connection to the first address that takes it.
func dialAny(ctx context.Context, dial DialFunc, addrs []netip.AddrPort) (net.Conn, error) {
	if len(addrs) == 1 {
		return dial(ctx, "tcp", addrs[0].String())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		conn net.Conn
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
			c, err := dial(ctx, "tcp", addr)
			select {
			case got <- outcome{c, err}:
			case <-ctx.Done(): // another won, or nobody waits any more
				if c != nil {
					c.Close()
				}
			}
		}()
	}
	var err error
	for start(); running > 0; {
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
			return nil, ctx.Err()
		}
	}
	return nil, err
}

// tlsConfig is what we ask of a server's TLS: its certificate must carry host,
// and sessions are resumed.
func tlsConfig(host string, roots *x509.CertPool, now func() time.Time) *tls.Config {
	return &tls.Config{
		ServerName:         host,
		RootCAs:            roots,
		MinVersion:         tls.VersionTLS12, // RFC 9325 §3.1.1
		ClientSessionCache: tls.NewLRUClientSessionCache(8),
		Time:               now,
	}
}

// dialTLS opens a TCP connection and makes the handshake on it.
func dialTLS(ctx context.Context, dial DialFunc, addrs []netip.AddrPort, cfg *tls.Config) (net.Conn, error) {
	raw, err := dialAny(ctx, dial, addrs)
	if err != nil {
		return nil, err
	}
	c := tls.Client(raw, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, fmt.Errorf("tls: %w", err)
	}
	return c, nil
}
