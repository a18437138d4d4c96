package policy

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"nightlatch/blocklists"
	"nightlatch/policy/schedule"
)

var (
	sink4 = netip.MustParsePrefix("198.18.0.0/16")
	sink6 = netip.MustParsePrefix("fd00:6e6c:5::/64")
	noon  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

// list parses a list for a test.
func list(t testing.TB, src blocklists.Source, text string) *blocklists.List {
	t.Helper()
	if src.Format == "" {
		src.Format = blocklists.Native
	}
	l, err := blocklists.Parse(src, strings.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v\n%s", src.Name, err, text)
	}
	return l
}

// builtins gives every built-in list.
func builtins(t testing.TB) []*blocklists.List {
	t.Helper()
	var out []*blocklists.List
	for _, name := range blocklists.BuiltinNames() {
		l, err := blocklists.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, l)
	}
	return out
}

func must(t testing.TB, o Options) *Policy {
	t.Helper()
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// home is a policy as a household has it: every built-in list, a list of its
// own, and three devices that differ.
func home(t testing.TB) *Policy {
	t.Helper()
	mine := list(t, blocklists.Source{Name: "mine", Own: true}, `
rules:
  - update.intl.miui.com           # never-block, but the owner may
  - domain: quiet.example
    action: drop
  - 192.0.2.0/24
allow:
  - pixel.facebook.com
  - 192.0.2.80
  - dns.quad9.net
`)
	return must(t, Options{
		Set: blocklists.Compile(append(builtins(t), mine)...),
		Devices: map[string]Rules{
			"child": {Action: Deny, Literal: Deny, QUIC: Deny},
			"guest": {Lists: []string{"samsung"}, Literal: Drop},
		},
		Sink: []netip.Prefix{sink4, {}, sink6},
	})
}

func TestName(t *testing.T) {
	p := home(t)
	cases := []struct {
		device, name string
		action       Action
		list         string
	}{
		{"redmi", "sa.api.intl.miui.com", Sink, "xiaomi"},
		{"redmi", "SA.API.intl.miui.com.", Sink, "xiaomi"},
		{"redmi", "mitv.tracking.intl.miui.com", Sink, "xiaomi"},
		{"redmi", "a.b.tracking.miui.com", Sink, "xiaomi"},
		{"redmi", "find.api.micloud.xiaomi.net", Pass, "xiaomi"}, // an allow is named
		{"redmi", "www.mi.com", Pass, ""},
		{"redmi", "dns.google", Deny, "encrypted-dns"}, // the list's own action
		{"redmi", "update.intl.miui.com", Sink, "mine"},
		{"redmi", "pixel.facebook.com", Pass, "mine"},
		{"redmi", "quiet.example", Drop, "mine"},
		{"redmi", "use-application-dns.net", Pass, ""}, // the resolver's business
		{"redmi", "", Pass, ""},
		{"redmi", strings.Repeat("a", 300), Pass, ""},

		{"child", "sa.api.intl.miui.com", Deny, "xiaomi"},
		{"child", "quiet.example", Drop, "mine"},
		{"guest", "sa.api.intl.miui.com", Pass, ""}, // follows another list
		{"guest", "gos-gsp.io", Sink, "samsung"},
		{"guest", "quiet.example", Pass, ""},
		{"", "tracking.miui.com", Sink, "xiaomi"},
	}
	for _, c := range cases {
		v := p.Name(Device{Name: c.device}, c.name, 1, noon)
		if v.Action != c.action || v.Rule.List != c.list || v.Reason != "" {
			t.Errorf("%s asks %s: %v by %q (%s), want %v by %q", c.device, c.name, v.Action, v.Rule.List, v.Reason, c.action, c.list)
		}
	}
}

func TestFlow(t *testing.T) {
	p := home(t)
	cases := []struct {
		device string
		proto  uint8
		dst    string
		name   string
		action Action
		says   string // the list, or the reason
	}{
		{"redmi", 6, "198.18.0.7:443", "sa.api.intl.miui.com", Sink, "xiaomi"},
		{"redmi", 17, "198.18.0.7:443", "sa.api.intl.miui.com", Sink, "xiaomi"},
		{"redmi", 6, "198.18.0.7:853", "sa.api.intl.miui.com", Sink, "xiaomi"},
		{"redmi", 6, "[fd00:6e6c:5::7]:80", "tracking.miui.com", Sink, "xiaomi"},
		{"redmi", 6, "[::ffff:198.18.0.7]:80", "tracking.miui.com", Sink, "xiaomi"},
		{"redmi", 6, "[fd00:6e6c:5::7%wg0]:80", "tracking.miui.com", Sink, "xiaomi"},
		{"redmi", 6, "198.18.0.7:443", "", Deny, ReasonNotSunk},
		{"redmi", 6, "198.18.0.7:443", "www.mi.com", Deny, ReasonNotSunk},
		{"redmi", 6, "198.18.0.7:443", "dns.google", Deny, ReasonNotSunk},
		{"child", 6, "198.18.0.7:443", "sa.api.intl.miui.com", Deny, ReasonNotSunk},

		{"redmi", 6, "203.0.113.5:853", "", Deny, ReasonDoT},
		{"redmi", 6, "9.9.9.9:853", "dns.quad9.net", Deny, ReasonDoT},
		{"redmi", 17, "203.0.113.5:853", "", Deny, ReasonDoQ},
		{"redmi", 17, "203.0.113.5:784", "www.example.org", Deny, ReasonDoQ},
		{"redmi", 17, "203.0.113.5:8853", "", Deny, ReasonDoQ},
		{"redmi", 6, "203.0.113.5:8853", "www.example.org", Pass, ""},
		{"redmi", 17, "203.0.113.5:53", "", Deny, ReasonDNS},
		{"redmi", 6, "203.0.113.5:53", "www.example.org", Deny, ReasonDNS},
		{"redmi", 6, "203.0.113.5:25", "mail.example.org", Deny, ReasonMail},
		{"redmi", 6, "203.0.113.5:587", "mail.example.org", Pass, ""},
		{"redmi", 6, "203.0.113.5:445", "www.example.org", Deny, ReasonFileSharing},
		{"redmi", 17, "203.0.113.5:137", "", Deny, ReasonFileSharing},
		{"redmi", 6, "203.0.113.5:140", "www.example.org", Pass, ""},
		{"redmi", 17, "203.0.113.5:443", "www.example.org", Pass, ""},
		{"child", 17, "203.0.113.5:443", "www.example.org", Deny, ReasonQUIC},
		{"child", 6, "203.0.113.5:443", "www.example.org", Pass, ""},

		{"redmi", 6, "8.8.8.8:443", "", Deny, "encrypted-dns"},
		{"redmi", 6, "[2001:4860:4860::8888]:443", "", Deny, "encrypted-dns"},
		{"redmi", 1, "8.8.8.8:0", "", Deny, "encrypted-dns"},
		{"redmi", 6, "110.43.0.83:80", "", Deny, "httpdns"},
		{"guest", 6, "8.8.8.8:443", "dns.google", Pass, ""},
		{"redmi", 6, "192.0.2.1:443", "www.example.org", Deny, "mine"},
		{"redmi", 6, "192.0.2.80:443", "", Pass, "mine"},
		{"child", 6, "192.0.2.80:443", "", Pass, "mine"},
		{"redmi", 6, "9.9.9.9:443", "dns.quad9.net", Pass, "mine"}, // the owner wants this one
		{"redmi", 6, "9.9.9.9:443", "", Deny, "encrypted-dns"},
		{"redmi", 6, "192.0.2.80:443", "sa.api.intl.miui.com", Pass, "mine"},
		{"redmi", 6, "192.0.2.1:443", "pixel.facebook.com", Deny, "mine"}, // both own: a block counts

		{"redmi", 6, "203.0.113.5:443", "sa.api.intl.miui.com", Deny, "xiaomi"}, // learnt under an older policy
		{"redmi", 6, "203.0.113.5:443", "quiet.example", Drop, "mine"},
		{"redmi", 6, "203.0.113.5:443", "find.api.micloud.xiaomi.net", Pass, "xiaomi"},

		{"redmi", 6, "203.0.113.5:443", "", Pass, ReasonLiteral},
		{"redmi", 1, "203.0.113.5:0", "", Pass, ReasonLiteral},
		{"child", 6, "203.0.113.5:443", "", Deny, ReasonLiteral},
		{"guest", 6, "203.0.113.5:443", "", Drop, ReasonLiteral},
		{"redmi", 6, "203.0.113.5:443", "www.example.org", Pass, ""},
		{"redmi", 6, "0.0.0.0:443", "www.example.org", Deny, ReasonNoAddress},
	}
	for _, c := range cases {
		v := p.Flow(Flow{Device: Device{Name: c.device}, Proto: c.proto, Dst: netip.MustParseAddrPort(c.dst), Name: c.name}, noon)
		if v.Action != c.action || v.Rule.List+v.Reason != c.says {
			t.Errorf("%s opens %d %s (%s): %v by %q, want %v by %q", c.device, c.proto, c.dst, c.name, v.Action, v.Rule.List+v.Reason, c.action, c.says)
		}
	}
	if v := p.Flow(Flow{Proto: 6}, noon); v.Action != Deny || v.Reason != ReasonNoAddress {
		t.Errorf("a flow to nowhere: %+v", v)
	}
}

// TestNoSinkhole: without one, a blocked name is denied, and no address is taken
// for the sinkhole's.
func TestNoSinkhole(t *testing.T) {
	p := must(t, Options{Set: blocklists.Compile(builtins(t)...)})
	if v := p.Name(Device{}, "tracking.miui.com", 1, noon); v.Action != Deny || v.Rule.List != "xiaomi" {
		t.Errorf("%+v", v)
	}
	if v := p.Flow(Flow{Proto: 6, Dst: netip.MustParseAddrPort("198.18.0.1:443"), Name: "www.example.org"}, noon); v.Action != Pass {
		t.Errorf("%+v", v)
	}
}

// TestNoLists: no Set at all is a Set without lists; ports are still refused.
func TestNoLists(t *testing.T) {
	p := must(t, Options{})
	if v := p.Name(Device{}, "tracking.miui.com", 1, noon); v != (Verdict{}) {
		t.Errorf("%+v", v)
	}
	if v := p.Flow(Flow{Proto: 6, Dst: netip.MustParseAddrPort("192.0.2.1:853")}, noon); v.Reason != ReasonDoT {
		t.Errorf("%+v", v)
	}
	if p.Set().Len() != 0 {
		t.Errorf("%d rules", p.Set().Len())
	}
}

func TestNewErrors(t *testing.T) {
	set := blocklists.Compile(builtins(t)...)
	cases := []struct {
		o    Options
		want string
	}{
		{Options{Set: set, Default: Rules{Lists: []string{"xiomi"}}}, `policy: no list is called "xiomi"; did you mean "xiaomi"?`},
		{Options{Set: set, Devices: map[string]Rules{"redmi": {Lists: []string{"xiaomi", "samsun"}}}}, `policy: device redmi: no list is called "samsun"; did you mean "samsung"?`},
		{Options{Default: Rules{Action: 9}}, "policy: action 9 is nothing to do with blocked names: want sink, deny, drop or observe"},
		{Options{Default: Rules{Literal: Sink}}, "policy: sink is nothing to do with hard-coded addresses: want pass, deny or drop"},
		{Options{Default: Rules{QUIC: Sink}}, "policy: sink is nothing to do with QUIC: want pass, deny or drop"},
		{Options{Set: set, Default: Rules{ListActions: map[string]Action{"xiaomi": Rewrite}}}, "policy: rewrite is nothing to do with what list xiaomi blocks: want sink, deny, drop or observe"},
		{Options{Set: set, Default: Rules{ListActions: map[string]Action{"xiaom": Deny}}}, `policy: no list is called "xiaom"; did you mean "xiaomi"?`},
		{Options{Set: set, Services: []string{"bytedance"}, Default: Rules{Services: []string{"bytedanse"}}}, `policy: no service is called "bytedanse"; did you mean "bytedance"?`},
		{Options{Set: set, Services: []string{"bytedance"}, Default: Rules{Lists: []string{"bytedance"}}}, `policy: no list is called "bytedance"`},
		{Options{Set: set, SafeSearch: []string{"safe"}}, `policy: safe search: blocklists: no list is called "safe"`},
		{Options{Set: set, Default: Rules{SafeSearch: "apple"}}, `policy: "apple" has no answers of safe search`},
		{Options{Set: set, Default: Rules{Schedules: []Schedule{{Name: "night"}}}}, "policy: schedule night: from and to are the same; the whole day is 00:00 to 24:00"},
		{Options{Set: set, Default: Rules{Schedules: []Schedule{{Name: "night", Range: schedule.Range{To: 60}, Lists: []string{"appel"}}}}}, `policy: schedule night: no list is called "appel"; did you mean "apple"?`},
		{Options{Set: set, Default: Rules{Schedules: make([]Schedule, MaxSchedules+1)}}, "policy: 33 schedules; at most 32 are kept"},
		{Options{Sink: []netip.Prefix{netip.MustParsePrefix("::ffff:198.18.0.0/112")}}, "policy: ::ffff:198.18.0.0/112 is no range for a sinkhole"},
		{Options{Sink: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("198.18.0.0"), 99)}}, "policy: invalid Prefix is no range for a sinkhole"},
	}
	for _, c := range cases {
		p, err := New(c.o)
		if err == nil || err.Error() != c.want || p != nil {
			t.Errorf("got %v, %v\nwant %s", p, err, c.want)
		}
	}
}

