package event

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"nightlatch/journal/terminal"
	"nightlatch/policy"
)

// Widths of the columns of a line, in characters. A longer device or kind is
// cut; a longer "what" pushes the verdict to the right and is cut at maxWhat.
const (
	deviceWidth = 12
	typeWidth   = 6
	whatWidth   = 44
	maxWhat     = 120
	maxVerdict  = 160
)

// Line gives one line for a terminal, without a newline and without colours:
//
//	17:57:02  redmi         ask   AAAA    data.mistat.intl.xiaomi.com                   sink  xiaomi:12
//	17:57:02  redmi         flow  tcp     8.8.8.8:853                                   deny  DNS over TLS
//	17:57:03  redmi         got   https   POST tracking.miui.com/track 2.1 kB           leak  android_id, url x3
//	17:57:09  -             note  warn    lists: xiaomi could not be read               -
//
// The columns are the local time, the device, the kind of event, its type, what
// happened, and the verdict with the list and line that made it. Whatever came
// from outside is escaped as [terminal.Escape] does. Values of findings are not
// shown. Stored events give the same line as they did live, but that repeats
// within a second were folded into one.
func Line(e Event) string {
	switch e := e.(type) {
	case Query:
		return columns(e.Time, e.Device, "ask", e.Type, queryWhat(e), verdict(e.Verdict, okRCode(e.RCode)))
	case Flow:
		return columns(e.Time, e.Device, "flow", e.Proto, flowWhat(e), verdict(e.Verdict, e.Err))
	case Capture:
		return columns(e.Time, e.Device, "got", e.Scheme, captureWhat(e), captureVerdict(e))
	case Notice:
		what := e.Text
		if e.Room != "" {
			what = e.Room + ": " + what
		}
		return strings.TrimRight(columns(e.Time, e.Device, "note", e.Level.String(), what, ""), " ")
	case StoredQuery:
		return Line(e.Query)
	case StoredFlow:
		return Line(e.Flow)
	case StoredCapture:
		return Line(e.Capture)
	case StoredNotice:
		return Line(e.Notice)
	}
	return ""
}

func columns(at time.Time, device, kind, typ, what, verdict string) string {
	if device == "" {
		device = "-"
	}
	return at.Local().Format(time.TimeOnly) + "  " +
		pad(terminal.Escape(device, deviceWidth), deviceWidth) + "  " + pad(kind, 4) + "  " +
		pad(terminal.Escape(typ, typeWidth), typeWidth) + "  " +
		pad(terminal.Escape(what, whatLimit(kind)), whatWidth) + "  " + terminal.Escape(verdict, maxVerdict)
}

// whatLimit: a notice is a sentence with an advice at its end, and has no verdict.
func whatLimit(kind string) int {
	if kind == "note" {
		return maxText
	}
	return maxWhat
}

func pad(s string, width int) string {
	if n := utf8.RuneCountInString(s); n < width {
		return s + strings.Repeat(" ", width-n)
	}
	return s
}

func queryWhat(q Query) string {
	what := q.Name
	if q.Through != "" && q.Through != q.Name {
		what += " (alias of " + q.Through + ")"
	}
	if q.Repeats > 0 {
		what += fmt.Sprintf(" (%d times)", q.Repeats+1)
	}
	return what
}

// okRCode hides the code that everything expects.
func okRCode(rcode string) string {
	if rcode == "NOERROR" {
		return ""
	}
	return rcode
}

func flowWhat(f Flow) string {
	what := address(f.Dst)
	if f.Dst.IsValid() && f.Dst.Port() == 0 {
		what = f.Dst.Addr().String() // ICMP has no ports
	}
	if f.Name != "" {
		what = f.Name
		if f.Dst.Port() != 0 {
			what += ":" + strconv.Itoa(int(f.Dst.Port()))
		}
		if f.known().Sure() == "claimed" {
			what += " (claimed in " + f.Known.String() + ")"
		}
	}
	if f.Up+f.Down > 0 {
		what += fmt.Sprintf(" (up %s, down %s)", size(f.Up), size(f.Down))
	}
	return what
}

func captureWhat(c Capture) string {
	what := c.Name + c.Path
	if c.Method != "" {
		what = c.Method + " " + what
	}
	if c.Size > 0 {
		what += " " + size(c.Size)
	}
	if c.Repeats > 0 {
		what += fmt.Sprintf(" (and %d alike)", c.Repeats)
	}
	return what
}

// captureVerdict says what the payload gave away, or why it could not be read.
func captureVerdict(c Capture) string {
	verdict := c.Result.Verdict
	if verdict == "" && c.TLS != nil {
		verdict = c.TLS.Outcome
	}
	kinds, count := []string{}, map[string]int{}
	for _, f := range c.Result.Findings {
		if count[f.Kind]++; count[f.Kind] == 1 {
			kinds = append(kinds, f.Kind)
		}
	}
	for i, k := range kinds {
		if n := count[k]; n > 1 {
			kinds[i] = fmt.Sprintf("%s x%d", k, n)
		}
	}
	return strings.TrimRight(pad(verdict, 4)+"  "+strings.Join(kinds, ", "), " ")
}

// verdict spells a decision: the action, then the list and line or the reason,
// then how it ended when that is not as usual.
func verdict(v policy.Verdict, outcome string) string {
	parts := make([]string, 0, 3)
	if v.Rule.List != "" {
		rule := v.Rule.List + ":" + strconv.Itoa(v.Rule.Line)
		if v.Rule.Allow {
			rule += " (allowed)"
		}
		parts = append(parts, rule)
	}
	if v.Reason != "" {
		parts = append(parts, v.Reason)
	}
	if outcome != "" && (v.Action == policy.Pass || v.Action == policy.Observe) {
		parts = append(parts, outcome)
	}
	return strings.TrimRight(v.Action.String()+"  "+strings.Join(parts, ", "), " ")
}

// size spells bytes with three digits or so: 999 B, 2.1 kB, 14 MB.
func size(n int64) string {
	f, units := float64(n), []string{"B", "kB", "MB", "GB", "TB"}
	for f >= 999.5 && len(units) > 1 {
		f, units = f/1000, units[1:]
	}
	if f < 9.95 && units[0] != "B" {
		return fmt.Sprintf("%.1f %s", f, units[0])
	}
	return fmt.Sprintf("%.0f %s", f, units[0])
}

// address spells an address and port; one that is not valid is empty.
func address(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
