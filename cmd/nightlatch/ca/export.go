package ca

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"errors"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/sinkhole/authority"
)

func export(a *cli.App) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "export [FILE|-]",
		Short: "Write the certificate, without its key, for a phone to install",
		Long: `Write the certificate of the authority to a file, or to standard output. The key
is never written. The form follows the file's name, or --format:
  pem           text; Android and desktops (.crt, .pem)
  der           the same in binary (.der, .cer)
  mobileconfig  a profile for iOS and macOS (.mobileconfig)
A file that is there already is left alone.`,
		Example: "  nightlatch ca export nightlatch.crt\n  nightlatch ca export nightlatch.mobileconfig\n  nightlatch ca export --format der - > ca.der",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			file := "-"
			if len(args) == 1 {
				file = args[0]
			}
			if format == "" {
				format = formOf(file)
			}
			_, ca, err := load(a)
			if err != nil {
				return err
			}
			b, ok := form(ca, format)
			if !ok {
				return cli.Misused(c, "--format %q is none of pem, der, mobileconfig", format)
			}
			if file == "-" {
				_, err := a.Stdout.Write(b)
				return err
			}
			return write(a, file, b)
		},
	}
	c.Flags().StringVar(&format, "format", "", "pem, der or mobileconfig (default: by the file's name, else pem)")
	return c
}

func formOf(file string) string {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".der", ".cer":
		return "der"
	case ".mobileconfig":
		return "mobileconfig"
	}
	return "pem"
}

func form(ca *authority.CA, format string) (b []byte, ok bool) {
	switch format {
	case "pem":
		return ca.PEM(), true
	case "der":
		return ca.DER(), true
	case "mobileconfig":
		return ca.MobileConfig(), true
	}
	return nil, false
}

// write puts a file where there is none. The certificate is no secret.
func write(a *cli.App, file string, b []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; choose another name, or delete it first", file)
	} else if err != nil {
		return err
	}
	_, err = f.Write(b)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(file)
		return fmt.Errorf("%s: %w", file, err)
	}
	a.Say("wrote %s", file)
	return nil
}
