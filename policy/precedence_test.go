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
}

// world is a policy and all that it was made from.
type world struct {
	policy *Policy
	rules  []told
	names  []string // of the lists
	own    []bool
	wishes map[string]Rules
	sink   []netip.Prefix
}

// asked is one question put to a world.
type asked struct {
	device string
	name   string
	flow   Flow
}

// speaks gives the rule that package blocklists names: own lists first, then
// exceptions, then the more specific, then allows, then the order of lists.
func (w *world) speaks(device string, covers func(told) (size int, ok bool)) *told {
	var best *told
	var bestRank []int
	for i := range w.rules {
		r := &w.rules[i]
		size, ok := covers(*r)
		if !ok || !w.follows(device, r.list) {
			continue
		}
		rank := []int{bit(w.own[r.list]), bit(r.exception), size, bit(r.exact), bit(r.allow), -r.list, -r.line}
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

func (w *world) follows(device string, list int) bool {
	lists := w.wish(device).Lists
	return len(lists) == 0 || slices.Contains(lists, w.names[list])
}

func (w *world) byName(device, name string) *told {
	return w.speaks(device, func(r told) (int, bool) {
		return len(r.domain), r.domain != "" && (name == r.domain || !r.exact && strings.HasSuffix(name, "."+r.domain))
	})
}

func (w *world) byAddr(device string, a netip.Addr) *told {
	return w.speaks(device, func(r told) (int, bool) { return r.prefix.Bits(), r.domain == "" && r.prefix.Contains(a) })
}

// row is a line of the table: it applies or not, and then decides.
type row struct {
	title, outcome string
	applies        func(*world, asked) bool
	action         func(*world, asked) Action
	rule           func(*world, asked) *told // nil: no rule decides
	reason         string
}

func always(a Action) func(*world, asked) Action { return func(*world, asked) Action { return a } }

// sunkOr is what an action means in a world that may have no sinkhole.
func (w *world) sunkOr(a Action) Action {
	if a == Sink && len(w.sink) == 0 {
		return Deny
	}
	return a
}

// does is what a block does to a name.
func (w *world) does(device string, r *told) Action {
	switch r.action {
	case blocklists.ActionDeny:
		return Deny
	case blocklists.ActionSink:
		return w.sunkOr(Sink)
	case blocklists.ActionDrop:
		return Drop
	}
	if a := w.wish(device).Action; a != Pass {
		return w.sunkOr(a)
	}
	return w.sunkOr(Sink)
}

func nameRule(w *world, q asked) *told { return w.byName(q.device, q.name) }

var nameRows = []row{
	{"a rule allows it", "pass", func(w *world, q asked) bool { r := nameRule(w, q); return r != nil && r.allow }, always(Pass), nameRule, ""},
	{"a rule blocks it and says how", "deny, sink or drop, as it says", func(w *world, q asked) bool {
		r := nameRule(w, q)
		return r != nil && r.action != blocklists.ActionDefault
	}, func(w *world, q asked) Action { return w.does(q.device, nameRule(w, q)) }, nameRule, ""},
	{"a rule blocks it", "as the device wishes, sink by default", func(w *world, q asked) bool { return nameRule(w, q) != nil },
		func(w *world, q asked) Action { return w.does(q.device, nameRule(w, q)) }, nameRule, ""},
	{"no rule speaks about it", "pass", func(*world, asked) bool { return true }, always(Pass), nil, ""},
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

// level finds what the address, else the name, says on one level in one sense.
func level(own, allow bool) func(*world, asked) *told {
	return func(w *world, q asked) *told {
		fits := func(r *told) bool { return r != nil && w.own[r.list] == own && r.allow == allow }
		if r := w.byAddr(q.device, q.dst()); fits(r) {
			return r
		}
		if r := w.byName(q.device, q.flow.Name); q.flow.Name != "" && fits(r) {
			return r
		}
		return nil
	}
}

func levelRow(title, outcome string, own, allow bool) row {
	rule := level(own, allow)
	return row{title, outcome, func(w *world, q asked) bool { return rule(w, q) != nil }, func(w *world, q asked) Action {
		r := rule(w, q)
		switch {
		case r.allow:
			return Pass
		case w.does(q.device, r) == Drop:
			return Drop
		}
		return Deny
	}, rule, ""}
}

var flowRows = []row{
	{"the destination is no address", "deny", func(w *world, q asked) bool { return !q.dst().IsValid() || q.dst().IsUnspecified() }, always(Deny), nil, ReasonNoAddress},
	{"a sinkhole address, its name is sunk", "sink", func(w *world, q asked) bool {
		r := w.byName(q.device, q.flow.Name)
		return w.inSink(q) && q.flow.Name != "" && r != nil && !r.allow && w.does(q.device, r) == Sink
	}, always(Sink), func(w *world, q asked) *told { return w.byName(q.device, q.flow.Name) }, ""},
	{"any other sinkhole address", "deny", (*world).inSink, always(Deny), nil, ReasonNotSunk},
	{"port 53: the gateway answers DNS", "deny", func(w *world, q asked) bool { return q.tcp(53) || q.udp(53) }, always(Deny), nil, ReasonDNS},
	{"TCP port 853: DNS over TLS", "deny", func(w *world, q asked) bool { return q.tcp(853) }, always(Deny), nil, ReasonDoT},
	{"UDP port 853, 784, 8853: DNS over QUIC", "deny", func(w *world, q asked) bool { return q.udp(853, 784, 8853) }, always(Deny), nil, ReasonDoQ},
	{"TCP port 25: mail, as spam is sent", "deny", func(w *world, q asked) bool { return q.tcp(25) }, always(Deny), nil, ReasonMail},
	{"port 135-139, 445: Windows file sharing", "deny", func(w *world, q asked) bool {
		return q.tcp(135, 136, 137, 138, 139, 445) || q.udp(135, 136, 137, 138, 139, 445)
	}, always(Deny), nil, ReasonFileSharing},
	{"UDP port 443, the device may not use QUIC", "deny", func(w *world, q asked) bool { return q.udp(443) && w.wish(q.device).QUIC != Pass },
		func(w *world, q asked) Action { return w.wish(q.device).QUIC }, nil, ReasonQUIC},
	levelRow("an own list blocks the address or the name", "deny, or drop", true, false),
	levelRow("an own list allows the address or the name", "pass", true, true),
	levelRow("a list blocks the address or the name", "deny, or drop", false, false),
	levelRow("a list allows the address or the name", "pass", false, true),
	{"no name, the device may not use literals", "deny, or drop", func(w *world, q asked) bool { return q.flow.Name == "" && w.wish(q.device).Literal != Pass },
		func(w *world, q asked) Action { return w.wish(q.device).Literal }, nil, ReasonLiteral},
	{"no name", "pass, and reported", func(w *world, q asked) bool { return q.flow.Name == "" }, always(Pass), nil, ReasonLiteral},
	{"anything else", "pass", func(*world, asked) bool { return true }, always(Pass), nil, ""},
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

const worlds, questions = 400, 60

// TestPrecedenceOfNames and TestPrecedenceOfFlows ask random worlds random
// questions, and want of each answer the action, the rule and the reason of the
// first row that applies. Every row must have decided something.
func TestPrecedenceOfNames(t *testing.T) {
	precedence(t, nameRows, func(w *world, q asked) Verdict { return w.policy.Name(Device{Name: q.device}, q.name, 1, noon) })
}

func TestPrecedenceOfFlows(t *testing.T) {
	precedence(t, flowRows, func(w *world, q asked) Verdict { return w.policy.Flow(q.flow, noon) })
}

func precedence(t *testing.T, table []row, decide func(*world, asked) Verdict) {
	decided := make([]int, len(table))
	for seed := range uint64(worlds) {
		rnd := rand.New(rand.NewPCG(seed, 853))
		w := makeWorld(t, rnd)
		for range questions {
			q := makeQuestion(rnd)
			i := slices.IndexFunc(table, func(r row) bool { return r.applies(w, q) })
			decided[i]++
			want := table[i]
			v := decide(w, q)
			if v.Action != want.action(w, q) || v.Reason != want.reason || !w.same(v.Rule, want, q) {
				t.Fatalf("seed %d: %+v\ngot  %v by %s:%d, %q\nwant row %d: %s, %v, %q", seed, q,
					v.Action, v.Rule.List, v.Rule.Line, v.Reason, i+1, want.title, want.action(w, q), want.reason)
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

// same says whether a verdict names the rule that the row wants.
func (w *world) same(got blocklists.Rule, want row, q asked) bool {
	if want.rule == nil {
		return got == (blocklists.Rule{})
	}
	r := want.rule(w, q)
	return got.List == w.names[r.list] && got.Line == r.line && got.Allow == r.allow
}

var (
	someNames = []string{"", "a", "b.a", "c.b.a", "d.c.b.a", "c.a", "x", "b.x", "c.b.x", "ba"}
	someAddrs = []string{
		"192.0.2.1", "192.0.2.9", "203.0.113.1", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8:1::1",
		"198.18.0.1", "fd00:6e6c:5::1", "0.0.0.0", "::",
	}
	somePrefixes = []string{"192.0.2.1", "192.0.2.0/24", "192.0.0.0/16", "203.0.113.1", "2001:db8::1", "2001:db8::/32", "198.18.0.1"}
	somePorts    = []uint16{0, 25, 53, 80, 135, 137, 139, 140, 443, 445, 784, 853, 8853}
	someDevices  = []string{"", "one", "two"}
)

func pick[T any](rnd *rand.Rand, from []T) T { return from[rnd.IntN(len(from))] }

func makeQuestion(rnd *rand.Rand) asked {
	q := asked{device: pick(rnd, someDevices), name: pick(rnd, someNames[1:])}
	dst := netip.Addr{}
	if rnd.IntN(20) > 0 {
		dst = netip.MustParseAddr(pick(rnd, someAddrs))
	}
	q.flow = Flow{
		Device: Device{Name: q.device}, Proto: pick(rnd, []uint8{1, 6, 17, 17, 58}),
		Dst: netip.AddrPortFrom(dst, pick(rnd, somePorts)), Name: pick(rnd, someNames), Exact: rnd.IntN(2) == 0,
	}
	return q
}

// makeWorld makes up to four lists, native and adblock, own and imported, and
// wishes for three devices.
func makeWorld(t *testing.T, rnd *rand.Rand) *world {
	t.Helper()
	w := &world{wishes: map[string]Rules{}}
	var lists []*blocklists.List
	for i := range 1 + rnd.IntN(4) {
		w.names = append(w.names, fmt.Sprintf("list%d", i))
		w.own = append(w.own, rnd.IntN(3) == 0)
		src := blocklists.Source{Name: w.names[i], Own: w.own[i], Format: blocklists.Native}
		text := ""
		if rnd.IntN(3) == 0 {
			src.Format, text = blocklists.Adblock, w.adblock(rnd, i)
		} else {
			text = w.native(rnd, i)
		}
		lists = append(lists, list(t, src, text))
	}
	if rnd.IntN(5) > 0 {
		w.sink = []netip.Prefix{sink4, sink6}
	}
	for _, d := range someDevices {
		r := Rules{
			Action:  pick(rnd, []Action{Pass, Sink, Deny, Drop}),
			Literal: pick(rnd, []Action{Pass, Deny, Drop}),
			QUIC:    pick(rnd, []Action{Pass, Deny}),
		}
		for _, name := range w.names {
			if rnd.IntN(3) == 0 {
				r.Lists = append(r.Lists, name)
			}
		}
		w.wishes[d] = r
	}
	w.policy = must(t, Options{
		Set: blocklists.Compile(lists...), Default: w.wishes[""], Sink: w.sink,
		Devices: map[string]Rules{"one": w.wishes["one"], "two": w.wishes["two"]},
	})
	return w
}

// native writes a native list, remembering each rule with its line.
func (w *world) native(rnd *rand.Rand, i int) string {
	text := "rules:\n"
	line := 1
	for n := rnd.IntN(5); n >= 0; n-- {
		line++
		r := told{list: i, line: line}
		entry := w.subject(rnd, &r)
		r.action = pick(rnd, []blocklists.Action{blocklists.ActionDefault, blocklists.ActionDefault, blocklists.ActionDeny, blocklists.ActionSink, blocklists.ActionDrop})
		if r.action == blocklists.ActionDefault {
			text += fmt.Sprintf("  - %q\n", entry)
		} else {
			text += fmt.Sprintf("  - {domain: %q, action: %s}\n", entry, r.action)
		}
		w.rules = append(w.rules, r)
	}
	text += "allow:\n"
	line++
	for n := rnd.IntN(3); n > 0; n-- {
		line++
		r := told{list: i, line: line, allow: true}
		text += fmt.Sprintf("  - %q\n", w.subject(rnd, &r))
		w.rules = append(w.rules, r)
	}
	return text
}

// subject chooses what a native rule is about, and writes it.
func (w *world) subject(rnd *rand.Rand, r *told) string {
	if rnd.IntN(3) == 0 {
		s := pick(rnd, somePrefixes)
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a := netip.MustParseAddr(s)
			p = netip.PrefixFrom(a, a.BitLen())
		}
		r.prefix = p
		return s
	}
	r.domain = pick(rnd, someNames[1:])
	if r.exact = rnd.IntN(3) == 0; r.exact {
		return "=" + r.domain
	}
	return r.domain
}

// adblock writes blocks and exceptions in AdGuard's syntax.
func (w *world) adblock(rnd *rand.Rand, i int) string {
	text := "! Title: made at random\n"
	for n := range 1 + rnd.IntN(5) {
		r := told{list: i, line: n + 2, domain: pick(rnd, someNames[1:]), allow: rnd.IntN(3) == 0}
		r.exception = r.allow
		if r.allow {
			text += "@@"
		}
		text += "||" + r.domain + "^\n"
		w.rules = append(w.rules, r)
	}
	return text
}
