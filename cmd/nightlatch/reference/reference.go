// Package reference writes the reference of the command line from the commands
// themselves, so that it cannot fall behind.
package reference

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Write prints every command with its flags and examples.
func Write(w io.Writer, root *cobra.Command) error {
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
