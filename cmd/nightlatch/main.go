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
	"io"
	"nightlatch/cmd/nightlatch/ca"
	"nightlatch/cmd/nightlatch/canary"
	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/decode"
	"nightlatch/cmd/nightlatch/device"
	"nightlatch/cmd/nightlatch/doctor"
	"nightlatch/cmd/nightlatch/edits"
	"nightlatch/cmd/nightlatch/journalcmd"
	"nightlatch/cmd/nightlatch/known"
	"nightlatch/cmd/nightlatch/lists"
	"nightlatch/cmd/nightlatch/report"
	"nightlatch/cmd/nightlatch/stats"
	"nightlatch/cmd/nightlatch/why"
	"nightlatch/cmd/nightlatch/wishes"
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
type app struct{ *cli.App }

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run executes one command line and gives its exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{&cli.App{Stdin: stdin, Stdout: stdout, Stderr: stderr}}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var u cli.UsageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &u):
		a.Say("error: %s", u.Error())
		a.Say("hint: %s --help", strings.TrimSpace("nightlatch "+u.Command))
		return exitUsage
	case errors.Is(err, cli.ErrSilent):
		return exitFailed
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		a.Say("stopped")
		return exitStopped
	}
	a.Say("error: %s", err)
	return exitFailed
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
				return cli.Misused(c, "there is no command %q%s", args[0], cli.DidYouMean(args[0], c))
			}
			return c.Help()
		},
	}
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.SuggestionsMinimumDistance = 2
	root.SetHelpTemplate(root.HelpTemplate() + exitCodes)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVar(&a.HomeDir, "home", "", "home folder (default: $NIGHTLATCH_HOME, else ~/.nightlatch)")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return cli.UsageError{Err: err, Command: cli.CommandName(c)} })
	root.AddCommand(a.upCommand(), a.tryCommand(), doctor.Command(a.App, doctor.Gateway{Ask: askFacts, Roots: rootCAs}), device.Command(a.App, device.Gateway{Reload: reloadRunning, Live: fillLive}), a.checkCommand(), why.Command(a.App), wishes.Command(a.App),
		a.logCommand(), journalcmd.Command(a.App, askGateway), stats.Command(a.App), lists.Command(a.App, listGateway()), lists.Schema(a.App), decode.Command(a.App), ca.Command(a.App), canary.Command(a.App, reloadRunning), report.Command(a.App, version, rootCAs), known.Command(a.App), a.docsCommand(), a.versionCommand())
	root.AddCommand(edits.Commands(a.App, tellRunning)...)
	cli.WrapArgs(root)
	return root
}
