// Package report is the command that writes down, for a person or an
// authority, what a device told others.
package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/blocklists"
	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config"
	"nightlatch/dashboard/geo"
	"nightlatch/dashboard/report"
	"nightlatch/journal"
)

// options of the command.
type options struct {
	since, until, out string
	json              bool
	geo               []string
	resolve           bool
	version           string
	roots             Roots
}

// Command is nightlatch report; version is the program's.
func Command(a *cli.App, version string, roots Roots) *cobra.Command {
	o := options{version: version, roots: roots}
	c := &cobra.Command{
		Use:   "report DEVICE",
		Short: "Write down what a device told others, to keep or to hand on",
		Long: `Write one HTML file that needs nothing else: who would have received what of a
device, when and how often, how that is known, which line of which list stopped
it, who received something, and what this cannot see. Values are masked. It can
be printed, mailed, or handed to a data-protection authority. --json writes the
same for programs.

Where servers stand is looked up in databases that you have, in the mmdb format
(GeoLite2, DB-IP and others), named with --geo. The address of a stopped server
is not known, for nobody asked for it: --resolve asks the upstreams of
nightlatch.yaml. Without it, nothing is asked of the internet.

TIME is like 2026-11-22, 2026-11-22T10:00, or a while ago: 7d, 2h.`,
		Example: `  nightlatch report phone --out report.html
  nightlatch report phone --since 7d --geo GeoLite2-Country.mmdb --geo GeoLite2-ASN.mmdb --out report.html
  nightlatch report phone --json > report.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			now := time.Now()
			since, until := time.Unix(0, 0), now
			var err error
			if o.since != "" {
				if since, err = cli.Moment(o.since, now); err != nil {
					return cli.Misused(c, "--since: %w", err)
				}
			}
			if o.until != "" {
				if until, err = cli.Moment(o.until, now); err != nil {
					return cli.Misused(c, "--until: %w", err)
				}
			}
			if until.Before(since) {
				return cli.Misused(c, "--until lies before --since")
			}
			return o.run(c.Context(), a, args[0], since, until, now)
		},
	}
	fl := c.Flags()
	fl.StringVar(&o.since, "since", "", "from this moment on (default: all that the journal has)")
	fl.StringVar(&o.until, "until", "", "up to this moment (default: now)")
	fl.StringVar(&o.out, "out", "", "write to this file, which must not be there yet; - is standard output (default: DEVICE-report-DATE.html)")
	fl.BoolVar(&o.json, "json", false, "write JSON instead, to standard output unless --out names a file")
	fl.BoolVar(&o.resolve, "resolve", false, "ask the upstreams for the addresses of stopped servers, so that --geo can place them")
	fl.StringArrayVar(&o.geo, "geo", nil, "a database of countries or networks in the mmdb format; may be given again")
	return c
}

func (o *options) run(ctx context.Context, a *cli.App, device string, since, until, now time.Time) error {
	h, err := a.NeedHome()
	if err != nil {
		return err
	}
	s, err := h.Load()
	if err != nil {
		return err
	}
	places, err := geo.Open(o.geo...)
	if err != nil {
		return err
	}
	defer places.Close()
	j, err := h.OpenJournal(ctx, s.Config)
	if err != nil {
		return err
	}
	defer j.Close()
	if err := known(ctx, j, s, device); err != nil {
		return err
	}
	b := report.New(o.about(s, places, device, since, until, now))
	if err := gather(ctx, j, b, journal.Filter{Device: device, Since: since, Until: until}); err != nil {
		return err
	}
	if o.resolve {
		if err := locate(ctx, s, o.roots, b); err != nil {
			return err
		}
	}
	r := b.Report()
	var text bytes.Buffer
	write := r.HTML
	if o.json {
		write = r.JSON
	}
	if err := write(&text); err != nil {
		return err
	}
	return o.deliver(a, device, now, text.Bytes())
}

// known errs for a device that neither the home nor the journal has: one that
// was removed can still be reported on.
func known(ctx context.Context, j *journal.Journal, s *home.Settings, device string) error {
	if slices.ContainsFunc(s.Devices, func(d config.Device) bool { return d.Name == device }) {
		return nil
	}
	events, err := j.Events(ctx, journal.Filter{Device: device, Limit: 1})
	if err == nil && len(events) == 0 {
		err = fmt.Errorf("there is no device %s, and the journal has nothing of it; nightlatch device list names them", device)
	}
	return err
}

// about gathers what a report says beside the events.
func (o *options) about(s *home.Settings, places *geo.Base, device string, since, until, now time.Time) report.Options {
	cfg := s.Config
	set := blocklists.Compile(s.Lists.All...)
	g := report.Gateway{
		Version: o.version, Action: actionWords(cfg.Policy.Action), Retention: cfg.Journal.Retention.String(), MaxSize: cfg.Journal.MaxSize.String(),
		Samples: cfg.Sinkhole.KeepSamples, Canaries: len(s.Canaries), Lists: []string{},
	}
	for _, values := range s.Known {
		g.Known += len(values)
	}
	if _, err := os.Stat(s.Home.CADir()); err == nil && cfg.Sinkhole.HTTPS {
		g.ReadsTLS = true
	}
	titles := map[string]string{}
	for _, l := range s.Lists.All {
		titles[l.Name] = l.Title
		g.Lists = append(g.Lists, fmt.Sprintf("%s (%d rules)", l.Name, l.Len()))
	}
	return report.Options{
		Device: device, Since: since, Until: until, Zone: time.Local, Now: now, Gateway: g,
		OwnerOf: s.Lists.OwnerOf, TitleOf: func(list string) string { return titles[list] },
		CompanyOf: func(name string) string {
			rule, ok := set.Match(name, blocklists.Selection{})
			if !ok {
				return ""
			}
			return s.Lists.OwnerOf(rule.List)
		},
		Place: func(a netip.Addr) geo.Place { return places.Find(a) }, Databases: places.Sources(),
	}
}

func actionWords(action string) string {
	switch action {
	case "sink":
		return "led to the gateway itself"
	case "deny":
		return "said not to exist"
	}
	return "not answered"
}

// Page writes the report on a device as the page of the dashboard, of all that
// the journal has: the one of the command without flags.
func Page(ctx context.Context, s *home.Settings, j *journal.Journal, version, device string, out io.Writer) error {
	places, err := geo.Open()
	if err != nil {
		return err
	}
	now := time.Now()
	o := options{version: version}
	b := report.New(o.about(s, places, device, time.Unix(0, 0), now, now))
	if err := gather(ctx, j, b, journal.Filter{Device: device, Until: now}); err != nil {
		return err
	}
	return b.Report().HTML(out)
}

// maxRead bounds the events of each kind that a report reads.
const maxRead = 2_000_000

// gather reads the journal, page by page.
func gather(ctx context.Context, j *journal.Journal, b *report.Builder, f journal.Filter) error {
	whole := f
	whole.Device = "" // losses concern every device
	err := errors.Join(
		pages(ctx, b, f, j.Queries, func(e journal.StoredQuery) int64 { b.Query(e); return e.ID }),
		pages(ctx, b, f, j.Flows, func(e journal.StoredFlow) int64 { b.Flow(e); return e.ID }),
		pages(ctx, b, f, j.Captures, func(e journal.StoredCapture) int64 { b.Capture(e); return e.ID }),
		pages(ctx, b, whole, j.Notices, func(e journal.StoredNotice) int64 { b.Notice(e); return e.ID }))
	if err != nil {
		return err
	}
	sum, err := j.Summary(ctx, time.Time{})
	if err == nil && len(sum.Hours) > 0 {
		b.Oldest(sum.Hours[0].Start)
	}
	return err
}

// pages reads every event that f chooses; take gives the event's id.
func pages[E any](ctx context.Context, b *report.Builder, f journal.Filter, read func(context.Context, journal.Filter) ([]E, error), take func(E) int64) error {
	f.Limit = journal.MaxLimit
	for n := 0; ; n += f.Limit {
		page, err := read(ctx, f)
		if err != nil {
			return err
		}
		for _, e := range page {
			f.Before = take(e)
		}
		if len(page) < f.Limit {
			return nil
		}
		if n >= maxRead {
			b.Cut()
			return nil
		}
	}
}

// deliver writes the document where it was asked for. It holds private life:
// only the owner may read it, and nothing that is there is overwritten.
func (o *options) deliver(a *cli.App, device string, now time.Time, text []byte) error {
	out := o.out
	if out == "" && !o.json {
		out = fmt.Sprintf("%s-report-%s.html", device, now.Format("2006-01-02"))
	}
	if out == "" || out == "-" {
		_, err := a.Stdout.Write(text)
		return err
	}
	f, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; name another file with --out", out)
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = io.Copy(f, bytes.NewReader(text))
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(out)
		return fmt.Errorf("report: %w", err)
	}
	a.Say("wrote %s (%s); values in it are masked, and it is still private", out, cli.Bytes(uint64(len(text))))
	return nil
}
