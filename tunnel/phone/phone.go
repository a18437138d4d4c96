// Package phone is a simulated phone: it reads the same .conf as the stock
// WireGuard app, connects over a real WireGuard session, and offers what an
// app on a phone can do (connections, DNS, ping) without root and without a
// network interface. Tests, benchmarks, `nightlatch try` and `doctor` use it.
package phone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.zx2c4.com/wireguard/device"

	"nightlatch/tunnel/bind"
	"nightlatch/tunnel/netstack"
	"nightlatch/tunnel/uapi"
)

const (
	// handshakeTimeout bounds Connect when its context has no earlier deadline:
	// WireGuard repeats its first message after 5 s, so two tries have failed.
	// One is not enough: a gateway lets a repeated first message within 20 ms of
	// another pass in silence.
	handshakeTimeout = 11 * time.Second
	handshakePoll    = 5 * time.Millisecond
	// batch keeps a phone small: WireGuard holds 64 KiB for each packet of a batch.
	batch = 128
)

// Phone is a connected phone. It is safe for concurrent use; Close ends it.
type Phone struct {
	cfg   Config
	stack *netstack.Stack
	dev   *device.Device

	mu     sync.Mutex
	closes []func() // idle HTTP connections
	once   sync.Once
}

// Connect brings the tunnel up and waits for the handshake, at most 11 s or
// until ctx ends. A nil log discards WireGuard's own words.
func Connect(ctx context.Context, cfg Config, log *slog.Logger) (*Phone, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("phone: config: %w", err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	endpoint, err := resolveEndpoint(ctx, cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("phone: endpoint %s: %w", cfg.Endpoint, err)
	}
	st, err := netstack.New(netstack.Options{Addrs: cfg.Addrs, MTU: cfg.MTU, Batch: batch})
	if err != nil {
		return nil, fmt.Errorf("phone: %w", err)
	}
	p := &Phone{cfg: cfg, stack: st}
	p.dev = device.NewDevice(st.Device, bind.New(nil, batch), netstack.WireGuardLog(log))
	if err := p.up(ctx, endpoint); err != nil {
		p.Close()
		return nil, fmt.Errorf("phone: %w", err)
	}
	return p, nil
}

func resolveEndpoint(ctx context.Context, endpoint string) (string, error) {
	if ap, err := netip.ParseAddrPort(endpoint); err == nil {
		return ap.String(), nil
	}
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		return "", err
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", err
	}
	best := addrs[0]
	for _, a := range addrs { // like the Android app, IPv4 first
		if a.Unmap().Is4() {
			best = a
			break
		}
	}
	return net.JoinHostPort(best.Unmap().String(), port), nil
}

func (p *Phone) up(ctx context.Context, endpoint string) error {
	peer := uapi.Peer{
		PublicKey: p.cfg.PublicKey, PresharedKey: p.cfg.PresharedKey, Endpoint: endpoint,
		AllowedIPs: p.cfg.AllowedIPs, Keepalive: p.cfg.Keepalive,
	}
	if err := p.dev.IpcSet(uapi.Private(p.cfg.PrivateKey) + peer.Add()); err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	if err := p.dev.Up(); err != nil {
		return fmt.Errorf("up: %w", err)
	}
	// A keepalive is the smallest thing that makes WireGuard shake hands.
	p.dev.LookupPeer(p.cfg.PublicKey).SendKeepalive()
	return p.awaitHandshake(ctx, endpoint)
}

func (p *Phone) awaitHandshake(ctx context.Context, endpoint string) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	tick := time.NewTicker(handshakePoll)
	defer tick.Stop()
	for {
		if !p.Status().LastHandshake.IsZero() {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return fmt.Errorf("handshake: %w", ctx.Err())
			}
			return fmt.Errorf("handshake: no answer from %s within %v", endpoint, time.Since(began).Round(100*time.Millisecond))
		}
	}
}

// Status is what WireGuard knows of the session.
type Status struct {
	LastHandshake time.Time // zero: none yet
	Rx, Tx        int64     // bytes of outer packets from and to the gateway
}

// Status asks WireGuard.
func (p *Phone) Status() Status {
	text, err := p.dev.IpcGet()
	if err != nil {
		return Status{}
	}
	for _, peer := range uapi.Parse(text) {
		return Status{peer.LastHandshake, peer.Rx, peer.Tx}
	}
	return Status{}
}

// Addrs are the phone's addresses inside the tunnel.
func (p *Phone) Addrs() []netip.Addr { return p.cfg.Addrs }

// Roam moves the phone to a new UDP port, as a change of network does.
func (p *Phone) Roam() error {
	if err := p.dev.IpcSet("listen_port=0\n"); err != nil {
		return fmt.Errorf("phone: roam: %w", err)
	}
	return nil
}

// Inject sends one raw IP packet through the tunnel as it is, whatever its
// addresses and checksums: what a hostile app can do. False: the phone is closed.
func (p *Phone) Inject(packet []byte) bool { return p.stack.Device.Send(packet) }

// Close ends the session, every connection and every goroutine of the phone.
func (p *Phone) Close() error {
	p.once.Do(func() {
		p.mu.Lock()
		closes := p.closes
		p.mu.Unlock()
		for _, f := range closes {
			f()
		}
		p.dev.Close()
		p.stack.Close()
	})
	return nil
}
