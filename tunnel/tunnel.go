package tunnel

import (
	"context"
	"crypto/ecdh"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.zx2c4.com/wireguard/device"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/tunnel/bind"
	"nightlatch/tunnel/fold"
	"nightlatch/tunnel/guard"
	"nightlatch/tunnel/host"
	"nightlatch/tunnel/netstack"
	"nightlatch/tunnel/splice"
	"nightlatch/tunnel/uapi"
)

// DefaultPort is where WireGuard listens when nothing else is said.
const DefaultPort = 51820

// Options make a [Tunnel].
type Options struct {
	PrivateKey [32]byte
	Listen     []netip.AddrPort // UDP; none: every address, port 51820; port 0: any

	Self         []netip.Addr   // the gateway's addresses inside the tunnel
	Prefixes     []netip.Prefix // the tunnel's networks; no device reaches another in them
	SinkPrefixes []netip.Prefix // where sunk names live; never dialled
	MTU          int            // inner packets, 1280 to 1440; 0: 1280
	Peers        []Peer
	Limits       Limits // zero fields: defaults that follow the machine's memory

	// GuardExtra is closed to every device: the router's outside address.
	// GuardAllow is opened to every device: a printer, a test network; see
	// [guard.Options] for what stays closed whatever it says.
	GuardExtra, GuardAllow []netip.Prefix

	// Policy decides about what the guard lets through. Nil passes it all; a
	// pointer that holds no policy denies it all.
	Policy   *policy.Current
	Recorder journal.Recorder // nil: nobody listens
	Handlers Handlers
	Log      *slog.Logger // nil: discard
}

// Tunnel is the gateway's data path. It is safe for concurrent use.
type Tunnel struct {
	opts   Options
	limits Limits
	log    *slog.Logger
	guard  *guard.Guard
	stack  *netstack.Stack
	bind   *bind.Bind
	dev    *device.Device
	port   uint16
	mtu    int
	self   map[netip.Addr]bool
	decide func(policy.Flow, time.Time) policy.Verdict
	// Of limits.go; tests make them short.
	pauseStep, hold time.Duration

	setting sync.Mutex // serializes SetPeers
	peers   atomic.Pointer[peerTable]

	half    halfOpen
	dns     chan struct{} // one for each DNS question being answered
	sockets atomic.Int64  // host sockets that devices hold
	pings   chan struct{} // one for each echo on its way
	buffers sync.Pool     // *[]byte of splice.BufferSize bytes
	notices fold.Notices
	stats   counters

	ctx    context.Context // of Run; flows end with it
	cancel context.CancelFunc
	mu     sync.Mutex
	state  state
	// silentAt is when silent phones were last looked for; mu guards it.
	silentAt time.Time
	flows    sync.WaitGroup
}

type state uint8

const (
	stateNew state = iota
	stateRunning
	stateClosed
)

// New makes the tunnel and binds its UDP port; a port in use is an error that
// says so. Nothing is answered before Run. A tunnel that is never run must be
// closed.
func New(opts Options) (*Tunnel, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.PrivateKey == [32]byte{} {
		return nil, errors.New("tunnel: no private key")
	}
	if len(opts.Listen) == 0 {
		opts.Listen = []netip.AddrPort{
			netip.AddrPortFrom(netip.IPv4Unspecified(), DefaultPort),
			netip.AddrPortFrom(netip.IPv6Unspecified(), DefaultPort),
		}
	}
	t := &Tunnel{opts: opts, limits: opts.Limits.withDefaults(host.Memory()), log: opts.Log, self: map[netip.Addr]bool{}}
	for _, a := range opts.Self {
		t.self[a] = true
	}
	t.decide, t.pauseStep, t.hold = t.policyVerdict, firstPause, hold
	t.dns = make(chan struct{}, t.limits.DNS)
	t.pings = make(chan struct{}, t.limits.Pings)
	t.buffers.New = func() any { b := make([]byte, splice.BufferSize); return &b }
	t.peers.Store(&peerTable{})
	if err := t.build(); err != nil {
		t.Close()
		return nil, fmt.Errorf("tunnel: %w", err)
	}
	return t, nil
}

