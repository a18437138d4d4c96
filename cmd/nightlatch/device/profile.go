package device

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/config"
)

// set changes what the owner says about a device.
func (a *app) set() *cobra.Command {
	var note, until, keepalive string
	var mtu int
	c := &cobra.Command{
		Use:   "set NAME",
		Short: "Change a device's note, end, keepalive or MTU",
		Long: `Change what you say about a device; its keys stay. Keepalive and MTU stand in
the phone's own config: show the QR code again and scan it anew.

A device whose end has come loses its connections at once and is refused.`,
		Example: `  nightlatch device set tablet --note "Anna's, until she has her own"
  nightlatch device set guest --until "2026-12-31 18:00"
  nightlatch device set guest --until never
  nightlatch device set phone --keepalive off --mtu 1400`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			changed := c.Flags().Changed
			if !changed("note") && !changed("until") && !changed("keepalive") && !changed("mtu") {
				return cli.Misused(c, "nothing to change is named")
			}
			return a.change(args[0], c, func(d *config.Device) error {
				if changed("note") {
					d.Note = note
				}
				if changed("keepalive") {
					d.Keepalive = keepalive
				}
				if changed("mtu") {
					d.MTU = mtu
				}
				if changed("until") {
					return setUntil(c, d, until)
				}
				return nil
			})
		},
	}
	c.Flags().StringVar(&note, "note", "", "words of your own, one line")
	c.Flags().StringVar(&until, "until", "", "when it ends: 21:30, \"fri 21:30\", \"2026-12-31 18:00\", or never")
	c.Flags().StringVar(&keepalive, "keepalive", "", "off, or how often it keeps its way open, as 25s; empty follows tunnel.keepalive")
	c.Flags().IntVar(&mtu, "mtu", 0, "bytes in a packet inside its tunnel, 1280 to 1440; 0 follows tunnel.mtu")
	return c
}

// setUntil reads --until.
func setUntil(c *cobra.Command, d *config.Device, text string) error {
	if text == "never" || text == "" {
		d.Until = time.Time{}
		return nil
	}
	now := time.Now()
	at, err := cli.MomentIn(text, now, time.Local)
	if err != nil {
		return cli.Misused(c, "--until: %w", err)
	}
	if !at.After(now) {
		return cli.Misused(c, "--until: %s has passed; nightlatch device disable %s ends it now", text, d.Name)
	}
	d.Until = at.UTC().Truncate(time.Second)
	return nil
}

// switched makes the commands enable and disable.
func (a *app) switched(on bool) *cobra.Command {
	use, short, word := "disable", "Refuse a device until it is enabled again; its connections end at once", "disabled"
	if on {
		use, short, word = "enable", "Let a disabled or expired device connect again", "enabled"
	}
	return &cobra.Command{
		Use: use + " NAME", Short: short, Example: "  nightlatch device " + use + " tablet", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.change(args[0], c, func(d *config.Device) error {
				d.Disabled = !on
				if on && d.Ended(time.Now()) != "" {
					d.Until = time.Time{}
				}
				fmt.Fprintf(a.Stdout, "%s is %s\n", d.Name, word)
				return nil
			})
		},
	}
}

// change edits a device, saves it, and tells a running gateway.
func (a *app) change(name string, c *cobra.Command, edit func(*config.Device) error) error {
	h, cfg, _, d, err := a.pickDevice(name)
	if err != nil {
		return err
	}
	was := d
	if err := edit(&d); err != nil {
		return err
	}
	if err := h.SaveDevice(cfg, &d); err != nil {
		return fmt.Errorf("device %s: %w", name, err)
	}
	if was.Keepalive != d.Keepalive || was.MTU != d.MTU {
		fmt.Fprintf(a.Stdout, "the phone has to learn this: nightlatch device show %s, and scan again\n", name)
	}
	return a.Reload(c.Context(), h)
}
