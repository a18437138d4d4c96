package special

import (
	"net/netip"
	"strings"
	"testing"
)

// TestFind: the zones that names fall into, and how they are answered.
func TestFind(t *testing.T) {
	for name, want := range map[string]struct {
		zone string
		kind Kind
	}{
		"localhost": {"localhost", Loopback}, "a.localhost": {"localhost", Loopback}, "notlocalhost": {"", Ordinary},
		"x.onion": {"onion", Absent}, "printer.local": {"local", Absent}, ".": {"", Ordinary}, "example.com": {"", Ordinary},
		"home.arpa": {"home.arpa", Served}, "a.home.arpa": {"home.arpa", Served}, "nothome.arpa": {"", Ordinary},
		"_dns.resolver.arpa":       {"resolver.arpa", Empty},
		"1.1.168.192.in-addr.arpa": {"168.192.in-addr.arpa", Served}, "168.192.in-addr.arpa": {"168.192.in-addr.arpa", Served}, "192.in-addr.arpa": {"", Ordinary},
		"1.16.172.in-addr.arpa": {"16.172.in-addr.arpa", Served}, "1.32.172.in-addr.arpa": {"", Ordinary}, "x.16x.172.in-addr.arpa": {"", Ordinary},
		"1.0.0.10.in-addr.arpa": {"10.in-addr.arpa", Served}, "8.8.8.8.in-addr.arpa": {"", Ordinary}, "1.64.100.in-addr.arpa": {"64.100.in-addr.arpa", Served},
		"1.d.f.ip6.arpa": {"d.f.ip6.arpa", Served}, "1.0.0.2.ip6.arpa": {"", Ordinary},
	} {
		if zone, kind := Find(name); zone != want.zone || kind != want.kind {
			t.Errorf("%s: %q, %d; want %q, %d", name, zone, kind, want.zone, want.kind)
		}
	}
}

// FuzzFind: the zone of a name is the name or above it, whatever the name.
func FuzzFind(f *testing.F) {
	for _, s := range []string{"", ".", "a.home.arpa", "1.168.192.in-addr.arpa", "in-addr.arpa", ".in-addr.arpa", "..arpa", "1.d.f.ip6.arpa"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if zone, kind := Find(name); kind != Ordinary && !Below(name, zone) {
			t.Errorf("%q is not below %q", name, zone)
		}
	})
}

// FuzzPrivate: what wraps a private address is private.
func FuzzPrivate(f *testing.F) {
	f.Add([]byte{10, 0, 0, 1})
	f.Add([]byte{8, 8, 8, 8})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok || !a.Is4() || !Private(a) {
			return
		}
		for _, text := range []string{"64:ff9b::", "::ffff:"} {
			if w := netip.MustParseAddr(text + a.String()); !Private(w) {
				t.Errorf("%s is not private", strings.ToUpper(w.String()))
			}
		}
	})
}
