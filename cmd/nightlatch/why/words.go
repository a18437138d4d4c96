package why

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"nightlatch/blocklists"
	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/config"
	"nightlatch/dashboard/desk"
	"nightlatch/policy"
)

// DNS types (IANA, DNS Parameters) that have addresses.
const (
	typeA    = 1
	typeAAAA = 28
)

// words says what a device would be told.
func words(v *policy.Verdict, rewrites []blocklists.Rule, qtype uint16, cfg *config.Config) string {
	switch v.Action {
	case policy.Deny:
		return denied(v.Reply, qtype)
	case policy.Drop:
		return "none"
	case policy.Observe:
		return "what the upstreams say; what is sent there in plain HTTP is sampled"
	case policy.Rewrite:
		return rewritten(rewrites)
	case policy.Sink:
		switch qtype {
		case typeA:
			return fmt.Sprintf("an address of the sinkhole (%s)", cfg.Sinkhole.Network4)
		case typeAAAA:
			return fmt.Sprintf("an address of the sinkhole (%s)", cfg.Sinkhole.Network6)
		}
		return "no data of this type"
	}
	return "what the upstreams say"
}

func denied(r blocklists.Reply, qtype uint16) string {
	addr := r.Addr4
	if qtype == typeAAAA {
		addr = r.Addr6
	}
	has := qtype == typeA || qtype == typeAAAA
	switch {
	case r.Kind == blocklists.ReplyRefused:
		return "the question is refused (REFUSED)"
	case r.Kind == blocklists.ReplyNXDomain || r.Kind == blocklists.ReplyDefault:
		return "the name does not exist (NXDOMAIN)"
	case r.Kind == blocklists.ReplyNull && qtype == typeA:
		return "0.0.0.0"
	case r.Kind == blocklists.ReplyNull && qtype == typeAAAA:
		return "::"
	case r.Kind == blocklists.ReplyAddress && has && addr.IsValid():
		return addr.String()
	}
	return "no data of this type"
}

// rewritten says what rules answer together.
func rewritten(rules []blocklists.Rule) string {
	var parts []string
	for _, r := range rules {
		if r.Rewrite != nil {
			parts = append(parts, r.Rewrite.String())
		}
	}
	return "what the rule says: " + strings.Join(parts, " and ")
}

func (w *answer) print(out io.Writer, now time.Time) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range w.sheet(now).Facts {
		fmt.Fprintf(t, "%s\t%s\n", f.Key, f.Value)
	}
	return t.Flush()
}

// sheet is all of the answer, for a terminal or a page.
func (w *answer) sheet(now time.Time) (s desk.Sheet) {
	row := s.Fact
	row("name", w.Name+" "+w.Type)
	row("device", w.Device)
	if d := w.At.Sub(now); d > time.Minute || d < -time.Minute {
		row("at", w.At.Format("Mon 2006-01-02 15:04 MST"))
	}
	row("verdict", w.Verdict)
	row("answer", w.Answer)
	w.because(row)
	row("category", w.Category)
	row("collects", w.Why)
	row("breaks", w.Breaks)
	row("risk", w.Risk)
	row("source", w.Source)
	for _, p := range w.Pauses {
		row("paused", p.words(w.At))
	}
	for _, h := range w.Hours {
		row("schedule", h.words(w.At))
	}
	for _, r := range w.Others {
		row("also", r.String())
	}
	for _, r := range w.Unheard {
		row("not followed", r.String())
	}
	return s
}

// because says what decided.
func (w *answer) because(row func(key, value string)) {
	if w.Reason != "" {
		row("because", w.Reason)
	}
	switch {
	case w.List == "" && w.Reason == "":
		row("because", "no list speaks about it")
		return
	case w.List == "":
		return
	}
	file := w.File
	if file == "" {
		file = "built in"
	}
	row(w.kind(), fmt.Sprintf("%s:%d (%s)", w.List, w.Line, file))
	row("rule", w.Rule)
}

// kind says what the deciding rule did.
func (w *answer) kind() string {
	switch {
	case w.Reason == policy.ReasonPaused:
		return "else by"
	case w.Allow:
		return "allowed by"
	case w.Verdict == policy.Rewrite.String():
		return "answered by"
	case w.Verdict == policy.Observe.String():
		return "observed by"
	}
	return "stopped by"
}

func (p pause) words(at time.Time) string {
	what := "everything"
	switch {
	case p.List != "" && p.Name != "":
		what = p.List + " for " + p.Name
	case p.List != "":
		what = p.List
	case p.Name != "":
		what = p.Name
	}
	s := fmt.Sprintf("%s until %s (%s left)", what, cli.When(p.Until, at), cli.Span(p.Until.Sub(at)))
	if p.Why != "" {
		s += ": " + p.Why
	}
	return s
}

func (h hours) words(at time.Time) string {
	if h.Until == nil {
		return h.Name
	}
	return fmt.Sprintf("%s until %s", h.Name, cli.When(*h.Until, at))
}

// String gives the line of another list.
func (r ruleInfo) String() string { return fmt.Sprintf("%s:%d %s: %s", r.List, r.Line, r.does, r.Rule) }
