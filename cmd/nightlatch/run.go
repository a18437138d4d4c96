package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"nightlatch/dashboard"
	"nightlatch/journal"
)

// room is one long-lived part of the house.
type room struct {
	name string
	run  func(context.Context) error
}

// run starts every room and waits until ctx ends or one of them fails; then
// all are ended. The journal ends last, so that it takes what the others say
// while they close.
func (g *gateway) run(ctx context.Context, extra ...room) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	journalCtx, endJournal := context.WithCancel(context.WithoutCancel(ctx))
	defer endJournal()

	written := make(chan error, 1)
	go func() { written <- g.journal.Run(journalCtx) }()
	for _, n := range g.notices {
		g.journal.Record(n)
	}
	var wg sync.WaitGroup
	rooms := append([]room{{"resolver", g.resolver.Run}, {"sinkhole", g.sinkhole.Run}, {"tunnel", g.tunnel.Run}}, extra...)
	if g.home != nil {
		rooms = append(rooms, room{"dns.home", g.home.Run})
	}
	for _, r := range rooms {
		wg.Go(func() {
			if err := r.run(inner); err != nil && inner.Err() == nil {
				cancel(fmt.Errorf("%s: %w", r.name, err))
			}
		})
	}
	wg.Wait()
	endJournal()
	err := errors.Join(<-written, g.journal.Close())
	if cause := context.Cause(inner); ctx.Err() == nil && cause != nil {
		return cause
	}
	return err
}

// close gives back what a gateway holds that was never run.
func (g *gateway) close() {
	if g.tunnel != nil {
		g.tunnel.Close()
	}
	if g.home != nil {
		g.home.Close()
	}
	g.journal.Close()
}

// openDashboard makes the page; its listeners come with listenDashboard.
func (g *gateway) openDashboard() error {
	cfg, h := g.settings.Config, g.settings.Home
	token, err := cfg.Dashboard.Token.Read(h.Dir)
	if err != nil {
		return err
	}
	hosts := []string{localName}
	for _, a := range cfg.Tunnel.Gateway() {
		hosts = append(hosts, a.String())
	}
	if ap, err := netip.ParseAddrPort(cfg.Dashboard.Listen); err == nil {
		hosts = append(hosts, "localhost", ap.Addr().String())
	}
	g.token = token
	g.dashboard, err = dashboard.New(dashboard.Options{
		Journal: g.journal, Gateway: g.status, Token: token, Hosts: hosts, Authority: g.sinkhole.CA,
		Desk: g.desk(), Recorder: g.journal, Log: g.log,
	})
	if err != nil && cfg.Dashboard.Token.File != "" {
		err = fmt.Errorf("%w; delete %s, and the next start makes a new one", err, cfg.Dashboard.Token.Path(h.Dir))
	}
	return err
}

// listenDashboard opens the page on loopback and, inside the tunnel only, on
// port 80 of the gateway's own addresses.
func (g *gateway) listenDashboard() ([]net.Listener, error) {
	cfg := g.settings.Config
	var out []net.Listener
	if cfg.Dashboard.Listen != "" {
		l, err := net.Listen("tcp", cfg.Dashboard.Listen)
		if err != nil {
			return nil, fmt.Errorf("dashboard: %s: %w; choose another address in dashboard.listen", cfg.Dashboard.Listen, plainNetError(err))
		}
		out = append(out, l)
	}
	for _, a := range cfg.Tunnel.Gateway() {
		l, err := g.tunnel.ListenTCP(netip.AddrPortFrom(a, 80))
		if err != nil {
			for _, l := range out {
				l.Close()
			}
			return nil, fmt.Errorf("dashboard: inside the tunnel: %w", err)
		}
		out = append(out, l)
	}
	return out, nil
}

// plainNetError gives the reason of a failed listen or dial without the
// addresses that stand around it.
func plainNetError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
		for errors.Unwrap(err) != nil {
			err = errors.Unwrap(err)
		}
	}
	return err
}

// shutdownGrace is how long open pages may finish when the gateway ends.
const shutdownGrace = 2 * time.Second

// servePages serves h on every listener until ctx ends.
func servePages(h http.Handler, listeners []net.Listener) func(context.Context) error {
	return func(ctx context.Context) error {
		srv := &http.Server{
			Handler: h, ReadHeaderTimeout: 10 * time.Second, // and no more: a live page reads for hours
			IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
			BaseContext: func(net.Listener) context.Context { return ctx },
		}
		errs := make(chan error, len(listeners))
		for _, l := range listeners {
			go func() { errs <- srv.Serve(l) }()
		}
		var err error
		select {
		case <-ctx.Done():
		case err = <-errs:
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer cancel()
		if srv.Shutdown(end) != nil {
			srv.Close()
		}
		if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return err
	}
}

// notice records something the owner should know.
func (g *gateway) notice(level journal.Level, room, format string, args ...any) {
	g.journal.Record(journal.Notice{Time: time.Now(), Level: level, Room: room, Text: fmt.Sprintf(format, args...)})
}
