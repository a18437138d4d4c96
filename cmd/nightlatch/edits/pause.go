package edits

import (
	"context"
	"errors"
	"fmt"
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

// pausesHead begins the file of pauses.
const pausesHead = `# Written by nightlatch pause; nightlatch resume ends what is in it. You may edit it too:
# each entry of pauses has any of device, list and name (what is left away means every one),
# until, and why.
`

const (
	usualPause = "10m"
	maxPause   = 24 * time.Hour
)

// untilResumed stands for a pause that only resume ends.
var untilResumed = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// pause is one entry of pauses.yaml. What is empty is everything.
type pause struct {
	Device string    `json:"device,omitempty"`
	List   string    `json:"list,omitempty"`
	Name   string    `json:"name,omitempty"`
	Until  time.Time `json:"until"`
	Why    string    `json:"why,omitempty"`
	Ended  bool      `json:"ended,omitempty"`

	index int
}

func pausesPath() edit.Path { return edit.Path{"pauses"} }

// checkPauses holds the pauses against the reader that the gateway uses.
func checkPauses(path string, text []byte) error {
	_, _, err := config.ParsePauses(path, text)
	return err
}

// parsePauses reads the pauses as the commands see them, once that reader has
// found no fault with them.
func parsePauses(path string, text []byte, now time.Time) ([]pause, error) {
	if err := checkPauses(path, text); err != nil {
		return nil, err
	}
	items, err := edit.Items(text, pausesPath())
	if err != nil {
		return nil, err
	}
	var out []pause
	for _, it := range items {
		p := pause{Device: it.Text("device"), List: it.Text("list"), Name: it.Text("name"), Why: it.Text("why"), index: it.Index}
		until := readUntil(it.Text("until"))
		if until == nil {
			return nil, &edit.Error{Line: it.Line, Column: 1, Msg: "a pause needs until:, a moment as 2026-12-31T18:00:00Z"}
		}
		p.Until = *until
		p.Ended = !p.Until.After(now)
		out = append(out, p)
	}
	return out, nil
}

func readPauses(h home.Home, now time.Time) ([]pause, error) {
	text, err := readFile(h, pausesName, pausesHead)
	if err != nil {
		return nil, err
	}
	out, err := parsePauses(h.Path(pausesName), text, now)
	return out, place(h.Path(pausesName), err)
}

// item writes a pause as an entry of the file.
func (p *pause) item() string {
	var b strings.Builder
	for _, f := range []struct{ key, value string }{
		{"device", p.Device}, {"list", p.List}, {"name", p.Name}, {"until", p.Until.UTC().Format(time.RFC3339)}, {"why", p.Why},
	} {
		if f.value == "" {
			continue
		}
		sign := "  "
		if b.Len() == 0 {
			sign = "- "
		}
		value := f.value
		if f.key != "until" {
			value = edit.Quote(value)
		}
		fmt.Fprintf(&b, "%s%s: %s\n", sign, f.key, value)
	}
	return b.String()
}

// what says in words what is paused.
func (p *pause) what() string {
	s := "all blocking"
	switch {
	case p.List != "" && p.Name != "":
		s = "what list " + p.List + " says about " + p.Name
	case p.List != "":
		s = "what list " + p.List + " blocks"
	case p.Name != "":
		s = "blocking of " + p.Name + " and everything below it"
	}
	if p.Device == "" {
		return s + ", for every device"
	}
	return s + ", for " + p.Device
}

func (p *pause) sentence(now time.Time) string {
	if p.Until.Equal(untilResumed) {
		return "paused: " + p.what() + ", until nightlatch resume"
	}
	return fmt.Sprintf("paused: %s, until %s (%s)", p.what(), when(p.Until, now), left(p.Until, now))
}

// scope are the flags that say what is paused or resumed.
type scope struct {
	devices    []string
	list, name string
}

func (s *scope) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&s.devices, "device", nil, "this device only; may stand several times")
	c.Flags().StringVar(&s.list, "list", "", "what this list or service blocks only")
	c.Flags().StringVar(&s.name, "name", "", "this name and all below it only")
}

