package resolver

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// run runs a resolver until stop is called.
func run(t *testing.T, r *Resolver) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { _ = r.Run(ctx); close(done) }()
	synctest.Wait()
	return func() { cancel(); <-done }
}

// TestKeptOverRestart: what was known is known after a restart, as old as it is,
// and as secure; and answered from bytes at once.
func TestKeptOverRestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cache")
	synctest.Test(t, func(t *testing.T) {
		ask := func(r *Resolver, name string) *dns.Msg {
			return exchange(t, r, "udp", question(t, name, dns.TypeA, 1232, func(m *dns.Msg) { m.IsEdns0().SetDo() }))
		}
		r, s, _ := validating(t, ValidateAlways)
		r.opt.CacheFile = file
		stop := run(t, r)
		ask(r, "www.good")
		ask(r, "absent.good")
		ask(r, "www.bad")
		<-time.After(100 * time.Second)
		stop()
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatal(info, err)
		}

		again, err := New(r.opt)
		if err != nil {
			t.Fatal(err)
		}
		again.group = s
		asked := s.world.Asked["www.good. A"] + s.world.Asked["absent.good. A"]
		defer run(t, again)()
		for name, rcode := range map[string]int{"www.good": 0, "absent.good": dns.RcodeNameError} {
			m := ask(again, name)
			ttl := uint32(0)
			for _, rr := range append(m.Answer, m.Ns...) {
				ttl = rr.Header().Ttl
			}
			if m.Rcode != rcode || !m.AuthenticatedData || ttl != 200 {
				t.Errorf("%s: %v", name, m)
			}
		}
		if n := s.world.Asked["www.good. A"] + s.world.Asked["absent.good. A"]; n != asked || again.Stats().Fast != 2 {
			t.Errorf("the world was asked %d times more, %d answers were fast", n-asked, again.Stats().Fast)
		}
		if m := ask(again, "www.bad"); m.Rcode != dns.RcodeServerFailure {
			t.Errorf("what was bogus: %v", m)
		}
	})
}

// TestKeptNoMore: a file that is damaged, or was filled under other settings, is
// no reason not to start, and gives nothing.
func TestKeptNoMore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cache")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.set("www.example.com", dns.TypeA, 0, "www.example.com. 600 IN A 192.0.2.1")
		start := func(edit func(*Options)) (*Resolver, func()) {
			r := build(t, standard(t), w, &diary{}, func(o *Options) {
				o.CacheFile = file
				if edit != nil {
					edit(o)
				}
			})
			return r, run(t, r)
		}
		entries := func(r *Resolver) int { return r.Stats().Cache.Entries }
		r, stop := start(nil)
		exchange(t, r, "udp", question(t, "www.example.com", dns.TypeA, 0, nil))
		<-time.After(saveEvery + time.Second) // before its end, too
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		stop()
		for name, edit := range map[string]func(*Options){
			"upstreams":  func(o *Options) { o.Upstreams = []string{"udp://192.0.2.54"} },
			"validation": func(o *Options) { o.Validation = ValidateWhenOffered },
			"forwarding": func(o *Options) { o.Forward = map[string][]string{"example.com": {"udp://192.0.2.53"}} },
		} {
			if err := os.WriteFile(file, good, 0o600); err != nil {
				t.Fatal(err)
			}
			r, stop := start(edit)
			if entries(r) != 0 {
				t.Errorf("%s: answers of other settings were taken", name)
			}
			stop()
		}
		for name, b := range map[string][]byte{"empty": nil, "cut": good[:len(good)/2], "zeros": make([]byte, len(good)), "long": bytes.Repeat(good, 3)} {
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			r, stop := start(nil)
			if entries(r) != 0 {
				t.Errorf("%s: taken", name)
			}
			if m := exchange(t, r, "udp", question(t, "www.example.com", dns.TypeA, 0, nil)); len(m.Answer) != 1 {
				t.Errorf("%s: %v", name, m)
			}
			stop()
		}
		if r, stop = start(nil); entries(r) != 1 {
			t.Error("the file was not made good at the end of the last run")
		}
		stop()
	})
}

// TestKeptNowhere: a folder that cannot be written to is told in the log, and
// harms nothing.
func TestKeptNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.set("www.example.com", dns.TypeA, 0, "www.example.com. 600 IN A 192.0.2.1")
		r := build(t, standard(t), w, &diary{}, func(o *Options) { o.CacheFile = filepath.Join(t.TempDir(), "none", "cache") })
		stop := run(t, r)
		if m := exchange(t, r, "udp", question(t, "www.example.com", dns.TypeA, 0, nil)); len(m.Answer) != 1 {
			t.Error(m)
		}
		<-time.After(2 * saveEvery)
		stop()
	})
}
