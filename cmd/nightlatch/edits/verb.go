package edits

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"nightlatch/blocklists"
	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
)

// verbFlags are the flags of block, allow, sink and observe.
type verbFlags struct {
	shared
	devices     []string
	span        string
	why, answer string
	exact       bool
	force       bool
}

const verbLong = `NAME is a name with all below it; "*.example.com" is what is below it alone,
and --exact the name alone. A pasted address of a page is taken for the name in
it. An IP address or a network is stopped or allowed as an address.

The rule goes into overlay.yaml in the home folder, which stands above every
list; a running gateway takes it at once. The same name for the same devices
again replaces the earlier rule. nightlatch rules shows all of them, and
nightlatch undo takes the last change back.`

// verb is block, allow, sink or observe.
func (t *tool) verb(does, title string) *cobra.Command {
	var f verbFlags
	c := &cobra.Command{
		Use: does + " NAME", Short: title, Long: title + ".\n\n" + verbLong,
		Example: fmt.Sprintf("  nightlatch %s ads.example.com\n  nightlatch %s ads.example.com --device tablet --for 2h", does, does),
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return t.runVerb(c, does, args[0], f) },
	}
	c.Flags().StringArrayVar(&f.devices, "device", nil, "for this device only; may stand several times")
	c.Flags().StringVar(&f.span, "for", "", "only for so long: 10m, 12h, 30d")
	c.Flags().StringVar(&f.why, "why", "", "the reason, kept with the rule and shown by nightlatch why")
	c.Flags().BoolVar(&f.exact, "exact", false, "the name alone, not what is below it")
	c.Flags().BoolVar(&f.force, "force", false, "also for a name as wide as com or co.uk")
	if does == "block" {
		c.Flags().StringVar(&f.answer, "answer", "", "what is answered: nxdomain, null, nodata, refused, or an address")
	}
	f.add(c)
	return c
}

// request is what a person asked for, by a command line or on a page.
type request struct {
	does, word string
	line       string // the command line that does the same, for undo
	wrong      misuse
}

func (t *tool) runVerb(c *cobra.Command, does, word string, f verbFlags) error {
	h, err := t.NeedHome()
	if err != nil {
		return err
	}
	o := &outcome{Command: does}
	if err := t.rule(c.Context(), h, request{does, word, commandLine(c, word), misused(c)}, f, o); err != nil {
		return err
	}
	return t.report(f.shared, o)
}

// rule puts a rule into the overlay, and says what holds then.
func (t *tool) rule(ctx context.Context, h home.Home, q request, f verbFlags, o *outcome) error {
	now := t.now()
	r, err := newRule(h, q, f, now, o)
	if err != nil {
		return err
	}
	never, err := r.neverBlock()
	if err != nil {
		return q.wrong("%w", err)
	}
	if n := len(never); n > 0 {
		shown := strings.Join(never[:min(n, 3)], "; ")
		if n > 3 {
			shown += fmt.Sprintf("; and %d more", n-3)
		}
		o.warn("this stops what no list should: %s; nightlatch undo takes it back", shown)
	}
	err = t.apply(ctx, h, f.shared, change{
		file: overlayName, fresh: overlayHead, of: q.line,
		edit: func(text []byte) ([]byte, error) { return r.put(h.Path(overlayName), text, now, o) },
	}, o)
	if err != nil {
		return err
	}
	o.Rule = r
	if f.dryRun {
		return nil
	}
	return t.inForce(h, r, now, o)
}

// newRule makes the rule that is asked for.
func newRule(h home.Home, q request, f verbFlags, now time.Time, o *outcome) (*rule, error) {
	does := q.does
	about, err := parseSubject(q.word, f.exact)
	if err != nil {
		return nil, q.wrong("%w", err)
	}
	if about.note != "" {
		o.say("%s", about.note)
	}
	r := &rule{Name: about.written, Does: does, Answer: f.answer, Why: strings.TrimSpace(f.why), about: about, section: "rules", plain: true}
	if does == "allow" {
		r.section = "allow"
	}
	if about.name == "" && (does == "sink" || does == "observe") {
		return nil, q.wrong("%s is an address: only names can be led to the sinkhole or observed; block %s refuses it", about.covers(), about.covers())
	}
	if about.name == "" && f.answer != "" {
		return nil, q.wrong("%s is an address, which is not asked for: --answer is about names", about.covers())
	}
	if wide := about.wide(); wide != "" && !f.force {
		return nil, fmt.Errorf("%s: %s; if you mean it, add --force; for this name alone, --exact", about.written, wide)
	}
	if f.span != "" {
		d, err := span(q.wrong, f.span, 0)
		if err != nil {
			return nil, err
		}
		until := now.Add(d).UTC().Truncate(time.Second)
		r.Until = &until
	}
	if r.Devices, err = knownDevices(h, f.devices); err != nil {
		return nil, err
	}
	if _, err := blocklists.Parse(blocklists.Source{Name: "overlay", Format: blocklists.Native}, strings.NewReader(r.section+":\n"+r.item())); err != nil {
		return nil, q.wrong("%s", withoutPlace(err))
	}
	return r, nil
}

// withoutPlace leaves the place out of an error about a rule that stands in no
// file yet.
func withoutPlace(err error) string {
	msg := strings.TrimPrefix(err.Error(), "blocklists: ")
	if head, tail, ok := strings.Cut(msg, ": "); ok && strings.Contains(head, ":") {
		return tail
	}
	return msg
}

// inForce says what holds now, for whom, until when, and what stands against it.
func (t *tool) inForce(h home.Home, r *rule, now time.Time, o *outcome) error {
	res, err := readFile(h, overlayName, overlayHead)
	if err != nil {
		return err
	}
	all, err := parseOverlay(h.Path(overlayName), res, now)
	written := r.find(all)
	if err != nil || written == nil {
		return err // another command has taken it out already
	}
	o.Line, r.Line, r.Number = written.Line, written.Line, written.Number
	o.say("%s", r.sentence(now))
	if err := r.effect(h, all, now, o); err != nil {
		o.warn("it is written, but whether it decides cannot be told: %v", err)
	}
	o.words = append(o.words, o.standing(r.Does)...)
	for _, old := range o.Removed {
		o.say("it replaces: %s", old)
	}
	return nil
}

// sentence says what a rule does.
func (r *rule) sentence(now time.Time) string {
	does := map[string]string{
		"block": "blocked: ", "allow": "allowed: ", "sink": "led to the sinkhole: ", "observe": "observed: ",
	}[r.Does]
	s := does + r.about.covers() + ", for " + whom(r.Devices)
	if r.Answer != "" {
		s += ", answered with " + r.Answer
	}
	if r.Until != nil {
		s += fmt.Sprintf(", until %s (%s)", when(*r.Until, now), left(*r.Until, now))
	}
	return s
}

// commandLine gives a command as nightlatch undo will name it.
func commandLine(c *cobra.Command, words ...string) string {
	line := append([]string{cli.CommandName(c)}, words...)
	c.Flags().Visit(func(f *pflag.Flag) {
		switch values, many := f.Value.(pflag.SliceValue); {
		case f.Name == "json" || f.Name == "home":
		case many:
			for _, v := range values.GetSlice() {
				line = append(line, "--"+f.Name, v)
			}
		case f.Value.Type() == "bool":
			line = append(line, "--"+f.Name)
		default:
			line = append(line, "--"+f.Name, quoteShell(f.Value.String()))
		}
	})
	return clip(strings.Join(line, " "))
}
