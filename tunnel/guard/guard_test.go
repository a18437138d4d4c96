package guard

import (
	"errors"
	"net"
	"net/netip"
	"testing"
)

func prefixes(ss ...string) (out []netip.Prefix) {
	for _, s := range ss {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func newGuard(t testing.TB, deny, allow []netip.Prefix) *Guard {
	t.Helper()
	g, err := New(Options{
		Deny: deny, Allow: allow,
		Interfaces: func() ([]netip.Prefix, error) {
			return prefixes("192.168.1.5/24", "9.9.8.7/24", "2003:a:b:c::5/64", "fe80::1/64", "45.0.0.1/8", "2a00::1/32"), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestForms has every form of every address a phone must not reach.
func TestForms(t *testing.T) {
	g := newGuard(t, prefixes("10.88.0.0/24", "fd88::/64", "45.9.9.9/32"), nil)
	for _, c := range []struct{ addr, why string }{
		{"0.0.0.0", "unspecified address"},
		{"0.1.2.3", "unspecified address"},
		{"127.0.0.1", "loopback"},
		{"127.255.255.254", "loopback"},
		{"::ffff:127.0.0.1", "loopback"},
		{"::ffff:7f00:1", "loopback"},
		{"::1", "loopback"},
		{"::", "unspecified address"},
		{"::127.0.0.1", "IPv4 inside IPv6"},
		{"::ffff:0:127.0.0.1", "IPv4 inside IPv6"},
		{"64:ff9b::127.0.0.1", "IPv4 inside IPv6"},
		{"64:ff9b::c0a8:101", "IPv4 inside IPv6"},
		{"64:ff9b:1::10.0.0.1", "IPv4 inside IPv6"},
		{"64:ff9b:1:ffff::1", "IPv4 inside IPv6"},
		{"2002:7f00:1::1", "IPv4 inside IPv6"},
		{"2002:c0a8:101::", "IPv4 inside IPv6"},
		{"2001:0:1234::1", "IPv4 inside IPv6"},
		{"2001::1", "IPv4 inside IPv6"},
		{"10.0.0.1", "private address"},
		{"::ffff:10.0.0.1", "private address"},
		{"172.16.0.1", "private address"},
		{"172.31.255.255", "private address"},
		{"192.168.1.1", "private address"},
		{"192.168.1.5", "the host itself"},
		{"::ffff:192.168.1.5", "the host itself"},
		{"9.9.8.7", "the host itself"},
		{"9.9.8.8", "the host's own network"},
		{"2003:a:b:c::5", "the host itself"},
		{"2003:a:b:c::77", "the host's own network"},
		{"45.0.0.1", "the host itself"},
		{"2a00::1", "the host itself"},
		{"100.64.0.1", "private address"},
		{"100.127.255.255", "private address"},
		{"169.254.1.1", "link-local address"},
		{"169.254.169.254", "cloud metadata"},
		{"::ffff:169.254.169.254", "cloud metadata"},
		{"169.254.170.2", "cloud metadata"},
		{"100.100.100.200", "cloud metadata"},
		{"168.63.129.16", "cloud metadata"},
		{"192.0.0.192", "cloud metadata"},
		{"fd00:ec2::254", "cloud metadata"},
		{"fd20:ce::254", "cloud metadata"},
		{"192.0.0.1", "reserved address"},
		{"192.0.2.1", "documentation address"},
		{"198.51.100.1", "documentation address"},
		{"203.0.113.1", "documentation address"},
		{"2001:db8::1", "documentation address"},
		{"3fff::1", "documentation address"},
		{"192.88.99.1", "reserved address"},
		{"198.18.0.1", "reserved address"},
		{"224.0.0.1", "multicast"},
		{"239.255.255.250", "multicast"},
		{"ff02::1", "multicast"},
		{"ff0e::1", "multicast"},
		{"240.0.0.1", "reserved address"},
		{"255.255.255.255", "broadcast"},
		{"100::1", "reserved address"},
		{"2001:10::1", "reserved address"},
		{"5f00::1", "reserved address"},
		{"fc00::1", "private address"},
		{"fdff::1", "private address"},
		{"fe80::2", "link-local address"},
		{"fe80::2%eth0", "address with a zone"},
		{"2606:4700::1%eth0", "address with a zone"},
		{"fec0::1", "private address"},
		{"4000::1", "not a global address"},
		{"a000::1", "not a global address"},
		{"10.88.0.1", "inside the tunnel"},
		{"10.88.0.3", "inside the tunnel"},
		{"::ffff:10.88.0.3", "inside the tunnel"},
		{"fd88::3", "inside the tunnel"},
		{"45.9.9.9", "inside the tunnel"},
		{"1.1.1.1", ""},
		{"::ffff:1.1.1.1", ""},
		{"8.8.8.8", ""},
		{"45.1.2.3", ""}, // a /8 on a link is not a home's network
		{"2a00:1::1", ""},
		{"2606:4700:4700::1111", ""},
		{"2a01:4f8::1", ""},
		{"172.32.0.1", ""},
		{"100.128.0.1", ""},
		{"223.255.255.255", ""},
	} {
		why, ok := g.Check(netip.MustParseAddr(c.addr))
		if why != c.why || ok != (c.why == "") {
			t.Errorf("%s: %q %v, want %q", c.addr, why, ok, c.why)
		}
	}
	if _, ok := g.Check(netip.Addr{}); ok {
		t.Error("the zero address passes")
	}
}

func TestAllow(t *testing.T) {
	g := newGuard(t, prefixes("10.88.0.0/24"),
		prefixes("192.168.1.0/24", "203.0.113.0/24", "0.0.0.0/0", "::/0"))
	for addr, open := range map[string]bool{
		"192.168.1.10":         true,
		"::ffff:192.168.1.10":  true,
		"192.168.1.5":          false, // the host, inside the allowed network
		"203.0.113.9":          true,
		"127.0.0.1":            false,
		"::1":                  false,
		"169.254.169.254":      false,
		"10.88.0.2":            false,
		"10.1.1.1":             true,
		"224.0.0.1":            false,
		"fd12::1":              true,
		"fd00:ec2::254":        false,
		"64:ff9b::203.0.113.1": true, // the owner's NAT64, opened knowingly
	} {
		if why, ok := g.Check(netip.MustParseAddr(addr)); ok != open {
			t.Errorf("%s: %v (%s), want %v", addr, ok, why, open)
		}
	}
	if _, ok := newGuard(t, nil, prefixes("192.168.1.5/32")).Check(netip.MustParseAddr("192.168.1.5")); !ok {
		t.Error("the host's address, allowed by name, is closed")
	}
}

func TestControl(t *testing.T) {
	g := newGuard(t, nil, nil)
	for _, addr := range []string{"127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80", "192.168.1.1:443", "nonsense", ""} {
		if err := g.Control("tcp", addr, nil); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v", addr, err)
		}
	}
	if err := g.Control("tcp4", "1.1.1.1:443", nil); err != nil {
		t.Error(err)
	}
	// The dialer asks for the address it really connects to.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d := net.Dialer{Control: g.Control}
	if c, err := d.Dial("tcp", l.Addr().String()); !errors.Is(err, ErrRefused) {
		t.Errorf("dialled loopback: %v %v", c, err)
	}
}

func TestRefresh(t *testing.T) {
	now := prefixes("9.9.8.7/24")
	var fail error
	g, err := New(Options{Interfaces: func() ([]netip.Prefix, error) { return now, fail }})
	if err != nil {
		t.Fatal(err)
	}
	moved := netip.MustParseAddr("23.1.2.3")
	if _, ok := g.Check(moved); !ok {
		t.Fatal("closed before the host moved there")
	}
	now = prefixes("23.1.2.3/32")
	if err := g.Refresh(); err != nil {
		t.Fatal(err)
	}
	if why, ok := g.Check(moved); ok || why != "the host itself" {
		t.Errorf("after the move: %q %v", why, ok)
	}
	fail = errors.New("permission denied")
	if err := g.Refresh(); err == nil {
		t.Error("no error")
	}
	if _, ok := g.Check(moved); ok {
		t.Error("a failed refresh forgot the host")
	}
	if _, err := New(Options{}); err != nil {
		t.Logf("this host's addresses: %v", err)
	}
}

// FuzzCheck: no address that passes carries a closed IPv4 address in any of
// the standard places, and the mapped form is judged as the plain one.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:a00:1::", "2606:4700::1"} {
		f.Add(netip.MustParseAddr(s).AsSlice())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		g := newGuard(t, prefixes("10.88.0.0/24"), nil)
		why, ok := g.Check(a)
		if ok != (why == "") {
			t.Fatalf("%v: %q %v", a, why, ok)
		}
		if !ok {
			return
		}
		u := a.Unmap()
		if !u.IsGlobalUnicast() || u.IsPrivate() || u.IsLoopback() {
			t.Fatalf("%v passes", a)
		}
		if u.Is4() {
			m := netip.AddrFrom16(u.As16())
			if _, ok := g.Check(m); !ok {
				t.Fatalf("%v passes but %v does not", u, m)
			}
			return
		}
		b := u.As16()
		if b[0] == 0x20 && b[1] == 0x02 || b[0] == 0 {
			t.Fatalf("%v passes", a)
		}
	})
}
