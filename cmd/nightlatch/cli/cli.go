// Package cli is what every subcommand shares: its streams, its home folder, and
// the words for a command line that was not understood.
package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/home"
)

// App is what a subcommand needs of the world.
type App struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	HomeDir        string // --home; empty for the usual one
}

// ErrSilent ends a command that has already said what is wrong.
var ErrSilent = errors.New("")

// UsageError is a command line that was not understood.
type UsageError struct {
	Err     error
	Command string // whose help tells more, without the program's name
}

// Error gives the error alone.
func (u UsageError) Error() string { return u.Err.Error() }

// Unwrap gives the error alone.
func (u UsageError) Unwrap() error { return u.Err }

// Misused makes a usage error about a command.
func Misused(c *cobra.Command, format string, args ...any) error {
	return UsageError{fmt.Errorf(format, args...), CommandName(c)}
}

// Say writes one line for the person in front of the terminal. Its words have
// rules: lower case, no full stop, at most one hint.
func (a *App) Say(format string, args ...any) {
	fmt.Fprintf(a.Stderr, "nightlatch: "+format+"\n", args...)
}

// OpenHome gives the home folder of this command line; it need not exist yet.
func (a *App) OpenHome() (home.Home, error) {
	dir := a.HomeDir
	if dir == "" {
		dir = os.Getenv("NIGHTLATCH_HOME")
	}
	if dir == "" {
		user, err := os.UserHomeDir()
		if err != nil {
			return home.Home{}, fmt.Errorf("no home folder: %w; name one with --home", err)
		}
		dir = filepath.Join(user, ".nightlatch")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return home.Home{}, fmt.Errorf("home folder: %w", err)
	}
	return home.Home{Dir: abs}, nil
}

// NeedHome is OpenHome for commands that read an existing home.
func (a *App) NeedHome() (home.Home, error) {
	h, err := a.OpenHome()
	if err != nil {
		return h, err
	}
	if _, err := os.Stat(h.ConfigFile()); errors.Is(err, fs.ErrNotExist) {
		return h, fmt.Errorf("%s has no nightlatch.yaml; nightlatch up makes one", h.Dir)
	} else if err != nil {
		return h, fmt.Errorf("home folder: %w", err)
	}
	return h, nil
}

// WrapArgs makes wrong arguments usage errors, whose exit code is 2.
func WrapArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return UsageError{err, CommandName(c)}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		WrapArgs(sub)
	}
}

// CommandName gives a command's path without the program's name.
func CommandName(c *cobra.Command) string {
	_, rest, _ := strings.Cut(c.CommandPath(), " ")
	return rest
}

// DidYouMean names the command that is nearest to a mistyped one: the one that
// shares the longest beginning.
func DidYouMean(typed string, c *cobra.Command) string {
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

// Group is a command that only holds others.
func Group(use, short, long, example string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return UsageError{fmt.Errorf("%s has no command %q%s", c.Name(), args[0], DidYouMean(args[0], c)), c.Name()}
			}
			return c.Help()
		}}
	c.SuggestionsMinimumDistance = 2
	c.AddCommand(subs...)
	return c
}

// Bytes writes a size for people: 1.5 MiB.
func Bytes(n uint64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
