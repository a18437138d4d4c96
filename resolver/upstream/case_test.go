package upstream

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// folding answers with the name in small letters.
func folding(_ int, q *dns.Msg) []byte {
	return reply(q, func(m *dns.Msg) { m.Question[0].Name = strings.ToLower(m.Question[0].Name) })
}

// TestMixedCase: names go out in mixed letters, and come back as they were
// asked, in every record.
func TestMixedCase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changed := 0
		g := labGroup(t, lab{"192.0.2.1:53": func(_ int, q *dns.Msg) []byte {
			if q.Question[0].Name != example.Name {
				changed++
			}
			return reply(q, func(m *dns.Msg) {
				m.Compress = true
				m.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: q.Question[0].Name[8:], Rrtype: dns.TypeNS, Class: 1}, Ns: "ns." + q.Question[0].Name}}
			})
		}}, "192.0.2.1")
		for range 40 {
			r, err := g.Exchange(t.Context(), example)
			if err != nil {
				t.Fatal(err)
			}
			ns := r.Msg.Ns[0].(*dns.NS)
			if a := r.Msg.Answer[0].Header().Name; a != example.Name || ns.Hdr.Name != "com." || ns.Ns != "ns."+example.Name {
				t.Errorf("letters are left: %v", r.Msg)
			}
		}
		if changed < 35 {
			t.Errorf("%d of 40 names were in mixed letters", changed)
		}
	})
}

// TestFoldingServer: one that does not keep the letters is asked in small ones,
// and answers no later for it.
func TestFoldingServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := labGroup(t, lab{"192.0.2.1:53": folding}, "192.0.2.1")
		if d, err := took(t, g); err != nil || d > grace {
			t.Errorf("%v after %v", err, d)
		}
		for range 50 {
			if d, err := took(t, g); err != nil || d != 0 {
				t.Fatalf("%v after %v", err, d)
			}
		}
	})
}

// TestCaseSensitiveServer: one that takes letters for what they are knows its
// names all the same.
func TestCaseSensitiveServer(t *testing.T) {
	for name, other := range map[string]func(q *dns.Msg) []byte{
		"says no": func(q *dns.Msg) []byte {
			return reply(q, func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeNameError, nil })
		},
		"nodata":    func(q *dns.Msg) []byte { return reply(q, func(m *dns.Msg) { m.Answer = nil }) },
		"is silent": func(*dns.Msg) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := labGroup(t, lab{"192.0.2.1:53": func(_ int, q *dns.Msg) []byte {
					if q.Question[0].Name == example.Name {
						return good(q)
					}
					return other(q)
				}}, "192.0.2.1")
				for i := range 20 {
					r, err := g.Exchange(t.Context(), example)
					if err != nil || len(r.Msg.Answer) != 1 {
						t.Fatalf("question %d: %v %v", i, r.Msg, err)
					}
				}
			})
		})
	}
}

// TestForgedLetters: from a server that keeps letters, a reply in others is
// not taken; the right one that follows is.
func TestForgedLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var forge atomic.Bool
		l := lab{"192.0.2.1:53": func(_ int, q *dns.Msg) []byte {
			if forge.Load() {
				return folding(0, q)
			}
			return good(q)
		}}
		g := labGroup(t, l, "192.0.2.1")
		for range 10 {
			if _, err := took(t, g); err != nil {
				t.Fatal(err)
			}
		}
		forge.Store(true)
		// TCP refuses in this lab, so that small letters are the last way.
		if d, err := took(t, g); err != nil || d != grace {
			t.Errorf("%v after %v", err, d)
		}
		if p := g.members[0].exchanger.(*plain); p.letters.mode(time.Now()) != mixed {
			t.Error("one forgery turned the letters off")
		}
		for range foldLimit / foldCost {
			_, _ = took(t, g)
		}
		if p := g.members[0].exchanger.(*plain); p.letters.mode(time.Now()) != small {
			t.Error("a server that folds now is asked in mixed letters")
		}
		<-time.After(foldRest)
		if p := g.members[0].exchanger.(*plain); p.letters.mode(time.Now()) != trying {
			t.Error("it is never tried again")
		}
	})
}

// TestAtHome: servers of the home and of this machine are asked as always.
func TestAtHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, addr := range []string{"192.168.1.1:53", "127.0.0.1:53", "[fd00::1]:53", "100.64.0.1:53"} {
			g := labGroup(t, lab{addr: func(_ int, q *dns.Msg) []byte {
				if q.Question[0].Name != example.Name {
					t.Errorf("%s was asked for %s", addr, q.Question[0].Name)
				}
				return good(q)
			}}, addr)
			for range 10 {
				if _, err := took(t, g); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
					t.Error(err)
				}
			}
		}
	})
}

func FuzzUnmix(f *testing.F) {
	b, _ := pack(build(example, true, false), 7)
	f.Add(b, b)
	f.Add(good(build(example, true, false)), b)
	f.Add([]byte{}, b[:14])
	f.Fuzz(func(t *testing.T, reply, was []byte) {
		sent := bytes.Clone(was)
		mixCase(sent)
		if len(sent) != len(was) || !bytes.Equal(bytes.ToLower(sent), bytes.ToLower(was)) {
			t.Fatalf("%x became %x", was, sent)
		}
		size := len(reply)
		if unmix(reply, sent, was) && !bytes.HasPrefix(reply[12:], nameOf(was)) || len(reply) != size {
			t.Errorf("%x", reply)
		}
	})
}
