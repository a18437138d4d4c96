package main

import (
	"net/netip"
	"slices"
	"time"

	"nightlatch/cmd/nightlatch/canary/watch"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config"
	"nightlatch/decoder"
)

// lookFor puts in force what payloads are searched for: the owner's known
// values and what was planted.
func (g *gateway) lookFor(s *home.Settings) error {
	dec, err := decoderOf(s)
	if err != nil {
		return err
	}
	g.canaries.Set(s.Canaries)
	g.sinkhole.SetDecoder(dec)
	return nil
}

// decoderOf makes the decoder that a home wants.
func decoderOf(s *home.Settings) (*decoder.Decoder, error) {
	vendors, err := s.Vendors()
	if err != nil {
		return nil, err
	}
	return decoder.New(decoder.Options{Known: watch.Known(s.Known, s.Canaries, time.Now()), Vendors: vendors})
}

// deviceAt names the device that has an address inside the tunnel; "" for none.
func (g *gateway) deviceAt(a netip.Addr) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.IndexFunc(g.settings.Devices, func(d config.Device) bool { return slices.Contains(d.Addresses, a) })
	if i < 0 {
		return ""
	}
	return g.settings.Devices[i].Name
}
