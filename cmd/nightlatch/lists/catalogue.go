package lists

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"nightlatch/blocklists/subscription"
	"nightlatch/cmd/nightlatch/cli"
)

func catalogueCommand(a *cli.App) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "catalogue",
		Short: "Well-known lists that can be added by name",
		Long: `Print the lists that nightlatch lists add knows by name: what each is for, how
large it was on a stated day, its licence, and its address. None of them is
part of nightlatch: they are fetched from their publishers.`,
		Example: "  nightlatch lists catalogue\n  nightlatch lists catalogue --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			all, err := subscription.Catalogue()
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(a.Stdout).Encode(map[string][]subscription.Entry{"lists": all})
			}
			return printCatalogue(a.Stdout, all)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func printCatalogue(out io.Writer, all []subscription.Entry) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "NAME\tENTRIES\tLICENCE\tFOR\n")
	for _, e := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.Name, e.Size(), e.Licence, strings.TrimSuffix(e.For, "."))
	}
	fmt.Fprint(w, "\nnightlatch lists add NAME subscribes to one; --json also shows addresses and the days of the sizes\n")
	return w.Flush()
}
