// Package listen answers DNS for the home: over UDP and TCP, TLS (RFC 7858),
// HTTPS (RFC 8484, HTTP/2 and HTTP/3) and QUIC (RFC 9250). It knows who may
// ask, which device asks, how much one device may ask, and the EDNS options
// that belong to a way and not to an answer; the answers are the resolver's.
// Nothing here is reached from inside the tunnel.
package listen

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"nightlatch/journal"
	"nightlatch/policy"
)

// Bounds, each with its reason.
const (
	maxMessage   = 65535            // octets, RFC 1035 §4.2.2
	maxDatagram  = 1232             // octets of an answer, RFC 9715 §3.1
	maxWaiting   = 2048             // datagrams that wait for an answer: 512 octets or so and a goroutine each
	maxIdlers    = 128              // goroutines kept for them, with stacks of about 16 KiB
	maxConns     = 1024             // connections, about 10 KiB each, 40 with TLS
	maxPerSource = 64               // connections of one address; a home behind a proxy is told apart by PROXY
	maxPipelined = 64               // questions under way on one connection; more are read when some are answered
	readPatience = 5 * time.Second  // for a message that has begun, a handshake, a PROXY header
	idlePatience = 30 * time.Second // for the next message; RFC 7766 §6.2.3 asks for seconds
	tellEvery    = time.Minute      // what was refused is told together
)

// Resolver answers: [nightlatch/resolver.Resolver] does. None of it keeps
// anything of wire. ServeDeclined is for what ServeNow has left.
type Resolver interface {
	ServeDNS(ctx context.Context, f policy.Flow, network string, wire []byte) []byte
	ServeNow(f policy.Flow, wire []byte) (out []byte, ok bool)
	ServeDeclined(ctx context.Context, f policy.Flow, network string, wire []byte) []byte
}

// Known are the devices of the home. It is immutable.
type Known struct {
	ByAddr map[netip.Addr]policy.Device // addresses of the home, without zones
	ByName map[string]policy.Device     // lower case; what may stand in a DoH path or a TLS server name
}

// Options are what a Server is made of. Every list of addresses may be empty;
// encrypted ones need TLS.
type Options struct {
	Plain []netip.AddrPort // UDP and TCP
	TLS   []netip.AddrPort
	HTTPS []netip.AddrPort // HTTP/1.1 and HTTP/2 over TCP, HTTP/3 over UDP
	QUIC  []netip.AddrPort

	Config  *tls.Config // certificates; which protocols are spoken is set here
	Name    string      // by which encrypted clients know the server, canonical; a device is NAME below it
	Allow   []netip.Prefix
	Proxies []netip.Prefix // whose connections begin with a PROXY header (version 2) and nobody else's
	Rate    int            // questions a second that one address may ask, with as many at once; 0 means any number

	Known    *atomic.Pointer[Known] // may be replaced at any time; nil means none
	Resolver Resolver
	Recorder journal.Recorder // nil means that nobody listens
	Log      *slog.Logger     // nil means silence
	Now      func() time.Time // for cookies; nil means time.Now
}

// Server listens. Its methods are safe for concurrent use.
type Server struct {
	opt     Options
	log     *slog.Logger
	clients *clients
	cookies *cookies
	own     own
	counts  counters

	waiting atomic.Int32 // datagrams
	idle    chan waiting // to a goroutine that waits for work
	idlers  atomic.Int32 // such goroutines
	conns   atomic.Int32
	running sync.WaitGroup

	udp   []*socket
	gates []*gate
	quics []*quicSocket
}

