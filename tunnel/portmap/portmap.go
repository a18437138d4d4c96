// Package portmap asks the home's router to hand one UDP port on to this
// machine, and by which address the router is seen from outside: by PCP (RFC
// 6887), NAT-PMP (RFC 6886) and UPnP-IGD, whichever it speaks. It needs no
// privileges. What a router answers is hostile input: every message is bounded,
// must come from the router itself, and leads nowhere else.
package portmap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Protocols by which a router can be asked.
const (
	PCP    = "pcp"
	NATPMP = "nat-pmp"
	UPnP   = "upnp"
)

// Mapping is a port of the router that leads to this machine.
type Mapping struct {
	Protocol string         // by which it was made
	External netip.AddrPort // of the router, as seen from outside; the address is invalid when it does not tell
	Internal uint16         // UDP port here
	Lifetime time.Duration  // until it ends unless it is renewed; 0: it stays

	nonce [12]byte // of PCP: whoever has it may renew and end the mapping
}

// ErrNoRouter: nothing at home answers by any of the protocols.
var ErrNoRouter = errors.New("no router answers to PCP, NAT-PMP or UPnP; switch one of them on in the router (often called UPnP or automatic port sharing), or forward the port by hand")

// refused is a router that answers, and says no.
type refused struct{ protocol, why string }

func (r *refused) Error() string {
	return fmt.Sprintf("the router refuses (%s): %s", r.protocol, r.why)
}

// Refused tells whether a router answered and said no, so that asking again at
// once is of no use.
func Refused(err error) bool {
	var r *refused
	return errors.As(err, &r)
}

// Router is where to ask. The zero value finds the router by itself. A Router
// is safe for concurrent use.
type Router struct {
	Gateway netip.AddrPort // PCP and NAT-PMP; zero: the default gateway, port 5351
	SSDP    netip.AddrPort // where UPnP is searched for; zero: 239.255.255.250:1900
}

const (
	pmpPort = 5351            // RFC 6886 §1.1, RFC 6887 §19.5
	patient = 3 * time.Second // for one protocol: routers answer within milliseconds, or never
)

func (r Router) gateway() (netip.AddrPort, error) {
	if r.Gateway.IsValid() {
		return r.Gateway, nil
	}
	a, err := defaultGateway()
	return netip.AddrPortFrom(a, pmpPort), err
}

// Outside asks for the router's outside address, and says by which protocol it
// was told.
func (r Router) Outside(ctx context.Context) (netip.Addr, string, error) {
	var said error // a refusal says more than a silence
	gw, err := r.gateway()
	if err == nil {
		a, err := pmpOutside(ctx, gw)
		if err == nil {
			return a, NATPMP, nil
		}
		said = keepRefusal(said, err)
	}
	igd, err := r.findIGD(ctx)
	if err == nil {
		var a netip.Addr
		if a, err = igd.outside(ctx); err == nil {
			return a, UPnP, nil
		}
	}
	return netip.Addr{}, "", ended(keepRefusal(said, err))
}

// Map asks for the UDP port internal of this machine to be reached from outside
// for lifetime, by the same port if it is free. last is what it got before, or
// zero; giving it renews that mapping.
func (r Router) Map(ctx context.Context, internal uint16, lifetime time.Duration, last Mapping) (Mapping, error) {
	wish := internal
	if last.External.Port() != 0 {
		wish = last.External.Port()
	}
	var said error
	if gw, err := r.gateway(); err == nil {
		for _, ask := range []func() (Mapping, error){
			func() (Mapping, error) { return pcpMap(ctx, gw, internal, wish, lifetime, last) },
			func() (Mapping, error) { return pmpMap(ctx, gw, internal, wish, lifetime) },
		} {
			m, err := ask()
			if err == nil {
				return m, nil
			}
			said = keepRefusal(said, err)
		}
	}
	igd, err := r.findIGD(ctx)
	if err == nil {
		var m Mapping
		if m, err = igd.add(ctx, internal, wish, lifetime); err == nil {
			return m, nil
		}
	}
	return Mapping{}, ended(keepRefusal(said, err))
}

// Unmap ends a mapping that Map gave.
func (r Router) Unmap(ctx context.Context, m Mapping) error {
	if m.Protocol == UPnP {
		igd, err := r.findIGD(ctx)
		if err != nil {
			return err
		}
		return igd.remove(ctx, m.External.Port())
	}
	gw, err := r.gateway()
	if err != nil {
		return err
	}
	if m.Protocol == PCP { // RFC 6887 §15: a lifetime of 0 deletes
		_, err = pcpMap(ctx, gw, m.Internal, 0, 0, m)
	} else { // RFC 6886 §3.4
		_, err = pmpMap(ctx, gw, m.Internal, 0, 0)
	}
	return err
}

// keepRefusal gives the error that says more.
func keepRefusal(a, b error) error {
	if Refused(a) || b == nil {
		return a
	}
	return b
}

// ended turns silence into the one error that says what to do.
func ended(err error) error {
	if Refused(err) {
		return fmt.Errorf("portmap: %w", err)
	}
	return fmt.Errorf("portmap: %w", ErrNoRouter)
}

// ask sends a request to the router and gives the first answer that ok takes.
// It is sent again after 250 ms and then each time twice as long (RFC 6886 §3.1).
func ask(ctx context.Context, to netip.AddrPort, request []byte, ok func([]byte) bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to)) // connected: no other address is heard
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	b := make([]byte, maxMessage+1)
	for wait := 250 * time.Millisecond; ctx.Err() == nil; wait *= 2 {
		if _, err := c.Write(request); err != nil {
			return nil, err // the port is closed: nobody speaks this
		}
		if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return nil, err
		}
		for range maxNoise {
			n, err := c.Read(b)
			if err != nil {
				var slow net.Error
				if errors.As(err, &slow) && slow.Timeout() {
					break
				}
				return nil, err
			}
			if n <= maxMessage && ok(b[:n]) {
				return b[:n], nil
			}
		}
	}
	return nil, ctx.Err()
}

const (
	maxMessage = 1100 // RFC 6887 §7
	maxNoise   = 64   // answers that do not fit, before the question is repeated
)
