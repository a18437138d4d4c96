package wishes

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/config"
)

// does says what a schedule does.
func does(c config.Schedule) string {
	var parts []string
	if c.Block != "" {
		parts = append(parts, "closes everything")
	}
	if len(c.Services) > 0 {
		parts = append(parts, "blocks "+strings.Join(c.Services, ", "))
	}
	if len(c.Lists) > 0 {
		parts = append(parts, "follows "+strings.Join(c.Lists, ", "))
	}
	if c.Action != "" {
		parts = append(parts, "blocked names: "+c.Action)
	}
	return strings.Join(parts, "; ")
}

// answers are the words for the answers of denied names.
var answers = map[string]string{
	"nxdomain": "the name does not exist (NXDOMAIN)", "null": "0.0.0.0 and ::", "nodata": "no data", "refused": "the question is refused (REFUSED)",
}

func (v *view) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(key, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", key, value)
		}
	}
	device := v.Device
	if device == "" {
		device = "any without wishes of its own"
	}
	row("device", device)
	row("groups", strings.Join(v.Groups, ", "))
	row("at", v.At.Format("Mon 2006-01-02 15:04 MST"))
	if v.Closed != "" {
		row("closed", "everything but what your own lists let through, by "+v.Closed)
	}
	row("blocked names", v.Action)
	answer := answers[v.Answer]
	if answer == "" {
		answer = v.Answer
	}
	row("denied names", answer)
	literal := v.Literal
	if literal == "pass" {
		literal = "pass, and are reported"
	}
	row("hard-coded addresses", literal)
	row("QUIC", v.QUIC)
	row("safe search", v.SafeSearch)
	row("blocked services", strings.Join(v.Services, ", "))
	row("refused types", strings.Join(v.RefuseTypes, ", "))
	row("tags", strings.Join(v.Tags, ", "))
	if v.Changes != nil {
		row("changes by itself", cli.When(*v.Changes, v.At))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return v.tables(out)
}

// tables writes what there may be several of.
func (v *view) tables(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nLIST\tRULES\tNOW\tWHAT IT STOPS")
	for _, l := range v.Lists {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", l.Name, l.Rules, yes(l.Now), l.Action)
	}
	if len(v.Rules) > 0 {
		fmt.Fprintln(t, "\nRULE FOR IT\tWHERE\tDOES")
	}
	for _, r := range v.Rules {
		fmt.Fprintf(t, "%s\t%s:%d\t%s\n", r.Rule, r.List, r.Line, r.Does)
	}
	if len(v.Schedules) > 0 {
		fmt.Fprintln(t, "\nSCHEDULE\tDAYS\tHOURS\tNOW\tCHANGES\tDOES")
	}
	for _, h := range v.Schedules {
		days, change := strings.Join(h.Days, ", "), "-"
		if days == "" {
			days = "every day"
		}
		if h.Change != nil {
			change = cli.When(*h.Change, v.At)
		}
		fmt.Fprintf(t, "%s\t%s\t%s-%s %s\t%s\t%s\t%s\n", h.Name, days, h.From, h.To, h.Zone, yes(h.Active), change, h.Does)
	}
	if len(v.Pauses) > 0 {
		fmt.Fprintln(t, "\nPAUSED LIST\tNAME\tUNTIL\tLEFT\tWHY")
	}
	for _, p := range v.Pauses {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", orAll(p.List), orAll(p.Name), cli.When(p.Until, v.At), cli.Span(p.Until.Sub(v.At)), p.Why)
	}
	return t.Flush()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func orAll(s string) string {
	if s == "" {
		return "all"
	}
	return s
}
