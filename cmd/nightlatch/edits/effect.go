package edits

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"nightlatch/blocklists"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/policy"
)

// deviceView is what a device would get now.
type deviceView struct {
	Device  string `json:"device"`  // empty: a device without wishes of its own
	Verdict string `json:"verdict"` // pass, sink, deny, drop, observe, ...
	List    string `json:"list,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Rule    string `json:"rule,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Holds   bool   `json:"holds"` // the new rule decides

	number int // of the rule that decides, when it is one of the overlay
}

// effect asks the policy that the files make now whether a rule decides, for
// everyone it is meant for, and says what else does.
func (r *rule) effect(h home.Home, all []rule, now time.Time, o *outcome) error {
	s, err := h.Load()
	if err != nil {
		return err
	}
	for _, b := range s.Lists.Broken {
		o.warn("%s", b.Err)
	}
	p, err := s.Policy()
	if err != nil {
		return err
	}
	for _, d := range meant(s, r.Devices) {
		v := r.ask(p, d, now)
		view := deviceView{Device: d.Name, Verdict: v.Action.String(), List: v.Rule.List, Line: v.Rule.Line, Rule: v.Rule.Text, Reason: v.Reason}
		if view.List != "" {
			view.File = s.Lists.Paths[v.Rule.List]
		}
		if filepath.Base(view.File) == overlayName {
			for _, other := range all {
				if other.Line <= view.Line && view.Line <= other.end {
					view.number = other.Number
				}
			}
		}
		view.Holds = v.Reason == "" && view.number == r.Number
		o.Verdicts = append(o.Verdicts, view)
	}
	if less := r.exceptions(s); len(less) > 0 {
		shown := strings.Join(less[:min(len(less), 3)], ", ")
		if len(less) > 3 {
			shown += fmt.Sprintf(" and %d more", len(less)-3)
		}
		o.say("but below it your own lists say otherwise: %s", shown)
	}
	return nil
}

// meant gives the devices a rule is for: those it names; else any that has no
// wishes of its own, and every device there is.
func meant(s *home.Settings, names []string) []policy.Device {
	var out []policy.Device
	if len(names) == 0 {
		out = append(out, policy.Device{})
	}
	for _, d := range s.Devices {
		if len(names) == 0 || slices.Contains(names, d.Name) {
			out = append(out, home.PolicyDevice(d))
		}
	}
	return out
}

// ask puts the subject of a rule to the policy.
func (r *rule) ask(p *policy.Policy, d policy.Device, now time.Time) policy.Verdict {
	if r.about.name != "" {
		return p.Explain(d, r.about.asked(), typeA, now).Verdict
	}
	dst := netip.AddrPortFrom(r.about.prefix.Addr(), 443)
	return p.Flow(policy.Flow{Device: d, Proto: protoTCP, Dst: dst}, now)
}

const (
	typeA    = 1 // RFC 1035 §3.2.2
	protoTCP = 6 // IANA, Protocol Numbers
)

// standing says what stands against a rule, a line for each cause.
func (o *outcome) standing(wanted string) []string {
	var order []string
	who := map[string][]string{}
	for _, v := range o.Verdicts {
		if v.Holds || v.sameAs(wanted) {
			continue
		}
		cause := v.cause()
		if who[cause] == nil {
			order = append(order, cause)
		}
		if v.Device != "" {
			who[cause] = append(who[cause], v.Device)
		} else {
			who[cause] = append(who[cause], "")
		}
	}
	var out []string
	for _, cause := range order {
		names := who[cause]
		if slices.Contains(names, "") {
			names = nil
		}
		out = append(out, fmt.Sprintf("but not in force for %s: %s", whom(names), cause))
	}
	return out
}

// sameAs says whether another rule of the overlay has the wanted effect anyway.
func (v deviceView) sameAs(wanted string) bool {
	verdict := map[string]string{"block": "deny", "allow": "pass", "sink": "sink", "observe": "observe"}[wanted]
	return v.Reason == "" && v.number > 0 && v.Verdict == verdict
}

// cause says what decided instead, and what to do about it.
func (v deviceView) cause() string {
	at := fmt.Sprintf("%s:%d", v.List, v.Line)
	if v.File != "" {
		at = fmt.Sprintf("%s:%d", filepath.Base(v.File), v.Line)
	}
	switch {
	case v.Reason == policy.ReasonPaused:
		return "a pause lifts it; nightlatch resume ends it"
	case v.Reason != "" && v.List == "":
		return fmt.Sprintf("%s: %s", v.Verdict, v.Reason)
	case v.List == "":
		return "no list speaks about it for this device; nightlatch why shows more"
	case v.number > 0:
		return fmt.Sprintf("%s (%s) decides: %s; take it out with: nightlatch rules remove %d", at, v.Rule, v.Verdict, v.number)
	case v.File != "":
		return fmt.Sprintf("%s (%s) decides: %s; change that line", at, v.Rule, v.Verdict)
	}
	return fmt.Sprintf("%s (%s) decides: %s; nightlatch why shows more", at, v.Rule, v.Verdict)
}

// quoteShell writes a word for a shell.
func quoteShell(word string) string {
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// exceptions gives the rules of the owner's own lists about names below the
// subject that say otherwise: they are more specific, and stay in force.
func (r *rule) exceptions(s *home.Settings) (out []string) {
	if r.about.name == "" || r.about.sign == "=" {
		return nil
	}
	for _, l := range s.Lists.All {
		if !l.Own {
			continue
		}
		for other := range l.Rules() {
			if other.Allow != (r.Does == "allow") && strings.HasSuffix(other.Domain, "."+r.about.name) {
				out = append(out, fmt.Sprintf("%s:%d (%s)", filepath.Base(s.Lists.Paths[l.Name]), other.Line, other.Text))
			}
		}
	}
	return out
}

// neverBlock says which names the rule would stop that no list should.
func (r *rule) neverBlock() ([]string, error) {
	if r.Does == "allow" || r.Does == "observe" {
		return nil, nil
	}
	g, err := blocklists.NeverBlock()
	if err != nil {
		return nil, err
	}
	l, err := blocklists.Parse(blocklists.Source{Name: "overlay", Format: blocklists.Native}, strings.NewReader("rules:\n"+r.item()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.about.written, err)
	}
	var out []string
	for _, c := range g.Crossings(l) {
		name := c.Name.Text
		if c.Name.Why != "" {
			name += " (" + c.Name.Why + ")"
		}
		out = append(out, name)
	}
	if len(out) == 0 && r.about.name != "" && g.Protects(r.about.asked()) {
		out = append(out, r.about.name)
	}
	return out, nil
}