// TestOptionsAreCopied: what the caller does afterwards changes nothing.
// TestRulesEnd: a rule with an end stops nothing once it is past, neither a name
// nor a flow.
func TestRulesEnd(t *testing.T) {
	l := list(t, blocklists.Source{Name: "l"}, "rules:\n  - {domain: a.example, until: 2026-11-22}\n  - {domain: 192.0.2.1, until: 2026-11-22}\n")
	p := must(t, Options{Set: blocklists.Compile(l), Sink: []netip.Prefix{sink4}})
	for now, stopped := range map[time.Time]bool{noon: true, noon.AddDate(0, 0, 1): false} {
		sunk := Flow{Proto: protoTCP, Dst: netip.MustParseAddrPort("198.18.0.7:443"), Name: "a.example"}
		bare := Flow{Proto: protoTCP, Dst: netip.MustParseAddrPort("192.0.2.1:443")}
		named := Flow{Proto: protoTCP, Dst: netip.MustParseAddrPort("192.0.2.2:443"), Name: "a.example"}
		name, toSink, toBare, toNamed := p.Name(Device{}, "a.example", 1, now), p.Flow(sunk, now), p.Flow(bare, now), p.Flow(named, now)
		got := []bool{name.Action == Sink, toSink.Action == Sink, toBare.Action == Deny, toNamed.Action == Deny, len(p.Explain(Device{}, "a.example", 1, now).Heard) == 1}
		for i, g := range got {
			if g != stopped {
				t.Errorf("%v: question %d stopped %v, want %v", now, i, g, stopped)
			}
		}
	}
}

