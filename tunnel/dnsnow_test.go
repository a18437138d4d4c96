package tunnel

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"testing"

	"nightlatch/policy"
)

// TestDNSNow: what can be answered at once never reaches the slow door, the
// rest does, and silence is silence.
func TestDNSNow(t *testing.T) {
	var slow atomic.Int32
	r := newRig(t, 1, func(o *Options) {
		o.Handlers.DNSNow = func(f policy.Flow, wire []byte) ([]byte, bool) {
			if id := binary.BigEndian.Uint16(wire); id != 1 {
				return nil, id == 3
			}
			return append([]byte("now"), wire...), true
		}
		o.Handlers.DNS = func(_ context.Context, _ policy.Flow, _ string, wire []byte) []byte {
			slow.Add(1)
			return append([]byte("slow"), wire...)
		}
	})
	p := r.connect(t, 0)
	server := netip.MustParseAddrPort("8.8.8.8:53")
	c, err := p.DialContext(within(t, patience), "udp", server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 512)
	for _, id := range []uint16{3, 1, 2} { // 3 is met with silence: the answer that comes is to 1
		c.Write(query(id))
		if id == 3 {
			continue
		}
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		want := append([]byte("now"), query(1)...)
		if id == 2 {
			want = append([]byte("slow"), query(2)...)
		}
		if !bytes.Equal(buf[:n], want) {
			t.Errorf("question %d: %q", id, buf[:n])
		}
	}
	if slow.Load() != 1 {
		t.Errorf("%d questions took the slow door", slow.Load())
	}
}
