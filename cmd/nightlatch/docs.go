package main

import (
	"strings"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/reference"
	"nightlatch/config"
)

func (a *app) docsCommand() *cobra.Command {
	c := cli.Group("docs", "Print the reference of commands and config, and manual pages",
		"Print the pages that come from the program itself: those of docs/ as Markdown, and manual pages.",
		"  nightlatch docs config\n  nightlatch docs cli",
		&cobra.Command{Use: "config", Short: "Print the reference of nightlatch.yaml", Example: "  nightlatch docs config > docs/config.md", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return config.Reference(a.Stdout) }},
		&cobra.Command{Use: "cli", Short: "Print the reference of the commands", Example: "  nightlatch docs cli > docs/cli.md", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return reference.Write(a.Stdout, a.root()) }},
		a.manCommand(),
	)
	return c
}

func (a *app) manCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "man [COMMAND]...", Short: "Print manual pages",
		Long:    "Print the manual page of a command, or write those of all commands into a folder.",
		Example: "  nightlatch docs man journal forget | man -l -\n  nightlatch docs man --folder /usr/local/share/man/man1",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			root := a.root()
			if dir != "" {
				n, err := reference.ManFolder(dir, root)
				if err == nil {
					a.Say("%d pages are in %s", n, dir)
				}
				return err
			}
			of, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return cli.Misused(c, "there is no command %q", strings.Join(args, " "))
			}
			return reference.Man(a.Stdout, of)
		}}
	c.Flags().StringVar(&dir, "folder", "", "write the pages of all commands into this folder")
	return c
}