// check puts the words of a scope right.
func (s *scope) check(c *cobra.Command) error {
	if s.name == "" {
		return nil
	}
	about, err := parseSubject(s.name, false)
	switch {
	case err != nil:
		return cli.Misused(c, "--name: %w", err)
	case about.name == "" || about.sign != "":
		return cli.Misused(c, "--name: write a name as ads.example.com; it is meant with all below it")
	}
	s.name, err = blocklists.Canonical(about.name)
	return err
}

func (t *tool) pauseCommand() *cobra.Command {
	var f shared
	var s scope
	var length, why string
	var open bool
	c := &cobra.Command{
		Use:   "pause",
		Short: "Let things through for a while: for a device, a list or a name, or all of it",
		Long: `Lift blocking for a while, 10 minutes unless --for says otherwise. Without
flags everything is lifted for every device. What a pause covers passes at once,
and is blocked again by itself when the pause ends; phones may keep an answer for
up to dns.block_ttl. The same pause again sets its end anew.`,
		Example: "  nightlatch pause --device tablet\n  nightlatch pause --list xiaomi --for 1h\n  nightlatch pause --name shop.example.com --until-resumed",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			until, err := t.pauseEnd(c, length, open)
			if err != nil {
				return err
			}
			return t.pause(c, f, s, until, strings.TrimSpace(why))
		},
	}
	s.add(c)
	c.Flags().StringVar(&length, "for", usualPause, "how long, up to 24h: 10m, 2h")
	c.Flags().BoolVar(&open, "until-resumed", false, "until nightlatch resume")
	c.Flags().StringVar(&why, "why", "", "the reason, kept with the pause")
	f.add(c)
	return c
}

func (t *tool) pauseEnd(c *cobra.Command, length string, open bool) (time.Time, error) {
	if open {
		if c.Flags().Changed("for") {
			return time.Time{}, cli.Misused(c, "--for and --until-resumed exclude each other")
		}
		return untilResumed, nil
	}
	d, err := span(misused(c), length, maxPause)
	return t.now().Add(d).UTC().Truncate(time.Second), err
}

func (t *tool) pause(c *cobra.Command, f shared, s scope, until time.Time, why string) error {
	if err := s.check(c); err != nil {
		return err
	}
	h, err := t.NeedHome()
	if err != nil {
		return err
	}
	o := &outcome{Command: "pause"}
	if err := t.lift(c.Context(), h, commandLine(c), f, s, until, why, o); err != nil {
		return err
	}
	return t.report(f, o)
}

// lift writes the pauses of a scope; line is the command line that does the same.
func (t *tool) lift(ctx context.Context, h home.Home, line string, f shared, s scope, until time.Time, why string, o *outcome) error {
	devices, err := knownDevices(h, s.devices)
	if err != nil {
		return err
	}
	if err := knownList(h, s.list); err != nil {
		return err
	}
	if devices == nil {
		devices = []string{""}
	}
	now := t.now()
	for _, d := range devices {
		o.Pauses = append(o.Pauses, pause{Device: d, List: s.list, Name: s.name, Until: until, Why: why})
	}
	err = t.apply(ctx, h, f, change{file: pausesName, fresh: pausesHead, of: line, edit: func(text []byte) ([]byte, error) {
		return putPauses(h.Path(pausesName), text, o.Pauses, now, o)
	}}, o)
	if err != nil {
		return err
	}
	for i := range o.Pauses {
		o.say("%s", o.Pauses[i].sentence(now))
	}
	return nil
}

// knownList holds that a list is one of the home's, or a service.
func knownList(h home.Home, list string) error {
	if list == "" {
		return nil
	}
	s, err := h.Load()
	if err != nil {
		return err
	}
	var names []string
	for _, l := range s.Lists.All {
		names = append(names, l.Name)
	}
	services := blocklists.Services()
	if slices.Contains(names, list) || slices.Contains(services, list) {
		return nil
	}
	if meant := spell.Meant(list, slices.Concat(names, services)...); meant != "" {
		return fmt.Errorf("no list is called %q%s", clip(list), meant)
	}
	return fmt.Errorf("no list is called %q; known are %s", clip(list), strings.Join(names, ", "))
}

