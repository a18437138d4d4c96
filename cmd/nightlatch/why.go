package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"nightlatch/blocklists"
	"nightlatch/blocklists/syntax"
	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config"
	"nightlatch/policy"
)

// whyAnswer is a verdict with everything that made it.
type whyAnswer struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Device   string `json:"device,omitempty"`
	Verdict  string `json:"verdict"` // pass, sink, deny, drop, rewrite or observe
	Answer   string `json:"answer"`  // what the device would be told, in words
	List     string `json:"list,omitempty"`
	File     string `json:"file,omitempty"` // empty for a built-in list
	Line     int    `json:"line,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Allow    bool   `json:"allow,omitempty"` // the rule is an exception
	Category string `json:"category,omitempty"`
	Why      string `json:"why,omitempty"`
	Breaks   string `json:"breaks,omitempty"`
	Source   string `json:"source,omitempty"`
	Reason   string `json:"reason,omitempty"` // when no list decided

	Others  []ruleInfo `json:"others,omitempty"`  // what other lists say that the device follows
	Unheard []ruleInfo `json:"unheard,omitempty"` // what lists say that it does not follow
}

// ruleInfo is one line of one list.
type ruleInfo struct {
	List  string `json:"list"`
	Line  int    `json:"line"`
	Rule  string `json:"rule"`
	Allow bool   `json:"allow,omitempty"`
}

func (r ruleInfo) String() string {
	does := "stops it"
	if r.Allow {
		does = "allows it"
	}
	return fmt.Sprintf("%s:%d %s: %s", r.List, r.Line, does, r.Rule)
}

func ruleInfos(rules []blocklists.Rule, but blocklists.Rule) (out []ruleInfo) {
	for _, r := range rules {
		if r != but {
			out = append(out, ruleInfo{r.List, r.Line, r.Text, r.Allow})
		}
	}
	return out
}

func (a *app) whyCommand() *cobra.Command {
	var device, qtype string
	var asJSON bool
	c := &cobra.Command{
		Use:   "why NAME",
		Short: "Say what would happen to a name, and which line of which list decides",
		Example: `  nightlatch why sa.api.intl.miui.com
  nightlatch why tracking.miui.com --device phone --type AAAA
  nightlatch why example.com --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			name, err := blocklists.Canonical(args[0])
			if err != nil {
				return cli.Misused(c, "%q is not a name: %w", args[0], err)
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
			answer, err := askPolicy(s, name, strings.ToUpper(qtype), device)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(a.Stdout).Encode(answer)
			}
			return answer.print(a.Stdout)
		},
	}
	c.Flags().StringVar(&device, "device", "", "as this device (default: as a device without wishes of its own)")
	c.Flags().StringVar(&qtype, "type", "A", "query type")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// askPolicy puts a name to the policy that the files make.
func askPolicy(s *home.Settings, name, qtype, device string) (whyAnswer, error) {
	answer := whyAnswer{Name: name, Type: qtype, Device: device}
	var d policy.Device
	if device != "" {
		dev, err := pick(s.Devices, device)
		if err != nil {
			return answer, err
		}
		d = home.PolicyDevice(dev)
	}
	p, err := s.Policy()
	if err != nil {
		return answer, err
	}
	code, ok := syntax.AnyType(qtype)
	if !ok {
		return answer, fmt.Errorf("%q is not a DNS type; write A, AAAA, HTTPS, TXT or TYPE65", qtype)
	}
	e := p.Explain(d, name, code, time.Now())
	v := e.Verdict
	answer.Others, answer.Unheard = ruleInfos(e.Heard, v.Rule), ruleInfos(e.Unheard, v.Rule)
	answer.Verdict, answer.Reason = v.Action.String(), v.Reason
	answer.Answer = answerWords(v.Action, qtype, s.Config)
	if r := v.Rule; r.List != "" {
		answer.List, answer.Line, answer.Rule, answer.Allow = r.List, r.Line, r.Text, r.Allow
		answer.Category, answer.Why, answer.Breaks, answer.Source = r.Category, r.Why, r.Breaks, r.Source
		answer.File = s.Lists.Paths[r.List]
	}
	return answer, nil
}

func answerWords(act policy.Action, qtype string, cfg *config.Config) string {
	switch act {
	case policy.Pass:
		return "what the upstreams say"
	case policy.Deny:
		return "the name does not exist (NXDOMAIN)"
	case policy.Drop:
		return "none"
	case policy.Rewrite:
		return "what the rule itself says"
	case policy.Observe:
		return "what the upstreams say; connections to it are sampled"
	}
	switch qtype {
	case "A":
		return fmt.Sprintf("an address of the sinkhole (%s)", cfg.Sinkhole.Network4)
	case "AAAA":
		return fmt.Sprintf("an address of the sinkhole (%s)", cfg.Sinkhole.Network6)
	}
	return "no data of this type"
}

func (w *whyAnswer) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(key, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", key, value)
		}
	}
	row("name", w.Name+" "+w.Type)
	row("device", w.Device)
	row("verdict", w.Verdict)
	row("answer", w.Answer)
	switch {
	case w.List == "" && w.Reason == "":
		row("because", "no list speaks about it")
	case w.List == "":
		row("because", w.Reason)
	default:
		file := w.File
		if file == "" {
			file = "built in"
		}
		kind := "stopped by"
		if w.Allow {
			kind = "allowed by"
		}
		row(kind, fmt.Sprintf("%s:%d (%s)", w.List, w.Line, file))
		row("rule", w.Rule)
	}
	row("category", w.Category)
	row("collects", w.Why)
	row("breaks", w.Breaks)
	row("source", w.Source)
	for _, r := range w.Others {
		row("also", r.String())
	}
	for _, r := range w.Unheard {
		row("not followed", r.String())
	}
	return t.Flush()
}
