package resolver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"nightlatch/blocklists"
	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/resolver/special"
	"nightlatch/resolver/upstream"
)

func TestMalformed(t *testing.T) {
	r := build(t, standard(t), newWorld(), nil, nil)
	good := question(t, "www.example.com", dns.TypeA, 1232, nil)
	set := func(at int, v byte) []byte { b := bytes.Clone(good); b[at] = v; return b }
	for _, c := range []struct {
		name  string
		in    []byte
		rcode int // -1 is silence
	}{
		{"empty", nil, -1},
		{"two octets", good[:2], -1},
		{"eleven octets", good[:11], dns.RcodeFormatError},
		{"a response", set(2, 0x81), -1},
		{"a header alone", good[:12], dns.RcodeFormatError},
		{"qdcount 0", set(5, 0), dns.RcodeFormatError},
		{"qdcount 2", set(5, 2), dns.RcodeFormatError},
		{"trailing octet", append(bytes.Clone(good), 7), dns.RcodeFormatError},
		{"pointer loop", append(bytes.Clone(good[:12]), 0xc0, 12, 0, 1, 0, 1), dns.RcodeFormatError},
		{"two opt", question(t, "a.example", 1, 1232, func(m *dns.Msg) { m.Extra = append(m.Extra, m.Extra[0]) }), dns.RcodeFormatError},
		{"update", set(2, 5<<3), dns.RcodeNotImplemented},
		{"edns 1", question(t, "a.example", 1, 1232, func(m *dns.Msg) { m.IsEdns0().SetVersion(1) }), dns.RcodeBadVers},
		{"chaos", question(t, "version.bind", dns.TypeTXT, 0, func(m *dns.Msg) { m.Question[0].Qclass = 3 }), dns.RcodeRefused},
		{"axfr", question(t, "example.com", dns.TypeAXFR, 0, nil), dns.RcodeRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := r.ServeDNS(t.Context(), phone(), "udp", c.in)
			if c.rcode < 0 {
				if out != nil {
					t.Errorf("answered %x", out)
				}
				return
			}
			m := new(dns.Msg)
			if err := m.Unpack(out); err != nil {
				t.Fatal(err)
			}
			if m.Rcode != c.rcode || !m.Response || m.Id != 4711 {
				t.Errorf("%v, want rcode %d", m, c.rcode)
			}
		})
	}
	if n := r.Stats().Panics; n != 0 {
		t.Errorf("%d panics", n)
	}
}

func TestTruncation(t *testing.T) {
	w := newWorld()
	var records []string
	for i := range 60 {
		records = append(records, fmt.Sprintf("many.example.com. 60 IN A 203.0.113.%d", i))
	}
	w.set("many.example.com", dns.TypeA, 0, records...)
	w.set("some.example.com", dns.TypeA, 0, w60(40)...)
	r := build(t, standard(t), w, nil, nil)
	for _, c := range []struct {
		network, name string
		edns          uint16
		tc            bool
		n             int
	}{
		{"udp", "many.example.com", 0, true, 0},
		{"udp", "many.example.com", 512, true, 0},
		{"udp", "many.example.com", 4096, false, 60},
		{"tcp", "many.example.com", 0, false, 60},
		{"tcp", "many.example.com", 512, false, 60},
		{"udp", "some.example.com", 600, true, 0},
		{"udp", "some.example.com", 1000, false, 40},
	} {
		out := r.ServeDNS(t.Context(), phone(), c.network, question(t, c.name, 1, c.edns, nil))
		m := new(dns.Msg)
		if err := m.Unpack(out); err != nil {
			t.Fatal(err)
		}
		if m.Truncated != c.tc || len(m.Answer) != c.n || (m.IsEdns0() != nil) != (c.edns > 0) {
			t.Errorf("%+v: TC %v, %d records, OPT %v", c, m.Truncated, len(m.Answer), m.IsEdns0())
		}
		if limit := max(512, min(1232, int(c.edns))); c.network == "udp" && len(out) > limit {
			t.Errorf("%+v: %d octets", c, len(out))
		}
	}
	var huge []string // beyond 1232 whatever the client says
	for i := range 200 {
		huge = append(huge, fmt.Sprintf("huge.example.com. 60 IN A 198.51.100.%d", i))
	}
	w.set("huge.example.com", dns.TypeA, 0, huge...)
	if m := exchange(t, r, "udp", question(t, "huge.example.com", 1, 4096, nil)); !m.Truncated {
		t.Error("a datagram beyond 1232 octets")
	}
}