// putPauses writes pauses in the place of equal ones, or behind all others;
// those that have ended go.
func putPauses(path string, text []byte, fresh []pause, now time.Time, o *outcome) ([]byte, error) {
	old, err := parsePauses(path, text, now)
	if err != nil {
		return nil, err
	}
	o.Ended = 0
	done, gone := map[int]bool{}, []int{}
	for _, p := range slices.Backward(old) {
		i := slices.IndexFunc(fresh, func(n pause) bool { return n.Device == p.Device && n.List == p.List && n.Name == p.Name })
		switch {
		case i >= 0 && !done[i]:
			done[i] = true
			if text, err = edit.Replace(text, pausesPath(), p.index, fresh[i].item()); err != nil {
				return nil, err
			}
		case i >= 0 || p.Ended:
			if p.Ended {
				o.Ended++
			}
			gone = append(gone, p.index)
		}
	}
	if text, err = edit.Remove(text, pausesPath(), gone...); err != nil {
		return nil, err
	}
	for i := range fresh {
		if done[i] {
			continue
		}
		if text, err = edit.Append(text, pausesPath(), fresh[i].item()); err != nil {
			return nil, err
		}
	}
	return text, checkPauses(path, text)
}

func (t *tool) resumeCommand() *cobra.Command {
	var f shared
	var s scope
	c := &cobra.Command{
		Use:     "resume",
		Short:   "End pauses before their time: all of them, or those the flags name",
		Long:    "End pauses before their time. Without flags all of them end; with flags those\nthat were made for that device, list or name.",
		Example: "  nightlatch resume\n  nightlatch resume --device tablet",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if err := s.check(c); err != nil {
				return err
			}
			h, err := t.NeedHome()
			if err != nil {
				return err
			}
			o := &outcome{Command: "resume"}
			if err := t.resume(c.Context(), h, commandLine(c), f, s, o); err != nil {
				return err
			}
			return t.report(f, o)
		},
	}
	s.add(c)
	f.add(c)
	return c
}

// ends says whether a resume with these flags ends a pause.
func (s *scope) ends(p pause) bool {
	return (len(s.devices) == 0 || slices.Contains(s.devices, p.Device)) && (s.list == "" || s.list == p.List) && (s.name == "" || s.name == p.Name)
}

// resume ends the pauses of a scope; line is the command line that does the same.
func (t *tool) resume(ctx context.Context, h home.Home, line string, f shared, s scope, o *outcome) error {
	now := t.now()
	var left []pause
	err := t.apply(ctx, h, f, change{file: pausesName, fresh: pausesHead, of: line, edit: func(text []byte) ([]byte, error) {
		old, err := parsePauses(h.Path(pausesName), text, now)
		if err != nil {
			return nil, err
		}
		o.Ended, o.Removed, left = 0, nil, nil
		var gone []int
		for _, p := range old {
			switch {
			case p.Ended:
				o.Ended++
			case s.ends(p):
				o.Removed = append(o.Removed, p.what())
			default:
				left = append(left, p)
				continue
			}
			gone = append(gone, p.index)
		}
		if len(old) == 0 {
			return nil, errNothingPaused
		}
		return edit.Remove(text, pausesPath(), gone...)
	}}, o)
	if errors.Is(err, errNothingPaused) {
		err = nil
	}
	if err != nil {
		return err
	}
	for _, what := range o.Removed {
		o.say("resumed: %s", what)
	}
	switch {
	case len(o.Removed) > 0:
	case len(left) == 0:
		o.say("nothing is paused")
	default:
		o.say("no pause is of that device, list or name")
	}
	for _, p := range left {
		o.say("still %s", p.sentence(now))
	}
	return nil
}

// errNothingPaused leaves a file that has no pauses as it is.
var errNothingPaused = errors.New("nothing is paused")
