package policy

import (
	"fmt"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"nightlatch/blocklists"
)

// The order of precedence, once more and as slowly as it can be written: the
// rows of the package comment, each with what it means, tried one after the
// other on rules kept in a slice. The properties below hold the real thing
// against it on worlds made at random.

// told is one rule of a world.
type told struct {
	list      int
	line      int
	domain    string       // of a name rule
	prefix    netip.Prefix // of an address rule
	exact     bool
	allow     bool
	exception bool // @@ of an imported list
	action    blocklists.Action
	reply     blocklists.Reply
	rewrite   bool // the rule answers by itself
}

// made is one list of a world.
type made struct {
	name                        string
	own, overlay, service, safe bool
}

// world is a policy and all that it was made from.
type world struct {
	policy *Policy
	rules  []told
	lists  []made
	wishes map[string]Rules
	pauses []Pause
	sink   []netip.Prefix
}

// asked is one question put to a world.
type asked struct {
	device string
	name   string
	qtype  uint16
	flow   Flow
	now    time.Time
}

// speaks gives the rule that package blocklists names among some lists: the
// overlay, own lists, then exceptions, then the more specific, then allows, then
// the order of lists.
func (w *world) speaks(among func(list int) bool, covers func(told) (size int, ok bool)) *told {
	var best *told
	var bestRank []int
	for i := range w.rules {
		r := &w.rules[i]
		size, ok := covers(*r)
		if !ok || !among(r.list) {
			continue
		}
		l := w.lists[r.list]
		rank := []int{bit(l.overlay), bit(l.own), bit(r.exception), size, bit(r.exact), bit(r.allow), -r.list, -r.line}
		if best == nil || slices.Compare(rank, bestRank) > 0 {
			best, bestRank = r, rank
		}
	}
	return best
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (w *world) wish(device string) Rules {
	if r, ok := w.wishes[device]; ok {
		return r
	}
	return w.wishes[""]
}

// inForce gives the schedules of a device that hold at a moment, by clocks of UTC.
func (w *world) inForce(q asked) (out []Schedule) {
	t := q.now
	minute := t.Hour()*60 + t.Minute()
	for _, s := range w.wish(q.device).Schedules {
		on := func(d time.Weekday) bool { return s.Days == 0 || s.Days>>d&1 == 1 }
		today, before := on(t.Weekday()), on((t.Weekday()+6)%7)
		if s.From < s.To && today && minute >= s.From && minute < s.To ||
			s.From >= s.To && (today && minute >= s.From || before && minute < s.To) {
			out = append(out, s)
		}
	}
	return out
}

// follows says whether a device follows a list at a moment.
func (w *world) follows(q asked, list int) bool {
	r, l := w.wish(q.device), w.lists[list]
	for _, s := range w.inForce(q) {
		if slices.Contains(s.Lists, l.name) || slices.Contains(s.Services, l.name) {
			return true
		}
	}
	switch {
	case l.safe:
		return false
	case l.overlay: // of every device
		return true
	case l.service:
		return slices.Contains(r.Services, l.name)
	case len(r.Lists) > 0:
		return slices.Contains(r.Lists, l.name)
	}
	return !slices.ContainsFunc(r.Schedules, func(s Schedule) bool { return slices.Contains(s.Lists, l.name) })
}

// pauses gives those that cover a name for a device at a moment.
func (w *world) paused(q asked, name string) (out []Pause) {
	for _, p := range w.pauses {
		if (p.Device == "" || p.Device == q.device) && q.now.Before(p.Until) && (p.Name == "" || name == p.Name || strings.HasSuffix(name, "."+p.Name)) {
			out = append(out, p)
		}
	}
	return out
}

// off says whether a pause of everything covers a name.
func (w *world) off(q asked, name string) bool {
	return slices.ContainsFunc(w.paused(q, name), func(p Pause) bool { return p.List == "" })
}

// heardFor gives the rule that speaks when what pauses lift for a name is left
// out, and the rule of a paused list when nothing else speaks.
func (w *world) heardFor(q asked, name string, covers func(told) (int, bool)) (speaks, lifted *told) {
	among := func(list int) bool { return w.follows(q, list) }
	first := w.speaks(among, covers)
	silent := func(list int) bool {
		return slices.ContainsFunc(w.paused(q, name), func(p Pause) bool { return p.List == w.lists[list].name })
	}
	if first == nil || first.allow || !silent(first.list) {
		return first, nil
	}
	if again := w.speaks(func(list int) bool { return among(list) && !silent(list) }, covers); again != nil {
		return again, nil
	}
	return nil, first
}

func named(name string) func(told) (int, bool) {
	return func(r told) (int, bool) {
		return len(r.domain), r.domain != "" && (name == r.domain || !r.exact && strings.HasSuffix(name, "."+r.domain))
	}
}

func (w *world) byName(q asked, name string) *told {
	r, _ := w.heardFor(q, name, named(name))
	return r
}

func (w *world) byAddr(q asked) *told {
	r, _ := w.heardFor(q, q.flow.Name, func(r told) (int, bool) {
		return r.prefix.Bits(), r.domain == "" && r.prefix.Contains(q.dst())
	})
	return r
}

// row is a line of the table: it applies or not, and then decides.
type row struct {
	title, outcome string
	applies        func(*world, asked) bool
	action         func(*world, asked) Action
	rule           func(*world, asked) *told // nil: no rule decides
	reason         func(*world, asked) string
}

func always(a Action) func(*world, asked) Action      { return func(*world, asked) Action { return a } }
func reason(s string) func(*world, asked) string      { return func(*world, asked) string { return s } }
func nobody(*world, asked) *told                      { return nil }
func whatever(*world, asked) bool                     { return true }
func (w *world) owns(r *told) bool                    { return r != nil && w.lists[r.list].own }
func (w *world) stops(q asked, r *told) bool          { return r != nil && w.does(q, r).Stops() }
func (w *world) acts(q asked, r *told, a Action) bool { return r != nil && w.does(q, r) == a }

// does is what a rule does to a name, sentence by sentence as the package comment
// has it.
func (w *world) does(q asked, r *told) Action {
	if r.allow {
		return Pass
	}
	if r.rewrite {
		return Rewrite
	}
	a := Sink
	wish := w.wish(q.device)
	if wish.Action != Pass {
		a = wish.Action
	}
	for _, s := range slices.Backward(w.inForce(q)) {
		if s.Action != Pass {
			a = s.Action
		}
	}
	if r.reply != (blocklists.Reply{}) {
		a = Deny
	}
	switch r.action {
	case blocklists.ActionDeny:
		a = Deny
	case blocklists.ActionSink:
		a = Sink
	case blocklists.ActionDrop:
		a = Drop
	case blocklists.ActionObserve:
		a = Observe
	}
	if said, ok := wish.ListActions[w.lists[r.list].name]; ok {
		a = said
	}
	if w.lists[r.list].service {
		a = Deny
	}
	if a == Sink && len(w.sink) == 0 {
		return Deny
	}
	return a
}

func (w *world) closed(q asked) string {
	for _, s := range w.inForce(q) {
		if s.All {
			return "schedule " + s.Name
		}
	}
	return ""
}

func (w *world) safe(q asked) *told {
	if w.wish(q.device).SafeSearch == "" {
		return nil
	}
	return w.speaks(func(list int) bool { return w.lists[list].safe }, named(q.name))
}

func nameRule(w *world, q asked) *told { return w.byName(q, q.name) }

func refused(w *world, q asked) bool { return slices.Contains(w.wish(q.device).RefuseTypes, q.qtype) }

// rule2action is what the rule of a name does.
func rule2action(w *world, q asked) Action { return w.does(q, nameRule(w, q)) }

var nameRows = []row{
	// A pause is told where something else would have come of it, which the other rows say.
	{"a pause of everything covers it", "pass", func(w *world, q asked) bool { return w.off(q, q.name) }, always(Pass), nil, nil},
	{"a rule stops it", "sink, deny or drop", func(w *world, q asked) bool { return w.stops(q, nameRule(w, q)) }, rule2action, nameRule, nil},
	{"all is closed, no own list lets it through", "deny", func(w *world, q asked) bool { return w.closed(q) != "" && !w.owns(nameRule(w, q)) }, always(Deny), nobody, (*world).closed},
	{"the device may not ask for this type", "deny, without data", refused, always(Deny), nobody, reason(ReasonType)},
	{"a rule answers by itself", "rewrite", func(w *world, q asked) bool { return w.acts(q, nameRule(w, q), Rewrite) }, always(Rewrite), nameRule, nil},
	{"safe search has an answer", "rewrite", func(w *world, q asked) bool { return w.safe(q) != nil }, always(Rewrite), (*world).safe, nil},
	{"a rule has it observed", "observe", func(w *world, q asked) bool { return w.acts(q, nameRule(w, q), Observe) }, always(Observe), nameRule, nil},
	{"a rule allows it", "pass", func(w *world, q asked) bool { return w.acts(q, nameRule(w, q), Pass) }, always(Pass), nameRule, nil},
	{"a pause of a list covers it", "pass", func(w *world, q asked) bool { _, l := w.heardFor(q, q.name, named(q.name)); return l != nil }, always(Pass),
		func(w *world, q asked) *told { _, l := w.heardFor(q, q.name, named(q.name)); return l }, reason(ReasonPaused)},
	{"no rule speaks about it", "pass", whatever, always(Pass), nobody, nil},
}

func (q asked) dst() netip.Addr { return q.flow.Dst.Addr().Unmap() }
func (q asked) tcp(ports ...uint16) bool {
	return q.flow.Proto == 6 && slices.Contains(ports, q.flow.Dst.Port())
}
func (q asked) udp(ports ...uint16) bool {
	return q.flow.Proto == 17 && slices.Contains(ports, q.flow.Dst.Port())
}

func (w *world) inSink(q asked) bool {
	return slices.ContainsFunc(w.sink, func(p netip.Prefix) bool { return p.Contains(q.dst()) })
}

// flowName is the rule about the name of a flow.
func flowName(w *world, q asked) *told {
	if q.flow.Name == "" {
		return nil
	}
	return w.byName(q, q.flow.Name)
}

func (w *world) sunkName(q asked) bool {
	return w.inSink(q) && !w.off(q, q.flow.Name) && w.acts(q, flowName(w, q), Sink)
}

// level finds what the address, else the name, says on one level in one sense.
func level(own, stop bool) func(*world, asked) *told {
	return func(w *world, q asked) *told {
		for _, r := range []*told{w.byAddr(q), flowName(w, q)} {
			if r != nil && w.owns(r) == own && w.stops(q, r) == stop {
				return r
			}
		}
		return nil
	}
}

func levelRow(title, outcome string, own, stop bool) row {
	rule := level(own, stop)
	return row{title, outcome, func(w *world, q asked) bool { return rule(w, q) != nil }, func(w *world, q asked) Action {
		a := w.does(q, rule(w, q))
		switch {
		case a == Drop, a == Observe && q.flow.Proto == 6:
			return a
		case stop:
			return Deny
		}
		return Pass
	}, rule, nil}
}

var flowRows = []row{
	{"the destination is no address", "deny", func(w *world, q asked) bool { return !q.dst().IsValid() || q.dst().IsUnspecified() }, always(Deny), nobody, reason(ReasonNoAddress)},
	{"a sinkhole address, its name is sunk", "sink", (*world).sunkName, always(Sink), flowName, nil},
	{"any other sinkhole address", "deny", (*world).inSink, always(Deny), nobody, reason(ReasonNotSunk)},
	{"port 53: the gateway answers DNS", "deny", func(w *world, q asked) bool { return q.tcp(53) || q.udp(53) }, always(Deny), nobody, reason(ReasonDNS)},
	{"the device may reach it in the home network", "pass", (*world).reaches, always(Pass), nobody, reason(ReasonLAN)},
	{"TCP port 853: DNS over TLS", "deny", func(w *world, q asked) bool { return q.tcp(853) }, always(Deny), nobody, reason(ReasonDoT)},
	{"UDP port 853, 784, 8853: DNS over QUIC", "deny", func(w *world, q asked) bool { return q.udp(853, 784, 8853) }, always(Deny), nobody, reason(ReasonDoQ)},
	{"TCP port 25: mail, as spam is sent", "deny", func(w *world, q asked) bool { return q.tcp(25) }, always(Deny), nobody, reason(ReasonMail)},
	{"port 135-139, 445: Windows file sharing", "deny", func(w *world, q asked) bool {
		return q.tcp(135, 136, 137, 138, 139, 445) || q.udp(135, 136, 137, 138, 139, 445)
	}, always(Deny), nobody, reason(ReasonFileSharing)},
	{"a pause of everything covers it", "pass", func(w *world, q asked) bool { return w.off(q, q.flow.Name) }, always(Pass), nil, nil},
	{"UDP port 443, the device may not use QUIC", "deny, or drop", func(w *world, q asked) bool { return q.udp(443) && w.wish(q.device).QUIC != Pass },
		func(w *world, q asked) Action { return w.wish(q.device).QUIC }, nobody, reason(ReasonQUIC)},
	levelRow("an own list stops the address or the name", "deny, or drop", true, true),
	levelRow("an own list lets the address or the name pass", "pass, or observe", true, false),
	levelRow("a list stops the address or the name", "deny, or drop", false, true),
	{"all is closed", "deny", func(w *world, q asked) bool { return w.closed(q) != "" }, always(Deny), nobody, (*world).closed},
	levelRow("a list lets the address or the name pass", "pass, or observe", false, false),
	{"it asks for a name that would be stopped", "deny", func(w *world, q asked) bool { r, _ := w.stoppedAsked(q); return r != nil }, always(Deny),
		func(w *world, q asked) *told { r, of := w.stoppedAsked(q); return r.rule(w, of) },
		func(w *world, q asked) string {
			if r, of := w.stoppedAsked(q); r.reason != nil {
				return r.reason(w, of)
			}
			return ""
		}},
	{"it asks for names past the gateway (HTTPDNS)", "deny", func(w *world, q asked) bool { return q.flow.HTTPDNS }, always(Deny), nobody, reason(ReasonHTTPDNS)},
	{"no name, the device may not use literals", "deny, or drop", func(w *world, q asked) bool { return q.flow.Name == "" && w.wish(q.device).Literal != Pass },
		func(w *world, q asked) Action { return w.wish(q.device).Literal }, nobody, reason(ReasonLiteral)},
	{"no name", "pass, and reported", func(w *world, q asked) bool { return q.flow.Name == "" }, always(Pass), nobody, reason(ReasonLiteral)},
	{"a pause of a list covers it", "pass", func(w *world, q asked) bool { return liftedFlow(w, q) != nil }, always(Pass), liftedFlow, reason(ReasonPaused)},
	{"anything else", "pass", whatever, always(Pass), nobody, nil},
}

// reaches says whether a part of the home network that the device may reach holds
// the destination.
func (w *world) reaches(q asked) bool {
	for _, r := range w.wish(q.device).LAN {
		port := q.flow.Dst.Port()
		if r.Prefix.Contains(q.dst()) && (r.Proto == 0 || r.Proto == q.flow.Proto) && (r.From == 0 || r.From <= port && port <= r.To) {
			return true
		}
	}
	return false
}

// stoppedAsked is the row that stops the first name that a flow asks for and
// may not learn, and the question for it.
func (w *world) stoppedAsked(q asked) (*row, asked) {
	for _, name := range q.flow.Asked {
		of := asked{device: q.device, name: name, qtype: 1, now: q.now}
		if q.dst().Is6() {
			of.qtype = 28
		}
		i := slices.IndexFunc(nameRows, func(r row) bool { return r.applies(w, of) })
		if r := &nameRows[i]; r.action(w, of).Stops() {
			return r, of
		}
	}
	return nil, q
}

// liftedFlow is the rule that a pause set aside, of the address before the name.
func liftedFlow(w *world, q asked) *told {
	_, byAddr := w.heardFor(q, q.flow.Name, func(r told) (int, bool) {
		return r.prefix.Bits(), r.domain == "" && r.prefix.Contains(q.dst())
	})
	_, byName := w.heardFor(q, q.flow.Name, named(q.flow.Name))
	if byAddr != nil {
		return byAddr
	}
	return byName
}

// TestPackageCommentHoldsTheTable: what people read is what is tested.
func TestPackageCommentHoldsTheTable(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "policy.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, table := range [][]row{nameRows, flowRows} {
		for i, r := range table {
			want = append(want, fmt.Sprintf("%d %s => %s", i+1, r.title, r.outcome))
		}
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^\t(\d+) +(\S.*?) {2,}(\S.*)$`).FindAllStringSubmatch(f.Doc.Text(), -1) {
		got = append(got, fmt.Sprintf("%s %s => %s", m[1], m[2], m[3]))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the package comment says\n%s\nand the test\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const worlds, questions = 600, 40

// TestPrecedenceOfNames and TestPrecedenceOfFlows ask random worlds random
// questions, and want of each answer the action, the rule and the reason of the
// first row that applies. Every row must have decided something.
func TestPrecedenceOfNames(t *testing.T) {
	precedence(t, nameRows, func(w *world, q asked) Verdict { return w.policy.Name(Device{Name: q.device}, q.name, q.qtype, q.now) })
}

func TestPrecedenceOfFlows(t *testing.T) {
	precedence(t, flowRows, func(w *world, q asked) Verdict { return w.policy.Flow(q.flow, q.now) })
}

func precedence(t *testing.T, table []row, decide func(*world, asked) Verdict) {
	decided := make([]int, len(table))
	paused := slices.IndexFunc(table, func(r row) bool { return r.rule == nil })
	for seed := range uint64(worlds) {
		rnd := rand.New(rand.NewPCG(seed, 853))
		w := makeWorld(t, rnd)
		for range questions {
			q := makeQuestion(rnd)
			applies := func(r row) bool { return r.applies(w, q) }
			i := slices.IndexFunc(table, applies)
			decided[i]++
			v, want := decide(w, q), table[i]
			action, why := want.action(w, q), ""
			if i == paused { // what would have been decided, and that it was not
				want = table[i+1+slices.IndexFunc(table[i+1:], applies)]
				if want.action(w, q) != Pass {
					why = ReasonPaused
				} else if want.reason != nil {
					why = want.reason(w, q)
				}
			} else if want.reason != nil {
				why = want.reason(w, q)
			}
			if v.Action != action || v.Reason != why || !w.same(v.Rule, want.rule(w, q)) {
				t.Fatalf("seed %d: %+v\ngot  %v by %s:%d, %q\nwant row %d: %s, %v, %q by %+v", seed, q,
					v.Action, v.Rule.List, v.Rule.Line, v.Reason, i+1, want.title, action, why, want.rule(w, q))
			}
		}
	}
	for i, n := range decided {
		if n == 0 {
			t.Errorf("row %d (%s) never decided", i+1, table[i].title)
		}
	}
	t.Log("decided by row:", decided)
}

// same says whether a verdict names a rule.
func (w *world) same(got blocklists.Rule, r *told) bool {
	if r == nil {
		return got == (blocklists.Rule{})
	}
	return got.List == w.lists[r.list].name && got.Line == r.line && got.Allow == r.allow
}
