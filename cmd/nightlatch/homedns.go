package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config"
	"nightlatch/policy"
	"nightlatch/resolver/listen"
	"nightlatch/sinkhole"
	"nightlatch/sinkhole/authority"
)

// openDoors opens what is asked from outside the tunnel.
func (g *gateway) openDoors() error {
	if err := g.openHome(); err != nil {
		return err
	}
	return g.openDashboard()
}

// openHome opens the listeners for what is at home and not in the tunnel; none
// when dns.home names no address.
func (g *gateway) openHome() error {
	cfg := g.settings.Config.DNS.Home
	if !cfg.On() {
		return nil
	}
	conf, err := homeTLS(g.settings, g.log)
	if err != nil {
		return err
	}
	g.homeDevices.Store(homeDevices(g.settings))
	g.home, err = listen.New(listen.Options{
		Plain: addrPorts(cfg.Plain), TLS: addrPorts(cfg.TLS), HTTPS: addrPorts(cfg.HTTPS), QUIC: addrPorts(cfg.QUIC),
		Config: conf, Name: strings.ToLower(strings.TrimSuffix(cfg.Name, ".")),
		Allow: config.Prefixes(cfg.Allow), Proxies: config.Prefixes(cfg.Proxies), Rate: cfg.RateLimit,
		Known: &g.homeDevices, Resolver: g.resolver, Recorder: g.canaries, Log: g.log,
	})
	if err != nil {
		return fmt.Errorf("dns.home: %w; choose another address, or end the server that has it", err)
	}
	return nil
}

func addrPorts(all []config.Listen) (out []netip.AddrPort) {
	for _, l := range all {
		out = append(out, l.AddrPorts()...)
	}
	return out
}

// homeTLS gives the certificates of the encrypted listeners: the owner's, or
// those that the owner's CA signs. Nil when there are no such listeners.
func homeTLS(s *home.Settings, log *slog.Logger) (*tls.Config, error) {
	cfg := s.Config.DNS.Home
	if !cfg.Encrypted() {
		return nil, nil
	}
	if cfg.Certificate != "" {
		c, err := listen.LoadCertificate(config.Resolve(s.Home.Dir, cfg.Certificate), config.Resolve(s.Home.Dir, cfg.Key), log)
		if err != nil {
			return nil, fmt.Errorf("dns.home.certificate: %w", err)
		}
		return &tls.Config{GetCertificate: c.Get}, nil
	}
	ca, err := sinkhole.LoadCA(s.Home.CADir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("dns.home: encrypted listeners need a certificate; name one in dns.home.certificate, or make your CA with: nightlatch ca create")
	}
	if err != nil {
		return nil, err
	}
	name := strings.ToLower(strings.TrimSuffix(cfg.Name, "."))
	if !ca.May(name) {
		return nil, fmt.Errorf("dns.home.name: your CA may not sign for %s, only for %s", name, strings.Join(ca.Only(), ", "))
	}
	mint, err := authority.NewMint(ca, time.Now)
	if err != nil {
		return nil, err
	}
	return &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return mint.Leaf(leafName(hello.ServerName, name))
	}}, nil
}

// leafName is the name a certificate is signed for: the server's own, or one
// with a label before it. No other name is ever signed for here.
func leafName(asked, name string) string {
	asked = strings.ToLower(asked)
	if label, ok := strings.CutSuffix(asked, "."+name); ok && config.ValidName(label) {
		return asked
	}
	return name
}

// homeDevices are the devices that may be found at home: those of the tunnel by
// their names, those of dns.home.devices by their addresses as well.
func homeDevices(s *home.Settings) *listen.Known {
	k := &listen.Known{ByAddr: map[netip.Addr]policy.Device{}, ByName: map[string]policy.Device{}}
	for _, d := range s.Devices {
		k.ByName[d.Name] = home.PolicyDevice(d)
	}
	for name, addrs := range s.Config.DNS.Home.Devices {
		if _, ok := k.ByName[name]; !ok {
			k.ByName[name] = policy.Device{Name: name}
		}
		for _, a := range addrs {
			k.ByAddr[a.Unmap().WithZone("")] = k.ByName[name]
		}
	}
	return k
}
