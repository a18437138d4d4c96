package tunnel

import (
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nightlatch/blocklists"
	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/tunnel/phone"
)

// strict makes a policy of the rules for every device and one own list.
func strict(t testing.TB, r policy.Rules, stops ...string) *policy.Policy {
	t.Helper()
	var text strings.Builder
	text.WriteString("name: mine\nrules:\n")
	for _, s := range stops {
		text.WriteString("  - domain: " + s + "\n")
	}
	opts := policy.Options{Default: r, Sink: []netip.Prefix{netip.MustParsePrefix("10.99.0.0/16")}}
	if len(stops) > 0 {
		opts.Set = compiled(t, text.String())
	}
	p, err := policy.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func compiled(t testing.TB, text string) *blocklists.Set {
	t.Helper()
	l, err := blocklists.Parse(blocklists.Source{Name: "mine", Own: true}, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return blocklists.Compile(l)
}

// TestRejudge: a new policy ends what it does not allow, with a RST, and tells
// why; what it allows goes on, whatever else happens to the device.
func TestRejudge(t *testing.T) {
	var current policy.Current
	current.Store(strict(t, policy.Rules{}))
	r := newRig(t, 1, func(o *Options) { o.Policy = &current })
	p := r.connect(t, 0)
	ends, stays := openTo(t, p, "203.0.113.66:80"), open(t, p)
	udpEnds, udpStays := echoTo(t, p, "203.0.113.66:4500"), echoTo(t, p, site4+":4500")

	current.Store(strict(t, policy.Rules{}, "203.0.113.66"))
	r.Rejudge()
	ends.SetDeadline(time.Now().Add(patience))
	if _, err := ends.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("the flow that is no longer allowed: %v, want a reset", err)
	}
	if err := stays.try(); err != nil {
		t.Errorf("the flow that is still allowed: %v", err)
	}
	if err := echo1(udpEnds); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("the UDP flow that is no longer allowed: %v", err)
	}
	if err := echo1(udpStays); err != nil {
		t.Errorf("the UDP flow that is still allowed: %v", err)
	}
	eventually(t, "both endings are in the journal", func() bool {
		return len(r.rec.flows(func(f journal.Flow) bool {
			return f.Dst.Addr().String() == "203.0.113.66" && f.Err == "ended by a change of policy (mine:3)" && f.Up > 0
		})) == 2
	})
	eventually(t, "the host's socket is closed", func() bool { return r.net.open.Load() == 1 })

	r.Rejudge() // nothing has changed
	if err := stays.try(); err != nil {
		t.Error(err)
	}
}

// TestRejudgeHour: the same policy at another hour ends flows as well.
func TestRejudgeHour(t *testing.T) {
	var current policy.Current
	current.Store(strict(t, policy.Rules{}))
	var bedtime atomic.Bool
	r := newTunedRig(t, 1, func(o *Options) { o.Policy = &current }, func(n *Tunnel) {
		n.decide = func(f policy.Flow, now time.Time) policy.Verdict {
			if bedtime.Load() {
				return policy.Verdict{Action: policy.Deny, Reason: "schedule bedtime"}
			}
			return policy.Verdict{}
		}
	})
	p := r.connect(t, 0)
	s, u := open(t, p), echoTo(t, p, site4+":4500")
	bedtime.Store(true)
	r.Rejudge()
	s.SetDeadline(time.Now().Add(patience))
	if _, err := s.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("%v", err)
	}
	if err := echo1(u); err == nil {
		t.Error("the UDP flow goes on")
	}
	eventually(t, "the journal names the schedule", func() bool {
		return len(r.rec.flows(func(f journal.Flow) bool { return f.Err == "ended by a change of policy (schedule bedtime)" })) == 2
	})
}

// TestRejudgeDial: a connection that is still being dialled ends too.
func TestRejudgeDial(t *testing.T) {
	var current policy.Current
	current.Store(strict(t, policy.Rules{}))
	r := newRig(t, 1, func(o *Options) { o.Policy = &current })
	p := r.connect(t, 0)
	failed := make(chan error, 1)
	go func() {
		_, err := p.DialContext(within(t, patience), "tcp", "203.0.113.66:81") // the black hole
		failed <- err
	}()
	eventually(t, "it dials", func() bool { return r.net.dialed.Load() == 1 })
	current.Store(strict(t, policy.Rules{}, "203.0.113.66"))
	r.Rejudge()
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
	eventually(t, "the journal says why", func() bool {
		return len(r.rec.flows(func(f journal.Flow) bool { return f.Err == "ended by a change of policy (mine:3)" })) == 1
	})
}

func openTo(t *testing.T, p *phone.Phone, address string) stream {
	t.Helper()
	c, err := p.DialContext(within(t, patience), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s := stream{c}
	if err := s.try(); err != nil {
		t.Fatal(err)
	}
	return s
}

func echoTo(t *testing.T, p *phone.Phone, address string) net.Conn {
	t.Helper()
	u, err := p.DialContext(within(t, patience), "udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	if err := echo1(u); err != nil {
		t.Fatal(err)
	}
	return u
}

// echo1 sends a datagram and waits for it to come back.
func echo1(u net.Conn) error {
	u.SetDeadline(time.Now().Add(patience))
	if _, err := u.Write([]byte("echo")); err != nil {
		return err
	}
	_, err := u.Read(make([]byte, 10))
	return err
}