// New opens every socket, so that an address that is taken is told at the
// start. Nothing is answered before Run; a Server that is never run must be
// closed.
func New(o Options) (_ *Server, err error) {
	s := &Server{opt: o, log: o.Log, idle: make(chan waiting)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.opt.Now == nil {
		s.opt.Now = time.Now
	}
	if len(s.opt.Allow) == 0 {
		s.opt.Allow = Private()
	}
	if o.Config == nil && len(o.TLS)+len(o.HTTPS)+len(o.QUIC) > 0 {
		return nil, errors.New("listen: encrypted listeners need a certificate; name one, or make the gateway's own with: nightlatch ca create")
	}
	s.clients = newClients(s.opt.Allow, s.opt.Rate, s.opt.Known)
	var secret [16]byte
	rand.Read(secret[:]) // never fails (crypto/rand)
	s.cookies = &cookies{secret: secret, now: s.opt.Now}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if err = s.open(); err != nil {
		return nil, err
	}
	s.own = s.makeOwn()
	return s, nil
}

// open opens every address. [::] is passed over on a host without IPv6, as it is
// what an address without a host means, beside 0.0.0.0.
func (s *Server) open() error {
	each := func(all []netip.AddrPort, open func(netip.AddrPort) error) error {
		for _, at := range all {
			err := open(at)
			if at.Addr() == netip.IPv6Unspecified() && errors.Is(err, syscall.EAFNOSUPPORT) {
				s.log.Info("listen: no IPv6 here", "address", at)
			} else if err != nil {
				return err
			}
		}
		return nil
	}
	if err := each(s.opt.Plain, s.openPlain); err != nil {
		return err
	}
	if err := each(s.opt.TLS, func(at netip.AddrPort) error { return s.openStream(at, overTLS) }); err != nil {
		return err
	}
	err := each(s.opt.HTTPS, func(at netip.AddrPort) error {
		if err := s.openStream(at, overHTTPS); err != nil {
			return err
		}
		return s.openQUIC(at, overHTTPS)
	})
	if err != nil {
		return err
	}
	return each(s.opt.QUIC, func(at netip.AddrPort) error { return s.openQUIC(at, overQUIC) })
}

// openPlain opens UDP, a socket for each core, and TCP on the same port.
func (s *Server) openPlain(at netip.AddrPort) error {
	for i := range readers() {
		sock, err := openUDP(at, i)
		if err != nil {
			return fmt.Errorf("listen: udp %s: %w", at, plain(err))
		}
		s.udp = append(s.udp, sock)
		at = netip.AddrPortFrom(at.Addr(), sock.local.Port()) // the same for all, and for TCP, where it was 0
	}
	return s.openStream(at, overTCP)
}

func (s *Server) openStream(at netip.AddrPort, over way) error {
	l, err := net.Listen(family("tcp", at), at.String())
	if err != nil {
		return fmt.Errorf("listen: %s %s: %w", over, at, plain(err))
	}
	s.gates = append(s.gates, newGate(s, l, over))
	return nil
}

// family keeps 0.0.0.0 and [::] apart: Go would open both for either.
func family(network string, at netip.AddrPort) string {
	if at.Addr().Is4() {
		return network + "4"
	}
	return network + "6"
}

// plain gives the reason of an error without the addresses around it.
func plain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
		for errors.Unwrap(err) != nil {
			err = errors.Unwrap(err)
		}
	}
	return err
}

// readers is how many sockets share the datagrams of one address.
func readers() int {
	if !reusePort {
		return 1
	}
	return min(runtime.GOMAXPROCS(0), 16)
}

// Run answers until ctx ends; then it closes every socket and connection, and
// waits for what is under way.
func (s *Server) Run(ctx context.Context) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(inner, s.Close)
	defer stop()
	failed := make(chan error, len(s.udp)+len(s.gates)+len(s.quics))
	start := func(serve func(context.Context) error) {
		s.running.Go(func() {
			if err := serve(inner); err != nil && inner.Err() == nil {
				failed <- fmt.Errorf("listen: %w", err)
				cancel()
			}
		})
	}
	for _, sock := range s.udp {
		start(func(ctx context.Context) error { return s.serveUDP(ctx, sock) })
	}
	for _, g := range s.gates {
		if g.over == overHTTPS {
			start(func(ctx context.Context) error { return s.serveHTTPS(ctx, g) })
		} else {
			start(func(ctx context.Context) error { return s.serveStreams(ctx, g) })
		}
	}
	for _, q := range s.quics {
		start(func(ctx context.Context) error { return s.serveQUIC(ctx, q) })
	}
	s.tell(inner)
	s.running.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// Close closes every socket. Run then returns.
func (s *Server) Close() {
	var all []io.Closer
	for _, u := range s.udp {
		all = append(all, u.conn)
	}
	for _, g := range s.gates {
		all = append(all, g)
	}
	for _, q := range s.quics {
		all = append(all, q)
	}
	for _, c := range all {
		c.Close()
	}
}

// Addrs gives the addresses that are listened on, by way: udp, tcp, tls,
// https, quic, and h3 for HTTP/3.
func (s *Server) Addrs(network string) (out []netip.AddrPort) {
	for _, u := range s.udp {
		if network == "udp" && (len(out) == 0 || out[len(out)-1] != u.local) {
			out = append(out, u.local)
		}
	}
	for _, g := range s.gates {
		if network == g.over.String() {
			out = append(out, addrPort(g.Listener.Addr()))
		}
	}
	for _, q := range s.quics {
		if network == "quic" && q.over == overQUIC || network == "h3" && q.over == overHTTPS {
			out = append(out, addrPort(q.conn.LocalAddr()))
		}
	}
	return out
}

// canonical is a name in lower case without the final dot.
func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// packed is a name in wire form and lower case; nil when it is none.
func packed(name string) []byte {
	b := make([]byte, 256)
	n, err := dns.PackDomainName(dns.Fqdn(canonical(name)), b, 0, nil, false)
	if err != nil {
		return nil
	}
	return b[:n]
}
