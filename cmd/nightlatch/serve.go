package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nightlatch/blocklists"
	"nightlatch/cmd/nightlatch/canary/watch"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/cmd/nightlatch/resolvers"
	"nightlatch/config"
	"nightlatch/dashboard"
	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/resolver"
	"nightlatch/resolver/listen"
	"nightlatch/resolver/local"
	"nightlatch/sinkhole"
	"nightlatch/tunnel"
)

// world is what a gateway asks of the machine it runs on. The zero value is
// the real one; try and tests put a small internet of their own here.
type world struct {
	dial         func(ctx context.Context, network, address string) (net.Conn, error)
	listenPacket func(ctx context.Context, network string) (net.PacketConn, error)
	guardAllow   []netip.Prefix // networks the guard lets through
}

// gateway is the house with all its rooms.
type gateway struct {
	started     time.Time
	log         *slog.Logger
	policy      policy.Current
	names       local.Current // of the home
	homeDevices atomic.Pointer[listen.Known]
	journal     *journal.Journal
	canaries    *watch.Watcher // before the journal: it takes the planted values out
	resolver    *resolvers.Set
	home        *listen.Server // nil when nothing is listened on for the home
	sinkhole    *sinkhole.Sinkhole
	tunnel      *tunnel.Tunnel
	dashboard   *dashboard.Dashboard
	token       string
	notices     []journal.Notice // told when the journal runs

	mu       sync.Mutex // guards what a reload replaces
	settings *home.Settings

	verified bool            // the compiled lists were read through; of watch alone
	mended   *blocklists.Set // that was damaged, and told; of watch alone
}

// serve is the map of the house: it builds every room from the bottom up and
// hands the ones to the others that must meet. Nothing runs yet.
func serve(ctx context.Context, s *home.Settings, w world, log *slog.Logger) (_ *gateway, err error) {
	g := &gateway{started: time.Now(), log: log, settings: s}
	cfg := s.Config

	if s.Lists.Unkept != nil {
		g.notices = append(g.notices, journal.Notice{Time: g.started, Level: journal.Warn, Room: "blocklists", Text: unkept(s)})
	}
	p, err := s.Policy()
	if err != nil {
		return nil, err
	}
	g.policy.Store(p)

	if err = g.openJournal(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			g.close()
		}
	}()

	guard, err := blocklists.NeverBlock() // its hosts break when they are intercepted, even where an owner sinks them
	if err != nil {
		return nil, err
	}
	g.sinkhole, err = sinkhole.New(sinkhole.Options{
		Prefix4: cfg.Sinkhole.Network4, Prefix6: cfg.Sinkhole.Network6, Exempt: guard.Protects,
		Recorder: g.canaries, KeepSamples: cfg.Sinkhole.KeepSamples, Log: log,
	})
	if err != nil {
		return nil, err
	}

	if err := g.lookFor(s); err != nil {
		return nil, err
	}
	if err := g.sinkWith(s); err != nil {
		return nil, err
	}

	if err := g.openResolver(s); err != nil {
		return nil, err
	}

	g.tunnel, err = tunnel.New(tunnel.Options{
		PrivateKey: s.Key, Listen: listenAddrs(s), Self: cfg.Tunnel.Gateway(), MTU: cfg.Tunnel.MTU,
		Prefixes:     []netip.Prefix{cfg.Tunnel.Network4, cfg.Tunnel.Network6},
		SinkPrefixes: []netip.Prefix{cfg.Sinkhole.Network4, cfg.Sinkhole.Network6},
		GuardAllow:   append(w.guardAllow, cfg.Tunnel.AllowLAN...),
		Peers:        peers(s), Policy: &g.policy, Recorder: g.canaries, Log: log,
		Handlers: tunnel.Handlers{
			DNS: g.resolver.ServeDeclined, DNSNow: g.resolver.ServeNow, NameOf: g.nameOf, Sink: g.sinkhole.ServeConn,
			SinkPacket: g.sinkhole.ServePacket, Observe: g.sinkhole.Observe,
			Dial: w.dial, ListenPacket: w.listenPacket,
		},
	})
	if err != nil {
		return nil, err
	}
	return g, g.openDoors()
}

// openResolver makes the resolver, and one for every device that has upstreams
// of its own.
func (g *gateway) openResolver(s *home.Settings) error {
	cfg := s.Config
	roots, err := rootCAs(s)
	if err != nil {
		return err
	}
	names, err := s.Names()
	if err != nil {
		return err
	}
	g.names.Store(names)
	validation, anchors, hints, err := validation(s)
	if err != nil {
		return err
	}
	kept, err := s.CacheFile()
	if err != nil {
		return err
	}
	g.resolver, err = resolvers.New(resolver.Options{
		Policy: &g.policy, Recorder: g.canaries, Upstreams: cfg.DNS.Upstreams, Strategy: cfg.DNS.Strategy, Bootstrap: cfg.DNS.Bootstrap,
		RootHints: hints, RootCAs: roots, Forward: cfg.DNS.Forward, CacheEntries: cfg.DNS.Cache, CacheFile: kept,
		SinkAddr: g.sinkhole.Addr, Local: g.localNames(), Names: &g.names, AllowPrivate: cfg.DNS.AllowPrivate,
		BlockTTL: time.Duration(cfg.DNS.BlockTTL), Validation: validation, Anchors: anchors, Unsigned: cfg.DNS.Unsigned, Log: g.log,
	}, cfg.OwnUpstreams())
	return err
}

