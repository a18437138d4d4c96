package journalcmd

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/journal"
)

// Filters adds the flags that choose events, without those of time.
func Filters(fl *pflag.FlagSet, f *journal.Filter) {
	fl.StringVar(&f.Device, "device", "", "only this device")
	fl.BoolVar(&f.Blocked, "blocked", false, "only what was not passed")
	fl.StringVar(&f.NamePart, "name", "", "only names that hold this")
	fl.StringVar(&f.Kind, "kind", "", "only query, flow, capture or notice")
	fl.StringVar(&f.Type, "type", "", "only this type: AAAA, udp, https, warn")
	fl.StringVar(&f.List, "list", "", "only what a rule of this list decided")
	fl.StringVar(&f.Finding, "finding", "", "only captures that gave this away: android_id")
}

// CheckKind refuses a kind that no event has.
func CheckKind(c *cobra.Command, kind string) error {
	kinds := []string{journal.KindQuery, journal.KindFlow, journal.KindCapture, journal.KindNotice}
	if kind != "" && !slices.Contains(kinds, kind) {
		return cli.Misused(c, "--kind %s is not known; one of %s", kind, strings.Join(kinds, ", "))
	}
	return nil
}
