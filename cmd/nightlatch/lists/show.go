package lists

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/blocklists"
	"nightlatch/blocklists/subscription"
	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config/spell"
	"nightlatch/dashboard/desk"
	"nightlatch/decoder"
)

// maxLines is how many lines of a report are printed; --json has all.
const maxLines = 60

// listReport is all that is known of one list.
type listReport struct {
	Health
	About      string     `json:"about,omitempty"`
	Read       *reading   `json:"read,omitempty"`
	Duplicates int        `json:"duplicates"`
	Useless    []leftOut  `json:"useless,omitempty"`             // rules that change nothing or can never match
	OwnHost    string     `json:"blocks_its_own_host,omitempty"` // the rule that does
	Crossings  []crossing `json:"never_block,omitempty"`
	Breaks     []breaking `json:"breaks,omitempty"` // what stops working, rule by rule
	words      []string   // all of it but Health
}

// breaking is what stops working by one rule.
type breaking struct {
	Line  int    `json:"line"`
	Rule  string `json:"rule"`
	What  string `json:"what"`
	Waits bool   `json:"waits,omitempty"` // it is not in force before lists.may_break names the list
}

// nothingBreaks is what built-in lists say of rules that nobody has missed.
const nothingBreaks = "nothing known"

// breaks gathers what a list in our own format says of its rules.
func breaks(l *blocklists.List, builtin bool) ([]breaking, error) {
	if l.Report.Format != blocklists.Native {
		return nil, nil
	}
	force := map[string]bool{}
	for r := range l.Rules() {
		force[r.Text] = true
	}
	if builtin {
		var err error
		if l, err = blocklists.BuiltinSource(blocklists.Source{Name: l.Name, MayBreak: true}); err != nil {
			return nil, err
		}
	}
	var out []breaking
	for r := range l.Rules() {
		if r.Breaks != "" && r.Breaks != nothingBreaks && !r.Allow {
			out = append(out, breaking{r.Line, r.Text, r.Breaks, !force[r.Text]})
		}
	}
	return out, nil
}

// breakWords tells it in lines.
func breakWords(all []breaking) []string {
	var out []string
	for _, b := range all {
		if len(out) == 0 {
			out = append(out, "what may stop working:")
		}
		waits := ""
		if b.Waits {
			waits = " (not in force; lists.may_break takes it)"
		}
		out = append(out, fmt.Sprintf("  line %d, %s: %s%s", b.Line, b.Rule, b.What, waits))
	}
	return out
}

// reading is how a text was understood, in the words of scripts.
type reading struct {
	Format    string    `json:"format"`
	Detected  bool      `json:"detected"`
	Bare      string    `json:"bare_names"` // exact or subtree
	Lines     int       `json:"lines"`
	Bytes     int64     `json:"bytes"`
	Blocks    int       `json:"blocks"`
	Allows    int       `json:"allows"`
	Addresses int       `json:"addresses,omitempty"`
	Patterns  int       `json:"patterns,omitempty"`
	Clients   int       `json:"clients,omitempty"`
	Rewrites  int       `json:"rewrites,omitempty"`
	Limited   int       `json:"limited,omitempty"`
	Cancelled int       `json:"cancelled,omitempty"`
	Included  []string  `json:"included,omitempty"`
	Ignored   []leftOut `json:"ignored,omitempty"`
}

// leftOut is the lines that were left out for one reason.
type leftOut struct {
	Reason   string    `json:"reason"`
	Count    int       `json:"count"`
	Examples []example `json:"examples"`
}

type example struct {
	Line int    `json:"line"`
	Text string `json:"text"`
}

func readingOf(r *blocklists.Report) *reading {
	out := &reading{
		Format: string(r.Format), Detected: r.Detected, Bare: r.BareNames.String(), Lines: r.Lines, Bytes: r.Bytes,
		Blocks: r.Blocks, Allows: r.Allows, Addresses: r.Addresses, Patterns: r.Patterns, Clients: r.Clients,
		Rewrites: r.Rewrites, Limited: r.Limited, Cancelled: r.Cancelled, Included: r.Included,
	}
	out.Ignored = leftOuts(r.Ignored)
	return out
}

func leftOuts(groups []blocklists.Ignored) []leftOut {
	var out []leftOut
	for _, i := range groups {
		l := leftOut{Reason: i.Reason, Count: i.Count}
		for _, e := range i.Examples {
			l.Examples = append(l.Examples, example{e.Line, e.Text})
		}
		out = append(out, l)
	}
	return out
}

// crossing is a rule that stops a name which should never be stopped.
type crossing struct {
	Line int    `json:"line"`
	Rule string `json:"rule"`
	Name string `json:"name"`
	Why  string `json:"why,omitempty"`
}

