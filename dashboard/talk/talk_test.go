package talk

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"nightlatch/journal"
	"nightlatch/policy"
)

func TestCount(t *testing.T) {
	at := time.Date(2026, 3, 14, 12, 30, 0, 0, time.UTC)
	c := Count{OwnerOf: func(name string) string {
		if strings.HasSuffix(name, "miui.com") {
			return "Xiaomi"
		}
		return ""
	}}
	stopped := policy.Verdict{Action: policy.Sink}
	for _, name := range []string{"a.miui.com", "b.miui.com", "a.miui.com"} {
		c.Query(journal.StoredQuery{Query: journal.Query{Time: at, Name: name, Verdict: stopped}})
	}
	c.Query(journal.StoredQuery{Query: journal.Query{Time: at.Add(time.Hour), Name: "news.example"}})
	c.Flow(journal.StoredFlow{Flow: journal.Flow{Time: at, Name: "news.example", Up: 10, Down: 20}})
	c.Flow(journal.StoredFlow{Flow: journal.Flow{Time: at, Dst: netip.MustParseAddrPort("192.0.2.1:443"), Up: 1}})
	c.Flow(journal.StoredFlow{Flow: journal.Flow{Time: at, Dst: netip.MustParseAddrPort("192.0.2.2:53"), Verdict: policy.Verdict{Action: policy.Deny}}})
	got := c.Owners(10)
	if len(got) != 3 {
		t.Fatalf("%+v", got)
	}
	if o := got[0]; o.Name != "Xiaomi" || o.Asked != 3 || o.Stopped != 3 || o.Names() != 2 || o.Up != 0 {
		t.Errorf("%+v", o)
	}
	if o := got[1]; o.Name != "news.example" || o.Asked != 1 || o.Opened != 1 || o.Up != 10 || o.Down != 20 {
		t.Errorf("%+v", o)
	}
	if o := got[2]; o.Name != Hardcoded || o.Opened != 1 || o.Stopped != 1 || o.Names() != 2 {
		t.Errorf("%+v", o)
	}
	asked := int64(0)
	for _, h := range c.Hours() {
		asked += h.Queries
	}
	if len(c.Hours()) != 2 || asked != 4 {
		t.Errorf("hours %+v", c.Hours())
	}
}

// TestBounded: a device that makes names up does not fill the memory.
func TestBounded(t *testing.T) {
	c := Count{OwnerOf: func(string) string { return "" }}
	for i := range 3 * maxOwners {
		c.Query(journal.StoredQuery{Query: journal.Query{Name: fmt.Sprint(i, ".example")}})
	}
	if len(c.owners) != maxOwners {
		t.Errorf("%d owners are kept", len(c.owners))
	}
	one := Count{OwnerOf: func(string) string { return "one" }}
	for i := range 2 * maxNames {
		one.Query(journal.StoredQuery{Query: journal.Query{Name: fmt.Sprint(i, ".example")}})
	}
	if o := one.Owners(1)[0]; o.Names() != maxNames || o.Asked != 2*maxNames {
		t.Errorf("%d names of %d questions", o.Names(), o.Asked)
	}
}
