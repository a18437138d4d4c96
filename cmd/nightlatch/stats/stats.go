// Package stats is the subcommand stats: what was asked and stopped most, with
// small charts of text.
package stats

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/config"
	"nightlatch/journal"
	"nightlatch/journal/terminal"
)

// Command is nightlatch stats.
func Command(a *cli.App) *cobra.Command {
	var device, since string
	var most int
	var asJSON bool
	c := &cobra.Command{
		Use:   "stats",
		Short: "Count questions: days, devices, names, lists",
		Long: `Count what was asked and what was stopped, from the journal. It works with and
without a running gateway. A beginning is rounded down to its hour.`,
		Example: "  nightlatch stats\n  nightlatch stats --device phone --since 30d\n  nightlatch stats --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			from, err := cli.Moment(since, time.Now())
			if err != nil {
				return cli.Misused(c, "--since: %s", err)
			}
			if most < 1 || most > 1000 {
				return cli.Misused(c, "--top %d is out of range; 1 to 1000", most)
			}
			h, err := a.NeedHome()
			if err != nil {
				return err
			}
			cfg, err := config.Load(h.ConfigFile())
			if err != nil {
				return err
			}
			j, err := h.OpenJournal(c.Context(), cfg)
			if err != nil {
				return err
			}
			defer j.Close()
			t, err := j.Tops(c.Context(), device, from, most)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(a, t)
			}
			_, err = fmt.Fprint(a.Stdout, Text(t))
			return err
		},
	}
	fl := c.Flags()
	fl.StringVar(&device, "device", "", "only this device")
	fl.StringVar(&since, "since", "7d", "from this moment on: 24h, 30d, or 2026-11-22")
	fl.IntVar(&most, "top", 10, "how many of each")
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

type topJSON struct {
	What    string `json:"what"`
	Events  int64  `json:"queries"`
	Blocked int64  `json:"blocked"`
}

func printJSON(a *cli.App, t journal.Tops) error {
	tops := func(list []journal.Top) []topJSON {
		out := []topJSON{}
		for _, x := range list {
			out = append(out, topJSON(x))
		}
		return out
	}
	type day struct {
		Day     string `json:"day"`
		Events  int64  `json:"queries"`
		Blocked int64  `json:"blocked"`
	}
	days := []day{}
	for _, d := range t.Days {
		days = append(days, day{d.Start.Format(time.DateOnly), d.Events, d.Blocked})
	}
	b, err := json.Marshal(map[string]any{
		"since": t.Since.UTC().Format(time.RFC3339), "queries": t.Total.Events, "blocked": t.Total.Blocked, "days": days,
		"names": tops(t.Names), "blocked_names": tops(t.Blocked), "devices": tops(t.Devices), "types": tops(t.Types), "lists": tops(t.Lists),
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Stdout, "%s\n", terminal.JSON(b))
	return err
}

// Text draws the counts; the whole is at most 80 characters wide.
func Text(t journal.Tops) string {
	if t.Total.Events == 0 {
		return "nothing was asked in this time\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d questions since %s, %d of them stopped (%s)\n", t.Total.Events, t.Since.Local().Format("2006-01-02 15:04"), t.Total.Blocked, share(t.Total.Blocked, t.Total.Events))
	days := make([]journal.Top, len(t.Days))
	for i, d := range t.Days {
		days[i] = journal.Top{What: d.Start.Format("Mon 2006-01-02"), Events: d.Events, Blocked: d.Blocked}
	}
	table(&b, "day", days)
	table(&b, "device", t.Devices)
	table(&b, "name", t.Names)
	table(&b, "stopped name", t.Blocked)
	table(&b, "list", t.Lists)
	table(&b, "type", t.Types)
	return b.String()
}

// Widths of a table: what is counted, and the bar of the largest count.
const (
	whatWidth = 40
	barWidth  = 18
)

func table(b *strings.Builder, title string, list []journal.Top) {
	if len(list) == 0 {
		return
	}
	most := int64(1)
	for _, x := range list {
		most = max(most, x.Events)
	}
	fmt.Fprintf(b, "\n%-*s %9s %7s\n", whatWidth, title, "questions", "stopped")
	for _, x := range list {
		what := []rune(terminal.Escape(x.What, 256))
		if len(what) == 0 {
			what = []rune("-")
		}
		if len(what) > whatWidth {
			what = append([]rune("…"), what[len(what)-whatWidth+1:]...) // the end of a name says whose it is
		}
		fmt.Fprintf(b, "%-*s %9d %7s %s\n", whatWidth, string(what), x.Events, share(x.Blocked, x.Events), Bar(x.Events-x.Blocked, x.Blocked, most))
	}
}

func share(part, whole int64) string {
	if whole == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%d %%", (100*part+whole/2)/whole)
}

// Bar draws what passed and what was stopped, of most, as █ and ░. What is not
// nothing has at least one character.
func Bar(passed, stopped, most int64) string {
	part := func(n int64) int {
		if n <= 0 {
			return 0
		}
		return int(max(1, n*barWidth/max(most, 1)))
	}
	return strings.Repeat("█", part(passed)) + strings.Repeat("░", part(stopped))
}
