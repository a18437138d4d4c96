package dashboard

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"nightlatch/blocklists"
	"nightlatch/dashboard/visible"
	"nightlatch/journal"
	"nightlatch/policy"
)

// Lengths at which hostile text is cut on a page; the API has it whole.
const (
	longName = 120
	longText = 300
)

// row is one event as a line of a table. Tone picks its colour, Outcome says
// the same in words.
type row struct {
	ID      int64
	At      time.Time
	Kind    string // query, flow, capture or notice
	Device  string
	Name    string // the name or address it is about
	More    string // type, port, size: what else a person wants to see
	Outcome string
	Tone    string // pass, stop, leak, fail or note
	By      by
}

// by is what decided: a line of a list, or a reason.
type by struct {
	List   string
	Line   int
	Text   string // the rule as written
	Why    string // what the rule's list says that this name collects
	Reason string // when no list decided
}

func decidedBy(rule blocklists.Rule, reason string) by {
	return by{List: visible.Cut(rule.List, longName), Line: rule.Line, Text: visible.Cut(rule.Text, longText), Why: visible.Cut(rule.Why, longText), Reason: visible.Cut(reason, longText)}
}

// rowOf gives the line of any event that the journal kept.
func rowOf(e journal.StoredEvent) (row, bool) {
	switch v := e.Event.(type) {
	case journal.StoredQuery:
		return rowOfQuery(v), true
	case journal.StoredFlow:
		return rowOfFlow(v), true
	case journal.StoredCapture:
		return rowOfCapture(v), true
	case journal.StoredNotice:
		return rowOfNotice(v), true
	}
	return row{}, false
}

func rowOfQuery(q journal.StoredQuery) row {
	r := row{ID: q.ID, At: q.Time, Kind: journal.KindQuery, Device: q.Device, Name: visible.Cut(q.Name, longName), More: visible.Cut(q.Type, 20), By: decidedBy(q.Verdict.Rule, q.Verdict.Reason)}
	r.Outcome, r.Tone = "stopped", "stop"
	switch {
	case q.Verdict.Action.Stops() && q.Through != "":
		r.More += " → " + visible.Cut(q.Through, longName)
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
		r.By.Reason = answeredBy(q.Upstream)
	}
	return r
}

// answeredBy shortens an upstream to what tells it from others.
func answeredBy(upstream string) string {
	if upstream == "" {
		return "answered here"
	}
	s, _, _ := strings.Cut(upstream, "#")
	if _, rest, ok := strings.Cut(s, "://"); ok {
		s, _, _ = strings.Cut(rest, "/")
	}
	return visible.Cut(s, 60)
}

func rowOfFlow(f journal.StoredFlow) row {
	r := row{ID: f.ID, At: f.Time, Kind: journal.KindFlow, Device: f.Device, Name: visible.Cut(f.Name, longName), By: decidedBy(f.Verdict.Rule, f.Verdict.Reason)}
	r.More = destination(f.Proto, f.Dst, f.Name != "")
	if f.Name == "" {
		r.Name = f.Dst.Addr().Unmap().String()
	}
	switch f.Verdict.Action {
	case policy.Pass, policy.Observe:
		r.Outcome, r.Tone = "↑ "+size(f.Up)+" ↓ "+size(f.Down), "pass"
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

func rowOfCapture(c journal.StoredCapture) row {
	r := row{ID: c.ID, At: c.Time, Kind: journal.KindCapture, Device: c.Device, Name: visible.Cut(c.Name, longName), Tone: "stop", By: by{Reason: "the sinkhole"}}
	r.More = visible.Cut(c.Scheme, 10) + ", " + size(c.Size)
	n := int64(len(shown(c.Findings)))
	switch {
	case n > 0:
		r.Outcome, r.Tone = "caught with "+many(n, "private value", "private values"), "leak"
	case c.TLS != nil && c.TLS.Outcome != "" && c.Size == 0:
		r.Outcome = "caught, unread: " + visible.Cut(c.TLS.Outcome, 60)
	default:
		r.Outcome = "caught"
	}
	if c.Repeats > 0 {
		r.More += ", and " + many(int64(c.Repeats), "like it", "like it")
	}
	return r
}

func rowOfNotice(n journal.StoredNotice) row {
	r := row{ID: n.ID, At: n.Time, Kind: journal.KindNotice, Device: n.Device, Name: visible.Cut(n.Text, longText), More: visible.Cut(n.Room, 30), Outcome: "note", Tone: "note"}
	switch {
	case n.Level >= journal.Error:
		r.Outcome, r.Tone = "error", "fail"
	case n.Level == journal.Warn:
		r.Outcome, r.Tone = "warning", "fail"
	}
	return r
}

// shown are the findings a person is shown at first: what only looks like an
// identifier stays behind a fold.
func shown(all []journal.StoredFinding) []journal.StoredFinding {
	out := make([]journal.StoredFinding, 0, len(all))
	for _, f := range all {
		if f.Confidence != "possible" {
			out = append(out, f)
		}
	}
	return out
}
