package device

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/enrol"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/cmd/nightlatch/qr"
	"nightlatch/cmd/nightlatch/terminal"
	"nightlatch/config"
)

// longest is how long a link may wait: somebody is coming, now.
const longest = 24 * time.Hour

// invite lets a device in by a link.
func (a *app) invite() *cobra.Command {
	var lasts time.Duration
	var listen string
	c := &cobra.Command{
		Use:   "invite NAME",
		Short: "Let a new device in by a link that works once",
		Long: `Print a link, wait until it is opened, and make the device then. The link holds
a secret of 128 bits, works once, and is void after a while, after too many
wrong tries, and when this command ends.

The page is served on this machine alone; with --listen on an address of the
home network, where a phone can open it. It is not encrypted: whoever can read
along in that network sees the file. Where the page is opened over https (by a
proxy of your own) or on this machine, the private key is made in the browser
and never seen here; else it is made here, sent once, and not kept.`,
		Example: "  nightlatch device invite tablet --listen 192.168.1.5:8089\n  nightlatch device invite laptop --for 5m",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			at, err := netip.ParseAddrPort(listen)
			switch {
			case !config.ValidName(args[0]):
				return cli.Misused(c, "%q is not a device name; %s", args[0], config.NameRule)
			case lasts <= 0 || lasts > longest:
				return cli.Misused(c, "--for: a link may wait up to %s", longest)
			case err != nil || at.Addr().IsUnspecified() || !(at.Addr().IsLoopback() || at.Addr().IsPrivate()):
				return cli.Misused(c, "--listen: %q is not an address of this machine or the home network with a port", listen)
			}
			h, cfg, devices, err := a.homeFiles()
			if err != nil {
				return err
			}
			if _, err := pick(devices, args[0]); err == nil {
				return fmt.Errorf("there is a device %s already; choose another name, or: nightlatch device rotate %s", args[0], args[0])
			}
			return a.await(c.Context(), h, cfg, args[0], listen, lasts)
		},
	}
	c.Flags().DurationVar(&lasts, "for", 15*time.Minute, "how long the link waits")
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "where the page is served")
	return c
}

// await serves the link until it was used or is void.
func (a *app) await(ctx context.Context, h home.Home, cfg *config.Config, name, listen string, lasts time.Duration) error {
	i := enrol.New(name, lasts, func(public *config.Key) ([]byte, error) { return a.enrolled(ctx, h, cfg, name, public) })
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	link := "http://" + l.Addr().String() + i.Path
	if err := qr.Print(a.Stdout, link, terminal.Colours(a.Stdout)); err != nil {
		l.Close()
		return err
	}
	fmt.Fprintf(a.Stdout, "\nopen this on the new device, once, within %s:\n  %s\n", lasts, link)
	if err := i.Serve(ctx, l); err != nil {
		if errors.Is(err, context.Canceled) {
			return err
		}
		return fmt.Errorf("invite %s: %w", name, err)
	}
	fmt.Fprintf(a.Stdout, "%s is in\n", name)
	return nil
}

// enrolled makes the device. A private key that is made here goes into the
// answer alone: the file that stays has none.
func (a *app) enrolled(ctx context.Context, h home.Home, cfg *config.Config, name string, public *config.Key) ([]byte, error) {
	private := config.NewKey()
	own := public == nil
	if own {
		key, err := private.Public()
		if err != nil {
			return nil, err
		}
		public = &key
	}
	d, err := h.AddDevice(cfg, name, public)
	if err != nil {
		return nil, err
	}
	conf, err := os.ReadFile(h.ConfPath(d.Name))
	if err != nil {
		return nil, err
	}
	if own {
		conf = home.WithPrivate(conf, private)
	}
	return conf, a.Reload(ctx, h)
}