func showCommand(a *cli.App) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Report on one list: how it was read, what was left out, how fresh it is",
		Long: `Report on one list: its lines and rules by kind, what a bare name means in it,
what was left out and why, with examples and line numbers, rules that say the
same twice or can never match, rules that stop names which nothing should stop,
and what may stop working. Of a subscription also the last attempt, the last
success and the copy in use.`,
		Example: "  nightlatch lists show xiaomi\n  nightlatch lists show hagezi-pro --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := a.NeedHome()
			if err != nil {
				return err
			}
			s, err := h.Load()
			if err != nil {
				return err
			}
			r, err := reportOn(s, args[0], time.Now())
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(a.Stdout).Encode(r)
			}
			r.print(a.Stdout, time.Now())
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// reportOn gathers what is known of a list.
func reportOn(s *home.Settings, name string, now time.Time) (*listReport, error) {
	var r *listReport
	var names []string
	for _, h := range healthOf(s, now) {
		if names = append(names, h.Name); h.Name == name {
			r = &listReport{Health: h}
		}
	}
	if r == nil {
		return nil, fmt.Errorf("no list is called %q%s; nightlatch lists shows all", name, spell.Meant(name, names...))
	}
	l := s.Lists.Find(name)
	if l == nil {
		return r, nil // it could not be read at all: the problem says why
	}
	guard, err := blocklists.NeverBlock()
	if err != nil {
		return nil, err
	}
	host := ""
	if u, err := url.Parse(r.URL); err == nil {
		host = u.Hostname()
	}
	i := blocklists.Inspect(l, guard, host, now)
	r.About, r.Read, r.Duplicates, r.Useless = l.About, readingOf(&l.Report), i.Duplicates, leftOuts(i.Useless)
	if i.OwnHost != nil {
		r.OwnHost = i.OwnHost.Text
	}
	for _, x := range i.Crossings {
		r.Crossings = append(r.Crossings, crossing{x.Rule.Line, x.Rule.Text, x.Name.Domain, x.Name.Why})
	}
	if r.Breaks, err = breaks(l, r.From == fromBuiltin); err != nil {
		return nil, err
	}
	r.words = slices.Concat(l.Report.Words(), i.Words(), breakWords(r.Breaks))
	return r, nil
}

func (r *listReport) print(out io.Writer, now time.Time) {
	s := r.sheet(now)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, r.Name)
	for _, f := range s.Facts {
		fmt.Fprintf(w, "  %s\t%s\n", f.Key, decoder.Safe(f.Value))
	}
	w.Flush()
	for i, line := range s.Lines {
		if i == 0 {
			fmt.Fprintln(out)
		}
		if i == maxLines {
			fmt.Fprintf(out, "  and %d lines more; --json has all\n", len(s.Lines)-i)
			break
		}
		fmt.Fprintln(out, "  "+decoder.Safe(line))
	}
}

// sheet is the report, for a terminal or a page.
func (r *listReport) sheet(now time.Time) (s desk.Sheet) {
	row := func(name, format string, args ...any) { s.Fact(name, fmt.Sprintf(format, args...)) }
	if r.Problem != "" {
		row("problem", "%s", r.Problem)
	}
	if r.Title != "" && r.Title != r.Name {
		row("title", "%s", r.Title)
	}
	if r.About != "" {
		row("about", "%s", r.About)
	}
	row("from", "%s", strings.TrimSpace(r.From+" "+r.URL))
	if r.File != "" {
		row("file", "%s", r.File)
	}
	r.printState(row, now)
	s.Lines = r.words
	return s
}

// printState says how fresh a copy is: three facts that differ when something
// is wrong.
func (r *listReport) printState(row func(string, string, ...any), now time.Time) {
	st := r.State
	if st == nil {
		if !r.Changed.IsZero() {
			row("saved", "%s", moment(r.Changed, now))
		}
		return
	}
	if a := st.Attempt; a.Time.IsZero() {
		row("last try", "never")
	} else {
		row("last try", "%s: %s%s", moment(a.Time, now), a.Outcome, tries(a))
	}
	row("last success", "%s", moment(st.Success, now))
	if v := st.InUse; v == nil {
		row("in use", "no copy")
	} else {
		row("in use", "%s", version(v, now))
	}
	if st.Held != nil {
		row("held back", "%s: it %s", version(&st.Held.Version, now), st.Held.Why)
	}
}

func tries(a subscription.Attempt) string {
	if a.Failures < 2 {
		return ""
	}
	return fmt.Sprintf(" (%d times in a row)", a.Failures)
}

func version(v *subscription.Version, now time.Time) string {
	text := fmt.Sprintf("fetched %s, %s, sha256 %s", moment(v.Fetched, now), count(v.Summary.Rules, "rule"), v.SHA256[:12])
	if v.ETag != "" {
		text += ", ETag " + v.ETag
	}
	if v.Modified != "" {
		text += ", published " + v.Modified
	}
	return text
}
