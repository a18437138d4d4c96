package policy

import (
	"net/netip"
	"testing"

	"nightlatch/blocklists"
)

// TestQuestionsTellMore: rules for a type, a client, an address or a tag hold for
// the questions they mean, and rules that answer by themselves say so.
func TestQuestionsTellMore(t *testing.T) {
	adguard := list(t, blocklists.Source{Name: "ag", Format: blocklists.Adblock}, `! Title: t
||typed.test^$dnstype=AAAA
||mom.test^$client=mom
||addr.test^$client=10.88.0.7
||tag.test^$ctag=os_android
||safe.test^$dnsrewrite=NOERROR;CNAME;strict.example
||two.test^$dnsrewrite=192.0.2.1
||two.test^$dnsrewrite=192.0.2.2
||gone.test^$dnsrewrite=NXDOMAIN
`)
	p := must(t, Options{
		Set: blocklists.Compile(adguard), Sink: []netip.Prefix{sink4, sink6},
		Devices: map[string]Rules{"robot": {Tags: []string{"os_android"}}},
	})
	for _, c := range []struct {
		device, name string
		qtype        uint16
		want         Action
		rewrites     int
	}{
		{"x", "typed.test", 28, Sink, 0}, {"x", "typed.test", 1, Pass, 0}, {"x", "typed.test", 0, Pass, 0},
		{"mom", "mom.test", 1, Sink, 0}, {"x", "mom.test", 1, Pass, 0},
		{"x", "addr.test", 1, Sink, 0}, {"mom", "addr.test", 1, Pass, 0},
		{"robot", "tag.test", 1, Sink, 0}, {"x", "tag.test", 1, Pass, 0},
		{"x", "www.safe.test", 1, Rewrite, 1}, {"x", "two.test", 28, Rewrite, 2},
		{"x", "gone.test", 1, Deny, 0},
	} {
		d := Device{Name: c.device}
		if c.device == "x" {
			d.Addrs = []netip.Addr{netip.MustParseAddr("10.88.0.7"), netip.MustParseAddr("fd00::7")}
		}
		v, rewrites := p.Name(d, c.name, c.qtype, noon), p.Rewrites(d, c.name, c.qtype, noon)
		if v.Action != c.want || len(rewrites) != c.rewrites || (v.Rule.List != "") != (c.want != Pass) {
			t.Errorf("%s asks %s type %d: %v by %q with %d rewrites, want %v with %d", c.device, c.name, c.qtype, v.Action, v.Rule.List, len(rewrites), c.want, c.rewrites)
		}
	}
	for dst, want := range map[string]Action{"198.18.0.9:443": Deny, "[fd00:6e6c:5::9]:443": Sink, "203.0.113.9:443": Pass, "[2001:db8::9]:443": Deny} {
		if v := p.Flow(Flow{Proto: 6, Dst: netip.MustParseAddrPort(dst), Name: "typed.test"}, noon); v.Action != want {
			t.Errorf("a flow to %s, a name whose AAAA is stopped: %v, want %v", dst, v.Action, want)
		}
	}
	if v := p.Flow(Flow{Proto: 6, Dst: netip.MustParseAddrPort("203.0.113.9:443"), Name: "safe.test"}, noon); v.Action != Pass || v.Rule.List != "ag" {
		t.Errorf("a flow to where a rule led: %+v", v)
	}
}

func TestActionWords(t *testing.T) {
	want := map[Action]string{Pass: "pass", Sink: "sink", Deny: "deny", Drop: "drop", Rewrite: "rewrite", Observe: "observe"}
	for a := range Observe + 1 {
		if a.String() != want[a] || a.Stops() != (a == Sink || a == Deny || a == Drop) {
			t.Errorf("%d: %v, stops %v", a, a, a.Stops())
		}
	}
}
