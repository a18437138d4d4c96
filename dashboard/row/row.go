// Package row turns events of the journal into lines of a table, in words for
// people. It is pure.
package row

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"nightlatch/blocklists"
	"nightlatch/dashboard/visible"
	"nightlatch/dashboard/words"
	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/sinkhole"
)

// Lengths at which hostile text is cut on a page; the API has it whole.
const (
	LongName   = 120
	LongText   = 300
	longDevice = 100 // a configured name is shorter
)

// Row is one event as a line of a table. Tone picks its colour, Outcome says
// the same in words.
type Row struct {
	ID      int64
	At      time.Time
	Kind    string // query, flow, capture or notice
	Device  string
	Name    string // the name or address it is about
	More    string // type, port, size: what else a person wants to see
	Outcome string
	Tone    string // pass, stop, leak, fail or note
	Held    bool   // it did not get where it was meant to go
	By      By
}

// By is what decided: a line of a list, or a reason.
type By struct {
	List   string
	Line   int
	Text   string // the rule as written
	Why    string // what the rule's list says that this name collects
	Reason string // when no list decided
}

func decidedBy(rule blocklists.Rule, reason string) By {
	return By{List: visible.Cut(rule.List, LongName), Line: rule.Line, Text: visible.Cut(rule.Text, LongText), Why: visible.Cut(rule.Why, LongText), Reason: visible.Cut(reason, LongText)}
}

// named leaves out a rule that says no more than the name it decided about.
func (r Row) named() Row {
	if r.By.Text == r.Name || r.By.Text == "="+r.Name {
		r.By.Text = ""
	}
	return r
}

// Of gives the line of any event that the journal kept.
func Of(e journal.StoredEvent) (Row, bool) {
	switch v := e.Event.(type) {
	case journal.StoredQuery:
		return OfQuery(v).named(), true
	case journal.StoredFlow:
		return OfFlow(v).named(), true
	case journal.StoredCapture:
		return OfCapture(v), true
	case journal.StoredNotice:
		return OfNotice(v), true
	}
	return Row{}, false
}

func OfQuery(q journal.StoredQuery) Row {
	r := Row{ID: q.ID, At: q.Time, Kind: journal.KindQuery, Device: visible.Cut(q.Device, longDevice), Name: visible.Cut(q.Name, LongName), More: visible.Cut(q.Type, 20), By: decidedBy(q.Verdict.Rule, q.Verdict.Reason)}
	r.Outcome, r.Tone, r.Held = "stopped", "stop", q.Verdict.Action.Stops()
	switch {
	case q.Verdict.Action.Stops() && q.Through != "":
		r.More += " → " + visible.Cut(q.Through, LongName)
	case q.Verdict.Action.Stops():
	case q.Verdict.Action == policy.Rewrite:
		r.Outcome, r.Tone = "answered by a rule", "pass"
	case q.Verdict.Reason == policy.ReasonPaused:
		r.Outcome, r.Tone = "let through in a pause", "pass"
	case q.Verdict.Action == policy.Observe && q.RCode == "NOERROR":
		r.Outcome, r.Tone = "answered, and observed", "pass"
	case q.RCode == "NXDOMAIN":
		r.Outcome, r.Tone = "no such name", "pass"
	case q.RCode != "" && q.RCode != "NOERROR":
		r.Outcome, r.Tone = "failed: "+visible.Cut(q.RCode, 20), "fail"
	default:
		r.Outcome, r.Tone = "answered", "pass"
	}
	if (q.Verdict.Action == policy.Pass || q.Verdict.Action == policy.Observe) && r.By.Reason == "" {
		r.By.Reason = AnsweredBy(q.Upstream)
	}
	return r
}

// AnsweredBy shortens an upstream to what tells it from others.
func AnsweredBy(upstream string) string {
	if upstream == "" {
		return "answered here"
	}
	s, _, _ := strings.Cut(upstream, "#")
	if _, rest, ok := strings.Cut(s, "://"); ok {
		s, _, _ = strings.Cut(rest, "/")
	}
	return visible.Cut(s, 60)
}

