package policy

import (
	"fmt"
	"net/netip"
	"os"
	"testing"

	"nightlatch/blocklists"
)

// bigHome is home with a list of 176,458 names beside it, where the data pack is.
func bigHome(b *testing.B) *Policy {
	b.Helper()
	const path = "../../shared/data/hagezi/adblock/pro.txt.gz"
	if _, err := os.Stat(path); err != nil {
		b.Skip("the data pack is not there:", err)
	}
	l, err := blocklists.ParseFile(blocklists.Source{Name: "pro", Format: blocklists.Adblock}, path)
	if err != nil {
		b.Fatal(err)
	}
	return must(b, Options{Set: blocklists.Compile(append(builtins(b), l)...), Sink: []netip.Prefix{sink4, sink6}})
}

func BenchmarkName(b *testing.B) {
	d := Device{Name: "redmi"}
	for _, lists := range []struct {
		name string
		make func(*testing.B) *Policy
	}{{"builtin", func(b *testing.B) *Policy { return home(b) }}, {"with-176k", bigHome}} {
		for _, name := range []string{"www.example.org", "tracking.intl.miui.com", "a.b.c.mitv.tracking.intl.miui.com"} {
			b.Run(fmt.Sprintf("%s/%s", lists.name, name), func(b *testing.B) {
				p := lists.make(b)
				b.ReportAllocs()
				for b.Loop() {
					p.Name(d, name, 1, noon)
				}
			})
		}
	}
}

func BenchmarkFlow(b *testing.B) {
	p := home(b)
	for _, f := range []Flow{
		{Proto: 6, Dst: netip.MustParseAddrPort("203.0.113.5:443"), Name: "www.example.org"},
		{Proto: 6, Dst: netip.MustParseAddrPort("198.18.0.7:443"), Name: "tracking.intl.miui.com", Exact: true},
		{Proto: 6, Dst: netip.MustParseAddrPort("[2001:db8::7]:443")},
	} {
		b.Run(fmt.Sprintf("%v-%s", f.Dst.Addr(), f.Name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Flow(f, noon)
			}
		})
	}
}

func BenchmarkNameByHours(b *testing.B) {
	p := hours(b)
	d := Device{Name: "child"}
	b.ReportAllocs()
	for b.Loop() {
		p.Name(d, "www.example.org", 1, noon)
	}
}
