// Package wishes is the command policy: what a device may and may not do, on one
// screen, and the services that can be blocked.
package wishes

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/blocklists"
	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config"
	"nightlatch/dashboard/desk"
	"nightlatch/policy"
)

// Command gives the command policy.
func Command(a *cli.App) *cobra.Command {
	return cli.Group("policy", "What devices may and may not do",
		"The wishes of nightlatch.yaml as they are understood: see docs/policy.md.",
		"  nightlatch policy show\n  nightlatch policy show anna --at \"fri 21:30\"\n  nightlatch policy services",
		showCommand(a), servicesCommand(a))
}

func showCommand(a *cli.App) *cobra.Command {
	var at string
	var asJSON bool
	c := &cobra.Command{
		Use:   "show [DEVICE]",
		Short: "Show all that holds for a device, now or at another time",
		Long: `Show the lists a device follows, rules of yours for it alone, schedules and what
is in force now, pauses and the rest of its wishes. Without a device: for one
without wishes of its own.`,
		Example: `  nightlatch policy show
  nightlatch policy show anna
  nightlatch policy show anna --at "fri 21:30" --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			device := ""
			if len(args) == 1 {
				device = args[0]
			}
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
			v, err := look(s, device, at, time.Now())
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(a.Stdout).Encode(v)
			}
			return v.print(a.Stdout)
		},
	}
	c.Flags().StringVar(&at, "at", "", `at this moment: 21:30, "fri 21:30", "2026-11-27 21:30" (default: now)`)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func servicesCommand(a *cli.App) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "services", Short: "Name the services that block_services and schedules can block",
		Example: "  nightlatch policy services",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			type service struct {
				Name  string `json:"name"`
				Rules int    `json:"rules"`
				About string `json:"about"`
			}
			all := []service{}
			for _, name := range blocklists.Services() {
				l, err := blocklists.Service(name)
				if err != nil {
					return err
				}
				all = append(all, service{name, l.Len(), l.About})
			}
			if asJSON {
				return json.NewEncoder(a.Stdout).Encode(all)
			}
			t := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "SERVICE\tRULES\tWHAT IT IS")
			for _, s := range all {
				fmt.Fprintf(t, "%s\t%d\t%s\n", s.Name, s.Rules, s.About)
			}
			return t.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	return c
}

// view is what policy show prints, as scripts see it.
type view struct {
	Device      string     `json:"device,omitempty"`
	Groups      []string   `json:"groups,omitempty"`
	At          time.Time  `json:"at"`
	Action      string     `json:"action"`            // of names that lists stop, at that moment
	Answer      string     `json:"answer"`            // of denied names
	Literal     string     `json:"literal_addresses"` // pass, deny or drop
	QUIC        string     `json:"quic"`              // pass, deny or drop
	LAN         []string   `json:"lan,omitempty"`     // what it may reach in the home network
	SafeSearch  string     `json:"safe_search"`       // off, on or strict
	Services    []string   `json:"block_services,omitempty"`
	RefuseTypes []string   `json:"refuse_types,omitempty"`
	Tags        []string   `json:"tags,omitempty"`
	Closed      string     `json:"closed,omitempty"`  // why everything is denied at that moment
	Changes     *time.Time `json:"changes,omitempty"` // when this changes by itself
	Lists       []followed `json:"lists"`
	Rules       []ruleLine `json:"rules,omitempty"` // of the owner's lists, for this device
	Schedules   []hours    `json:"schedules,omitempty"`
	Pauses      []pause    `json:"pauses,omitempty"`
}

type followed struct {
	Name   string `json:"name"`
	Rules  int    `json:"rules"`
	Now    bool   `json:"now"`              // heard at that moment
	Action string `json:"action,omitempty"` // of all it stops, for this device
}

type ruleLine struct {
	List string `json:"list"`
	Line int    `json:"line"`
	Rule string `json:"rule"`
	Does string `json:"does"` // stops, allows, answers or observes
}

type hours struct {
	Name   string     `json:"name"`
	Days   []string   `json:"days,omitempty"`
	From   string     `json:"from"`
	To     string     `json:"to"`
	Zone   string     `json:"time_zone"`
	Does   string     `json:"does"`
	Active bool       `json:"active"`
	Change *time.Time `json:"change,omitempty"`
}

type pause struct {
	List  string    `json:"list,omitempty"`
	Name  string    `json:"name,omitempty"`
	Until time.Time `json:"until"`
	Why   string    `json:"why,omitempty"`
}

// Sheet shows what holds for a device now, for a page.
func Sheet(s *home.Settings, device string, now time.Time) (desk.Sheet, error) {
	v, err := look(s, device, "", now)
	if err != nil {
		return desk.Sheet{}, err
	}
	return v.sheet(), nil
}

// look asks the policy that the files make what holds for a device.
func look(s *home.Settings, device, when string, now time.Time) (*view, error) {
	d, err := s.Device(device)
	if err != nil {
		return nil, err
	}
	at, err := cli.MomentIn(when, now, s.Zone())
	if err != nil {
		return nil, err
	}
	p, err := s.Policy()
	if err != nil {
		return nil, err
	}
	st := p.Standing(d, at)
	w := s.Config.WishesOf(device)
	v := &view{
		Device: device, Groups: s.Config.GroupsOf(device), At: at, Action: st.Action.String(), Answer: st.Rules.Reply.String(),
		Literal: st.Rules.Literal.String(), QUIC: st.Rules.QUIC.String(), SafeSearch: string(w.SafeSearch), Services: w.Services,
		RefuseTypes: w.RefuseTypes, Tags: w.Tags, Closed: st.Closed, Changes: moment(st.Until, at),
		Rules: forDevice(s, p, d, at),
	}
	for _, l := range w.LAN {
		v.LAN = append(v.LAN, l.String())
	}
	if v.SafeSearch == "" {
		v.SafeSearch = "off"
	}
	for _, l := range st.Lists {
		f := followed{Name: l.Name, Rules: l.Rules, Now: l.Now}
		if l.Service {
			f.Action = policy.Deny.String()
		} else if l.Action != policy.Pass {
			f.Action = l.Action.String()
		}
		v.Lists = append(v.Lists, f)
	}
	for _, h := range st.Schedules {
		v.Schedules = append(v.Schedules, hoursOf(&h, w.Schedules[h.Schedule.Name], at))
	}
	for _, p := range st.Pauses {
		v.Pauses = append(v.Pauses, pause{p.List, p.Name, p.Until.In(at.Location()), p.Why})
	}
	return v, nil
}

func hoursOf(h *policy.Hours, c config.Schedule, at time.Time) hours {
	out := hours{
		Name: h.Schedule.Name, From: c.From.String(), To: c.To.String(), Zone: h.Schedule.Zone.String(),
		Does: does(c), Active: h.Active, Change: moment(h.Change, at),
	}
	if c.To == 0 {
		out.To = "24:00"
	}
	for _, d := range c.Days {
		out.Days = append(out.Days, d.String())
	}
	return out
}

// moment is nil for one that does not come.
func moment(t, at time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.In(at.Location())
	return &t
}

// maxOwn bounds the rules that are looked through for those of one device.
const maxOwn = 50_000

// forDevice finds the rules of the owner's lists that hold for this device and
// not for every one.
func forDevice(s *home.Settings, p *policy.Policy, d policy.Device, at time.Time) []ruleLine {
	var out []ruleLine
	if d.Name == "" {
		return nil
	}
	for _, l := range s.Lists.All {
		in, err := p.Set().Select(l.Name)
		if !l.Own || err != nil || l.Len() > maxOwn || home.Apart(l.Name) {
			continue
		}
		q := blocklists.Query{Type: 1, Now: at}
		for r := range l.Rules() {
			if q.Name = r.Domain; q.Name == "" {
				continue
			}
			if r.Match == blocklists.Below {
				q.Name = "x." + r.Domain
			}
			of, stranger := q, q
			of.Client = d.Name
			if len(d.Addrs) > 0 {
				of.Addr = d.Addrs[0]
			}
			mine, ok := p.Set().Ask(of, in)
			theirs, _ := p.Set().Ask(stranger, in)
			if ok && mine.Line == r.Line && mine.File == r.File && (theirs.Line != r.Line || theirs.File != r.File) {
				out = append(out, ruleLine{r.List, r.Line, r.Text, verb(&r)})
			}
		}
	}
	return out
}

func verb(r *blocklists.Rule) string {
	switch {
	case r.Allow:
		return "allows"
	case r.Rewrite != nil && !r.Rewrite.Stops():
		return "answers"
	case r.Action == blocklists.ActionObserve:
		return "observes"
	}
	return "stops"
}
