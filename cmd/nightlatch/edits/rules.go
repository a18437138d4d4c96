package edits

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
)

// view is what nightlatch rules prints.
type view struct {
	File   string  `json:"file"`
	Rules  []rule  `json:"rules"`
	Pauses []pause `json:"pauses"`
}

func (t *tool) rulesCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "rules",
		Short: "Show what block, allow, sink, observe and pause have put in force",
		Long: `Show the rules of overlay.yaml with their numbers, and the pauses. Rules that
have ended do nothing any more; the next change cleans them up.`,
		Example: "  nightlatch rules\n  nightlatch rules remove 2",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return cli.Misused(c, "rules has no command %q%s", args[0], cli.DidYouMean(args[0], c))
			}
			h, err := t.NeedHome()
			if err != nil {
				return err
			}
			return t.showRules(h, asJSON)
		},
	}
	c.SuggestionsMinimumDistance = 2
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	c.AddCommand(t.removeCommand())
	return c
}

func (t *tool) showRules(h home.Home, asJSON bool) error {
	now := t.now()
	v := view{File: h.Path(overlayName), Rules: []rule{}, Pauses: []pause{}}
	text, err := readFile(h, overlayName, overlayHead)
	if err != nil {
		return err
	}
	rules, err := parseOverlay(v.File, text, now)
	if err != nil {
		return place(v.File, err)
	}
	pauses, err := readPauses(h, now)
	if err != nil {
		return err
	}
	v.Rules, v.Pauses = append(v.Rules, rules...), append(v.Pauses, pauses...)
	if asJSON {
		return json.NewEncoder(t.Stdout).Encode(v)
	}
	if len(rules) == 0 {
		fmt.Fprintln(t.Stdout, "no rules yet; nightlatch block NAME and allow NAME make them")
	} else {
		w := tabwriter.NewWriter(t.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NO\tDOES\tNAME\tFOR\tUNTIL\tWHY")
		for _, r := range rules {
			until, does, name := "-", r.Does, r.Name
			if r.Until != nil {
				until = when(*r.Until, now)
			}
			if r.Ended {
				until = "ended " + until
			}
			if r.Answer != "" {
				name += " (" + r.Answer + ")"
			}
			if does == "" {
				does = "stop"
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", r.Number, does, name, whom(r.Devices), until, dash(oneLine(r.Why)))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	for _, p := range pauses {
		if !p.Ended {
			fmt.Fprintln(t.Stdout, p.sentence(now))
		}
	}
	return nil
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// oneLine makes a text of the file fit for a line of a terminal.
func oneLine(s string) string {
	s = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, s)
	return clip(strings.Join(strings.Fields(s), " "))
}

func (t *tool) removeCommand() *cobra.Command {
	var f shared
	c := &cobra.Command{
		Use:   "remove NUMBER|NAME",
		Short: "Take a rule out of the overlay again",
		Long: `Take a rule out of overlay.yaml: by its number in nightlatch rules, or by its
name as it stands there. What other lists say about the name holds again.`,
		Example: "  nightlatch rules remove 2\n  nightlatch rules remove ads.example.com",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := t.NeedHome()
			if err != nil {
				return err
			}
			return t.removeRule(c, h, args[0], f)
		},
	}
	f.add(c)
	return c
}

func (t *tool) removeRule(c *cobra.Command, h home.Home, word string, f shared) error {
	o := &outcome{Command: "rules remove"}
	text, err := readFile(h, overlayName, overlayHead)
	if err != nil {
		return err
	}
	wanted, err := pickRule(h.Path(overlayName), text, word, t)
	if err != nil {
		return err
	}
	if err := t.remove(c.Context(), h, commandLine(c, word), f, wanted, o); err != nil {
		return err
	}
	return t.report(f, o)
}

// remove takes a rule out of the overlay; line is the command line that does the same.
func (t *tool) remove(ctx context.Context, h home.Home, line string, f shared, wanted *rule, o *outcome) error {
	now, path := t.now(), h.Path(overlayName)
	err := t.apply(ctx, h, f, change{file: overlayName, fresh: overlayHead, of: line, edit: func(text []byte) ([]byte, error) {
		return without(path, text, wanted, now, o)
	}}, o)
	if err == nil {
		o.say("removed: %s", o.Removed[0])
	}
	return err
}

// pickRule finds the rule that a number or a name means.
func pickRule(path string, text []byte, word string, t *tool) (*rule, error) {
	rules, err := parseOverlay(path, text, t.now())
	if err != nil {
		return nil, place(path, err)
	}
	if n, err := strconv.Atoi(word); err == nil {
		if n < 1 || n > len(rules) {
			return nil, fmt.Errorf("there is no rule %d; nightlatch rules shows %s", n, count(len(rules), "rule", "rules"))
		}
		return &rules[n-1], nil
	}
	about, err := parseSubject(word, false)
	if err != nil {
		return nil, err
	}
	var found []*rule
	var numbers []string
	for i, r := range rules {
		if !r.Group && r.about.same(about) {
			found = append(found, &rules[i])
			numbers = append(numbers, fmt.Sprintf("%d (%s for %s)", r.Number, r.Does, whom(r.Devices)))
		}
	}
	switch len(found) {
	case 0:
		for _, r := range rules {
			if r.about.name == about.name && about.name != "" && !r.Group {
				return nil, fmt.Errorf("no rule is about %s; did you mean %s, rule %d?", about.written, r.Name, r.Number)
			}
		}
		return nil, fmt.Errorf("no rule of nightlatch rules is about %s; nightlatch why %s shows which list is", about.written, quoteShell(about.asked()))
	case 1:
		return found[0], nil
	}
	return nil, errors.New("several rules are about " + about.written + ": " + strings.Join(numbers, ", ") + "; name one by its number")
}