func w60(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("some.example.com. 60 IN A 203.0.113.%d", i))
	}
	return out
}

// TestMerged: a thousand who ask the same are one question upstream.
func TestMerged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.says["www.example.com. A"] = func(context.Context, upstream.Question) (*dns.Msg, error) {
			<-time.After(50 * time.Millisecond)
			m := new(dns.Msg)
			m.SetQuestion("www.example.com.", 1)
			m.Response = true
			rr, _ := dns.NewRR("www.example.com. 60 IN A 192.0.2.1")
			m.Answer = []dns.RR{rr}
			return m, nil
		}
		r := build(t, standard(t), w, nil, nil)
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				if m := exchange(t, r, "udp", question(t, "www.example.com", 1, 0, nil)); len(m.Answer) != 1 {
					t.Errorf("answer %v", m)
				}
			})
		}
		wg.Wait()
		if n := w.count("www.example.com", 1); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

// TestFull: when too much is under way, more is refused at once, and what is
// known is still answered.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.set("www.example.com", dns.TypeA, 0, "www.example.com. 60 IN A 192.0.2.1")
		r := build(t, standard(t), w, nil, nil)
		exchange(t, r, "udp", question(t, "www.example.com", 1, 0, nil))
		var wg sync.WaitGroup
		other := phone()
		other.Device.Key = [32]byte{2}
		for i := range maxFlights {
			name := fmt.Sprintf("d%d.example.com", i)
			w.hang(name, 1, 4*time.Second)
			f := phone()
			if i >= deviceFlights {
				f = other
			}
			if i == deviceFlights { // the first device has its share, and others are served
				synctest.Wait()
				w.set("lively.example.com", dns.TypeA, 0, "lively.example.com. 60 IN A 192.0.2.2")
				lively := question(t, "lively.example.com", 1, 0, nil)
				if m := exchange(t, r, "udp", lively); m.Rcode != dns.RcodeServerFailure {
					t.Errorf("more than its share: %v", m)
				}
				if b := r.ServeDNS(t.Context(), other, "udp", lively); b == nil || b[3]&15 != 0 {
					t.Errorf("another device: %x", b)
				}
			}
			wg.Go(func() { r.ServeDNS(t.Context(), f, "udp", question(t, name, 1, 0, nil)) })
		}
		synctest.Wait()
		begin := time.Now()
		if m := exchange(t, r, "udp", question(t, "one.more.example.com", 1, 1232, nil)); m.Rcode != dns.RcodeServerFailure || ede(m) == nil {
			t.Errorf("answer %v", m)
		}
		if m := exchange(t, r, "udp", question(t, "www.example.com", 1, 0, nil)); len(m.Answer) != 1 {
			t.Errorf("answer %v", m)
		}
		if m := exchange(t, r, "udp", question(t, "sunk.example", 1, 0, nil)); len(m.Answer) != 1 {
			t.Errorf("answer %v", m)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("it took %v", took)
		}
		if s := r.Stats(); s.Dropped != 2 || s.InFlight != maxFlights {
			t.Errorf("%+v", s)
		}
		wg.Wait()
		if n := r.Stats().InFlight; n != 0 || len(r.begun) != 0 {
			t.Errorf("%d still under way, %v", n, r.begun)
		}
	})
}

// TestEnd: the end of Run ends what is under way; filtering is over then too.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.hang("slow.example.com", 1, time.Hour)
		r := build(t, standard(t), w, nil, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		got := make(chan *dns.Msg)
		go func() { got <- exchange(t, r, "udp", question(t, "slow.example.com", 1, 0, nil)) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if m := <-got; m.Rcode != dns.RcodeServerFailure {
			t.Errorf("answer %v", m)
		}
	})
}

func TestClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.hang("slow.example.com", 1, 3*time.Second)
		r := build(t, standard(t), w, nil, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		r.ServeDNS(ctx, phone(), "udp", question(t, "slow.example.com", 1, 0, nil))
		if took := time.Since(begin); took != time.Second {
			t.Errorf("it took %v", took)
		}
		<-time.After(5 * time.Second)
		if n := r.Stats().InFlight; n != 0 {
			t.Errorf("%d under way", n)
		}
	})
}

func TestNoPolicyNoAnswer(t *testing.T) {
	r := build(t, new(policy.Current), newWorld(), nil, nil)
	if m := exchange(t, r, "udp", question(t, "www.example.com", 1, 1232, nil)); m.Rcode != dns.RcodeServerFailure || ede(m).InfoCode != dns.ExtendedErrorCodeNotReady {
		t.Errorf("answer %v", m)
	}
}

type panicky struct{ *world }

func (panicky) Exchange(context.Context, upstream.Question) (upstream.Reply, error) {
	panic("a bug in reading an upstream's answer")
}

func TestPanics(t *testing.T) {
	r := build(t, standard(t), newWorld(), nil, func(o *Options) {
		o.SinkAddr = func(string, bool) (netip.Addr, bool) { panic("a bug in the sinkhole") }
	})
	r.group = panicky{newWorld()}
	for _, name := range []string{"www.example.com", "sunk.example"} {
		if m := exchange(t, r, "udp", question(t, name, 1, 0, nil)); m.Rcode != dns.RcodeServerFailure {
			t.Errorf("%s: %v", name, m)
		}
	}
	if s := r.Stats(); s.Panics != 2 || s.InFlight != 0 {
		t.Errorf("%+v", s)
	}
}

func TestSinkFull(t *testing.T) {
	r := build(t, standard(t), newWorld(), nil, nil)
	if m := exchange(t, r, "udp", question(t, "full.example", 1, 1232, nil)); m.Rcode != 0 || len(m.Answer) != 0 || len(m.Ns) != 1 || ede(m).InfoCode != dns.ExtendedErrorCodeBlocked {
		t.Errorf("answer %v", m)
	}
}

func TestAllowPrivate(t *testing.T) {
	w := newWorld()
	w.set("nas.mine.example", 1, 0, "nas.mine.example. 60 IN A 192.168.1.9")
	r := build(t, standard(t), w, nil, func(o *Options) { o.AllowPrivate = []string{"mine.example"} })
	if m := exchange(t, r, "udp", question(t, "nas.mine.example", 1, 0, nil)); len(m.Answer) != 1 {
		t.Errorf("answer %v", m)
	}
}

func TestCanaryAllowed(t *testing.T) {
	w := newWorld()
	w.set("mask.icloud.com", 1, 0, "mask.icloud.com. 60 IN A 192.0.2.1")
	r := build(t, standard(t), w, nil, nil) // the list "mine" allows it
	if m := exchange(t, r, "udp", question(t, "mask.icloud.com", 1, 0, nil)); len(m.Answer) != 1 {
		t.Errorf("answer %v", m)
	}
	// Allowed no more: what is remembered of it is not given away.
	r.opt.Policy.Store(lists(t, nil).Load())
	if m := exchange(t, r, "udp", question(t, "mask.icloud.com", 1, 0, nil)); m.Rcode != dns.RcodeNameError {
		t.Errorf("answer %v", m)
	}
}

func TestJournal(t *testing.T) {
	w, d := newWorld(), &diary{}
	w.set("www.example.com", dns.TypeA, 0, "www.example.com. 60 IN CNAME cdn.example.net.", "cdn.example.net. 60 IN A 192.0.2.1")
	r := build(t, standard(t), w, d, nil)
	exchange(t, r, "udp", question(t, "WWW.example.com", 1, 0, nil))
	q := d.last()
	if q.Device != "redmi" || q.Name != "www.example.com" || q.Type != "A" || q.Server.String() != "8.8.8.8:53" || q.Network != "udp" ||
		q.RCode != "NOERROR" || strings.Join(q.Answers, " ") != "cdn.example.net 192.0.2.1" || q.Upstream != "world" || q.Time.IsZero() {
		t.Errorf("%+v", q)
	}
	exchange(t, r, "tcp", question(t, "dropped.example", 1, 0, nil))
	if q = d.last(); q.Verdict.Action != policy.Drop || q.RCode != "" || q.Network != "tcp" {
		t.Errorf("%+v", q)
	}
	exchange(t, r, "udp", question(t, "example.com", dns.TypeAXFR, 0, nil))
	if q = d.last(); q.Type != "AXFR" || q.RCode != "REFUSED" {
		t.Errorf("%+v", q)
	}
	if len(d.events) != 3 {
		t.Errorf("%d events for 3 queries", len(d.events))
	}
}

