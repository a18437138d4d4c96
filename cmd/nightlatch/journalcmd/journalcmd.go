// Package journalcmd is the subcommand journal: it hands out what was remembered,
// and removes it.
package journalcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config"
	"nightlatch/journal"
)

// Ask asks the running gateway; the caller closes the answer.
type Ask func(ctx context.Context, h home.Home, method, path string, query url.Values) (*http.Response, error)

// Command is nightlatch journal.
func Command(a *cli.App, ask Ask) *cobra.Command {
	return cli.Group("journal", "Hand out what was remembered, or remove it",
		"Work on the journal, the file in which nightlatch keeps what happened.",
		"  nightlatch journal export --since 7d > week.jsonl\n  nightlatch journal forget --device phone --since 2h",
		exportCommand(a), forgetCommand(a, ask))
}

// forgetting is what is to be removed.
type forgetting struct {
	device       string
	since, until time.Time
}

func forgetCommand(a *cli.App, ask Ask) *cobra.Command {
	var f forgetting
	var since, until string
	var all, asJSON bool
	c := &cobra.Command{
		Use:   "forget",
		Short: "Remove events for good",
		Long: `Remove the events of a device, or of a stretch of time, or both. They are
overwritten in the file and in its log, with the names that nothing else
refers to. A running gateway does it itself, without a pause. What cannot be
reached from here stays: files that were set aside as damaged, and backups.`,
		Example: `  nightlatch journal forget --device phone
  nightlatch journal forget --device phone --since 2h
  nightlatch journal forget --since 2026-11-20 --until 2026-11-21
  nightlatch journal forget --all`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if f.since, f.until, err = Between(c, since, until, time.Now()); err != nil {
				return err
			}
			if whole := f.device == "" && since == "" && until == ""; whole != all {
				return cli.Misused(c, "say what to forget: --device, --since or --until; or --all alone for everything")
			}
			n, err := forget(c.Context(), a, ask, f)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(a.Stdout).Encode(map[string]int64{"removed": n})
			}
			a.Say("%d events are removed for good", n)
			return nil
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.device, "device", "", "only this device")
	fl.StringVar(&since, "since", "", "from this moment on: 2h ago as 2h, or 2026-11-22T10:00")
	fl.StringVar(&until, "until", "", "before this moment")
	fl.BoolVar(&all, "all", false, "everything")
	fl.BoolVar(&asJSON, "json", false, "print the number as JSON")
	return c
}

// Between reads the two ends of a stretch of time; an empty one is no bound.
func Between(c *cobra.Command, since, until string, now time.Time) (from, to time.Time, err error) {
	for _, end := range []struct {
		flag, text string
		into       *time.Time
	}{{"since", since, &from}, {"until", until, &to}} {
		if end.text == "" {
			continue
		}
		if *end.into, err = cli.Moment(end.text, now); err != nil {
			return from, to, cli.Misused(c, "--%s: %s", end.flag, err)
		}
	}
	if since != "" && until != "" && !from.Before(to) {
		return from, to, cli.Misused(c, "--since %s is not before --until %s", since, until)
	}
	return from, to, nil
}

// forget lets the running gateway do it, as it alone may write; without one it
// is done here.
func forget(ctx context.Context, a *cli.App, ask Ask, f forgetting) (int64, error) {
	h, err := a.NeedHome()
	if err != nil {
		return 0, err
	}
	if h.Running() {
		resp, err := ask(ctx, h, http.MethodPost, "/journal/forget", f.values())
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		var answer struct{ Removed int64 }
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			return 0, fmt.Errorf("control socket: %w", err)
		}
		return answer.Removed, nil
	}
	cfg, err := config.Load(h.ConfigFile())
	if err != nil {
		return 0, err
	}
	if err := someJournal(h, cfg); err != nil {
		return 0, err
	}
	j, err := journal.Open(ctx, journal.Options{Path: config.Resolve(h.Dir, cfg.Journal.File), Driver: "sqlite"})
	if err != nil {
		return 0, err
	}
	defer j.Close()
	return j.Forget(ctx, f.device, f.since, f.until)
}

func (f forgetting) values() url.Values {
	v := url.Values{"device": {f.device}}
	for key, t := range map[string]time.Time{"since": f.since, "until": f.until} {
		if !t.IsZero() {
			v.Set(key, t.Format(time.RFC3339Nano))
		}
	}
	return v
}

// Forget answers the control socket.
func Forget(j *journal.Journal) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f := forgetting{device: r.FormValue("device")}
		for key, t := range map[string]*time.Time{"since": &f.since, "until": &f.until} {
			text := r.FormValue(key)
			if text == "" {
				continue
			}
			var err error
			if *t, err = time.Parse(time.RFC3339Nano, text); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		n, err := j.Forget(r.Context(), f.device, f.since, f.until)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]int64{"removed": n}) // an error is the asker's, who has gone
	}
}
