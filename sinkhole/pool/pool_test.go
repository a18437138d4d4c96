package pool

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	test4 = netip.MustParsePrefix("198.18.0.0/15")
	test6 = netip.MustParsePrefix("fd00:6e6c::/64")
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func must(tb testing.TB, o Options) *Pool {
	tb.Helper()
	p, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestBothWays(t *testing.T) {
	p := must(t, Options{Prefix4: test4, Prefix6: test6})
	seen := map[netip.Addr]string{}
	for i := range 5000 {
		name := fmt.Sprintf("host%d.vendor.example", i)
		for _, v6 := range []bool{false, true} {
			a, ok := p.Addr(name, v6)
			if !ok || v6 != a.Is6() || !(test4.Contains(a) || test6.Contains(a)) {
				t.Fatalf("%s: %v %v", name, a, ok)
			}
			if other, taken := seen[a]; taken {
				t.Fatalf("%v belongs to %s and %s", a, other, name)
			}
			seen[a] = name
		}
	}
	for a, name := range seen {
		if got, ok := p.Name(a); !ok || got != name {
			t.Fatalf("%v: %s, want %s", a, got, name)
		}
		if again, _ := p.Addr(name, a.Is6()); again != a {
			t.Fatalf("%s moved from %v to %v", name, a, again)
		}
	}
	for _, a := range []string{"198.18.0.0", "198.19.255.255", "198.20.0.1", "fd00:6e6c::", "fd00:6e6c::1:0:0:1", "fd00:6e6d::5", "127.0.0.1", "::1"} {
		if got, ok := p.Name(netip.MustParseAddr(a)); ok {
			t.Errorf("%s belongs to %s", a, got)
		}
	}
	if _, ok := p.Name(netip.Addr{}); ok {
		t.Error("the zero address belongs to somebody")
	}
	a, _ := p.Addr("host1.vendor.example", false)
	if got, _ := p.Name(netip.AddrFrom16(a.As16())); got != "host1.vendor.example" {
		t.Error("not found in its IPv4-mapped form")
	}
	if b, _ := p.Addr("HOST1.Vendor.example.", false); a != b || p.Len() != 5000 {
		t.Error("case or the final dot make another name")
	}
}

func TestRestart(t *testing.T) {
	names := make([]string, 2000)
	for i := range names {
		names[i] = fmt.Sprintf("n%d.example", i)
	}
	first, second := must(t, Options{Prefix4: test4}), must(t, Options{Prefix4: test4})
	before := map[string]netip.Addr{}
	for _, n := range names {
		before[n], _ = first.Addr(n, false)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	same := 0
	for _, n := range names {
		if a, _ := second.Addr(n, false); a == before[n] {
			same++
		}
	}
	if same < len(names)*98/100 {
		t.Errorf("%d of %d names kept their address over a restart", same, len(names))
	}
}

func TestFull(t *testing.T) {
	c := &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	p := must(t, Options{Prefix4: netip.MustParsePrefix("192.0.2.0/28"), Prefix6: test6, Now: c.now})
	for i := range 14 {
		if _, ok := p.Addr(fmt.Sprint("n", i), true); !ok {
			t.Fatalf("name %d found no place", i)
		}
	}
	if _, ok := p.Addr("late", false); ok || p.Full() != 1 {
		t.Fatal("a fifteenth name in a /28")
	}
	a0, _ := p.Addr("n0", false)
	p.Name(a0) // a flow
	release := p.Hold("n1")
	c.t = c.t.Add(IdleAsked - time.Second)
	if _, ok := p.Addr("late", false); ok {
		t.Fatal("an address changed hands too early")
	}
	c.t = c.t.Add(2 * time.Second)
	late, ok := p.Addr("late", false)
	if !ok || p.Len() != 14 {
		t.Fatalf("no place after %v: %d names", IdleAsked, p.Len())
	}
	for i := range 11 { // the names that nobody connected to give way, one by one
		if _, ok := p.Addr(fmt.Sprint("later", i), false); !ok {
			t.Fatalf("later%d found no place", i)
		}
	}
	if got, _ := p.Addr("late", false); got != late {
		t.Error("a name in use moved")
	}
	if _, ok := p.Addr("one too many", false); ok {
		t.Error("a name in use lost its place")
	}
	if !p.Has("n0") || !p.Has("n1") {
		t.Error("a name with flows lost its place")
	}
	c.t = c.t.Add(IdleUsed + time.Second)
	if a, _ := p.Addr("n0", false); a != a0 {
		t.Error("n0 moved")
	}
	for i := range 12 {
		p.Addr(fmt.Sprint("newest", i), false)
	}
	if !p.Has("n1") {
		t.Error("a name with an open flow lost its place")
	}
	release()
	c.t = c.t.Add(IdleUsed + time.Second)
	p.Addr("after", false)
	for i := range 13 {
		p.Addr(fmt.Sprint("after", i), false)
	}
	if p.Has("n1") || p.Len() != 14 {
		t.Error("a name stays for ever")
	}
}

func TestLeastRecentlyUsedGoesFirst(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	p := must(t, Options{Prefix4: netip.MustParsePrefix("192.0.2.0/29"), Now: c.now})
	for i := range 6 {
		p.Addr(fmt.Sprint("n", i), false)
		c.t = c.t.Add(time.Second)
	}
	p.Addr("n0", false)
	c.t = c.t.Add(IdleAsked)
	p.Addr("new", false)
	if p.Has("n1") || !p.Has("n0") || !p.Has("n2") {
		t.Error("the wrong name gave way")
	}
}

func TestClockJumps(t *testing.T) {
	c := &clock{time.Unix(2e9, 0)}
	p := must(t, Options{Prefix4: netip.MustParsePrefix("192.0.2.0/30"), Now: c.now})
	p.Addr("a", false)
	p.Addr("b", false)
	p.Addr("c", false)
	c.t = c.t.AddDate(-1, 0, 0)
	if _, ok := p.Addr("c", false); ok {
		t.Error("a clock set back frees names in use")
	}
	c.t = c.t.AddDate(1, 0, 1)
	if _, ok := p.Addr("c", false); !ok {
		t.Error("the table stays locked")
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{}, "no address range"},
		{Options{Prefix4: test6}, "not an IPv4 range"},
		{Options{Prefix6: test4}, "not an IPv6 range"},
		{Options{Prefix4: netip.MustParsePrefix("192.0.2.0/31")}, "no room"},
		{Options{Prefix6: netip.MustParsePrefix("fd00::/128")}, "no room"},
	} {
		if _, err := New(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.o, err, tt.want)
		}
	}
	p := must(t, Options{Prefix6: test6})
	if _, ok := p.Addr("a.example", false); ok {
		t.Error("an IPv4 address without a range")
	}
	for _, bad := range []string{"", ".", strings.Repeat("a", 254)} {
		if _, ok := p.Addr(bad, true); ok {
			t.Errorf("%q has an address", bad)
		}
	}
	if p := must(t, Options{Prefix4: netip.MustParsePrefix("10.0.0.0/8")}); p.slots > maxSlots {
		t.Error("unbounded")
	}
}

