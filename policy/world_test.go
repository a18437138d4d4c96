package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"nightlatch/blocklists"
	"nightlatch/policy/schedule"
)

var (
	someNames = []string{"", "a", "b.a", "c.b.a", "d.c.b.a", "c.a", "x", "b.x", "c.b.x", "ba"}
	someAddrs = []string{
		"192.0.2.1", "192.0.2.9", "203.0.113.1", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8:1::1",
		"198.18.0.1", "fd00:6e6c:5::1", "0.0.0.0", "::",
	}
	somePrefixes = []string{"192.0.2.1", "192.0.2.0/24", "192.0.0.0/16", "203.0.113.1", "2001:db8::1", "2001:db8::/32", "198.18.0.1"}
	somePorts    = []uint16{0, 25, 53, 80, 135, 137, 139, 140, 443, 445, 784, 853, 8853}
	someDevices  = []string{"", "one", "two", "three"} // three has no wishes of its own
	someBlocks   = []Action{Sink, Deny, Drop, Observe}
)

func pick[T any](rnd *rand.Rand, from []T) T { return from[rnd.IntN(len(from))] }

func makeQuestion(rnd *rand.Rand) asked {
	q := asked{device: pick(rnd, someDevices), name: pick(rnd, someNames[1:]), qtype: pick(rnd, []uint16{1, 1, 28, 65})}
	q.now = noon.Add(time.Duration(rnd.IntN(7*24*60)) * time.Minute)
	dst := netip.Addr{}
	if rnd.IntN(20) > 0 {
		dst = netip.MustParseAddr(pick(rnd, someAddrs))
	}
	q.flow = Flow{
		Device: Device{Name: q.device}, Proto: pick(rnd, []uint8{1, 6, 17, 17, 58}),
		Dst: netip.AddrPortFrom(dst, pick(rnd, somePorts)), Name: pick(rnd, someNames), Exact: rnd.IntN(2) == 0,
	}
	if rnd.IntN(4) == 0 {
		q.flow.Asked, q.flow.HTTPDNS = []string{pick(rnd, someNames[1:]), pick(rnd, someNames[1:])}, rnd.IntN(2) == 0
	}
	return q
}

// makeWorld makes up to four lists, native and adblock, own and imported, then a
// service and safe search, wishes for three devices, and pauses.
func makeWorld(t *testing.T, rnd *rand.Rand) *world {
	t.Helper()
	w := &world{wishes: map[string]Rules{}}
	var lists []*blocklists.List
	for i := range 1 + rnd.IntN(4) {
		l := made{name: fmt.Sprintf("list%d", i), own: rnd.IntN(3) == 0}
		l.overlay = l.own && rnd.IntN(3) == 0
		w.lists = append(w.lists, l)
		src := blocklists.Source{Name: l.name, Own: l.own, Overlay: l.overlay, Format: blocklists.Native}
		text := ""
		if rnd.IntN(3) == 0 {
			src.Format, text = blocklists.Adblock, w.adblock(rnd, i)
		} else {
			text = w.native(rnd, i)
		}
		lists = append(lists, list(t, src, text))
	}
	w.lists = append(w.lists, made{name: "service", service: true, own: true}, made{name: "safe", safe: true})
	lists = append(lists, list(t, blocklists.Source{Name: "service", Own: true}, w.service(rnd)), list(t, blocklists.Source{Name: "safe"}, w.safeList(rnd)))
	if rnd.IntN(5) > 0 {
		w.sink = []netip.Prefix{sink4, sink6}
	}
	for _, d := range someDevices[:3] {
		w.wishes[d] = w.wishFor(rnd)
	}
	for range rnd.IntN(4) {
		p := Pause{Device: pick(rnd, someDevices), Until: noon.Add(time.Duration(rnd.IntN(7*24)) * time.Hour)}
		if rnd.IntN(3) > 0 {
			p.List = pick(rnd, w.lists).name
		}
		if rnd.IntN(2) == 0 {
			p.Name = pick(rnd, someNames)
		}
		w.pauses = append(w.pauses, p)
	}
	w.policy = must(t, Options{
		Set: blocklists.Compile(lists...), Default: w.wishes[""], Sink: w.sink, Always: w.overlays(), Services: []string{"service"}, SafeSearch: []string{"safe"}, Pauses: w.pauses,
		Devices: map[string]Rules{"one": w.wishes["one"], "two": w.wishes["two"]},
	})
	return w
}

