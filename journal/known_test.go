package journal

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestKnown: how a name is known comes back from the file, and is told in a
// line and in JSON in the same words.
func TestKnown(t *testing.T) {
	cases := []struct {
		known             Known
		word, sure, shown string
	}{
		{KnownDNS, "dns", "likely", "a.example:443"},
		{KnownExact, "exact", "certain", "a.example:443"},
		{KnownSNI, "sni", "sure", "a.example:443"},
		{KnownHost | Claimed, "host", "claimed", "a.example:443 (claimed in host)"},
		{KnownQUIC | Claimed, "quic", "claimed", "a.example:443 (claimed in quic)"},
		{KnownECH, "ech", "likely", "a.example:443"},
		{KnownECH | Claimed, "ech", "claimed", "a.example:443 (claimed in ech)"},
		{Known(200), "unknown", "claimed", "a.example:443 (claimed in unknown)"},
	}
	j := start(t)
	for i, c := range cases {
		put(t, j, Flow{
			Time: day(10, 2).Add(time.Duration(i) * time.Second), Device: "redmi", Proto: "tcp", Name: "a.example",
			Dst: netip.MustParseAddrPort("192.0.2.7:443"), Exact: c.known == KnownExact, Known: c.known,
		})
	}
	stored, err := j.Flows(t.Context(), Filter{})
	if err != nil || len(stored) != len(cases) {
		t.Fatalf("%d flows, %v", len(stored), err)
	}
	for i, c := range cases {
		f := stored[len(cases)-1-i]
		if f.Known != c.known || f.Exact != (c.known == KnownExact) {
			t.Errorf("%v came back as %v, exact %v", c.known, f.Known, f.Exact)
		}
		if form := decoded(t, f); form["known"] != c.word || form["sure"] != c.sure {
			t.Errorf("%v: %v %v", c.known, form["known"], form["sure"])
		}
		if line := Line(f); !strings.Contains(line, c.shown+" ") {
			t.Errorf("%v: %q", c.known, line)
		}
	}
}
