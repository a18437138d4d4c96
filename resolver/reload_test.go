package resolver

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"
)

// TestReloadsUnderLoad: while the policy is replaced a hundred times, every
// query is answered, and by one of the two policies whole.
func TestReloadsUnderLoad(t *testing.T) {
	w := newWorld()
	w.set("one.example", dns.TypeA, 0, "one.example. 300 IN A 192.0.2.1")
	w.set("two.example", dns.TypeA, 0, "two.example. 300 IN A 192.0.2.2")
	// Each policy stops one of two names; a half-made one would stop both or none.
	first, second := lists(t, map[string]string{"denied": "||one.example^\n"}), lists(t, map[string]string{"denied": "||two.example^\n"})
	current := lists(t, map[string]string{"denied": "||one.example^\n"})
	r := build(t, current, w, nil, nil)
	var stop atomic.Bool
	var asked, answered atomic.Int64
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				name := [...]string{"one.example", "two.example"}[(i+worker)%2]
				network := [...]string{"udp", "tcp"}[i%3/2]
				asked.Add(1)
				m := new(dns.Msg)
				if err := m.Unpack(r.ServeDNS(t.Context(), phone(), network, question(t, name, dns.TypeA, 1232, nil))); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				if m.Rcode == dns.RcodeNameError || m.Rcode == 0 && len(m.Answer) == 1 {
					answered.Add(1)
				}
			}
		})
	}
	for i := range 100 {
		next := first
		if i%2 == 0 {
			next = second
		}
		current.Store(next.Load())
		for asked.Load() < int64(i+1)*20 { // some questions between two reloads
			if t.Failed() {
				break
			}
			runtime.Gosched()
		}
	}
	stop.Store(true)
	wg.Wait()
	if asked.Load() != answered.Load() {
		t.Errorf("%d of %d queries were answered", answered.Load(), asked.Load())
	}
}
