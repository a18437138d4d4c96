package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/home"
	"nightlatch/cmd/nightlatch/journalcmd"
	"nightlatch/cmd/nightlatch/terminal"
	"nightlatch/config"
	"nightlatch/journal"
)

func (a *app) logCommand() *cobra.Command {
	var f journal.Filter
	var follow, asJSON bool
	var since, until string
	c := &cobra.Command{
		Use:   "log",
		Short: "Print what happened: queries, flows, captures, notices",
		Long: `Print the journal, oldest first. It reads the journal's file, so it works with
and without a running gateway; --follow goes on with what happens now and
needs one.`,
		Example: `  nightlatch log
  nightlatch log --blocked --device phone --since 24h
  nightlatch log --follow
  nightlatch log --name miui --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if f.Since, f.Until, err = journalcmd.Between(c, since, until, time.Now()); err != nil {
				return err
			}
			if err := journalcmd.CheckKind(c, f.Kind); err != nil {
				return err
			}
			h, err := a.NeedHome()
			if err != nil {
				return err
			}
			return a.printJournal(c.Context(), h, f, follow, asJSON)
		},
	}
	fl := c.Flags()
	fl.BoolVarP(&follow, "follow", "f", false, "go on with what happens now")
	journalcmd.Filters(fl, &f)
	fl.StringVar(&since, "since", "", "from this moment on: 30m ago as 30m, 7d, or 2026-11-22T10:00")
	fl.StringVar(&until, "until", "", "before this moment")
	fl.IntVarP(&f.Limit, "lines", "n", 100, "how many lines at the most")
	fl.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return c
}

// followEvery is how often the file is looked at: a gateway writes about once
// a second.
const followEvery = 250 * time.Millisecond

// printJournal prints what the journal's file holds, and with follow what is
// written to it from then on.
func (a *app) printJournal(ctx context.Context, h home.Home, f journal.Filter, follow, asJSON bool) error {
	cfg, err := config.Load(h.ConfigFile())
	if err != nil {
		return err
	}
	path := config.Resolve(h.Dir, cfg.Journal.File)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		a.Say("the journal is empty: no gateway has run in %s yet", h.Dir)
		return nil
	}
	j, err := journal.OpenReadOnly(ctx, journal.Options{Path: path, Driver: "sqlite", Mask: cfg.Journal.Mask})
	if err != nil {
		return err
	}
	defer j.Close()
	events, err := j.Events(ctx, f)
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(events) { // the journal gives the newest first
		if err := a.printEvent(e, asJSON); err != nil {
			return err
		}
		f.After = e.ID
	}
	if len(events) == 0 && !follow {
		a.Say("the journal has nothing of that kind")
	}
	if !follow {
		return nil
	}
	return j.Follow(ctx, f, followEvery, func(e journal.StoredEvent) error { return a.printEvent(e, asJSON) })
}

func (a *app) printEvent(e journal.StoredEvent, asJSON bool) error {
	line := terminal.Fit(journal.Line(e.Event), terminal.Width(a.Stdout))
	if asJSON {
		b, err := journal.JSON(e.Event)
		if err != nil {
			return err
		}
		line = string(b)
	}
	_, err := fmt.Fprintln(a.Stdout, line)
	return err
}
