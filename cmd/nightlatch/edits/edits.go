// Package edits is the commands that change what is stopped: block, allow, sink,
// observe, rules, pause, resume and undo. They write two files of the home,
// overlay.yaml and pauses.yaml, which a running gateway takes over by itself;
// both are YAML that people may edit as well.
package edits

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/blocklists"
	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config"
	"nightlatch/config/edit"
	"nightlatch/config/spell"
)

const (
	overlayName = "overlay.yaml"
	pausesName  = "pauses.yaml"
	schemaName  = "list.schema.json"
)

// Reload tells a running gateway that files have changed, and whether there is
// one; its error says why the gateway did not take them.
type Reload func(ctx context.Context, h home.Home) (running bool, err error)

// Commands gives block, allow, sink, observe, rules, pause, resume and undo.
func Commands(a *cli.App, reload Reload) []*cobra.Command {
	t := &tool{App: a, reload: reload, now: time.Now}
	return []*cobra.Command{
		t.verb("block", "Stop a name: it does not exist, or is answered as --answer says"),
		t.verb("allow", "Let a name through, whatever lists say"),
		t.verb("sink", "Lead a name to the sinkhole, and decode what it would have received"),
		t.verb("observe", "Let a name through, and look at what is sent there in plain HTTP"),
		t.rulesCommand(), t.pauseCommand(), t.resumeCommand(), t.undoCommand(),
	}
}

// tool is what these commands share.
type tool struct {
	*cli.App
	reload Reload
	now    func() time.Time
}

// shared are the flags that every one of these commands has.
type shared struct {
	dryRun, asJSON bool
}

func (s *shared) add(c *cobra.Command) {
	c.Flags().BoolVar(&s.dryRun, "dry-run", false, "print what would change in the file, and change nothing")
	c.Flags().BoolVar(&s.asJSON, "json", false, "print one JSON object")
}

// outcome is what a command did, as scripts see it.
type outcome struct {
	Command  string       `json:"command"`
	Changed  bool         `json:"changed"`
	DryRun   bool         `json:"dry_run,omitempty"`
	File     string       `json:"file"`
	Line     int          `json:"line,omitempty"` // of the new entry
	Rule     *rule        `json:"rule,omitempty"`
	Pauses   []pause      `json:"pauses,omitempty"`
	Removed  []string     `json:"removed,omitempty"` // entries taken out, in words
	Ended    int          `json:"ended,omitempty"`   // entries that had ended and were cleaned up
	Gateway  string       `json:"gateway,omitempty"` // took it, or none runs
	Verdicts []deviceView `json:"verdicts,omitempty"`
	Warnings []string     `json:"warnings,omitempty"`
	Diff     string       `json:"diff,omitempty"`

	words []string // what is said to people, a line each
}

func (o *outcome) say(format string, args ...any) {
	o.words = append(o.words, fmt.Sprintf(format, args...))
}

func (o *outcome) warn(format string, args ...any) {
	o.Warnings = append(o.Warnings, fmt.Sprintf(format, args...))
}

// What a running gateway did with an edit.
const (
	tookIt   = "took it"
	noneRuns = "none runs"
)

// change is one edit of one file.
type change struct {
	file  string // within the home
	fresh string // what the file begins with
	of    string // the command line, for undo
	edit  func(text []byte) ([]byte, error)
}

// apply makes an edit, or shows it; then it tells a running gateway.
func (t *tool) apply(ctx context.Context, h home.Home, s shared, ch change, o *outcome) error {
	path, fresh := h.Path(ch.file), edit.Fresh{Text: []byte(ch.fresh), Mode: 0o600}
	located := func(text []byte) ([]byte, error) {
		out, err := ch.edit(text)
		return out, place(path, err)
	}
	o.File, o.DryRun = path, s.dryRun
	if s.dryRun {
		r, err := edit.Read(path, fresh)
		if err != nil {
			return err
		}
		if r.New, err = located(r.Old); err != nil {
			return err
		}
		o.Diff = difference(ch.file, r)
		return nil
	}
	r, err := edit.Update(ctx, path, fresh, located)
	if err != nil {
		return err
	}
	if o.Changed = r.Changed(); !o.Changed {
		return nil
	}
	if r.Made && ch.file == overlayName {
		if err := writeSchema(h); err != nil {
			o.warn("the schema for editors: %v", err)
		}
	}
	if err := remember(ctx, h, ch, r, t.now()); err != nil {
		o.warn("this change cannot be undone by a command: %v", err)
	}
	return t.tell(ctx, h, o)
}

