package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nightlatch/blocklists"
	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/resolver/upstream"
)

// world is a small internet behind the asker seam: what it says to each
// question is the test's to choose, and it counts what it is asked.
type world struct {
	mu    sync.Mutex
	says  map[string]func(ctx context.Context, q upstream.Question) (*dns.Msg, error) // by "name. TYPE"
	asked map[string]int
}

func newWorld() *world {
	return &world{says: map[string]func(context.Context, upstream.Question) (*dns.Msg, error){}, asked: map[string]int{}}
}

func place(name string, qtype uint16) string {
	return dns.Fqdn(strings.ToLower(name)) + " " + dns.Type(qtype).String()
}

func (w *world) Exchange(ctx context.Context, q upstream.Question) (upstream.Reply, error) {
	w.mu.Lock()
	at := place(q.Name, q.Type)
	w.asked[at]++
	say := w.says[at]
	w.mu.Unlock()
	if say == nil {
		return upstream.Reply{}, fmt.Errorf("nobody knows %s: %w", at, upstream.ErrUnreachable)
	}
	m, err := say(ctx, q)
	return upstream.Reply{Msg: m, Upstream: "world"}, err
}

func (w *world) Status() []upstream.Status { return nil }
func (w *world) Close()                    {}

func (w *world) count(name string, qtype uint16) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[place(name, qtype)]
}

