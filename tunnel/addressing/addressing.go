// Package addressing holds that every device has keys and addresses of its own:
// the inner source address says who sent a packet. It is pure.
package addressing

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"nightlatch/policy"
)

// Plan is what the addresses of devices must fit.
type Plan struct {
	Self     []netip.Addr   // the gateway's
	Prefixes []netip.Prefix // the tunnel's networks; none: any address
	Sink     []netip.Prefix // the sinkhole's ranges
}

// Check refuses what would let one device speak for another: WireGuard itself
// silently moves an address to the last peer that claims it.
func (p Plan) Check(devices []policy.Device) error {
	keys, addrs := map[[32]byte]string{}, map[netip.Addr]string{}
	for _, d := range devices {
		if d.Key == [32]byte{} {
			return fmt.Errorf("device %q has no public key", d.Name)
		}
		if other, ok := keys[d.Key]; ok {
			return fmt.Errorf("devices %q and %q have the same public key", other, d.Name)
		}
		keys[d.Key] = d.Name
		if len(d.Addrs) == 0 {
			return fmt.Errorf("device %q has no address", d.Name)
		}
		for _, a := range d.Addrs {
			if err := p.fits(a); err != nil {
				return fmt.Errorf("device %q: address %v: %w", d.Name, a, err)
			}
			if other, ok := addrs[a]; ok {
				return fmt.Errorf("devices %q and %q have the same address %v", other, d.Name, a)
			}
			addrs[a] = d.Name
		}
	}
	return nil
}

func (p Plan) fits(a netip.Addr) error {
	in := func(p netip.Prefix) bool { return p.Contains(a) }
	switch {
	case !a.IsValid() || a.Zone() != "" || a.Is4In6():
		return errors.New("not a plain address")
	case slices.Contains(p.Self, a):
		return errors.New("belongs to the gateway")
	case slices.ContainsFunc(p.Sink, in):
		return errors.New("belongs to the sinkhole")
	case len(p.Prefixes) > 0 && !slices.ContainsFunc(p.Prefixes, in):
		return errors.New("outside the tunnel's networks")
	}
	return nil
}
