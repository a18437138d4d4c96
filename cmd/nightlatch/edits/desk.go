package edits

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"nightlatch/cmd/nightlatch/home"
	"nightlatch/dashboard/desk"
)

// Desk fills in what of a dashboard's desk is a change of these commands: the
// same files, the same checks, the same undo.
func Desk(d *desk.Desk, h home.Home, reload Reload) {
	t := &tool{reload: reload, now: time.Now}
	d.Rule = func(ctx context.Context, r desk.Rule) (desk.Told, error) { return t.ruleFor(ctx, h, r) }
	d.Remove = func(ctx context.Context, r desk.InForce) (desk.Told, error) { return t.removeFor(ctx, h, r) }
	d.Pause = func(ctx context.Context, p desk.Pause) (desk.Told, error) { return t.pauseFor(ctx, h, p) }
	d.Resume = func(ctx context.Context, device string) (desk.Told, error) {
		o, s := &outcome{}, scope{}
		if device != "" {
			s.devices = []string{device}
		}
		line := typed("resume", "--device", device)
		return o.told(line, t.resume(ctx, h, line, shared{}, s, o))
	}
	d.Undo = func(ctx context.Context, command string) (desk.Told, error) { return t.undoFor(ctx, h, command) }
	d.Standing = func() (desk.Standing, error) { return t.standing(h) }
}

// told gives an outcome to a page.
func (o *outcome) told(line string, err error) (desk.Told, error) {
	if err != nil {
		return desk.Told{}, err
	}
	said := o.words
	if o.Gateway != tookIt && o.Changed {
		said = append(said, "the running gateway has not taken it yet")
	}
	return desk.Told{Said: said, Warnings: o.Warnings, Command: line}, nil
}

// typed writes the command line that does what a page did; a flag without a
// value is left away.
func typed(words ...string) string {
	var line []string
	for i, w := range words {
		if i > 0 && strings.HasPrefix(words[i-1], "--") {
			if w == "" {
				line = line[:len(line)-1]
				continue
			}
			w = quoteShell(w)
		}
		line = append(line, w)
	}
	return clip(strings.Join(line, " "))
}

func (t *tool) ruleFor(ctx context.Context, h home.Home, r desk.Rule) (desk.Told, error) {
	if !slices.Contains([]string{"block", "allow", "sink", "observe"}, r.Does) {
		return desk.Told{}, fmt.Errorf("a rule can block, allow, sink or observe, not %q", clip(r.Does))
	}
	f, o := verbFlags{why: r.Why}, &outcome{}
	if r.Device != "" {
		f.devices = []string{r.Device}
	}
	if r.For > 0 {
		f.span = short(r.For)
	}
	line := typed(r.Does, quoteShell(r.Name), "--device", r.Device, "--for", f.span)
	return o.told(line, t.rule(ctx, h, request{r.Does, r.Name, line, fmt.Errorf}, f, o))
}

func (t *tool) removeFor(ctx context.Context, h home.Home, wanted desk.InForce) (desk.Told, error) {
	text, err := readFile(h, overlayName, overlayHead)
	if err != nil {
		return desk.Told{}, err
	}
	rules, err := parseOverlay(h.Path(overlayName), text, t.now())
	if err != nil {
		return desk.Told{}, place(h.Path(overlayName), err)
	}
	n := wanted.Number
	if n < 1 || n > len(rules) || rules[n-1].Name != wanted.Name {
		return desk.Told{}, errors.New("the rules have changed meanwhile; look again")
	}
	o, line := &outcome{}, typed("rules", "remove", quoteShell(wanted.Name))
	return o.told(line, t.remove(ctx, h, line, shared{}, &rules[n-1], o))
}

func (t *tool) pauseFor(ctx context.Context, h home.Home, p desk.Pause) (desk.Told, error) {
	if p.For < time.Second || p.For > maxPause {
		return desk.Told{}, fmt.Errorf("a pause lasts up to %.0f hours", maxPause.Hours())
	}
	o, s := &outcome{}, scope{}
	if p.Device != "" {
		s.devices = []string{p.Device}
	}
	line := typed("pause", "--device", p.Device, "--for", short(p.For))
	until := t.now().Add(p.For).UTC().Truncate(time.Second)
	return o.told(line, t.lift(ctx, h, line, shared{}, s, until, "", o))
}

// undoFor takes the last change back when it is the one a person was shown.
func (t *tool) undoFor(ctx context.Context, h home.Home, command string) (desk.Told, error) {
	p, err := last(h)
	if err != nil {
		return desk.Told{}, err
	}
	if p.Command != command {
		return desk.Told{}, fmt.Errorf("another change was made since (nightlatch %s), so nothing was taken back", p.Command)
	}
	o := &outcome{}
	return o.told("undo", t.undo(ctx, h, shared{}, o))
}

// standing gives the rules and pauses there are, and the last change.
func (t *tool) standing(h home.Home) (desk.Standing, error) {
	var out desk.Standing
	now := t.now()
	text, err := readFile(h, overlayName, overlayHead)
	if err != nil {
		return out, err
	}
	rules, err := parseOverlay(h.Path(overlayName), text, now)
	if err != nil {
		return out, place(h.Path(overlayName), err)
	}
	for _, r := range rules {
		in := desk.InForce{Number: r.Number, Does: r.Does, Name: r.Name, For: whom(r.Devices), Ended: r.Ended, Why: r.Why}
		if r.Does == "" {
			in.Does = "stop"
		}
		if r.Until != nil {
			in.Until = *r.Until
		}
		out.Rules = append(out.Rules, in)
	}
	pauses, err := readPauses(h, now)
	if err != nil {
		return out, err
	}
	for _, p := range pauses {
		if p.Ended {
			continue
		}
		in := desk.Paused{What: p.what(), Device: p.Device, Until: p.Until}
		if p.Until.Equal(untilResumed) {
			in.Until = time.Time{}
		}
		out.Pauses = append(out.Pauses, in)
	}
	if p, err := last(h); err == nil { // else there is none that could be taken back
		out.Command, out.Changed = p.Command, p.Time
	}
	return out, nil
}
