package listtest

import (
	"strings"

	"nightlatch/blocklists"
)

// The words of a verdict.
const (
	Blocked = "blocked" // a rule stops it
	Allowed = "allowed" // an exception lets it through
	Passed  = "pass"    // no rule speaks about it, or an RPZ zone says rpz-passthru
	Dropped = "dropped" // it gets no answer
)

// Verdict is the answer to one query. What does not apply is empty.
type Verdict struct {
	Verdict string `json:"verdict"`
	Rule    string `json:"rule"` // as it stands in the list
	List    string `json:"list"`
	Line    int    `json:"line"`
	// Detail says what is answered, where the rule itself says so: the address of
	// a hosts line; NXDOMAIN or NODATA for RPZ and dnsmasq.
	Detail string `json:"detail"`
}

// Ask gives the verdict on one query.
func (t *Tester) Ask(q Query) Verdict {
	rule, ok := t.set.Ask(q.Query, blocklists.Selection{})
	if q.Answer.IsValid() {
		rule, ok = t.set.MatchAddr(q.Answer, blocklists.Selection{})
	}
	if !ok {
		return Verdict{Verdict: Passed}
	}
	v := Verdict{Verdict: Blocked, Rule: rule.Text, List: rule.List, Line: rule.Line}
	format := t.formats[rule.List]
	switch {
	case rule.Allow && format == blocklists.RPZ:
		v.Verdict = Passed // as the zone's own word for it
	case rule.Allow:
		v.Verdict = Allowed
	case rule.Action == blocklists.ActionDrop:
		v.Verdict = Dropped
	default:
		v.Detail = detail(&rule, format)
	}
	return v
}

// detail says what a block is answered with, where its list says so.
func detail(r *blocklists.Rule, format blocklists.Format) string {
	switch {
	case r.Answer.IsValid():
		return r.Answer.String()
	case format == blocklists.RPZ:
		return "NXDOMAIN"
	case format == blocklists.DNSMasq && strings.HasSuffix(r.Text, "/"):
		return "NXDOMAIN"
	}
	return ""
}
