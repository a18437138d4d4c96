package journalcmd

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config"
	"nightlatch/journal"
	"nightlatch/policy"
)

func someJournal(h home.Home, cfg *config.Config) error {
	if _, err := os.Stat(config.Resolve(h.Dir, cfg.Journal.File)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: no gateway has run in %s yet", home.ErrNoJournal, h.Dir)
	}
	return nil
}

func exportCommand(a *cli.App) *cobra.Command {
	var f journal.Filter
	var since, until, form, file string
	c := &cobra.Command{
		Use:   "export",
		Short: "Write events as JSON Lines or CSV",
		Long: `Write the events of the journal, oldest first, as JSON Lines (one object a line,
the form of nightlatch log --json) or CSV (one table for all kinds; a cell that
a spreadsheet would run as a formula begins with an apostrophe). It works with
and without a running gateway. Values of findings are masked, as in the file.`,
		Example: `  nightlatch journal export > all.jsonl
  nightlatch journal export --format csv --since 7d --device phone -o phone.csv`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) (err error) {
			if f.Since, f.Until, err = Between(c, since, until, time.Now()); err != nil {
				return err
			}
			if form != "jsonl" && form != "csv" {
				return cli.Misused(c, "--format %s is not known; jsonl or csv", form)
			}
			if err := CheckKind(c, f.Kind); err != nil {
				return err
			}
			return export(c.Context(), a, f, form, file)
		},
	}
	fl := c.Flags()
	Filters(fl, &f)
	fl.StringVar(&since, "since", "", "from this moment on: 2h ago as 2h, 7d, or 2026-11-22T10:00")
	fl.StringVar(&until, "until", "", "before this moment")
	fl.StringVar(&form, "format", "jsonl", "jsonl or csv")
	fl.StringVarP(&file, "output", "o", "", "a new file to write to, readable by you alone; else the output")
	return c
}

func export(ctx context.Context, a *cli.App, f journal.Filter, form, file string) (err error) {
	h, err := a.NeedHome()
	if err != nil {
		return err
	}
	cfg, err := config.Load(h.ConfigFile())
	if err != nil {
		return err
	}
	j, err := h.OpenJournal(ctx, cfg)
	if err != nil {
		return err
	}
	defer j.Close()
	out := a.Stdout
	if file != "" {
		to, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already; nothing was written", file)
		}
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, to.Close()) }()
		out = to
	}
	b := bufio.NewWriterSize(out, 64<<10)
	show := jsonLines(b)
	if form == "csv" {
		w := csv.NewWriter(b)
		if err := w.Write(header()); err != nil {
			return err
		}
		defer func() {
			w.Flush()
			err = errors.Join(err, w.Error(), b.Flush())
		}()
		show = func(e journal.StoredEvent) error { return w.Write(cells(e)) }
	}
	return errors.Join(j.Each(ctx, f, show), b.Flush())
}

func jsonLines(w io.Writer) func(journal.StoredEvent) error {
	return func(e journal.StoredEvent) error {
		text, err := journal.JSON(e.Event)
		if err == nil {
			_, err = w.Write(append(text, '\n'))
		}
		return err
	}
}

// header names the columns of the table.
func header() []string {
	return []string{"id", "time", "kind", "device", "type", "name", "address", "verdict", "list", "line", "reason",
		"rcode", "answers", "upstream", "took_us", "repeats", "up_bytes", "down_bytes", "size_bytes", "findings", "text"}
}

// cells gives one event in the columns of header.
func cells(e journal.StoredEvent) []string {
	out := map[string]string{"id": strconv.FormatInt(e.ID, 10)}
	at := func(kind string, t time.Time, device string) {
		out["kind"], out["time"], out["device"] = kind, t.UTC().Format("2006-01-02T15:04:05.000Z07:00"), device
	}
	switch e := e.Event.(type) {
	case journal.StoredQuery:
		at(journal.KindQuery, e.Time, e.Device)
		out["type"], out["name"], out["address"], out["rcode"], out["upstream"] = e.Type, e.Name, spell(e.Server), e.RCode, e.Upstream
		out["answers"], out["took_us"], out["repeats"] = strings.Join(e.Answers, " "), strconv.FormatInt(e.Took.Microseconds(), 10), strconv.Itoa(e.Repeats)
		verdictCells(out, e.Verdict)
	case journal.StoredFlow:
		at(journal.KindFlow, e.Time, e.Device)
		out["type"], out["name"], out["address"], out["text"] = e.Proto, e.Name, spell(e.Dst), e.Err
		out["took_us"], out["up_bytes"], out["down_bytes"] = strconv.FormatInt(e.Took.Microseconds(), 10), strconv.FormatInt(e.Up, 10), strconv.FormatInt(e.Down, 10)
		verdictCells(out, e.Verdict)
	case journal.StoredCapture:
		at(journal.KindCapture, e.Time, e.Device)
		out["type"], out["name"], out["address"], out["text"] = e.Scheme, e.Name, spell(e.Dst), strings.TrimSpace(e.Method+" "+e.Path)
		out["size_bytes"], out["repeats"] = strconv.FormatInt(e.Size, 10), strconv.Itoa(e.Repeats)
		kinds := make([]string, len(e.Findings))
		for i, f := range e.Findings {
			kinds[i] = f.Kind
		}
		out["findings"] = strings.Join(kinds, " ")
	case journal.StoredNotice:
		at(journal.KindNotice, e.Time, e.Device)
		out["type"], out["text"] = e.Level.String(), e.Room+": "+e.Text
	}
	row := make([]string, len(header()))
	for i, column := range header() {
		row[i] = harmless(out[column])
	}
	return row
}

func verdictCells(out map[string]string, v policy.Verdict) {
	out["verdict"], out["list"], out["reason"] = v.Action.String(), v.Rule.List, v.Reason
	if v.Rule.Line > 0 {
		out["line"] = strconv.Itoa(v.Rule.Line)
	}
}

func spell(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// harmless keeps a spreadsheet from running what a phone, or whoever it spoke
// to, wrote: a cell that begins like a formula gets an apostrophe. Numbers are ours.
func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
