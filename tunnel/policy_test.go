package tunnel

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"nightlatch/journal"
	"nightlatch/policy"
)

// TestPolicy asks the real policy: mail and file sharing are refused, a reload
// is heeded by flows that are open, and no policy means no flow.
func TestPolicy(t *testing.T) {
	strict := func(r policy.Rules) *policy.Policy {
		p, err := policy.New(policy.Options{Default: r, Sink: []netip.Prefix{netip.MustParsePrefix("10.99.0.0/16")}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	var current policy.Current
	current.Store(strict(policy.Rules{}))
	r := newRig(t, 1, func(o *Options) { o.Policy = &current })
	p := r.connect(t, 0)
	for _, port := range []string{"853", "25", "445"} {
		if _, err := p.DialContext(within(t, patience), "tcp", site4+":"+port); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("port %s: %v", port, err)
		}
	}
	get(t, p.HTTPClient(nil), "http://"+site4+"/")

	u, err := p.DialContext(within(t, patience), "udp", site4+":443")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	try := func() error {
		u.SetDeadline(time.Now().Add(patience))
		u.Write([]byte("quic"))
		_, err := u.Read(make([]byte, 10))
		return err
	}
	if err := try(); err != nil {
		t.Fatal(err)
	}
	current.Store(strict(policy.Rules{QUIC: policy.Deny}))
	if err := try(); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("the open QUIC flow after the reload: %v", err)
	}
	if f := r.rec.flows(func(f journal.Flow) bool { return f.Proto == "udp" && f.Up == 4 && f.Down == 4 }); len(f) != 1 {
		t.Errorf("the flow that was open: %d entries", len(f))
	}
	current.Store(nil)
	if _, err := p.DialContext(within(t, patience), "tcp", site4+":80"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("without a policy: %v", err)
	}
}
