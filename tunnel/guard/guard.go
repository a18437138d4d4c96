// Package guard knows which addresses a phone may reach through host sockets.
// A gateway that dials on behalf of its devices stands inside the owner's
// network: without a guard every phone could talk to the router, the printer,
// the cloud's metadata service and the host's own loopback.
//
// The guard is asked before the policy, and once more by the kernel's side of
// the dial ([Guard.Control]), on the address that is really connected to.
package guard

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
)

// ErrRefused is wrapped by every error of [Guard.Control].
var ErrRefused = errors.New("destination not allowed")

// Options make a [Guard].
type Options struct {
	// Deny is closed whatever Allow says: the tunnel's own prefixes, so that no
	// device reaches another, and the router's outside address.
	Deny []netip.Prefix

	// Allow opens prefixes that are closed by default: a printer, a test
	// network. It opens neither loopback, multicast, metadata services nor Deny,
	// and the host's own addresses only when one is named alone (/32, /128).
	Allow []netip.Prefix

	// Interfaces gives the host's interface addresses with their prefix lengths.
	// Nil means those of this host.
	Interfaces func() ([]netip.Prefix, error)
}

// Guard decides by address alone. It is safe for concurrent use.
type Guard struct {
	opts    Options
	never   []closed
	special []closed
	host    atomic.Pointer[host]
}

// host is one reading of the host's interfaces.
type host struct {
	own  map[netip.Addr]bool
	nets []netip.Prefix
}

// On-link prefixes wider than these are not believed to be a home's network: a
// provider that hands out 10.0.0.0/8 or a /32 of IPv6 on a link would close
// a part of the internet.
const (
	minOnLink4 = 16
	minOnLink6 = 48
)

// New makes a guard that has read the host's addresses once. When they cannot
// be read (Android forbids it to apps) the guard is returned together with
// the error: everything but the host's public addresses is still closed.
func New(opts Options) (*Guard, error) {
	if opts.Interfaces == nil {
		opts.Interfaces = interfaces
	}
	opts.Deny, opts.Allow = slices.Clone(opts.Deny), slices.Clone(opts.Allow)
	g := &Guard{opts: opts, never: never(), special: special()}
	g.host.Store(&host{})
	return g, g.Refresh()
}

// Refresh reads the host's addresses again; call it from time to time, as
// addresses change with the network. On error the last reading stays.
func (g *Guard) Refresh() error {
	prefixes, err := g.opts.Interfaces()
	if err != nil {
		return fmt.Errorf("guard: interface addresses: %w", err)
	}
	h := &host{own: make(map[netip.Addr]bool, len(prefixes))}
	for _, p := range prefixes {
		a := p.Addr().Unmap().WithZone("")
		h.own[a] = true
		if least := onLinkLimit(a); p.Bits() >= least && p.Bits() < a.BitLen() {
			h.nets = append(h.nets, netip.PrefixFrom(a, p.Bits()).Masked())
		}
	}
	g.host.Store(h)
	return nil
}

func onLinkLimit(a netip.Addr) int {
	if a.Is4() {
		return minOnLink4
	}
	return minOnLink6
}

func interfaces() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		if !ok {
			continue
		}
		ones, _ := n.Mask.Size()
		out = append(out, netip.PrefixFrom(ip.Unmap(), ones))
	}
	return out, nil
}

// Check tells whether a may be reached, and when it may not, why, in the words
// of the journal: "private address", "the host itself".
func (g *Guard) Check(a netip.Addr) (reason string, ok bool) { return g.check(a, false) }

// CheckLAN is Check where the owner lets one device reach a: as if a were in
// Allow, which opens private networks and nothing of this machine.
func (g *Guard) CheckLAN(a netip.Addr) (reason string, ok bool) { return g.check(a, true) }

func (g *Guard) check(a netip.Addr, lan bool) (reason string, ok bool) {
	if !a.IsValid() {
		return "not an address", false
	}
	if a.Zone() != "" {
		return "address with a zone", false
	}
	a = a.Unmap() // ::ffff:127.0.0.1 is 127.0.0.1 to every kernel
	if why := lookup(g.never, a); why != "" {
		return why, false
	}
	if contains(g.opts.Deny, a) {
		return "inside the tunnel", false
	}
	h := g.host.Load()
	if h.own[a] && !slices.Contains(g.opts.Allow, netip.PrefixFrom(a, a.BitLen())) {
		return "the host itself", false
	}
	if lan || contains(g.opts.Allow, a) {
		return "", true
	}
	if why := lookup(g.special, a); why != "" {
		return why, false
	}
	if a.Is6() && !globalUnicast().Contains(a) {
		return "not a global address", false
	}
	if contains(h.nets, a) {
		return "the host's own network", false
	}
	return "", true
}

// Control fits net.Dialer and net.ListenConfig: it sees the address that the
// kernel is about to connect to, whatever path led there, and is the last line.
func (g *Guard) Control(_, address string, _ syscall.RawConn) error { return g.control(address, false) }

// ControlLAN is Control for what CheckLAN let pass.
func (g *Guard) ControlLAN(_, address string, _ syscall.RawConn) error {
	return g.control(address, true)
}

func (g *Guard) control(address string, lan bool) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("guard: %w: %q", ErrRefused, address)
	}
	if why, ok := g.check(ap.Addr(), lan); !ok {
		return fmt.Errorf("guard: %w: %s", ErrRefused, why)
	}
	return nil
}

func contains(ps []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Contains(a) })
}
