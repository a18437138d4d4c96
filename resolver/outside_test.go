package resolver

import (
	"bytes"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"nightlatch/policy"
)

// TestOutside: a device that is not in the tunnel is denied what others have
// led to the sinkhole, by both paths; and what came over a stream is not cut.
func TestOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tw := newTwin(t)
		f := phone()
		f.Device.Outside = true
		q := question(t, "data.sunk.example", dns.TypeA, 1232, nil)
		quick, ok := tw.r.fast(f, q)
		slow := tw.r.serve(t.Context(), f, "udp", q)
		if !ok || !bytes.Equal(quick, slow) {
			t.Fatalf("%v\n%x\n%x", ok, quick, slow)
		}
		m := new(dns.Msg)
		if err := m.Unpack(slow); err != nil || m.Rcode != dns.RcodeNameError || len(m.Answer) != 0 {
			t.Errorf("%v %v", err, m)
		}
		if reached(true, policy.Drop) != policy.Drop {
			t.Error("drop is no longer silence")
		}
	})
}
