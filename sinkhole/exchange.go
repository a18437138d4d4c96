package sinkhole

import (
	"fmt"

	"nightlatch/sinkhole/authority"
)

// CA is the owner's certificate authority; see [authority.CA].
type CA = authority.CA

// LoadCA reads the authority that is kept in dir; see [authority.Load].
func LoadCA(dir string) (*CA, error) { return authority.Load(dir) }

// SetCA takes another authority, or none for nil, from the next connection on;
// connections that are being read go on. Who refused the old one is asked
// again: the new one may be trusted. Setting the authority in force changes
// nothing. It is safe at any time.
func (s *Sinkhole) SetCA(ca *CA) error {
	old := s.mint.Load()
	switch {
	case ca == nil:
		s.mint.Store(nil)
		return nil
	case old != nil && old.CA().Fingerprint() == ca.Fingerprint():
		return nil
	}
	mint, err := authority.NewMint(ca, s.now)
	if err != nil {
		return fmt.Errorf("sinkhole: %w", err)
	}
	s.refusals.clear()
	s.mint.Store(mint)
	if end := ca.NotAfter(); s.now().After(end) {
		s.log.Warn("sinkhole: the certificate authority has expired; HTTPS is not read", "name", ca.Name(), "since", end)
	}
	return nil
}

// CA is the authority in force; nil when HTTPS is not read.
func (s *Sinkhole) CA() *CA {
	if m := s.mint.Load(); m != nil {
		return m.CA()
	}
	return nil
}

// SetDecoder takes another decoder, from the next payload on: known values
// and canaries come and go while the gateway runs. Nil means that captures are
// recorded unread. It is safe at any time.
func (s *Sinkhole) SetDecoder(d Decoder) {
	if d == nil {
		s.decoder.Store(nil)
		return
	}
	s.decoder.Store(&d)
}
