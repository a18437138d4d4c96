package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config"
	"nightlatch/journal"
	"nightlatch/resolver/upstream"
	"nightlatch/resolver/upstream/spec"
	"nightlatch/sinkhole"
	"nightlatch/tunnel/portmap"
)

// patience bounds all that is asked of the network.
const patience = 8 * time.Second

// gatherer collects facts; every part writes its own fields.
type gatherer struct {
	h     home.Home
	s     *home.Settings
	roots *x509.CertPool
	f     *Facts
}

// gather finds out everything. The parts that wait for the network run side by
// side, and end with patience.
func gather(ctx context.Context, s *home.Settings, roots *x509.CertPool, gate *Running) *Facts {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t := &s.Config.Tunnel
	g := &gatherer{s.Home, s, roots, &Facts{
		Now: time.Now(), Gate: gate, Endpoint: t.Endpoint, MTU: t.MTU, Mapping: t.PortMapping, DNSSEC: s.Config.DNS.DNSSEC, Port: t.Listen[0].Port,
	}}
	for _, b := range s.Lists.Broken {
		g.f.Lists = append(g.f.Lists, b.Err.Error())
	}
	for _, err := range s.Troubles() {
		g.f.Home = append(g.f.Home, err.Error())
	}
	g.port()
	g.disk()
	g.authority()
	g.journal(ctx)
	g.addresses()
	var wg sync.WaitGroup
	for _, part := range []func(context.Context){g.router, g.endpoint, g.upstreams, g.clock} {
		wg.Go(func() { part(ctx) })
	}
	wg.Wait()
	return g.f
}

// port tries whether the UDP port can be opened, when no gateway has it.
func (g *gatherer) port() {
	if g.f.Gate != nil {
		return
	}
	for _, l := range g.s.Config.Tunnel.Listen {
		for _, ap := range l.AddrPorts() {
			c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(ap))
			if err == nil {
				c.Close()
			} else if !ap.Addr().Is6() { // a machine without IPv6 is fine
				g.f.Host.PortErr = fmt.Sprintf("udp %s cannot be opened: %s", ap, plain(err))
			}
		}
	}
}

// plain drops the addresses that stand around the reason of a network error.
func plain(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		err = sys.Err
	}
	return err.Error()
}

func (g *gatherer) disk() {
	f, err := os.CreateTemp(g.h.Dir, ".doctor*")
	if err != nil {
		g.f.Host.Unwritten = plain(err)
		return
	}
	f.Close()
	os.Remove(f.Name())
	g.f.Host.Free = free(g.h.Dir)
}

func (g *gatherer) authority() {
	ca, err := sinkhole.LoadCA(g.h.CADir())
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		g.f.CA.Err = err.Error()
	default:
		g.f.CA = CA{There: true, NotAfter: ca.NotAfter()}
	}
}

// journal counts what the devices did in the last day.
func (g *gatherer) journal(ctx context.Context) {
	for i := range g.s.Devices {
		d := &g.s.Devices[i]
		g.f.Devices = append(g.f.Devices, Device{Name: d.Name, Ended: d.Ended(g.f.Now)})
	}
	j, err := journal.OpenReadOnly(ctx, journal.Options{Path: config.Resolve(g.h.Dir, g.s.Config.Journal.File), Driver: "sqlite"})
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) { // before the first start there is none
			g.f.Journal.Err = err.Error()
		}
		return
	}
	defer j.Close()
	since := g.f.Now.Add(-24 * time.Hour)
	own := g.s.Config.Tunnel.Gateway()
	for i := range g.f.Devices {
		d := &g.f.Devices[i]
		filter := journal.Filter{Device: d.Name, Since: since, Limit: most}
		queries, err := j.Queries(ctx, filter)
		d.Queries = len(queries)
		for _, q := range queries {
			if !slices.Contains(own, q.Server.Addr()) {
				d.Elsewhere++
			}
		}
		filter.Blocked = true
		flows, err2 := j.Flows(ctx, filter)
		for _, f := range flows {
			if f.Dst.Port() == 853 {
				d.DoT++
			}
		}
		filter.Blocked, filter.NamePart, filter.Limit = false, "Private DNS is set to", 1
		notices, err3 := j.Notices(ctx, filter)
		for _, n := range notices {
			d.Strict = n.Text
		}
		if err := errors.Join(err, err2, err3); err != nil {
			g.f.Journal.Err = err.Error()
		}
	}
	alarms, _ := j.Notices(ctx, journal.Filter{NamePart: "DNSSEC", Since: since, Limit: 1})
	for _, n := range alarms {
		if n.Level != journal.Info { // the newest says that all is well again otherwise
			g.f.Journal.Alarm = n.Text
		}
	}
}

