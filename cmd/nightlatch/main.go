// Command nightlatch is a home gateway for phones: a phone connects with the
// stock WireGuard app, and the gateway answers its DNS, stops the telemetry
// names, stands in for the blocked servers and decodes what they would have
// received.
//
// One file here is one subcommand; serve.go is the wiring of the house.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	_ "modernc.org/sqlite" // the journal's database driver enters here
)

// Exit codes, the same for every subcommand.
const (
	exitOK      = 0
	exitFailed  = 1   // it did not work, or a check found something wrong
	exitUsage   = 2   // the command line was not understood
	exitStopped = 130 // interrupted before it was done
)

// exitCodes stands below the help of every command.
const exitCodes = `
Exit codes: 0 it worked; 1 it failed, or a check found something wrong;
2 the command line was not understood; 130 interrupted before it was done.
`

// app is what a subcommand needs of the world.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	home           string // --home
}

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run executes one command line and gives its exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var u usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &u):
		a.say("error: %s", u.Error())
		a.say("hint: %s --help", strings.TrimSpace("nightlatch "+u.command))
		return exitUsage
	case errors.Is(err, errSilent):
		return exitFailed
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		a.say("stopped")
		return exitStopped
	}
	a.say("error: %s", err)
	return exitFailed
}

// errSilent ends a command that has already said what is wrong.
var errSilent = errors.New("")

// usageError is a command line that was not understood.
type usageError struct {
	error
	command string
}

// say writes one line for the person in front of the terminal. Its words have
// rules: lower case, no full stop, at most one hint.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.stderr, "nightlatch: "+format+"\n", args...)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "nightlatch",
		Short: "A home gateway that shows what your phone tells others, and shuts the door",
		Long: `nightlatch is a home gateway for phones. A phone connects with the stock
WireGuard app; nightlatch answers its DNS whatever server it asks, stops the
names that carry telemetry, stands in for the blocked servers, and decodes
what they would have received.

  nightlatch up     starts the gateway; the first start makes everything it needs
  nightlatch try    shows the point in ten seconds, with no phone and no internet`,
		Example:       "  nightlatch up\n  nightlatch try",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("there is no command %q%s", args[0], didYouMean(args[0], c)), ""}
			}
			return c.Help()
		},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SuggestionsMinimumDistance = 2
	root.SetHelpTemplate(root.HelpTemplate() + exitCodes)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVar(&a.home, "home", "", "home folder (default: $NIGHTLATCH_HOME, else ~/.nightlatch)")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{err, commandName(c)} })
	root.AddCommand(a.upCommand(), a.tryCommand(), a.deviceCommand(), a.checkCommand(), a.whyCommand(),
		a.logCommand(), a.listsCommand(), a.schemaCommand(), a.decodeCommand(), a.caCommand(), a.docsCommand(), a.versionCommand())
	wrapArgs(root)
	return root
}

// wrapArgs makes wrong arguments usage errors, whose exit code is 2.
func wrapArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{err, commandName(c)}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
}

// commandName gives a command's path without the program's name.
func commandName(c *cobra.Command) string {
	_, rest, _ := strings.Cut(c.CommandPath(), " ")
	return rest
}

// didYouMean names the command that is nearest to a mistyped one: the one that
// shares the longest beginning.
func didYouMean(typed string, c *cobra.Command) string {
	best, most := "", -1
	for _, name := range c.SuggestionsFor(typed) {
		same := 0
		for same < min(len(name), len(typed)) && name[same] == typed[same] {
			same++
		}
		if same > most {
			best, most = name, same
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// group is a command that only holds others.
func group(use, short, long, example string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("%s has no command %q%s", c.Name(), args[0], didYouMean(args[0], c)), c.Name()}
			}
			return c.Help()
		}}
	c.SuggestionsMinimumDistance = 2
	c.AddCommand(subs...)
	return c
}
