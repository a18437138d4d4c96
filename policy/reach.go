package policy

import (
	"fmt"
	"net/netip"
)

// Reach is a part of the home network, or of another private one, that a device
// may reach: a printer, a file server.
type Reach struct {
	Prefix netip.Prefix
	Proto  uint8  // 6 TCP, 17 UDP; 0: both, and ping where all ports are meant
	From   uint16 // the first port; 0: all ports
	To     uint16 // the last
}

// check says what makes no sense.
func (r Reach) check() error {
	if !r.Prefix.IsValid() || r.Prefix.Addr().Is4In6() || r.Proto != 0 && r.Proto != protoTCP && r.Proto != protoUDP || r.To < r.From || r.From == 0 && r.To != 0 {
		return fmt.Errorf("%v, protocol %d, ports %d to %d is no part of a network", r.Prefix, r.Proto, r.From, r.To)
	}
	return nil
}

// Reaches says whether the owner lets a device reach a private address. The
// tunnel's guard keeps some closed whatever is said here: this machine, other
// devices, multicast, metadata services.
func (p *Policy) Reaches(f Flow) bool {
	return p.of(f.Device).reaches(&f, f.Dst.Addr().Unmap().WithZone(""))
}

func (w *wishes) reaches(f *Flow, dst netip.Addr) bool {
	for _, r := range w.LAN {
		port := f.Dst.Port()
		switch {
		case !r.Prefix.Contains(dst):
		case r.Proto != 0 && r.Proto != f.Proto:
		case r.From == 0 || r.From <= port && port <= r.To:
			return true
		}
	}
	return false
}