func (t *Tunnel) build() (err error) {
	netstack.Quiet(t.log)
	if t.guard, err = guard.New(t.guardOptions()); err != nil {
		t.notice(journal.Warn, "", "guard", "the host's own addresses cannot be read, so its public ones are not closed to devices: "+err.Error())
	}
	t.stack, err = netstack.New(netstack.Options{
		Addrs: t.opts.Self, MTU: t.opts.MTU, Batch: t.limits.Batch, Buffer: t.limits.Buffer,
		AnyAddress: true, Handlers: t.packetHandlers,
		Intercept: func(b []byte) bool { return t.guarded("datagram", func() bool { return t.intercept(b) }) },
	})
	if err != nil {
		return err
	}
	t.mtu, _ = t.stack.Device.MTU()
	b := bind.New(t.opts.Listen, t.limits.Batch)
	if t.port, err = b.Listen(); err != nil {
		return err
	}
	t.bind = b
	if key, err := ecdh.X25519().NewPrivateKey(t.opts.PrivateKey[:]); err == nil {
		b.Know([32]byte(key.PublicKey().Bytes()))
	}
	t.dev = device.NewDevice(t.stack.Device, t.bind, netstack.WireGuardLog(t.log))
	if err := t.dev.IpcSet(uapi.Private(t.opts.PrivateKey)); err != nil {
		return fmt.Errorf("private key: %w", err)
	}
	return t.SetPeers(t.opts.Peers)
}

// guardOptions closes the tunnel's own networks and the sinkhole's to dials.
func (t *Tunnel) guardOptions() guard.Options {
	deny := append(append(append([]netip.Prefix(nil), t.opts.Prefixes...), t.opts.SinkPrefixes...), t.opts.GuardExtra...)
	for _, a := range t.opts.Self {
		deny = append(deny, netip.PrefixFrom(a, a.BitLen()))
	}
	return guard.Options{Deny: deny, Allow: t.opts.GuardAllow}
}

// packetHandlers are called by the stack for what belongs to no connection of
// its own, on WireGuard's receive goroutine.
func (t *Tunnel) packetHandlers(s *stack.Stack) map[tcpip.TransportProtocolNumber]netstack.Handler {
	// The forwarder's own limit drops in silence and leaks what was counted
	// before it; ours comes first, so it is never reached.
	forwarder := tcp.NewForwarder(s, 0, t.limits.HalfOpenTotal+1, t.serveTCP)
	return map[tcpip.TransportProtocolNumber]netstack.Handler{
		header.TCPProtocolNumber: func(id stack.TransportEndpointID, p *stack.PacketBuffer) bool {
			return t.guarded("tcp packet", func() bool {
				return t.handleTCP(id, p, forwarder.HandlePacket)
			})
		},
		header.UDPProtocolNumber: func(id stack.TransportEndpointID, p *stack.PacketBuffer) bool {
			return t.guarded("udp packet", func() bool { return t.handleUDP(id, p) })
		},
		header.ICMPv4ProtocolNumber: func(id stack.TransportEndpointID, p *stack.PacketBuffer) bool {
			return t.guarded("icmp packet", func() bool { return t.handleICMP(id, p) })
		},
		header.ICMPv6ProtocolNumber: func(id stack.TransportEndpointID, p *stack.PacketBuffer) bool {
			return t.guarded("icmp packet", func() bool { return t.handleICMP(id, p) })
		},
	}
}

// guarded keeps one packet's panic from ending everybody's internet.
func (t *Tunnel) guarded(what string, f func() bool) (handled bool) {
	defer t.recovered(what)
	handled = true // also when f panics: no answer
	return f()
}

// recovered turns a panic into an error in the log; defer it.
func (t *Tunnel) recovered(what string) {
	if r := recover(); r != nil {
		t.stats.panics.Add(1)
		t.log.Error("panic", "in", what, "value", fmt.Sprint(r), "stack", string(debug.Stack()))
	}
}

