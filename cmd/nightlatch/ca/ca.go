// Package ca is the commands about the owner's certificate authority.
package ca

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/sinkhole/authority"
)

// Command is nightlatch ca.
func Command(a *cli.App) *cobra.Command {
	return cli.Group("ca", "Make the certificate authority that lets you read sunk HTTPS",
		`A certificate authority of your own lets the sinkhole read HTTPS that was meant
for a blocked server. It is used for sunk names alone: nothing that reaches a
wanted server is ever opened. Its key stays in the home folder.`,
		"  nightlatch ca create",
		create(a))
}

func create(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use:   "create",
		Short: "Make the authority, and say how a phone comes to trust it",
		Long: `Make the certificate authority in the home folder; there can be only one.

What it lets you read, honestly: on Android 7 and later, apps trust only the
system's authorities unless they opt in, so this reads browsers, web views and
apps that opt in. On iOS, with full trust switched on, it reads most apps that
do not pin. Everything else still shows its name, times, sizes and the fact
that it refused the certificate.`,
		Example: "  nightlatch ca create",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			h, err := a.NeedHome()
			if err != nil {
				return err
			}
			if _, err := authority.Create(h.CADir(), authority.Options{Now: time.Now()}); err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, `made %s
put it on the phone you want to read, and on no other:
  Android: settings, security, encryption, install a certificate, CA certificate
  iOS: open it, install the profile, then settings, general, about, certificate trust settings
a running gateway uses it after its next start
`, filepath.Join(h.CADir(), "ca.crt"))
			return nil
		},
	}
}