// openJournal opens the journal, and puts the watcher of planted values before it.
func (g *gateway) openJournal(ctx context.Context) error {
	dir, cfg := g.settings.Home, g.settings.Config
	marks, err := dir.MarkKey()
	if err != nil {
		return err
	}
	g.journal, err = journal.Open(ctx, journal.Options{
		Path: config.Resolve(dir.Dir, cfg.Journal.File), Driver: "sqlite",
		Retention: time.Duration(cfg.Journal.Retention), MaxBytes: int64(cfg.Journal.MaxSize),
		Mask: cfg.Journal.Mask, MarkKey: marks, KeepSamples: cfg.Sinkhole.KeepSamples, OwnerOf: g.ownerOf, Log: g.log,
	})
	if err != nil {
		return err
	}
	g.canaries = watch.New(g.journal, nil)
	return nil
}

// nameOf says by which name a device reached an address: a sinkhole address
// belongs to one name alone; any other was learnt from the resolver's answers.
func (g *gateway) nameOf(d policy.Device, a netip.Addr) (name string, exact bool) {
	if name, ok := g.sinkhole.Name(a); ok {
		return name, true
	}
	return g.resolver.NameOf(d, a)
}

func (g *gateway) ownerOf(list string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.settings.Lists.OwnerOf(list)
}

// localName is where a phone finds the dashboard.
const localName = home.LocalSuffix

// localNames answers the gateway's own names: the page's, and those of canaries.
func (g *gateway) localNames() func(string) []netip.Addr {
	addrs := g.settings.Config.Tunnel.Gateway()
	return func(qname string) []netip.Addr {
		if strings.EqualFold(strings.TrimSuffix(qname, "."), localName) || g.canaries.Host(qname) {
			return addrs
		}
		return nil
	}
}

func listenAddrs(s *home.Settings) []netip.AddrPort {
	var out []netip.AddrPort
	for _, l := range s.Config.Tunnel.Listen {
		out = append(out, l.AddrPorts()...)
	}
	return out
}

func peers(s *home.Settings) []tunnel.Peer {
	var out []tunnel.Peer
	for _, d := range s.Devices {
		if d.Ended(time.Now()) != "" {
			continue // it is refused as a stranger is
		}
		out = append(out, tunnel.Peer{Device: home.PolicyDevice(d), PresharedKey: d.PresharedKey})
	}
	return out
}

// loadCA gives the owner's CA; nil when there is none or HTTPS is not wanted.
func loadCA(s *home.Settings) (*sinkhole.CA, error) {
	if !s.Config.Sinkhole.HTTPS {
		return nil, nil
	}
	ca, err := sinkhole.LoadCA(s.Home.CADir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return ca, err
}

// validation gives what the config wants done about DNSSEC, and what the root
// is: the trust anchors and the hints; empty ones mean IANA's.
func validation(s *home.Settings) (mode resolver.Validation, anchors, hints string, err error) {
	mode = map[string]resolver.Validation{"auto": resolver.ValidateWhenOffered, "on": resolver.ValidateAlways}[s.Config.DNS.DNSSEC]
	if hints, err = home.RootHints(s.Home.Dir, s.Config); err != nil || s.Config.DNS.TrustAnchors == "" {
		return mode, "", hints, err
	}
	text, err := os.ReadFile(config.Resolve(s.Home.Dir, s.Config.DNS.TrustAnchors))
	if err != nil {
		return mode, "", "", fmt.Errorf("dns.trust_anchors: %w", err)
	}
	if len(strings.TrimSpace(string(text))) == 0 {
		return mode, "", "", fmt.Errorf("dns.trust_anchors: %s is empty; want DS or DNSKEY records of the root", s.Config.DNS.TrustAnchors)
	}
	return mode, string(text), hints, nil
}

// rootCAs gives the certificates that encrypted upstreams are checked
// against; nil means the system's.
func rootCAs(s *home.Settings) (*x509.CertPool, error) {
	if s.Config.DNS.CAFile == "" {
		return nil, nil
	}
	path := config.Resolve(s.Home.Dir, s.Config.DNS.CAFile)
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("dns.ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("dns.ca_file: %s holds no certificate in PEM form", filepath.Base(path))
	}
	return pool, nil
}
