package main

import (
	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/reference"
	"nightlatch/config"
)

func (a *app) docsCommand() *cobra.Command {
	c := cli.Group("docs", "Print the reference of commands and config",
		"Print the pages of docs/ that come from the program itself, as Markdown.",
		"  nightlatch docs config\n  nightlatch docs cli",
		&cobra.Command{Use: "config", Short: "Print the reference of nightlatch.yaml", Example: "  nightlatch docs config > docs/config.md", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return config.Reference(a.Stdout) }},
		&cobra.Command{Use: "cli", Short: "Print the reference of the commands", Example: "  nightlatch docs cli > docs/cli.md", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return reference.Write(a.Stdout, a.root()) }},
	)
	return c
}
