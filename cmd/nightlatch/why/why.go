// Package why is the command that says what would happen to a name: for which
// device, at which moment, and by which line of which list.
package why

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/blocklists"
	"nightlatch/blocklists/syntax"
	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/dashboard/desk"
	"nightlatch/policy"
)

// answer is a verdict with everything that made it.
type answer struct {
	Name     string    `json:"name"`
	Type     string    `json:"type"`
	Device   string    `json:"device,omitempty"`
	At       time.Time `json:"at"`
	Verdict  string    `json:"verdict"` // pass, sink, deny, drop, rewrite or observe
	Answer   string    `json:"answer"`  // what the device would be told, in words
	List     string    `json:"list,omitempty"`
	File     string    `json:"file,omitempty"` // empty for a list that comes with the program
	Line     int       `json:"line,omitempty"`
	Rule     string    `json:"rule,omitempty"`
	Allow    bool      `json:"allow,omitempty"` // the rule is an exception
	Category string    `json:"category,omitempty"`
	Why      string    `json:"why,omitempty"`
	Breaks   string    `json:"breaks,omitempty"`
	Risk     string    `json:"risk,omitempty"`
	Source   string    `json:"source,omitempty"`
	Reason   string    `json:"reason,omitempty"` // when no list decided, or a pause did

	Hours   []hours    `json:"schedules,omitempty"` // in force at that moment
	Pauses  []pause    `json:"pauses,omitempty"`    // that cover the name
	Others  []ruleInfo `json:"others,omitempty"`    // what other lists say that the device follows
	Unheard []ruleInfo `json:"unheard,omitempty"`   // what lists say that it does not follow
}

// hours is a schedule in force.
type hours struct {
	Name  string     `json:"name"`
	Until *time.Time `json:"until,omitempty"` // nil when it does not end within a fortnight
}

// pause is a pause in force.
type pause struct {
	List  string    `json:"list,omitempty"`
	Name  string    `json:"name,omitempty"`
	Until time.Time `json:"until"`
	Why   string    `json:"why,omitempty"`
}

// ruleInfo is one line of one list.
type ruleInfo struct {
	List  string `json:"list"`
	Line  int    `json:"line"`
	Rule  string `json:"rule"`
	Allow bool   `json:"allow,omitempty"`
	does  string
}

// asked is what a command line asks.
type asked struct {
	name, device, qtype, at string
}

// Command gives the command why.
func Command(a *cli.App) *cobra.Command {
	var q asked
	var asJSON bool
	c := &cobra.Command{
		Use:   "why NAME",
		Short: "Say what would happen to a name, and which line of which list decides",
		Example: `  nightlatch why sa.api.intl.miui.com
  nightlatch why tracking.miui.com --device phone --type AAAA
  nightlatch why video.example --device anna --at "fri 21:30"
  nightlatch why example.com --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			name, err := blocklists.Canonical(args[0])
			if err != nil {
				return cli.Misused(c, "%q is not a name: %w", args[0], err)
			}
			if _, ok := syntax.AnyType(q.qtype); !ok {
				return cli.Misused(c, "%q is not a DNS type; write A, AAAA, HTTPS, TXT or TYPE65", q.qtype)
			}
			q.name, q.qtype = name, strings.ToUpper(q.qtype)
			h, err := a.NeedHome()
			if err != nil {
				return err
			}
			s, err := h.Load()
			if err != nil {
				return err
			}
			for _, b := range s.Lists.Broken {
				a.Say("warning: %s", b.Err)
			}
			found, err := ask(s, q, time.Now())
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(a.Stdout).Encode(found)
			}
			return found.print(a.Stdout, time.Now())
		},
	}
	c.Flags().StringVar(&q.device, "device", "", "as this device (default: as a device without wishes of its own)")
	c.Flags().StringVar(&q.qtype, "type", "A", "query type")
	c.Flags().StringVar(&q.at, "at", "", `at this moment: 21:30, "fri 21:30", "2026-11-27 21:30" (default: now)`)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// ask puts a name to the policy that the files make.
func ask(s *home.Settings, q asked, now time.Time) (*answer, error) {
	out := &answer{Name: q.name, Type: q.qtype, Device: q.device}
	d, err := s.Device(q.device)
	if err != nil {
		return nil, err
	}
	if out.At, err = cli.MomentIn(q.at, now, s.Zone()); err != nil {
		return nil, err
	}
	p, err := s.Policy()
	if err != nil {
		return nil, err
	}
	code, _ := syntax.AnyType(q.qtype) // checked by the command
	e := p.Explain(d, q.name, code, out.At)
	v := e.Verdict
	out.Verdict, out.Reason = v.Action.String(), v.Reason
	out.Answer = words(&v, p.Rewrites(d, q.name, code, out.At), code, s.Config)
	out.Others, out.Unheard = infos(e.Heard, v.Rule), infos(e.Unheard, v.Rule)
	if r := &v.Rule; r.List != "" {
		out.List, out.Line, out.Rule, out.Allow = r.List, r.Line, r.Text, r.Allow
		out.Category, out.Why, out.Breaks, out.Risk, out.Source = r.Category, r.Why, r.Breaks, r.Risk, r.Source
		out.File = s.FileOf(r)
	}
	out.add(&e)
	return out, nil
}

// Sheet says what would happen to a name now, for a page.
func Sheet(s *home.Settings, q desk.Question, now time.Time) (desk.Sheet, error) {
	name, err := blocklists.Canonical(q.Name)
	if err != nil {
		return desk.Sheet{}, fmt.Errorf("%q is not a name: %w", q.Name, err)
	}
	if q.Type == "" {
		q.Type = "A"
	}
	if _, ok := syntax.AnyType(q.Type); !ok {
		return desk.Sheet{}, fmt.Errorf("%q is not a DNS type", q.Type)
	}
	found, err := ask(s, asked{name: name, device: q.Device, qtype: strings.ToUpper(q.Type)}, now)
	if err != nil {
		return desk.Sheet{}, err
	}
	return found.sheet(now), nil
}

// add takes schedules and pauses.
func (w *answer) add(e *policy.Explanation) {
	for _, h := range e.Hours {
		in := hours{Name: h.Schedule.Name}
		if !h.Change.IsZero() {
			until := h.Change.In(w.At.Location())
			in.Until = &until
		}
		w.Hours = append(w.Hours, in)
	}
	for _, p := range e.Pauses {
		w.Pauses = append(w.Pauses, pause{p.List, p.Name, p.Until.In(w.At.Location()), p.Why})
	}
}

func infos(rules []blocklists.Rule, but blocklists.Rule) (out []ruleInfo) {
	for _, r := range rules {
		if r != but {
			out = append(out, ruleInfo{r.List, r.Line, r.Text, r.Allow, does(&r)})
		}
	}
	return out
}

// does says what a rule does, of a list that does not decide.
func does(r *blocklists.Rule) string {
	switch {
	case r.Allow:
		return "allows it"
	case r.Rewrite != nil && !r.Rewrite.Stops():
		return "answers it"
	case r.Action == blocklists.ActionObserve:
		return "observes it"
	}
	return "stops it"
}
