package canary

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/decoder"
	"nightlatch/journal"
)

// What became of a field between two times.
const (
	stayed  = "stayed"  // the same values before and after: it survived
	changed = "changed" // other values
	mixed   = "mixed"   // some values stayed
	gone    = "gone"    // not sent after
	fresh   = "new"     // not sent before
)

// field is one place of one payload: what is sent there, to whom.
type field struct {
	Name   string    `json:"name"` // the stopped name it was meant for
	Kind   string    `json:"kind"`
	Path   string    `json:"path"`
	Chain  []string  `json:"chain"`
	Fate   string    `json:"fate"` // stayed, changed, mixed, gone or new
	Before []version `json:"before"`
	After  []version `json:"after"`
}

// version is one value of a field.
type version struct {
	Value string       `json:"value"` // masked
	Mark  journal.Mark `json:"-"`
	MarkS string       `json:"mark,omitempty"`
	Count int          `json:"count"`
	First time.Time    `json:"first"`
	Last  time.Time    `json:"last"`
}

func diffCommand(a *cli.App) *cobra.Command {
	var device, before, after string
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff --device NAME --before TIME --after TIME",
		Short: "After you reset an identifier: which values changed, and which survived",
		Long: `Compare what the sinkhole received of a device before one moment with what it
received after another, field by field: the same name, the same place in the
payload. Reset the advertising ID, say, between the two.

A value that stays the same over a reset ties the new identifier to the old one:
that is the finding. Values are compared by their marks, a keyed hash, so that
the journal need not hold them. TIME is like 2026-11-22T10:00, or a while ago:
2h, 30m.`,
		Example: "  nightlatch canary diff --device phone --before 2026-11-22T10:00 --after 2026-11-22T10:05\n  nightlatch canary diff --device phone --before 2h --after 90m --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			now := time.Now()
			until, err := cli.Moment(before, now)
			if err != nil {
				return cli.Misused(c, "--before: %w", err)
			}
			since, err := cli.Moment(after, now)
			if err != nil {
				return cli.Misused(c, "--after: %w", err)
			}
			if device == "" {
				return cli.Misused(c, "name the device with --device")
			}
			if since.Before(until) {
				return cli.Misused(c, "--after lies before --before")
			}
			h, cfg, err := open(a, device)
			if err != nil {
				return err
			}
			j, err := h.OpenJournal(c.Context(), cfg)
			if err != nil {
				return err
			}
			defer j.Close()
			d, err := compare(c.Context(), j, device, until, since)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(a.Stdout).Encode(d)
			}
			return d.print(a.Stdout)
		},
	}
	fl := c.Flags()
	fl.StringVar(&device, "device", "", "the device")
	fl.StringVar(&before, "before", "", "what was sent before this moment")
	fl.StringVar(&after, "after", "", "is compared with what was sent after this one")
	fl.BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// difference is the whole comparison.
type difference struct {
	Device   string    `json:"device"`
	Before   time.Time `json:"before"`
	After    time.Time `json:"after"`
	Captures [2]int    `json:"captures"` // compared, before and after
	Unmarked int       `json:"unmarked"` // values that cannot be compared: kept before there were marks
	Fields   []field   `json:"fields"`
}

// maxFields bounds the fields that are told apart.
const maxFields = 20_000