// addresses finds by which addresses and over which interface this machine
// reaches the internet. Sockets are connected to find it; nothing is sent.
func (g *gatherer) addresses() {
	towards := func(network, to string) netip.Addr {
		c, err := net.Dial(network, to)
		if err != nil {
			return netip.Addr{}
		}
		defer c.Close()
		return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	}
	n := &g.f.Net
	n.Outward4, n.Outward6 = towards("udp4", "192.0.2.1:9"), towards("udp6", "[2001:db8::1]:9")
	if n.Outward6.IsPrivate() || n.Outward6.IsLoopback() { // a ULA leads nowhere
		n.Outward6 = netip.Addr{}
	}
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr() == n.Outward4 {
				n.PathMTU = i.MTU
			}
		}
	}
}

// router asks the home's router for its outside address.
func (g *gatherer) router(ctx context.Context) {
	if g.f.Mapping == "off" || g.f.Net.Outward4.IsValid() && !notPublic(g.f.Net.Outward4) {
		return
	}
	var err error
	if g.f.Net.Outside, g.f.Net.OutsideBy, err = (portmap.Router{}).Outside(ctx); err != nil {
		g.f.Net.OutsideErr = strings.TrimPrefix(err.Error(), "portmap: ")
	}
}

// endpoint looks the endpoint's name up as this machine does.
func (g *gatherer) endpoint(ctx context.Context) {
	host, _, err := net.SplitHostPort(g.f.Endpoint)
	if err != nil {
		return
	}
	if a, err := netip.ParseAddr(host); err == nil {
		g.f.Net.Resolved = []netip.Addr{a.Unmap()}
		return
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		g.f.Net.ResolveErr = "the name leads nowhere"
		var dns *net.DNSError
		if errors.As(err, &dns) && !dns.IsNotFound {
			g.f.Net.ResolveErr = "it cannot be looked up: " + dns.Err
		}
		return
	}
	for _, a := range found {
		g.f.Net.Resolved = append(g.f.Net.Resolved, a.Unmap())
	}
}

// upstreams asks every upstream that the gateway has not asked itself.
func (g *gatherer) upstreams(ctx context.Context) {
	names := g.s.Config.DNS.Upstreams
	g.f.Upstreams = make([]Upstream, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		u := &g.f.Upstreams[i]
		*u = Upstream{Name: name, Untried: true}
		if gate := g.f.Gate; gate != nil {
			if known, ok := gate.Upstream[name]; ok {
				*u = known
			}
		}
		if !u.Untried || name == "recursive" {
			continue
		}
		wg.Go(func() { g.ask(ctx, u) })
	}
	wg.Wait()
}

const typeNS = 2 // RFC 1035 §3.2.2

func (g *gatherer) ask(ctx context.Context, u *Upstream) {
	u.Untried = false
	group, err := upstream.New(upstream.Options{Upstreams: []string{u.Name}, Bootstrap: g.s.Config.DNS.Bootstrap, RootCAs: g.roots})
	if err == nil {
		_, err = group.Exchange(ctx, upstream.Question{Name: ".", Type: typeNS})
	}
	if u.Up = err == nil; err != nil {
		u.Err = err.Error()
	}
}

// clock compares this machine's clock with the first DoH server that tells a
// date (RFC 9110 §6.6.1), over TLS that it has authenticated.
func (g *gatherer) clock(ctx context.Context) {
	for _, text := range g.s.Config.DNS.Upstreams {
		s, err := spec.Parse(text)
		if err != nil || s.Scheme != "https" || len(s.Addrs) == 0 {
			continue
		}
		if g.clockOf(ctx, s) {
			return
		}
	}
}

func (g *gatherer) clockOf(ctx context.Context, s spec.Spec) bool {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.Addrs[0].String())
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: g.roots}
	defer transport.CloseIdleConnections()
	host := s.Host
	if s.Port != 443 {
		host = net.JoinHostPort(host, strconv.Itoa(int(s.Port)))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, "https://"+host+s.Path, nil)
	if err != nil {
		return false
	}
	resp, err := transport.RoundTrip(req)
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		g.f.Host.ClockErr = fmt.Sprintf("it is %s here, and the certificate of %s says otherwise: %s", g.f.Now.Format(time.RFC3339), s.Host, invalid.Detail)
		return true
	}
	if err != nil {
		return false
	}
	resp.Body.Close()
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return false
	}
	g.f.Host.Clock, g.f.Host.Skew = s.Host, time.Since(date)
	return true
}