func TestNotices(t *testing.T) {
	d := &diary{}
	r, err := New(Options{Policy: standard(t), Recorder: d, Upstreams: []string{"192.0.2.1"}})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld() // its Status is empty: nobody is up
	r.group = w
	r.upstreamChanged("192.0.2.1", false, "refused")
	r.upstreamChanged("192.0.2.1", false, "refused")
	r.upstreamChanged("192.0.2.1", true, "")
	if len(d.events) != 2 || d.events[0].(journal.Notice).Level != journal.Warn || d.events[1].(journal.Notice).Level != journal.Info {
		t.Errorf("%v", d.events)
	}
}

func TestNewErrors(t *testing.T) {
	if _, err := New(Options{Upstreams: []string{"tls://dns.quad9.net"}}); err == nil || !strings.HasPrefix(err.Error(), "resolver: ") {
		t.Errorf("error %v", err)
	}
}

func TestNameOf(t *testing.T) {
	w := newWorld()
	w.set("www.example.com", dns.TypeA, 0, "www.example.com. 60 IN CNAME cdn.example.net.", "cdn.example.net. 60 IN A 192.0.2.1")
	w.set("evil.example.com", dns.TypeA, 0, "evil.example.com. 60 IN A 192.168.1.1")
	r := build(t, standard(t), w, nil, nil)
	exchange(t, r, "udp", question(t, "www.example.com", 1, 0, nil))
	exchange(t, r, "udp", question(t, "evil.example.com", 1, 0, nil))
	mine, other := phone().Device, policy.Device{Name: "other", Key: [32]byte{2}}
	addr := netip.MustParseAddr("::ffff:192.0.2.1")
	if name, exact := r.NameOf(mine, addr); name != "www.example.com" || exact {
		t.Errorf("%q, %v", name, exact)
	}
	if name, _ := r.NameOf(other, addr); name != "" {
		t.Errorf("another device learnt %q", name)
	}
	if name, _ := r.NameOf(mine, netip.MustParseAddr("192.168.1.1")); name != "" {
		t.Errorf("a refused answer was learnt as %q", name)
	}
}

func TestMemoryBounds(t *testing.T) {
	m, key, now := newMemory(), [32]byte{1}, time.Now()
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range 3 * maxNames {
		m.learn(key, fmt.Sprint("n", i), []netip.Addr{at(i)}, now)
		m.learn(key, "always", []netip.Addr{at(1 << 20)}, now) // asked again and again: it stays
	}
	if m.find(key, at(1<<20)) != "always" || m.find(key, at(3*maxNames-1)) == "" || m.find(key, at(0)) != "" {
		t.Error("the wrong names were forgotten")
	}
	d := m.devices[key]
	if len(d.at) > maxNames || len(d.ring) > maxNames {
		t.Errorf("%d names, ring of %d", len(d.at), len(d.ring))
	}
	for a, i := range d.at {
		if d.ring[i].addr != a {
			t.Fatalf("%v is said to stand at %d, there is %v", a, i, d.ring[i])
		}
	}
	for i := range maxDevices + 10 {
		m.learn([32]byte{2, byte(i >> 8), byte(i)}, "n", []netip.Addr{at(1)}, now.Add(time.Duration(i)))
	}
	if len(m.devices) != maxDevices || m.find(key, at(1<<20)) != "" {
		t.Errorf("%d devices", len(m.devices))
	}
}