// Run serves devices until ctx ends; then every flow, goroutine and socket of
// the tunnel has ended too. A tunnel runs once.
func (t *Tunnel) Run(ctx context.Context) error {
	t.mu.Lock()
	if t.state != stateNew {
		t.mu.Unlock()
		return errors.New("tunnel: run: already run or closed")
	}
	t.state = stateRunning
	t.ctx, t.cancel = context.WithCancel(ctx)
	t.mu.Unlock()
	defer t.Close()
	if err := t.dev.Up(); err != nil {
		return fmt.Errorf("tunnel: up: %w", err)
	}
	keep := time.NewTicker(t.limits.sweep())
	defer keep.Stop()
	refresh := time.NewTicker(guardRefresh)
	defer refresh.Stop()
	rejudge := time.NewTicker(rejudgeEvery)
	defer rejudge.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.dev.Wait():
			return errors.New("tunnel: the WireGuard device stopped by itself")
		case now := <-keep.C:
			t.sweep(now)
		case <-rejudge.C:
			t.Rejudge()
		case <-refresh.C:
			if err := t.guard.Refresh(); err != nil {
				t.log.Debug("guard refresh", "err", err)
			}
		}
	}
}

const (
	// guardRefresh is how long a new address of the host may go unnoticed.
	guardRefresh = 15 * time.Second
	// closePatience bounds the wait for handlers that do not heed their context.
	closePatience = 5 * time.Second
)

// begin registers a goroutine that Close waits for; false means the tunnel is
// not running. Every true needs a t.flows.Done.
func (t *Tunnel) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != stateRunning {
		return false
	}
	t.flows.Add(1)
	return true
}

// Close ends a tunnel that was never run; Run calls it by itself.
func (t *Tunnel) Close() {
	t.mu.Lock()
	was := t.state
	t.state = stateClosed
	t.mu.Unlock()
	if was == stateClosed {
		return
	}
	if t.cancel != nil {
		t.cancel()
	}
	if t.dev != nil {
		t.dev.Close()
	}
	if t.bind != nil {
		t.bind.Release()
	}
	t.endFlows()
	if t.stack != nil {
		t.stack.Close()
	}
}

func (t *Tunnel) endFlows() {
	for _, p := range t.peers.Load().byKey {
		p.kill()
	}
	done := make(chan struct{})
	go func() { t.flows.Wait(); close(done) }()
	patience := time.NewTimer(closePatience)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
		t.log.Error("flows still running at the end", "after", closePatience)
	}
}

// Port is the UDP port that devices reach.
func (t *Tunnel) Port() uint16 { return t.port }

// ListenTCP listens on one of the gateway's addresses inside the tunnel; the
// host has no socket for it, so nothing outside the tunnel can reach it.
// Connections of a removed device end at once.
func (t *Tunnel) ListenTCP(ap netip.AddrPort) (net.Listener, error) {
	if !t.self[ap.Addr()] {
		return nil, fmt.Errorf("tunnel: listen %v: not an address of the gateway", ap)
	}
	l, err := gonet.ListenTCP(t.stack.Stack, netstack.FullAddr(ap), netstack.Protocol(ap.Addr()))
	if err != nil {
		return nil, fmt.Errorf("tunnel: listen %v: %w", ap, err)
	}
	return &listener{Listener: l, t: t}, nil
}

// listener gives connections to their device, so that they end with it.
type listener struct {
	net.Listener
	t *Tunnel
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p := l.t.peerOf(c.RemoteAddr())
		if p != nil && p.inside.Add(1) <= insideConns {
			if leave := p.join(func() { c.Close() }); leave != nil {
				return &trackedConn{Conn: c, leave: sync.OnceFunc(func() { leave(); p.inside.Add(-1) })}, nil
			}
		}
		if p != nil {
			p.inside.Add(-1)
		}
		c.Close()
	}
}

type trackedConn struct {
	net.Conn
	leave func()
}

func (c *trackedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}