func TestOptionsAreCopied(t *testing.T) {
	o := Options{
		Set:     blocklists.Compile(builtins(t)...),
		Devices: map[string]Rules{"redmi": {Lists: []string{"xiaomi"}}},
		Sink:    []netip.Prefix{sink4},
	}
	p := must(t, o)
	lists := o.Devices["redmi"].Lists
	lists[0], o.Sink[0], o.Devices["redmi"] = "vivo", sink6, Rules{Action: Drop}
	r, own := p.Rules(Device{Name: "redmi"})
	if !own || len(r.Lists) != 1 || r.Lists[0] != "xiaomi" || r.Action != Sink {
		t.Errorf("%+v %v", r, own)
	}
	r.Lists[0] = "vivo"
	if again, _ := p.Rules(Device{Name: "redmi"}); again.Lists[0] != "xiaomi" {
		t.Error("Rules hands out its own slice")
	}
	if _, own := p.Rules(Device{Name: "other"}); own {
		t.Error("a stranger has wishes")
	}
	if v := p.Flow(Flow{Device: Device{Name: "redmi"}, Proto: 6, Dst: netip.MustParseAddrPort("198.18.0.1:80"), Name: "tracking.miui.com"}, noon); v.Action != Sink {
		t.Errorf("%+v", v)
	}
}