func OfFlow(f journal.StoredFlow) Row {
	r := Row{ID: f.ID, At: f.Time, Kind: journal.KindFlow, Device: visible.Cut(f.Device, longDevice), Name: visible.Cut(f.Name, LongName), By: decidedBy(f.Verdict.Rule, f.Verdict.Reason)}
	r.Held = f.Verdict.Action.Stops()
	r.More = destination(f.Proto, f.Dst, f.Name != "")
	if f.Name == "" {
		r.Name = f.Dst.Addr().Unmap().String()
	}
	switch f.Verdict.Action {
	case policy.Pass, policy.Observe:
		r.Outcome, r.Tone = "↑ "+words.Size(f.Up)+" ↓ "+words.Size(f.Down), "pass"
		if f.Err != "" {
			r.Outcome, r.Tone = visible.Cut(f.Err, 60), "fail"
		}
		if f.Name == "" && r.By.Reason == "" {
			r.By.Reason = "hard-coded address"
		}
	case policy.Sink:
		r.Outcome, r.Tone = "led to the sinkhole", "stop"
	default:
		r.Outcome, r.Tone = "refused", "stop"
	}
	return r
}

// destination says by which protocol and port, and to which address when the
// name of the row does not say it.
func destination(proto string, dst netip.AddrPort, withAddr bool) string {
	s := visible.Cut(proto, 10)
	if dst.Port() != 0 {
		s += fmt.Sprintf(" %d", dst.Port())
	}
	if withAddr && dst.Addr().IsValid() {
		s += ", " + dst.Addr().Unmap().String()
	}
	return s
}

func OfCapture(c journal.StoredCapture) Row {
	r := Row{ID: c.ID, At: c.Time, Kind: journal.KindCapture, Device: visible.Cut(c.Device, longDevice), Name: visible.Cut(c.Name, LongName), Tone: "stop", By: By{Reason: "the sinkhole"}}
	r.More = visible.Cut(c.Scheme, 10) + ", " + words.Size(c.Size)
	n := int64(len(Shown(c.Findings)))
	r.Held = !Observed(c)
	state := sinkhole.StateOf(c.Capture)
	switch {
	case Observed(c) && n > 0:
		r.Outcome, r.Tone, r.By.Reason = "reached the host with "+words.Many(n, "private value", "private values"), "leak", "observed on its way"
	case Observed(c):
		r.Outcome, r.Tone, r.By.Reason = "reached the host, and was read", "pass", "observed on its way"
	case n > 0:
		r.Outcome, r.Tone = "caught with "+words.Many(n, "private value", "private values"), "leak"
	case c.TLS != nil && c.TLS.Outcome != "" && c.Size == 0:
		r.Outcome = "caught, unread: " + visible.Cut(c.TLS.Outcome, 60)
	case state != sinkhole.StateRead:
		r.Outcome = "caught, unread: " + string(state)
	default:
		r.Outcome = "caught"
	}
	if c.Repeats > 0 {
		r.More += ", and " + words.Many(int64(c.Repeats), "like it", "like it")
	}
	return r
}

func OfNotice(n journal.StoredNotice) Row {
	r := Row{ID: n.ID, At: n.Time, Kind: journal.KindNotice, Device: visible.Cut(n.Device, longDevice), Name: visible.Cut(n.Text, LongText), More: visible.Cut(n.Room, 30), Outcome: "note", Tone: "note"}
	switch {
	case n.Level >= journal.Error:
		r.Outcome, r.Tone = "error", "fail"
	case n.Level == journal.Warn:
		r.Outcome, r.Tone = "warning", "fail"
	}
	return r
}

// Shown are the findings a person is Shown at first: what only looks like an
// identifier stays behind a fold.
func Shown(all []journal.StoredFinding) []journal.StoredFinding {
	out := make([]journal.StoredFinding, 0, len(all))
	for _, f := range all {
		if f.Confidence != "possible" {
			out = append(out, f)
		}
	}
	return out
}
