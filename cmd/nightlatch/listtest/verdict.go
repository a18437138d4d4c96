package listtest

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"nightlatch/blocklists"
	"nightlatch/blocklists/syntax"
)

// The words of a verdict.
const (
	Blocked   = "blocked"   // a rule stops it
	Allowed   = "allowed"   // an exception lets it through
	Passed    = "pass"      // no rule speaks about it, or an RPZ zone says rpz-passthru
	Rewritten = "rewritten" // a rule gives another answer: $dnsrewrite, local data of an RPZ zone
	Dropped   = "dropped"   // it gets no answer
	Truncated = "truncated" // it is sent on to TCP, and answered there: rpz-tcp-only
)

// Verdict is the answer to one query. What does not apply is empty.
type Verdict struct {
	Verdict string `json:"verdict"`
	Rule    string `json:"rule"` // as it stands in the list; several that make up one answer are joined with " + "
	List    string `json:"list"` // the file of the first rule: the one named, or the one it includes
	Line    int    `json:"line"`
	// Detail says what is answered, where the rule itself says so: the address of
	// a hosts line; NXDOMAIN or NODATA for RPZ and dnsmasq; the data or the CNAME of
	// an RPZ zone; RCODE/TYPE/VALUE/CNAME for $dnsrewrite; what a native list says
	// under answer:, as it is for the type asked; observe, of a name that passes.
	Detail string `json:"detail"`
}

// Ask gives the verdict on one query.
func (t *Tester) Ask(q Query) Verdict {
	if t.Now != nil {
		q.Now = t.Now()
	}
	rule, ok := t.set.Ask(q.Query, blocklists.Selection{})
	if q.Answer.IsValid() {
		rule, ok = t.set.MatchAddr(q.Answer, blocklists.Selection{})
	}
	if !ok {
		return Verdict{Verdict: Passed}
	}
	v := Verdict{Verdict: Blocked, Rule: rule.Text, List: rule.List, Line: rule.Line}
	if rule.File != "" { // where the line is
		v.List = path.Join(path.Dir(rule.List), rule.File)
	}
	format := t.formats[rule.List]
	switch w := rule.Rewrite; {
	case rule.Allow && format == blocklists.RPZ:
		v.Verdict = Passed // as the zone's own word for it
	case rule.Allow:
		v.Verdict = Allowed
	case rule.Action == blocklists.ActionDrop:
		v.Verdict = Dropped
	case rule.Action == blocklists.ActionObserve:
		v.Verdict, v.Detail = Passed, "observe"
	case w != nil && w.TCP:
		v.Verdict, v.Detail = Truncated, "TC=1 over UDP, real answer over TCP"
	case w != nil && (format == blocklists.Adblock || !w.Stops()):
		t.rewritten(&v, q, format)
	default:
		v.Detail = detail(&rule, q.Type, format)
	}
	return v
}

// rewritten tells what the rules that make up an answer say together.
func (t *Tester) rewritten(v *Verdict, q Query, format blocklists.Format) {
	v.Verdict = Rewritten
	var rules, details []string
	for _, r := range t.set.Rewrites(q.Query, blocklists.Selection{}) {
		if !slices.Contains(rules, r.Text) {
			rules = append(rules, r.Text)
		}
		switch format {
		case blocklists.RPZ:
			details = append(details, zoneData(r.Rewrite, q.Name))
		case blocklists.Adblock:
			details = append(details, adguardData(r.Rewrite))
		default:
			details = append(details, r.Rewrite.String())
		}
	}
	v.Rule, v.Detail = strings.Join(rules, " + "), strings.Join(details, " + ")
}

// zoneData writes a rewrite as a zone has it: the data, or the name to go to.
func zoneData(w *blocklists.Rewrite, asked string) string {
	switch rest, star := strings.CutPrefix(w.CNAME, "*."); {
	case star:
		return strings.ToLower(strings.TrimSuffix(asked, ".")) + "." + rest + "."
	case w.CNAME != "":
		return w.CNAME + "."
	}
	return w.Value
}

// adguardData writes a rewrite as RCODE/TYPE/VALUE/CNAME, in the form in which
// AdGuard's engine prints what is absent.
func adguardData(w *blocklists.Rewrite) string {
	kind, value := "None", "<nil>"
	if w.Type != 0 {
		kind, value = syntax.TypeName(w.Type), w.Value
	}
	return syntax.CodeName(w.Code) + "/" + kind + "/" + value + "/" + w.CNAME
}

// detail says what a block is answered with, where its list says so.
func detail(r *blocklists.Rule, qtype uint16, format blocklists.Format) string {
	switch {
	case r.Reply.Kind != blocklists.ReplyDefault:
		return reply(r.Reply, qtype)
	case r.Answer.IsValid():
		return r.Answer.String()
	case r.Rewrite != nil && r.Rewrite.Code == 0:
		return "NODATA"
	case format == blocklists.RPZ:
		return "NXDOMAIN"
	case format == blocklists.DNSMasq && strings.HasSuffix(r.Text, "/"):
		return "NXDOMAIN"
	}
	return ""
}

// reply says how a denied question of a type is answered.
func reply(r blocklists.Reply, qtype uint16) string {
	a := map[uint16]netip.Addr{typeA: r.Addr4, typeAAAA: r.Addr6}[qtype]
	switch r.Kind {
	case blocklists.ReplyNXDomain:
		return "NXDOMAIN"
	case blocklists.ReplyRefused:
		return "REFUSED"
	case blocklists.ReplyNull:
		a = map[uint16]netip.Addr{typeA: netip.IPv4Unspecified(), typeAAAA: netip.IPv6Unspecified()}[qtype]
	}
	if a.IsValid() {
		return a.String()
	}
	return "NODATA"
}

// DNS types that have addresses for data (RFC 1035 §3.2.2, RFC 3596 §2.1).
const (
	typeA    = 1
	typeAAAA = 28
)