// tell asks a running gateway to take over what was written.
func (t *tool) tell(ctx context.Context, h home.Home, o *outcome) error {
	running, err := t.reload(ctx, h)
	switch {
	case err != nil:
		return err
	case running:
		o.Gateway = tookIt
	default:
		o.Gateway = noneRuns
	}
	return nil
}

// difference writes a change as a unified diff.
func difference(name string, r edit.Result) string {
	old := r.Old
	if r.Made {
		old = nil
	}
	if d := edit.Diff(old, r.New); d != "" {
		return "--- " + name + "\n+++ " + name + "\n" + d
	}
	return ""
}

// place puts the file in front of an error that knows line and column.
func place(path string, err error) error {
	var at *edit.Error
	switch {
	case errors.As(err, &at) && at.Line > 0:
		return fmt.Errorf("%s:%w", path, at)
	case at != nil:
		return fmt.Errorf("%s: %w", path, err)
	}
	return err
}

// report prints an outcome.
func (t *tool) report(s shared, o *outcome) error {
	if s.asJSON {
		return json.NewEncoder(t.Stdout).Encode(o)
	}
	for _, w := range o.Warnings {
		t.Say("warning: %s", w)
	}
	if o.DryRun {
		if o.Diff == "" {
			fmt.Fprintln(t.Stdout, "nothing would change")
		}
		fmt.Fprint(t.Stdout, o.Diff)
		return nil
	}
	for _, w := range o.words {
		fmt.Fprintln(t.Stdout, w)
	}
	if o.Ended > 0 {
		fmt.Fprintf(t.Stdout, "cleaned up %s\n", count(o.Ended, "entry that had ended", "entries that had ended"))
	}
	switch {
	case !o.Changed:
	case o.Gateway == tookIt:
		fmt.Fprintln(t.Stdout, "the running gateway has taken it")
	default:
		fmt.Fprintln(t.Stdout, "no gateway is running; it holds from the next start")
	}
	return nil
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// knownDevices holds that devices exist, and gives them without repeats.
func knownDevices(h home.Home, wanted []string) ([]string, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	devices, err := config.LoadDevices(h.DevicesDir())
	if err != nil {
		return nil, err
	}
	var names, out []string
	for _, d := range devices {
		names = append(names, d.Name)
	}
	for _, w := range wanted {
		if !slices.Contains(names, w) {
			if meant := spell.Meant(w, names...); meant != "" {
				return nil, fmt.Errorf("there is no device %q%s", clip(w), meant)
			}
			return nil, fmt.Errorf("there is no device %q; nightlatch device list shows them", clip(w))
		}
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	slices.Sort(out)
	return out, nil
}

// misuse makes an error of a request that cannot be meant: a usage error of a
// command, or a plain one for a program.
type misuse func(format string, args ...any) error

func misused(c *cobra.Command) misuse {
	return func(format string, args ...any) error { return cli.Misused(c, format, args...) }
}

// span reads --for.
func span(wrong misuse, text string, most time.Duration) (time.Duration, error) {
	var d config.Duration
	if err := d.UnmarshalText([]byte(text)); err != nil {
		return 0, wrong("--for: %q is not a time span; write 10m, 12h or 30d", text)
	}
	switch v := time.Duration(d); {
	case v < time.Second:
		return 0, wrong("--for: %s is no time at all; write 10m, 12h or 30d", text)
	case most > 0 && v > most:
		return 0, wrong("--for: %s is longer than %.0fh; with --until-resumed it lasts until nightlatch resume", text, most.Hours())
	case v > 100*365*24*time.Hour:
		return 0, wrong("--for: %s is longer than a life; leave --for away", text)
	default:
		return v, nil
	}
}

// short writes a time span without its zeros: 1h30m, 10m, 2d.
func short(d time.Duration) string {
	d = d.Round(time.Second)
	if d > 0 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// left writes how long it is until a moment that was cut to the second.
func left(at, now time.Time) string { return short(at.Sub(now.Truncate(time.Second))) }

// when writes a moment for people: the day only when it is not today.
func when(at, now time.Time) string {
	at, now = at.Local(), now.Local()
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format("15:04")
	}
	return at.Format("2006-01-02 15:04")
}

// writeSchema puts the schema that the modeline of the overlay names beside it.
func writeSchema(h home.Home) error {
	if _, err := os.Lstat(h.Path(schemaName)); err == nil {
		return nil
	}
	return config.WriteFile(h.Path(schemaName), []byte(blocklists.NativeSchema()), 0o600)
}
