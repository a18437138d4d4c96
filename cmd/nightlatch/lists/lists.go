// Package lists is the commands that work with blocklists.
package lists

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/blocklists"
	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/listtest"
)

// Command is nightlatch lists.
func Command(a *cli.App, g Gateway) *cobra.Command {
	var asJSON bool
	c := cli.Group("lists", "Lists and their health; subscribe, refresh, ask them", `Show every list at a glance: where it is from, how many rules it has, how fresh
it is, and what is wrong, first in the table and once more below it. The
commands below work with single lists, and with lists that others publish.`,
		"  nightlatch lists\n  nightlatch lists add hagezi-pro\n  nightlatch lists update",
		showCommand(a), updateCommand(a, g), addCommand(a, g), removeCommand(a, g), acceptCommand(a, g), catalogueCommand(a), test(a))
	unknown := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknown(c, args)
		}
		return health(a, asJSON)
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// health shows every list at a glance.
func health(a *cli.App, asJSON bool) error {
	h, err := a.NeedHome()
	if err != nil {
		return err
	}
	s, err := h.Load()
	if err != nil {
		return err
	}
	now := time.Now()
	if all := healthOf(s, now); asJSON {
		return json.NewEncoder(a.Stdout).Encode(map[string][]Health{"lists": all})
	} else {
		printHealth(a.Stdout, all, now)
	}
	return nil
}

func test(a *cli.App) *cobra.Command {
	var format, match string
	c := &cobra.Command{
		Use:   "test [--format F] [--match exact|subtree] FILE...",
		Short: "Answer queries from list files alone, as JSON",
		Long: `Read queries from standard input, one a line, and print what the lists say to
each: a JSON object a line with verdict, rule, list, line and detail. It needs
no gateway, no home and no network. A query is

  NAME [TYPE] [client=NAME] [ip=ADDR] [tag=TAG] [answer=1]

with type A unless it says so; client, ip and tag say who asks, and answer=1
that NAME is an address found in an answer. The verdict is blocked, allowed,
pass, rewritten, dropped or truncated. A query that is not understood gets an
object with query, its line, and error; the exit code is then 1.`,
		Example: `  echo ads.example | nightlatch lists test my-list.txt
  nightlatch lists test --format rpz zone.txt other.txt < queries.txt`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			src := blocklists.Source{Format: blocklists.Format(format)}
			switch match {
			case "exact":
				src.Match = new(blocklists.Exact)
			case "subtree":
				src.Match = new(blocklists.Subtree)
			case "":
			default:
				return cli.Misused(c, "--match must be exact or subtree, not %q", match)
			}
			t, err := listtest.Load(src, args)
			if err != nil {
				return err
			}
			t.Now = time.Now
			bad, err := t.Run(a.Stdin, a.Stdout)
			if err == nil && bad > 0 {
				err = fmt.Errorf("lists: %d queries were not understood", bad)
			}
			return err
		},
	}
	c.Flags().StringVar(&format, "format", "auto", "format of the files: "+strings.Join(blocklists.FormatWords(), ", "))
	c.Flags().StringVar(&match, "match", "", "what a bare name covers: exact or subtree; else as the format says")
	return c
}

// Schema is nightlatch schema.
func Schema(a *cli.App) *cobra.Command {
	return &cobra.Command{Use: "schema", Short: "Print the JSON Schema of YAML lists, for editors",
		Long: `Print the JSON Schema of YAML lists. An editor with a YAML language server
completes and checks a list whose first line names the file it was saved to:

  # yaml-language-server: $schema=list.schema.json`,
		Example: "  nightlatch schema > list.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(a.Stdout, blocklists.NativeSchema())
			return err
		}}
}