func compare(ctx context.Context, j *journal.Journal, device string, before, after time.Time) (*difference, error) {
	d := &difference{Device: device, Before: before, After: after, Fields: []field{}}
	byKey := map[string]*field{}
	for side, f := range []journal.Filter{{Device: device, Until: before}, {Device: device, Since: after}} {
		err := readAll(ctx, f, j.Captures, func(c journal.StoredCapture) int64 { return c.ID }, func(c journal.StoredCapture) {
			d.Captures[side]++
			for _, x := range c.Findings {
				d.take(byKey, side, x)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	for _, f := range byKey {
		f.Fate = fate(f)
		d.Fields = append(d.Fields, *f)
	}
	rank := map[string]int{stayed: 0, mixed: 1, changed: 2, gone: 3, fresh: 4}
	slices.SortFunc(d.Fields, func(a, b field) int {
		return cmp.Or(cmp.Compare(rank[a.Fate], rank[b.Fate]), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Path, b.Path))
	})
	return d, nil
}

// profile are kinds whose values thousands share: that they stay says nothing.
func profile(kind string) bool {
	switch kind {
	case "model", "android_version", "carrier", "build_fingerprint", "locale", journal.KindCanary:
		return true
	}
	return false
}

func (d *difference) take(byKey map[string]*field, side int, x journal.StoredFinding) {
	if profile(x.Kind) {
		return
	}
	if x.Mark == 0 {
		d.Unmarked++
		return
	}
	key := x.Name + "\x00" + x.Kind + "\x00" + place(x.Path)
	f := byKey[key]
	if f == nil {
		if len(byKey) >= maxFields {
			return
		}
		f = &field{Name: x.Name, Kind: x.Kind, Path: place(x.Path), Chain: x.Chain, Before: []version{}, After: []version{}}
		byKey[key] = f
	}
	list := &f.Before
	if side == 1 {
		list = &f.After
	}
	i := slices.IndexFunc(*list, func(v version) bool { return v.Mark == x.Mark })
	if i < 0 {
		*list = append(*list, version{Value: x.Value, Mark: x.Mark, MarkS: x.Mark.String(), First: x.Time, Last: x.Time})
		i = len(*list) - 1
	}
	v := &(*list)[i]
	v.Count++
	if x.Time.Before(v.First) {
		v.First = x.Time
	}
	if x.Time.After(v.Last) {
		v.Last = x.Time
	}
}

func fate(f *field) string {
	switch {
	case len(f.After) == 0:
		return gone
	case len(f.Before) == 0:
		return fresh
	}
	kept := 0
	for _, v := range f.After {
		if slices.ContainsFunc(f.Before, func(o version) bool { return o.Mark == v.Mark }) {
			kept++
		}
	}
	switch {
	case kept == len(f.After) && kept == len(f.Before):
		return stayed
	case kept == 0:
		return changed
	}
	return mixed
}

func (d *difference) print(w io.Writer) error {
	if d.Captures[0] == 0 || d.Captures[1] == 0 {
		return fmt.Errorf("the sinkhole received %s of %s before and %s after; both are needed", plural(d.Captures[0], "payload"), d.Device, plural(d.Captures[1], "payload"))
	}
	if len(d.Fields) == 0 {
		return errors.New("no value can be compared: none was found, or the journal is older than its marks")
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FATE\tTO\tKIND\tBEFORE\tAFTER\tAT")
	survived := map[string]bool{}
	changes := 0
	for _, f := range d.Fields {
		switch f.Fate {
		case stayed, mixed:
			survived[f.Name] = true
		case changed:
			changes++
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", f.Fate, decoder.Safe(f.Name), decoder.Safe(f.Kind), values(f.Before), values(f.After), decoder.Safe(f.Path))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s before and %s after were compared.\n", plural(d.Captures[0], "payload"), plural(d.Captures[1], "payload"))
	if d.Unmarked > 0 {
		fmt.Fprintf(w, "%s cannot be compared: kept before there were marks.\n", plural(d.Unmarked, "value"))
	}
	switch {
	case len(survived) > 0 && changes > 0:
		fmt.Fprintf(w, "Something was reset, and yet values stayed at %s: whoever has both can tell that it is the same phone.\n", plural(len(survived), "name"))
	case len(survived) > 0:
		fmt.Fprintf(w, "Nothing changed at %s where values were sent before and after. Was anything reset in between?\n", plural(len(survived), "name"))
	default:
		fmt.Fprintln(w, "No value that was sent before was sent again.")
	}
	return nil
}

// values lists the values of a side, the first few.
func values(list []version) string {
	if len(list) == 0 {
		return "-"
	}
	out := []string{}
	for i, v := range list {
		if i == 2 {
			out = append(out, fmt.Sprintf("and %d more", len(list)-2))
			break
		}
		out = append(out, decoder.Safe(v.Value))
	}
	return strings.Join(out, ", ")
}
