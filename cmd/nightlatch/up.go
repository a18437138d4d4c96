package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"text/tabwriter"

	"nightlatch/cmd/nightlatch/device"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/cmd/nightlatch/terminal"
	"nightlatch/journal"

	"github.com/spf13/cobra"
)

func (a *app) upCommand() *cobra.Command {
	var verbose, quietly bool
	c := &cobra.Command{
		Use:   "up",
		Short: "Start the gateway; the first start makes everything it needs",
		Long: `Start the gateway and tell, line by line, what happens.

The first start makes the home folder with a commented nightlatch.yaml, a
blocklist to edit, the server's key and a first device, and shows the QR code
to scan with the WireGuard app. Later starts take what is there. No root is
needed, and no internet: names are filtered at once, and the servers that
answer the others are tried when they are needed.

Interrupt (ctrl-c) stops it.`,
		Example: "  nightlatch up\n  nightlatch up --home /srv/nightlatch\n  nightlatch up --quiet    # no line per event",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			h, err := a.OpenHome()
			if err != nil {
				return err
			}
			return a.up(c.Context(), h, a.logger(verbose), quietly)
		},
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "also print what the rooms say about their work")
	c.Flags().BoolVarP(&quietly, "quiet", "q", false, "do not print a line for every event")
	return c
}

// logger gives the log of troubles; events go to the journal.
func (a *app) logger(verbose bool) *slog.Logger {
	if verbose {
		return slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return terminal.Calm(a.Stderr)
}

func (a *app) up(ctx context.Context, h home.Home, log *slog.Logger, quietly bool) error {
	if err := checkSocketPath(h); err != nil {
		return err
	}
	first, err := h.Prepare()
	if err != nil {
		return err
	}
	control, err := listenControl(h)
	if err != nil {
		return err
	}
	defer control.Close()
	s, err := h.Load()
	if err != nil {
		return err
	}
	g, err := serve(ctx, s, world{}, log)
	if err != nil {
		return err
	}
	pages, err := g.listenDashboard()
	if err != nil {
		g.close()
		return err
	}
	if err := a.greet(g, pages[0].Addr(), first); err != nil {
		g.close()
		return err
	}
	for _, b := range s.Lists.Broken {
		a.Say("warning: %s", b.Err)
	}
	rooms := []room{
		{"dashboard", servePages(g.canaries.Page(g.dashboard.Handler(), g.deviceAt), pages)},
		{"control", servePages(g.controlHandler(), []net.Listener{control})},
		{"watch", g.watch},
		{"subscriptions", g.subscribe},
		{"port mapping", g.keepPort},
	}
	if !quietly {
		rooms = append(rooms, room{"events", g.tell(a.Stdout)})
	}
	if err := g.run(ctx, rooms...); err != nil {
		return err
	}
	a.Say("stopped")
	return nil
}

// greet says what was started and where, and how a phone gets in. page is
// where the dashboard listens.
func (a *app) greet(g *gateway, page net.Addr, first bool) error {
	s := g.settings
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "nightlatch\t%s\n", version)
	made := ""
	if first {
		made = " (made now)"
	}
	fmt.Fprintf(w, "home\t%s%s\n", s.Home.Dir, made)
	fmt.Fprintf(w, "config\t%s\n", s.Home.ConfigFile())
	fmt.Fprintf(w, "your list\t%s\n", s.Home.Path("blocklists/mine.yaml"))
	fmt.Fprintf(w, "lists\t%s, %s\n", count(len(s.Lists.All), "list"), count(s.Lists.Rules(), "rule"))
	fmt.Fprintf(w, "wireguard\tudp port %d; new devices are told %s\n", g.tunnel.Port(), s.Config.Tunnel.Endpoint)
	if s.Config.Dashboard.Listen != "" {
		fmt.Fprintf(w, "dashboard\thttp://%s/login?token=%s\n", page, g.token)
	}
	fmt.Fprintf(w, "on a phone\thttp://%s, token %s\n", localName, g.token)
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(a.Stdout)
	switch {
	case first && len(s.Devices) > 0:
		if err := device.Show(a.App, s.Home, s.Devices[0], true); err != nil {
			return err
		}
		fmt.Fprintf(a.Stdout, "\nphones look for this machine at %s; to connect from elsewhere,\n"+
			"forward the UDP port to it, put your outside name into tunnel.endpoint, then:\n"+
			"  nightlatch device rotate %s\n", s.Config.Tunnel.Endpoint, s.Devices[0].Name)
	case len(s.Devices) == 0:
		fmt.Fprintln(a.Stdout, "no devices yet; nightlatch device add NAME makes one")
	default:
		fmt.Fprintf(a.Stdout, "devices: %s; nightlatch device show NAME shows a QR code again\n", strings.Join(deviceNames(s), ", "))
	}
	fmt.Fprintln(a.Stdout, "\nready; what happens is told below, ctrl-c stops")
	return nil
}

func deviceNames(s *home.Settings) []string {
	var out []string
	for _, d := range s.Devices {
		out = append(out, d.Name)
	}
	return out
}

// followBuffer is how many events a slow terminal may lie behind before it
// misses some; the journal has them all.
const followBuffer = 1024

// tell prints events as they happen.
func (g *gateway) tell(w io.Writer) func(context.Context) error {
	events, cancel := g.journal.Subscribe(followBuffer)
	return func(ctx context.Context) error {
		defer cancel()
		for {
			select {
			case <-ctx.Done():
				return nil
			case e, open := <-events:
				if !open {
					return nil
				}
				if _, err := fmt.Fprintln(w, terminal.Fit(journal.Line(e), terminal.Width(w))); err != nil && !errors.Is(err, os.ErrClosed) {
					return err
				}
			}
		}
	}
}
