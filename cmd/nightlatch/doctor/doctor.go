// Package doctor is the subcommand that finds out why a phone does not get onto
// the gateway, or does not get further: facts are gathered from the files, the
// running gateway, the machine, the router and the upstreams ([Facts]), and
// judged by pure checks ([Examine]), each with its remedy.
package doctor

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
)

// Gateway is how the doctor reaches the rest of the house.
type Gateway struct {
	Ask   func(context.Context, home.Home) (*Running, error) // nil, nil: none is running
	Roots func(*home.Settings) (*x509.CertPool, error)       // of upstreams
}

// Command makes nightlatch doctor.
func Command(a *cli.App, g Gateway) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find out why a phone does not get onto the gateway, or not further",
		Long: `Look at the whole way of a phone's packets: the UDP port, what arrives at it,
each device's handshake, the router's outside address (carrier NAT, double NAT)
and the endpoint's name, the MTU, IPv6, DNS, the upstreams, the clock, the
disk, the journal, the lists and the CA. One line each, with a remedy.

It says more while a gateway is running. It asks your router, your upstreams
and the resolver of this machine, and nobody else.

Exit code 0: no problem; 1: at least one.`,
		Example: "  nightlatch doctor\n  nightlatch doctor --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			h, err := a.NeedHome()
			if err != nil {
				return err
			}
			found, err := examine(c.Context(), h, g)
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(a.Stdout).Encode(found)
			} else {
				err = show(a, found)
			}
			for _, f := range found {
				if err == nil && f.Level == Problem {
					return cli.ErrSilent
				}
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return c
}

func examine(ctx context.Context, h home.Home, g Gateway) ([]Finding, error) {
	s, err := h.Load()
	if err != nil {
		return nil, err
	}
	roots, err := g.Roots(s)
	if err != nil {
		return nil, err
	}
	gate, err := g.Ask(ctx, h)
	if err != nil {
		return nil, err
	}
	return Examine(gather(ctx, s, roots, gate)), nil
}

// show prints one line a finding; the remedy stands below it.
func show(a *cli.App, found []Finding) error {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%-8s %s: %s\n", f.Level, f.Check, oneLine(f.Text))
		if f.Remedy != "" {
			fmt.Fprintf(&b, "         -> %s\n", f.Remedy)
		}
	}
	_, err := fmt.Fprint(a.Stdout, b.String())
	return err
}

// oneLine keeps what servers and files say from writing lines of their own.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
