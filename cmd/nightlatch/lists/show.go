package lists

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/blocklists"
	"nightlatch/blocklists/subscription"
	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config/spell"
	"nightlatch/decoder"
)

// shownCrossings is how many rules that cross a never-block name are printed.
const shownCrossings = 5

// listReport is all that is known of one list.
type listReport struct {
	Health
	About      string     `json:"about,omitempty"`
	Read       *reading   `json:"read,omitempty"`
	Duplicates int        `json:"duplicates"`
	OwnHost    string     `json:"blocks_its_own_host,omitempty"` // the rule that does
	Crossings  []crossing `json:"never_block,omitempty"`
}

// reading is how a text was understood, in the words of scripts.
type reading struct {
	report    *blocklists.Report
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
		report: r, Format: string(r.Format), Detected: r.Detected, Bare: r.BareNames.String(), Lines: r.Lines, Bytes: r.Bytes,
		Blocks: r.Blocks, Allows: r.Allows, Addresses: r.Addresses, Patterns: r.Patterns, Clients: r.Clients,
		Rewrites: r.Rewrites, Limited: r.Limited, Cancelled: r.Cancelled, Included: r.Included,
	}
	for _, i := range r.Ignored {
		l := leftOut{Reason: i.Reason, Count: i.Count}
		for _, e := range i.Examples {
			l.Examples = append(l.Examples, example{e.Line, e.Text})
		}
		out.Ignored = append(out.Ignored, l)
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
same twice, and rules that stop names which nothing should stop. Of a
subscription also the last attempt, the last success and the copy in use.`,
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
	r.About, r.Read = l.About, readingOf(&l.Report)
	set := blocklists.Compile(l)
	for _, info := range set.Lists() {
		r.Duplicates += info.Duplicates
	}
	if u, err := url.Parse(r.URL); err == nil && u.Hostname() != "" {
		if rule, ok := set.Match(u.Hostname(), blocklists.Selection{}); ok && !rule.Allow {
			r.OwnHost = rule.Text
		}
	}
	guard, err := blocklists.NeverBlock()
	if err != nil {
		return nil, err
	}
	for _, x := range guard.Crossings(l) {
		r.Crossings = append(r.Crossings, crossing{x.Rule.Line, x.Rule.Text, x.Name.Domain, x.Name.Why})
	}
	return r, nil
}

func (r *listReport) print(out io.Writer, now time.Time) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %s\t%s\n", name, decoder.Safe(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintln(w, r.Name)
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
	r.printRead(row)
	r.printState(row, now)
	w.Flush()
	r.printLines(out)
}

// printRead says how the text was understood.
func (r *listReport) printRead(row func(string, string, ...any)) {
	if r.Read == nil {
		return
	}
	p := r.Read
	detected := ""
	if p.Detected {
		detected = " (found out from the content)"
	}
	row("read as", "%s%s; a bare name means %s", p.Format, detected, map[string]string{"exact": "exactly that name", "subtree": "the name and all below it"}[p.Bare])
	row("lines", "%d, %s", p.Lines, cli.Bytes(uint64(p.Bytes)))
	kinds := []string{}
	for _, k := range []struct {
		n    int
		what string
	}{
		{p.Addresses, "about addresses"}, {p.Patterns, "patterns"}, {p.Clients, "about who asks"},
		{p.Rewrites, "that answer by themselves"}, {p.Limited, "for some questions only"},
	} {
		if k.n > 0 {
			kinds = append(kinds, fmt.Sprintf("%d %s", k.n, k.what))
		}
	}
	of := ""
	if len(kinds) > 0 {
		of = "; of these " + strings.Join(kinds, ", ")
	}
	row("rules", "%d: %d stop, %d let through%s", r.Rules, p.Blocks, p.Allows, of)
	if p.Cancelled > 0 {
		row("taken back", "%d by the list itself ($badfilter)", p.Cancelled)
	}
	row("said twice", "%d", r.Duplicates)
	row("left out", "%s", count(p.report.IgnoredLines(), "line"))
	if len(p.Included) > 0 {
		row("includes", "%s", strings.Join(p.Included, ", "))
	}
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

// printLines shows the lines that an owner may want to look at.
func (r *listReport) printLines(out io.Writer) {
	where := r.File
	if where == "" {
		where = r.Name
	}
	if r.Read == nil {
		return
	}
	for _, i := range r.Read.Ignored {
		fmt.Fprintf(out, "\nleft out, %s: %s\n", i.Reason, count(i.Count, "line"))
		for _, e := range i.Examples {
			fmt.Fprintf(out, "  %s:%d: %s\n", where, e.Line, decoder.Safe(e.Text))
		}
	}
	if r.OwnHost != "" {
		fmt.Fprintf(out, "\nit stops its own host by %s; it is refreshed all the same\n", decoder.Safe(r.OwnHost))
	}
	if len(r.Crossings) > 0 {
		fmt.Fprintf(out, "\nstops names that nothing should stop: %s\n", count(len(r.Crossings), "rule"))
	}
	for i, x := range r.Crossings {
		if i == shownCrossings {
			fmt.Fprintf(out, "  and %d more\n", len(r.Crossings)-i)
			break
		}
		fmt.Fprintf(out, "  %s:%d: %s stops %s\n", where, x.Line, decoder.Safe(x.Rule), x.Name)
	}
}