// set makes the world answer a question with records, those with a SOA in the
// authority section.
func (w *world) set(name string, qtype uint16, rcode int, records ...string) {
	var answer, authority, extra []dns.RR
	for _, s := range records {
		section := &answer
		if rest, ok := strings.CutPrefix(s, "authority "); ok {
			s, section = rest, &authority
		} else if rest, ok := strings.CutPrefix(s, "additional "); ok {
			s, section = rest, &extra
		}
		rr, err := dns.NewRR(s)
		if err != nil || rr == nil {
			panic(fmt.Sprintf("record %q: %v", s, err))
		}
		*section = append(*section, rr)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.says[place(name, qtype)] = func(_ context.Context, q upstream.Question) (*dns.Msg, error) {
		m := &dns.Msg{Question: []dns.Question{{Name: q.Name, Qtype: q.Type, Qclass: dns.ClassINET}}}
		m.Response, m.RecursionAvailable, m.Rcode = true, true, rcode
		m.AuthenticatedData, m.Authoritative = true, true // never to be passed on
		m.Answer, m.Ns, m.Extra = copies(answer), copies(authority), copies(extra)
		return m, nil
	}
}

func copies(rrs []dns.RR) (out []dns.RR) {
	for _, rr := range rrs {
		out = append(out, dns.Copy(rr))
	}
	return out
}

// hang makes a question end at the resolver's deadline, as upstreams that do
// not answer do.
func (w *world) hang(name string, qtype uint16, after time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.says[place(name, qtype)] = func(ctx context.Context, _ upstream.Question) (*dns.Msg, error) {
		select {
		case <-time.After(after):
			return nil, context.DeadlineExceeded
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// delay makes the world take its time with a question.
func (w *world) delay(name string, qtype uint16, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	say := w.says[place(name, qtype)]
	w.says[place(name, qtype)] = func(ctx context.Context, q upstream.Question) (*dns.Msg, error) {
		select {
		case <-time.After(d):
			return say(ctx, q)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (w *world) unplug(name string, qtype uint16) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.says, place(name, qtype))
}

// diary is a Recorder that keeps everything.
type diary struct {
	mu     sync.Mutex
	events []journal.Event
}

func (d *diary) Record(e journal.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

func (d *diary) last() (q journal.Query) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		if v, ok := e.(journal.Query); ok {
			q = v
		}
	}
	return q
}

// notices gives the text of every notice, one a line.
func (d *diary) notices() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	for _, e := range d.events {
		if n, ok := e.(journal.Notice); ok {
			b.WriteString(n.Text + "\n")
		}
	}
	return b.String()
}

// sinkAddr is a sinkhole with one address of each family for every name, told
// apart by its length.
func sinkAddr(name string, v6 bool) (netip.Addr, bool) {
	if name == "full.example" {
		return netip.Addr{}, false
	}
	if v6 {
		return netip.AddrFrom16([16]byte{0xfd, 0x53, 15: byte(len(name))}), true
	}
	return netip.AddrFrom4([4]byte{100, 127, 0, byte(len(name))}), true
}

func localName(name string) []netip.Addr {
	if name == "nightlatch.internal" || name == "own.sunk.example" { // the second is on a list all the same
		return []netip.Addr{netip.MustParseAddr("10.53.0.1"), netip.MustParseAddr("fd53::1")}
	}
	return nil
}

// lists compiles policy text: plain lines are sunk, "deny:" ones denied.
func lists(t testing.TB, texts map[string]string) *policy.Current {
	t.Helper()
	var all []*blocklists.List
	for name, text := range texts {
		src := blocklists.Source{Name: name, Format: "adblock", Own: name == "mine"}
		switch name {
		case "denied":
			src.Action = blocklists.ActionDeny
		case "dropped":
			src.Action = blocklists.ActionDrop
		case "rpz":
			src.Format = blocklists.RPZ
		case "addresses":
			src.Format, src.Action = "ip", blocklists.ActionDeny
		case "null", "nodata", "refused":
			src.Reply, _ = blocklists.ParseReply(name)
		case "addressed":
			src.Reply, _ = blocklists.ParseReply("192.0.2.99")
		}
		l, err := blocklists.Parse(src, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	p, err := policy.New(policy.Options{
		Set: blocklists.Compile(all...), Default: policy.Rules{Action: policy.Sink},
		Sink: []netip.Prefix{netip.MustParsePrefix("100.127.0.0/16"), netip.MustParsePrefix("fd53::/64")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var c policy.Current
	c.Store(p)
	return &c
}

// standard is the policy most tests use.
func standard(t testing.TB) *policy.Current {
	return lists(t, map[string]string{
		"vendor":  "! telemetry\n||sunk.example^\n||tracker.example^\n||full.example^\n",
		"denied":  "||denied.example^\n",
		"dropped": "||dropped.example^\n",
		"null":    "||null.example^\n", "nodata": "||nodata.example^\n", "refused": "||refused.example^\n", "addressed": "||addressed.example^\n",
		"rules": "||led.example^$dnsrewrite=NOERROR;CNAME;www.example.com\n||made.example^$dnsrewrite=192.0.2.7\n||v6.example^$dnstype=AAAA\n",
		"mine":  "@@||wanted.tracker.example^\n@@||mask.icloud.com^\n",
	})
}

// build makes a resolver in front of a world.
func build(t testing.TB, c *policy.Current, w *world, d *diary, edit func(*Options)) *Resolver {
	t.Helper()
	o := Options{Policy: c, SinkAddr: sinkAddr, Local: localName}
	if d != nil {
		o.Recorder = d
	}
	if edit != nil {
		edit(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.group = w
	return r
}

// phone is the device of the tests.
func phone() policy.Flow {
	return policy.Flow{
		Device: policy.Device{Name: "redmi", Key: [32]byte{1}}, Proto: 17,
		Src: netip.MustParseAddrPort("10.53.0.2:40000"), Dst: netip.MustParseAddrPort("8.8.8.8:53"),
	}
}

// question packs a query; edns 0 means none.
func question(t testing.TB, name string, qtype uint16, edns uint16, edit func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), qtype)
	m.Id = 4711
	if edns > 0 {
		m.SetEdns0(edns, false)
	}
	if edit != nil {
		edit(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exchange asks and reads the answer; nil is silence.
func exchange(t testing.TB, r *Resolver, network string, wire []byte) *dns.Msg {
	t.Helper()
	b := r.ServeDNS(t.Context(), phone(), network, wire)
	if b == nil {
		return nil
	}
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatalf("our answer is malformed: %v\n%x", err, b)
	}
	if !m.Response || m.AuthenticatedData && r.trust == nil || m.Authoritative || m.Id != 4711 {
		t.Fatalf("header %+v", m.MsgHdr)
	}
	return m
}

func ede(m *dns.Msg) *dns.EDNS0_EDE {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				return e
			}
		}
	}
	return nil
}