func (w *world) overlays() (out []string) {
	for _, l := range w.lists {
		if l.overlay {
			out = append(out, l.name)
		}
	}
	return out
}

// some picks names of ordinary lists.
func (w *world) some(rnd *rand.Rand) (out []string) {
	for _, l := range w.lists {
		if !l.service && !l.safe && rnd.IntN(3) == 0 {
			out = append(out, l.name)
		}
	}
	return out
}

func (w *world) wishFor(rnd *rand.Rand) Rules {
	r := Rules{
		Lists: w.some(rnd), Action: pick(rnd, append([]Action{Pass}, someBlocks...)),
		Literal: pick(rnd, []Action{Pass, Deny, Drop}), QUIC: pick(rnd, []Action{Pass, Deny}),
		SafeSearch: pick(rnd, []string{"", "", "safe"}), ListActions: map[string]Action{},
	}
	for _, name := range w.some(rnd) {
		r.ListActions[name] = pick(rnd, someBlocks)
	}
	if rnd.IntN(4) == 0 {
		p, err := netip.ParsePrefix(pick(rnd, []string{"192.0.2.0/24", "2001:db8::/32"}))
		if err != nil {
			panic(err)
		}
		r.LAN = append(r.LAN, Reach{Prefix: p, Proto: pick(rnd, []uint8{0, 6, 17}), From: 140, To: 853})
	}
	if rnd.IntN(4) == 0 {
		r.RefuseTypes = []uint16{65, 255}
	}
	if rnd.IntN(3) == 0 {
		r.Services = []string{"service"}
	}
	for i := range rnd.IntN(4) {
		s := Schedule{Name: fmt.Sprint("hours", i), Lists: w.some(rnd), All: rnd.IntN(3) == 0}
		for s.Range = (schedule.Range{}); s.Check() != nil; {
			s.Range = schedule.Range{Days: uint8(rnd.IntN(128)), From: rnd.IntN(24) * 60, To: rnd.IntN(25) * 60}
		}
		if rnd.IntN(3) == 0 {
			s.Services = []string{"service"}
		}
		if rnd.IntN(3) == 0 {
			s.Action = pick(rnd, someBlocks)
		}
		r.Schedules = append(r.Schedules, s)
	}
	return r
}

// native writes a native list, remembering each rule with its line.
func (w *world) native(rnd *rand.Rand, i int) string {
	text := "rules:\n"
	line := 1
	for n := rnd.IntN(5); n >= 0; n-- {
		line++
		r := told{list: i, line: line}
		entry := w.subject(rnd, &r)
		switch a := pick(rnd, []string{"", "", "", "deny", "sink", "drop", "observe", "refused", "answer"}); {
		case a == "":
			text += fmt.Sprintf("  - %q\n", entry)
		case a == "refused":
			r.reply.Kind = blocklists.ReplyRefused
			text += fmt.Sprintf("  - {domain: %q, answer: refused}\n", entry)
		case a == "answer" && r.domain != "":
			r.rewrite = true
			text += fmt.Sprintf("  - {domain: %q, answer: \"cname:safe.example\"}\n", entry)
		case a == "answer":
			text += fmt.Sprintf("  - %q\n", entry)
		default:
			r.action = map[string]blocklists.Action{"deny": blocklists.ActionDeny, "sink": blocklists.ActionSink, "drop": blocklists.ActionDrop, "observe": blocklists.ActionObserve}[a]
			text += fmt.Sprintf("  - {domain: %q, action: %s}\n", entry, a)
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

// service writes the names of a service, safeList answers of safe search.
func (w *world) service(rnd *rand.Rand) string {
	name := pick(rnd, someNames[1:])
	w.rules = append(w.rules, told{list: len(w.lists) - 2, line: 2, domain: name})
	return fmt.Sprintf("rules:\n  - %q\n", name)
}

func (w *world) safeList(rnd *rand.Rand) string {
	name := pick(rnd, someNames[1:])
	w.rules = append(w.rules, told{list: len(w.lists) - 1, line: 2, domain: name, rewrite: true})
	return fmt.Sprintf("rules:\n  - {domain: %q, answer: \"cname:safe.example\"}\n", name)
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
