package policy

import (
	"net/netip"
	"strings"
	"testing"

	"nightlatch/blocklists"
)

// TestReach: what of the home network a device may reach, by address, protocol
// and port; nobody else may, and port 53 stays the gateway's.
func TestReach(t *testing.T) {
	p := must(t, Options{Devices: map[string]Rules{"tablet": {Literal: Deny, LAN: []Reach{
		{Prefix: netip.MustParsePrefix("192.168.1.10/32"), Proto: 6, From: 631, To: 631},
		{Prefix: netip.MustParsePrefix("192.168.2.0/24")},
		{Prefix: netip.MustParsePrefix("fd00:1::/64"), From: 100, To: 500},
	}}}})
	for _, c := range []struct {
		device, dst string
		proto       uint8
		want        bool
	}{
		{"tablet", "192.168.1.10:631", 6, true},
		{"tablet", "192.168.1.10:631", 17, false},
		{"tablet", "192.168.1.10:80", 6, false},
		{"tablet", "192.168.1.11:631", 6, false},
		{"tablet", "192.168.2.7:445", 6, true}, // file sharing, when it was asked for
		{"tablet", "192.168.2.7:5353", 17, true},
		{"tablet", "192.168.2.7:0", 1, true}, // a ping
		{"tablet", "192.168.1.10:0", 1, false},
		{"tablet", "[fd00:1::5]:443", 6, true},
		{"tablet", "[fd00:1::5]:80", 6, false},
		{"tablet", "[fd00:2::5]:443", 6, false},
		{"phone", "192.168.2.7:80", 6, false},
	} {
		f := Flow{Device: Device{Name: c.device}, Proto: c.proto, Dst: netip.MustParseAddrPort(c.dst)}
		v := p.Flow(f, noon)
		if got := p.Reaches(f); got != c.want || (v.Reason == ReasonLAN) != c.want {
			t.Errorf("%s to %s, protocol %d: %v, %+v", c.device, c.dst, c.proto, got, v)
		}
	}
	dns := Flow{Device: Device{Name: "tablet"}, Proto: 17, Dst: netip.MustParseAddrPort("192.168.2.7:53")}
	if v := p.Flow(dns, noon); v.Action != Deny || v.Reason != ReasonDNS {
		t.Errorf("DNS in the home network: %+v", v)
	}
	for _, bad := range []Reach{{}, {Prefix: netip.MustParsePrefix("10.0.0.0/8"), Proto: 1}, {Prefix: netip.MustParsePrefix("10.0.0.0/8"), From: 5, To: 4}, {Prefix: netip.MustParsePrefix("10.0.0.0/8"), To: 4}} {
		if _, err := New(Options{Default: Rules{LAN: []Reach{bad}}}); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// TestHTTPDNS: a name that would be stopped is not told by others either; at an
// address that nobody resolved no name is, unless the owner lets it.
func TestHTTPDNS(t *testing.T) {
	own := list(t, blocklists.Source{Name: "mine", Own: true}, "name: mine\nrules:\n  - domain: tracker.example\nallow:\n  - domain: 119.29.29.29\n")
	p := must(t, Options{Set: blocklists.Compile(own)})
	for _, c := range []struct {
		dst, name, asked string
		literal          bool
		want, why        string
	}{
		{"110.43.0.83:80", "", "good.example", true, "deny", ReasonHTTPDNS},
		{"110.43.0.83:80", "", "", true, "deny", ReasonHTTPDNS}, // encrypted
		{"110.43.0.83:80", "", "a.tracker.example", true, "deny", "mine"},
		{"110.43.0.83:80", "resolver.example", "good.example", false, "pass", ""},
		{"110.43.0.83:80", "resolver.example", "tracker.example", false, "deny", "mine"},
		{"119.29.29.29:80", "", "good.example", true, "pass", "mine"},
	} {
		f := Flow{Proto: 6, Dst: netip.MustParseAddrPort(c.dst), Name: c.name, HTTPDNS: c.literal}
		if c.asked != "" {
			f.Asked = strings.Fields("first.example " + c.asked)
		}
		if v := p.Flow(f, noon); v.Action.String() != c.want || v.Reason+v.Rule.List != c.why {
			t.Errorf("%+v: %v %q %q", c, v.Action, v.Reason, v.Rule.List)
		}
	}
}