func TestExplain(t *testing.T) {
	p := home(t)
	texts := func(rules []blocklists.Rule) string {
		var out []string
		for _, r := range rules {
			out = append(out, r.List+" "+r.Text)
		}
		return strings.Join(out, ", ")
	}
	cases := []struct {
		device, name, canonical, heard, unheard string
		action                                  Action
	}{
		{"redmi", "Telemetry.API.SwiftKey.com.", "telemetry.api.swiftkey.com", "huawei telemetry.api.swiftkey.com, microsoft telemetry.api.swiftkey.com", "", Sink},
		{"redmi", "pixel.facebook.com", "pixel.facebook.com", "mine pixel.facebook.com, meta pixel.facebook.com", "", Pass},
		{"guest", "sa.api.intl.miui.com", "sa.api.intl.miui.com", "", "xiaomi sa.api.intl.miui.com", Pass},
		{"redmi", "www.mi.com", "www.mi.com", "", "", Pass},
		{"redmi", "bücher.example", "xn--bcher-kva.example", "", "", Pass},
		{"redmi", "NO..NAME", "no..name", "", "", Pass},
	}
	for _, c := range cases {
		e := p.Explain(Device{Name: c.device}, c.name, 1, noon)
		if e.Name != c.canonical || texts(e.Heard) != c.heard || texts(e.Unheard) != c.unheard || e.Verdict.Action != c.action {
			t.Errorf("%s, %s: %s %v, heard %q, unheard %q", c.device, c.name, e.Name, e.Verdict.Action, texts(e.Heard), texts(e.Unheard))
		}
		if e.Verdict != p.Name(Device{Name: c.device}, c.name, 1, noon) {
			t.Errorf("%s: Explain and Name differ", c.name)
		}
		if len(e.Heard) > 0 && e.Heard[0] != e.Verdict.Rule {
			t.Errorf("%s: the rule that decides is not the first", c.name)
		}
	}
}

// TestHotPathDoesNotAllocate: a question is asked for every packet that opens
// something.
func TestHotPathDoesNotAllocate(t *testing.T) {
	p := home(t)
	d := Device{Name: "child", Addrs: []netip.Addr{netip.MustParseAddr("10.88.0.2")}}
	f := Flow{Device: d, Proto: 6, Dst: netip.MustParseAddrPort("203.0.113.5:443"), Name: "www.example.org"}
	var got Verdict
	n := testing.AllocsPerRun(200, func() {
		got = p.Name(d, "mitv.tracking.intl.miui.com", 1, noon)
		got = p.Name(d, "a.long.name.that.no.list.has.ever.heard.of.example", 1, noon)
		got = p.Flow(f, noon)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	_ = got
}
