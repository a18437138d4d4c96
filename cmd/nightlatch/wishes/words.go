package wishes

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/config"
	"nightlatch/dashboard/desk"
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
	s := v.sheet()
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range s.Facts {
		fmt.Fprintf(t, "%s\t%s\n", f.Key, f.Value)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	t = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, table := range s.Tables {
		fmt.Fprintln(t, "\n"+strings.ToUpper(strings.Join(table.Head, "\t")))
		for _, row := range table.Rows {
			fmt.Fprintln(t, strings.Join(row, "\t"))
		}
	}
	return t.Flush()
}

// sheet is all of the view, for a terminal or a page.
func (v *view) sheet() (s desk.Sheet) {
	row := s.Fact
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
	row("home network", strings.Join(v.LAN, ", "))
	row("safe search", v.SafeSearch)
	row("blocked services", strings.Join(v.Services, ", "))
	row("refused types", strings.Join(v.RefuseTypes, ", "))
	row("tags", strings.Join(v.Tags, ", "))
	if v.Changes != nil {
		row("changes by itself", cli.When(*v.Changes, v.At))
	}
	s.Tables = v.tables()
	return s
}

// tables are what there may be several of.
func (v *view) tables() []desk.Table {
	lists := desk.Table{Head: []string{"List", "Rules", "Now", "What it stops"}}
	for _, l := range v.Lists {
		lists.Rows = append(lists.Rows, []string{l.Name, fmt.Sprint(l.Rules), yes(l.Now), l.Action})
	}
	rules := desk.Table{Head: []string{"Rule for it", "Where", "Does"}}
	for _, r := range v.Rules {
		rules.Rows = append(rules.Rows, []string{r.Rule, fmt.Sprintf("%s:%d", r.List, r.Line), r.Does})
	}
	schedules := desk.Table{Head: []string{"Schedule", "Days", "Hours", "Now", "Changes", "Does"}}
	for _, h := range v.Schedules {
		days, change := strings.Join(h.Days, ", "), "-"
		if days == "" {
			days = "every day"
		}
		if h.Change != nil {
			change = cli.When(*h.Change, v.At)
		}
		schedules.Rows = append(schedules.Rows, []string{h.Name, days, h.From + "-" + h.To + " " + h.Zone, yes(h.Active), change, h.Does})
	}
	pauses := desk.Table{Head: []string{"Paused list", "Name", "Until", "Left", "Why"}}
	for _, p := range v.Pauses {
		pauses.Rows = append(pauses.Rows, []string{orAll(p.List), orAll(p.Name), cli.When(p.Until, v.At), cli.Span(p.Until.Sub(v.At)), p.Why})
	}
	out := []desk.Table{lists}
	for _, t := range []desk.Table{rules, schedules, pauses} {
		if len(t.Rows) > 0 {
			out = append(out, t)
		}
	}
	return out
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
