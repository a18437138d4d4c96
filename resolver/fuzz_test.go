package resolver

import (
	"context"
	"testing"

	"github.com/miekg/dns"

	"nightlatch/resolver/upstream"
)

// FuzzServeDNS: whatever a device sends, it is answered with a message that
// can be read and carries its ID and question, or not at all.
func FuzzServeDNS(f *testing.F) {
	for _, name := range []string{"www.example.com", "sunk.example", "denied.example", "localhost", ".", "mask.icloud.com"} {
		f.Add(question(f, name, dns.TypeA, 1232, nil), true)
	}
	f.Add(question(f, "www.example.com", dns.TypeANY, 0, nil), false)
	f.Add([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03w.\\\x03\x00\xff@\x00\x00\x01\x00\x01"), true)
	w := newWorld()
	w.set("www.example.com", dns.TypeA, 0, "www.example.com. 60 IN A 192.0.2.1")
	r := build(f, standard(f), w, &diary{}, nil)
	f.Fuzz(func(t *testing.T, b []byte, udp bool) {
		network := "tcp"
		if udp {
			network = "udp"
		}
		out := r.ServeDNS(t.Context(), phone(), network, b)
		if r.Stats().Panics > 0 {
			t.Fatal("a panic")
		}
		if out == nil {
			return
		}
		var m dns.Msg
		if err := m.Unpack(out); err != nil {
			t.Fatalf("our answer is malformed: %v\n%x\n%x", err, b, out)
		}
		if out[0] != b[0] || out[1] != b[1] || !m.Response || udp && len(out) > maxUDP {
			t.Errorf("answer %x to %x", out, b)
		}
		if len(m.Question) == 1 && string(out[12:len(question0(out))]) != string(b[12:len(question0(b))]) {
			t.Errorf("the question is not repeated: %x, %x", out, b)
		}
	})
}

// question0 is a message up to the end of its first question.
func question0(b []byte) []byte {
	p := 12
	for b[p] != 0 {
		p += 1 + int(b[p])
	}
	return b[:p+5]
}

// FuzzUpstreamAnswer: whatever an upstream says, it is read, kept and handed
// on without a panic, and the second answer is the first.
func FuzzUpstreamAnswer(f *testing.F) {
	w := newWorld()
	for _, records := range [][]string{
		{"www.example.com. 60 IN A 192.0.2.1"},
		{"www.example.com. 60 IN CNAME a.example.", "a.example. 60 IN A 192.0.2.1"},
		{"authority example.com. 60 IN SOA a. b. 1 2 3 4 5"},
		{"www.example.com. 60 IN HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1 ech=AAAA"},
	} {
		w.set("www.example.com", dns.TypeA, 0, records...)
		reply, err := w.Exchange(f.Context(), upstream.Question{Name: "www.example.com.", Type: dns.TypeA})
		if err != nil {
			f.Fatal(err)
		}
		b, err := reply.Msg.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	c := standard(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		m := new(dns.Msg)
		if m.Unpack(b) != nil {
			return
		}
		r := build(t, c, nil, nil, nil)
		r.group = said{m}
		q := question(t, "www.example.com", dns.TypeA, 1232, nil)
		for range 2 {
			exchange(t, r, "udp", q)
			exchange(t, r, "tcp", q)
		}
		if r.Stats().Panics > 0 {
			t.Fatal("a panic")
		}
	})
}

// said is a world that says one thing.
type said struct{ m *dns.Msg }

func (s said) Exchange(context.Context, upstream.Question) (upstream.Reply, error) {
	return upstream.Reply{Msg: s.m.Copy(), Upstream: "said"}, nil
}
func (said) Status() []upstream.Status { return nil }
func (said) Close()                    {}