func TestPrivate(t *testing.T) {
	for s, want := range map[string]bool{
		"10.1.2.3": true, "172.31.0.1": true, "172.32.0.1": false, "192.168.0.1": true, "127.0.0.53": true, "169.254.169.254": true,
		"100.64.0.1": true, "100.128.0.1": false, "0.0.0.0": true, "0.1.2.3": true, "224.0.0.1": true, "255.255.255.255": true, "198.18.0.1": true,
		"8.8.8.8": false, "192.0.0.170": false, "::1": true, "::": true, "fe80::1": true, "fec0::1": true, "fd00::1": true, "ff02::1": true,
		"::ffff:192.168.0.1": true, "64:ff9b::10.0.0.1": true, "64:ff9b::8.8.8.8": false, "64:ff9b:1::10.0.0.1": true, "2002:a00:1::": true,
		"2002:808:808::": false, "::10.0.0.1": true, "2606:4700::1111": false,
	} {
		if got := special.Private(netip.MustParseAddr(s)); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
}

// TestUnreachableUpstreamStillFilters: without any upstream blocked names are still answered.
func TestUnreachableUpstreamStillFilters(t *testing.T) {
	d := &diary{}
	r, err := New(Options{Policy: standard(t), SinkAddr: sinkAddr, Recorder: d})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(errors.New("test over"))
	go func() { _ = r.Run(ctx) }()
	if m := exchange(t, r, "udp", question(t, "www.example.com", 1, 1232, nil)); m.Rcode != dns.RcodeServerFailure || ede(m).InfoCode != dns.ExtendedErrorCodeNetworkError {
		t.Errorf("answer %v", m)
	}
	if m := exchange(t, r, "udp", question(t, "sunk.example", 1, 0, nil)); len(m.Answer) != 1 {
		t.Errorf("answer %v", m)
	}
}

// byAddress is a policy with one rule, about an address.
type byAddress struct{ netip.Addr }

func (byAddress) Rewrites(policy.Device, string, uint16, time.Time) []blocklists.Rule { return nil }
func (byAddress) StripsECH(policy.Device) bool                                        { return false }
func (byAddress) Name(policy.Device, string, uint16, time.Time) policy.Verdict {
	return policy.Verdict{}
}

func (p byAddress) Flow(f policy.Flow, _ time.Time) policy.Verdict {
	if f.Dst.Addr() == p.Addr && f.Name != "" {
		return policy.Verdict{Action: policy.Deny, Reason: "an address on a list"}
	}
	return policy.Verdict{}
}

func TestAddressRules(t *testing.T) {
	w, d := newWorld(), &diary{}
	w.set("a.example.com", dns.TypeA, 0, "a.example.com. 60 IN A 192.0.2.66")
	w.set("b.example.com", dns.TypeHTTPS, 0, "b.example.com. 60 IN HTTPS 1 . ipv4hint=192.0.2.1,192.0.2.66")
	w.set("c.example.com", dns.TypeA, 0, "c.example.com. 60 IN A 192.0.2.1")
	r := build(t, standard(t), w, d, nil)
	r.judge = func() judge { return byAddress{netip.MustParseAddr("192.0.2.66")} }
	for range 2 { // from upstream, then from memory
		for name, kind := range map[string]uint16{"a.example.com": dns.TypeA, "b.example.com": dns.TypeHTTPS} {
			if m := exchange(t, r, "udp", question(t, name, kind, 1232, nil)); m.Rcode != dns.RcodeNameError || ede(m).ExtraText != "an address on a list" {
				t.Errorf("%s: %v", name, m)
			}
			if d.last().Verdict.Action != policy.Deny {
				t.Errorf("%+v", d.last())
			}
		}
	}
	if m := exchange(t, r, "udp", question(t, "c.example.com", 1, 0, nil)); len(m.Answer) != 1 {
		t.Errorf("%v", m)
	}
}

// TestRefusedTypeHasNoReport: a type that a device is not to ask for has no data,
// and no report either.
func TestRefusedTypeHasNoReport(t *testing.T) {
	r := build(t, standard(t), newWorld(), &diary{}, nil)
	p, err := policy.New(policy.Options{Default: policy.Rules{RefuseTypes: []uint16{dns.TypeTXT}}})
	if err != nil {
		t.Fatal(err)
	}
	r.judge = func() judge { return p }
	if m := exchange(t, r, "udp", question(t, "www.example.com", dns.TypeTXT, 1232, nil)); len(m.Answer) != 0 || ede(m) == nil {
		t.Errorf("%v", m)
	}
}
