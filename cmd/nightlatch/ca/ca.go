// Package ca is the commands about the owner's certificate authority.
package ca

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/sinkhole/authority"
)

// Command is nightlatch ca.
func Command(a *cli.App) *cobra.Command {
	return cli.Group("ca", "The certificate authority that lets you read sunk HTTPS",
		`A certificate authority of your own lets the sinkhole read HTTPS that was meant
for a blocked server. It is used for sunk names alone: nothing that reaches a
wanted server is ever opened. Its key stays in the home folder.`,
		"  nightlatch ca create\n  nightlatch ca show\n  nightlatch ca export nightlatch.mobileconfig",
		create(a), show(a), export(a), remove(a))
}

// install says how a phone comes to trust the authority.
const install = `put it on the phone you want to read, and on no other:
  easiest: with the tunnel on, open http://nightlatch.internal/ca on the phone
  Android: settings, security, encryption, install a certificate, CA certificate
  iOS: open it, install the profile, then settings, general, about, certificate trust settings
`

func create(a *cli.App) *cobra.Command {
	var only []string
	c := &cobra.Command{
		Use:   "create",
		Short: "Make the authority, and say how a phone comes to trust it",
		Long: `Make the certificate authority in the home folder; there can be only one.

What it lets you read, honestly: on Android 7 and later, apps trust only the
system's authorities unless they opt in, so this reads browsers, web views and
apps that opt in. On iOS, with full trust switched on, it reads most apps that
do not pin. Everything else still shows its name, times, sizes and the fact
that it refused the certificate.

With --only the certificate itself says that it is good for names below certain
domains alone, and nothing else is signed with it. Programs that heed such
constraints hold to that whoever has the key; expect Android not to.`,
		Example: "  nightlatch ca create\n  nightlatch ca create --only miui.com,xiaomi.com",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			h, err := a.NeedHome()
			if err != nil {
				return err
			}
			ca, err := authority.Create(h.CADir(), authority.Options{Only: only, Now: time.Now()})
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "made %s\n  %s, SHA-256 %s\n%sa running gateway uses it within a second or two, unless sinkhole.https is off\n",
				certificate(h), ca.Name(), ca.FingerprintPairs(), install)
			return nil
		},
	}
	c.Flags().StringSliceVar(&only, "only", nil, "domains below which it may sign, and nowhere else")
	return c
}

// certificate is the path of the certificate.
func certificate(h home.Home) string { return filepath.Join(h.CADir(), "ca.crt") }

// load reads the authority of this home.
func load(a *cli.App) (home.Home, *authority.CA, error) {
	h, err := a.NeedHome()
	if err != nil {
		return h, nil, err
	}
	ca, err := authority.Load(h.CADir())
	return h, ca, absent(h, err)
}

// absent puts "there is none" into words that help.
func absent(h home.Home, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no certificate authority in %s; nightlatch ca create makes one", h.Dir)
	}
	return err
}

func remove(a *cli.App) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "remove --yes",
		Short: "Delete the authority, key and certificate",
		Long: `Delete the certificate authority: its key first, then its certificate. Nothing
can be signed with it any more, by anyone. It cannot be brought back; phones
that trusted it must be told about the next one.

Phones keep the certificate until they are told to forget it. That does no harm
once the key is gone, but is tidy:
  Android: settings, security, encryption, user credentials, and tap it
  iOS: settings, general, VPN and device management, and remove the profile`,
		Example: "  nightlatch ca remove --yes",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			h, err := a.NeedHome()
			if err != nil {
				return err
			}
			if !yes {
				return cli.Misused(c, "ca remove deletes the key for good; say --yes if that is meant")
			}
			name := "the authority" // a broken one can be removed as well
			if ca, err := authority.Load(h.CADir()); err == nil {
				name = ca.Name()
			}
			if err := authority.Remove(h.CADir()); err != nil {
				return absent(h, err)
			}
			fmt.Fprintf(a.Stdout, `removed %s; its key is gone, and a running gateway stops using it within a second or two
phones list it until they are told to forget it:
  Android: settings, security, encryption, user credentials, and tap it
  iOS: settings, general, VPN and device management, and remove the profile
`, name)
			return nil
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "yes, delete the key for good")
	return c
}

// domains puts what may be signed into words.
func domains(ca *authority.CA) string {
	if only := ca.Only(); len(only) > 0 {
		return "sunk names at or below " + strings.Join(only, ", ")
	}
	return "sunk names"
}