func TestConcurrent(t *testing.T) {
	p := must(t, Options{Prefix4: netip.MustParsePrefix("192.0.2.0/24"), Prefix6: test6})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 0))
			for range 2000 {
				name := fmt.Sprint("n", r.IntN(300))
				a, ok := p.Addr(name, r.IntN(2) == 0)
				if !ok {
					continue
				}
				defer p.Hold(name)()
				if got, _ := p.Name(a); got != name {
					t.Errorf("%v: %s, want %s", a, got, name)
				}
			}
		})
	}
	wg.Wait()
	if p.Len() != 254 {
		t.Errorf("%d names in a /24", p.Len())
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	p := must(t, Options{Prefix4: test4, Prefix6: test6})
	a, _ := p.Addr("tracking.miui.com", true)
	if n := testing.AllocsPerRun(100, func() {
		p.Addr("tracking.miui.com", true)
		p.Addr("tracking.miui.com.", false)
		p.Name(a)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAddr(b *testing.B) {
	p := must(b, Options{Prefix4: test4, Prefix6: test6})
	p.Addr("tracking.miui.com", false)
	for b.Loop() {
		p.Addr("tracking.miui.com", false)
	}
}

// BenchmarkFlood is a device that asks for random names below a sunk one
// while the table is full.
func BenchmarkFlood(b *testing.B) {
	p := must(b, Options{Prefix4: test4})
	for i := range p.names {
		p.Addr(fmt.Sprint("n", i), false)
	}
	i := 0
	for b.Loop() {
		i++
		p.Addr(fmt.Sprint("x", i), false)
	}
}
