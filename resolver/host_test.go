package resolver

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"nightlatch/policy"
)

// TestLookupHost: the gateway finds what it needs, whatever lists say.
func TestLookupHost(t *testing.T) {
	w := newWorld()
	w.set("www.sunk.example", dns.TypeA, dns.RcodeSuccess, "www.sunk.example. 300 IN CNAME denied.example.", "denied.example. 300 IN A 203.0.113.7")
	w.set("www.sunk.example", dns.TypeAAAA, dns.RcodeSuccess, "www.sunk.example. 300 IN AAAA 2001:db8::7")
	w.set("half.example", dns.TypeA, dns.RcodeSuccess, "half.example. 300 IN A 10.0.0.1")
	w.set("none.example", dns.TypeA, dns.RcodeNameError, "authority example. 300 IN SOA a. b. 1 2 3 4 5")
	w.set("none.example", dns.TypeAAAA, dns.RcodeNameError, "authority example. 300 IN SOA a. b. 1 2 3 4 5")
	w.set("empty.example", dns.TypeA, dns.RcodeSuccess, "authority example. 300 IN SOA a. b. 1 2 3 4 5")
	w.set("empty.example", dns.TypeAAAA, dns.RcodeSuccess, "authority example. 300 IN SOA a. b. 1 2 3 4 5")
	var none policy.Current // no policy at all: the command line has none
	for _, p := range []*policy.Current{standard(t), &none} {
		d := &diary{}
		r := build(t, p, w, d, nil)
		for _, c := range []struct{ name, want string }{
			{"www.sunk.example", "[203.0.113.7 2001:db8::7] <nil>"},
			{"WWW.Sunk.Example.", "[203.0.113.7 2001:db8::7] <nil>"},
			{"half.example", "[10.0.0.1] <nil>"}, // private is for the caller to refuse; AAAA failed
			{"none.example", "[] there is no such name"},
			{"empty.example", "[] it has no address"},
			{"unknown.example", "[] no upstream can be reached"},
			{"localhost", "[] it is no name of the public DNS"},
			{"nas.local", "[] it is no name of the public DNS"},
			{"", "[] it is no name of the public DNS"},
			{strings.Repeat("a", 64) + ".example", "[] it is no name of the public DNS"},
			{strings.Repeat("a.", 200) + "example", "[] it is no name of the public DNS"},
		} {
			addrs, err := r.LookupHost(t.Context(), c.name)
			if got := fmt.Sprint(addrs, " ", err); got != c.want {
				t.Errorf("%q: %s, want %s", c.name, got, c.want)
			}
		}
		if len(d.events) != 0 {
			t.Errorf("the gateway's own questions stand in the journal: %v", d.events)
		}
	}
	if n := w.count("www.sunk.example", dns.TypeA); n != 2 {
		t.Errorf("asked %d times by two resolvers: memory is not used", n)
	}
}

func TestLookupHostGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.hang("slow.example", dns.TypeA, time.Hour)
		w.hang("slow.example", dns.TypeAAAA, time.Hour)
		r := build(t, standard(t), w, nil, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		addrs, err := r.LookupHost(ctx, "slow.example")
		if err == nil || addrs != nil || time.Since(begin) != time.Second {
			t.Errorf("%v %v after %s", addrs, err, time.Since(begin))
		}
		_, err = r.LookupHost(t.Context(), "slow.example")
		if err == nil || time.Since(begin) > 10*time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		done, end := context.WithCancel(t.Context())
		end()
		_ = r.Run(done)
		synctest.Wait()
		if _, err := r.LookupHost(t.Context(), "other.example"); err == nil {
			t.Error("a resolver that has ended still looks up")
		}
	})
}
