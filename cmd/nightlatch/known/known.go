// Package known is the commands about the owner's own values: what payloads are
// searched for. They never show one whole.
package known

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/config"
	"nightlatch/config/edit"
	"nightlatch/config/spell"
	"nightlatch/decoder"
)

// fresh is what the file begins with when a command makes it.
const fresh = `# Your own values, by kind. Payloads are searched for them in every writing, hash
# and encoding. They are never written to the journal. Keep this file to yourself.
`

// Command is nightlatch known.
func Command(a *cli.App) *cobra.Command {
	return cli.Group("known", "Tell which values are yours, so that finding one is proof",
		`Payloads are searched for your own values, as they are and as hashes, in other
writings and encodings. They stand in one file of the home folder that nobody
else can read, and are never shown whole.

Kinds: `+wrap(decoder.KnownKinds(), 72, "  "),
		"  nightlatch known add imei\n  nightlatch known list\n  nightlatch known add email < address.txt",
		add(a), list(a), remove(a))
}

// wrap joins words into lines.
func wrap(words []string, width int, indent string) string {
	var b strings.Builder
	line := len("Kinds: ")
	for i, w := range words {
		if i > 0 {
			b.WriteByte(',')
			if line += 2 + len(w); line > width {
				b.WriteString("\n" + indent)
				line = len(indent) + len(w)
			} else {
				b.WriteByte(' ')
			}
		}
		b.WriteString(w)
	}
	return b.String()
}

func add(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use:   "add KIND",
		Short: "Add a value; it is read without being shown",
		Long: `Ask for a value and add it to the file of known values. On a terminal it is not
shown while you type; from a pipe, every line is a value. Nothing of it stands on
the command line, where other programs could read it. A running gateway takes
the change within a second or two.`,
		Example: "  nightlatch known add imei",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			kind, err := kindOf(c, args[0])
			if err != nil {
				return err
			}
			path, err := file(a)
			if err != nil {
				return err
			}
			values, err := read(c.Context(), a, kind)
			if err != nil {
				return err
			}
			for _, v := range values {
				if err := decoder.CheckKnown(kind, v); err != nil {
					return err
				}
			}
			return addAll(c.Context(), a, path, kind, values)
		},
	}
}

func addAll(ctx context.Context, a *cli.App, path, kind string, values []string) error {
	for _, v := range values {
		had := false
		err := update(ctx, path, func(text []byte) ([]byte, error) {
			known, err := decoder.ParseKnown(text)
			if err != nil {
				return nil, err
			}
			if had = slices.Contains(known[kind], v); had {
				return text, nil
			}
			return edit.Append(text, edit.Path{kind}, "- "+strconv.Quote(v))
		})
		if err != nil {
			return err
		}
		word := "added"
		if had {
			word = "it was there:"
		}
		fmt.Fprintf(a.Stdout, "%s %s %s\n", word, kind, masked(kind, v))
	}
	return nil
}

func list(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the values, masked",
		Long:    "List the known values by kind and number. Only the ends of each are shown.",
		Example: "  nightlatch known list",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			path, err := file(a)
			if err != nil {
				return err
			}
			text, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				text = nil
			} else if err != nil {
				return fmt.Errorf("known: %w", err)
			}
			known, err := decoder.ParseKnown(text)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if len(known) == 0 {
				fmt.Fprintln(a.Stdout, "no value is known; nightlatch known add KIND adds one")
				return nil
			}
			return printKnown(a, known)
		},
	}
}

func printKnown(a *cli.App, known map[string][]string) error {
	t := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	var names []string
	for k := range known {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, kind := range names {
		for i, v := range known[kind] {
			note := ""
			if err := decoder.CheckKnown(kind, v); err != nil {
				note = "\t" + decoder.Safe(err.Error())
			}
			fmt.Fprintf(t, "%s\t%d\t%s%s\n", decoder.Safe(kind), i+1, masked(kind, v), note)
		}
	}
	return t.Flush()
}

func remove(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use:     "remove KIND [NUMBER]",
		Short:   "Remove a value",
		Long:    "Remove a known value by its number in nightlatch known list. The number may be left out when there is only one.",
		Example: "  nightlatch known remove email 2",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			path, err := file(a)
			if err != nil {
				return err
			}
			gone := ""
			err = update(c.Context(), path, func(text []byte) ([]byte, error) {
				items, err := edit.Items(text, edit.Path{args[0]})
				if err != nil {
					return nil, err
				}
				n, err := which(c, args, len(items))
				if err != nil {
					return nil, err
				}
				gone = items[n].Value
				return edit.Remove(text, edit.Path{args[0]}, n)
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "removed %s %s\n", decoder.Safe(args[0]), masked(args[0], gone))
			return nil
		},
	}
}

// which gives the index of the value that is meant.
func which(c *cobra.Command, args []string, have int) (int, error) {
	if have == 0 {
		return 0, fmt.Errorf("no %s is known; nightlatch known list shows what is", decoder.Safe(args[0]))
	}
	if len(args) < 2 {
		if have > 1 {
			return 0, cli.Misused(c, "there are %d of them; name one by its number in nightlatch known list", have)
		}
		return 0, nil
	}
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 1 || n > have {
		return 0, cli.Misused(c, "%q is no number from 1 to %d", args[1], have)
	}
	return n - 1, nil
}

// kindOf checks a kind; the slip of a finger is named.
func kindOf(c *cobra.Command, kind string) (string, error) {
	kinds := decoder.KnownKinds()
	if !slices.Contains(kinds, kind) {
		return "", cli.Misused(c, "there is no kind %q%s", kind, spell.Meant(kind, kinds...))
	}
	return kind, nil
}

// masked is a value as it may be shown.
func masked(kind, v string) string {
	return decoder.Mask(decoder.Finding{Kind: kind, Value: v})
}

// file gives where the known values of this home stand.
func file(a *cli.App) (string, error) {
	h, err := a.NeedHome()
	if err != nil {
		return "", err
	}
	cfg, err := config.Load(h.ConfigFile())
	if err != nil {
		return "", err
	}
	path := cfg.Sinkhole.Known.Path(h.Dir)
	if path == "" {
		return "", errors.New("sinkhole.known stands in the config itself; write file:known.yaml there to keep the values in a file of their own")
	}
	return path, nil
}

// update changes the file and keeps it from everybody else.
func update(ctx context.Context, path string, change func([]byte) ([]byte, error)) error {
	_, err := edit.Update(ctx, path, edit.Fresh{Text: []byte(fresh), Mode: 0o600}, change)
	var place *edit.Error
	switch {
	case errors.As(err, &place) && place.Line > 0:
		return fmt.Errorf("%s: line %d: %s", path, place.Line, place.Msg)
	case err != nil:
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("known: %w", err)
	}
	return nil
}
