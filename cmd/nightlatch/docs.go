package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"nightlatch/config"
)

func (a *app) docsCommand() *cobra.Command {
	c := group("docs", "Print the reference of commands and config",
		"Print the pages of docs/ that come from the program itself, as Markdown.",
		"  nightlatch docs config\n  nightlatch docs cli",
		&cobra.Command{Use: "config", Short: "Print the reference of nightlatch.yaml", Example: "  nightlatch docs config > docs/config.md", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return config.Reference(a.stdout) }},
		&cobra.Command{Use: "cli", Short: "Print the reference of the commands", Example: "  nightlatch docs cli > docs/cli.md", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return cliReference(a.stdout, a.root()) }},
	)
	return c
}

// cliReference prints every command with its flags and examples.
func cliReference(w io.Writer, root *cobra.Command) error {
	var b strings.Builder
	b.WriteString("# The commands\n\nThis page is printed by the program (`nightlatch docs cli`).\n\n" +
		"Exit codes, the same for every command: 0 it worked; 1 it failed, or a check found something wrong; 2 the command line was not understood; 130 interrupted before it was done.\n\n" +
		"Every command takes `--home FOLDER`; without it the folder is `$NIGHTLATCH_HOME`, else `~/.nightlatch`.\n")
	writeCommand(&b, root)
	_, err := io.WriteString(w, b.String())
	return err
}

func writeCommand(b *strings.Builder, c *cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.Hidden || sub.Name() == "help" || sub.Name() == "completion" {
			continue
		}
		fmt.Fprintf(b, "\n## %s\n\n%s.\n\n```\n%s\n```\n", sub.CommandPath(), sub.Short, sub.UseLine())
		if sub.Long != "" {
			fmt.Fprintf(b, "\n%s\n", sub.Long)
		}
		if sub.Example != "" {
			fmt.Fprintf(b, "\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(sub.Example, "  "), "\n  ", "\n"))
		}
		rows := ""
		sub.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" {
				return
			}
			name := "`--" + f.Name + "`"
			if f.Shorthand != "" {
				name += ", `-" + f.Shorthand + "`"
			}
			def := f.DefValue
			if def == "false" || def == "0s" {
				def = ""
			}
			rows += fmt.Sprintf("| %s | %s | %s |\n", name, f.Usage, def)
		})
		if rows != "" {
			b.WriteString("\n| flag | meaning | default |\n| --- | --- | --- |\n" + rows)
		}
		writeCommand(b, sub)
	}
}
