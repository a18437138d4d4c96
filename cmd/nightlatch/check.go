package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"nightlatch/blocklists"
	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/cmd/nightlatch/resolvers"
	"nightlatch/policy"
	"nightlatch/resolver"
	"nightlatch/sinkhole/reply"

	"github.com/spf13/cobra"
)

// checkReport is what check found, as scripts see it.
type checkReport struct {
	Home    string      `json:"home"`
	Devices int         `json:"devices"`
	Lists   []listCheck `json:"lists"`
	Errors  []string    `json:"errors"` // empty: all is well
}

type listCheck struct {
	Name    string         `json:"name"`
	Title   string         `json:"title"`
	File    string         `json:"file,omitempty"` // empty for a built-in list
	Format  string         `json:"format"`
	Lines   int            `json:"lines"`
	Blocks  int            `json:"blocks"`
	Allows  int            `json:"allows"`
	Ignored []ignoredCheck `json:"ignored,omitempty"`
}

type ignoredCheck struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
	Line   int    `json:"line"` // the first one's
	Text   string `json:"text"`
}

func (a *app) checkCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Read config and lists without starting, and say what is wrong",
		Long: `Read nightlatch.yaml, the devices and every list as a start would, and say how
each was understood. Exit code 0: all is well; 1: something is wrong.`,
		Example: "  nightlatch check\n  nightlatch check --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			h, err := a.NeedHome()
			if err != nil {
				return err
			}
			report := checkHome(h)
			if asJSON {
				json.NewEncoder(a.Stdout).Encode(report)
			} else {
				report.print(a.Stdout)
				for _, e := range report.Errors {
					a.Say("error: %s", e)
				}
			}
			if len(report.Errors) > 0 {
				return cli.ErrSilent
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// check reads all that a start reads.
func checkHome(h home.Home) checkReport {
	r := checkReport{Home: h.Dir, Lists: []listCheck{}, Errors: []string{}}
	s, err := h.Load()
	if err != nil {
		r.Errors = append(r.Errors, err.Error())
		return r
	}
	r.Devices = len(s.Devices)
	for _, l := range s.Lists.All {
		r.Lists = append(r.Lists, checkList(&s.Lists, l))
	}
	for _, b := range s.Lists.Broken {
		r.Errors = append(r.Errors, b.Err.Error())
	}
	for _, err := range s.Troubles() {
		r.Errors = append(r.Errors, err.Error())
	}
	for _, build := range []func() error{
		func() error { _, err := s.Policy(); return err },
		func() error { _, err := rootCAs(s); return err },
		func() error {
			mode, anchors, hints, err := validation(s)
			if err != nil {
				return err
			}
			_, err = resolvers.New(resolver.Options{Policy: new(policy.Current), Upstreams: s.Config.DNS.Upstreams, Bootstrap: s.Config.DNS.Bootstrap, RootHints: hints,
				Forward: s.Config.DNS.Forward, Validation: mode, Anchors: anchors}, s.Config.OwnUpstreams())
			return err
		},
		func() error { _, err := s.Names(); return err },
		func() error { _, err := decoderOf(s); return err },
		func() error { _, err := reply.Load(s.Home.RepliesDir()); return err },
		func() error { _, err := loadCA(s); return err },
		func() error { _, err := homeTLS(s, nil); return err },
	} {
		if err := build(); err != nil {
			r.Errors = append(r.Errors, err.Error())
		}
	}
	return r
}

func (r *checkReport) print(out io.Writer) {
	if len(r.Lists) == 0 {
		return // it did not come so far
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "LIST\tSTOPS\tALLOWS\tIGNORED\tREAD AS\tFROM\n")
	for _, l := range r.Lists {
		from, ignored := l.File, 0
		if from == "" {
			from = "built in"
		}
		for _, i := range l.Ignored {
			ignored += i.Count
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\n", l.Name, l.Blocks, l.Allows, ignored, l.Format, from)
	}
	w.Flush()
	waiting := 0 // rules of built-in lists that break things
	for _, l := range r.Lists {
		for _, i := range l.Ignored {
			if l.File == "" {
				waiting += i.Count
				continue
			}
			fmt.Fprintf(out, "%s:%d: ignored, %s (%s like it): %s\n", l.File, i.Line, i.Reason, count(i.Count, "line"), i.Text)
		}
	}
	if waiting > 0 {
		fmt.Fprintf(out, "%s of the built-in lists wait, since they break things; lists.may_break takes them\n", count(waiting, "rule"))
	}
	if len(r.Errors) == 0 {
		fmt.Fprintf(out, "\n%s: all is well: %s, %s\n", r.Home, count(len(r.Lists), "list"), count(r.Devices, "device"))
	}
}

// checkList says how one list was read.
func checkList(s *home.Lists, l *blocklists.List) listCheck {
	r := &l.Report
	c := listCheck{Name: l.Name, Title: l.Title, File: s.Paths[l.Name], Format: string(r.Format), Lines: r.Lines, Blocks: r.Blocks, Allows: r.Allows}
	for _, i := range r.Ignored {
		first := i.Examples[0]
		c.Ignored = append(c.Ignored, ignoredCheck{i.Reason, i.Count, first.Line, first.Text})
	}
	return c
}
