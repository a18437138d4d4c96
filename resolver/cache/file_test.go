package cache

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

var then = time.Unix(1800000000, 123456789) // never changed

// filled is a cache with answers of many kinds.
func filled(t testing.TB) (*Cache, []Key) {
	c := New(1000, 1<<20, time.Hour)
	var keys []Key
	put := func(name string, qtype uint16, do, cd bool, a *Answer) {
		k := Key{name, qtype, do, cd}
		keys = append(keys, k)
		c.Put(k, a)
	}
	www := "\x03www\x07example\x03com\x00"
	put(www, dns.TypeA, false, false, read(t, message(t, 0, "www.example.com. 60 IN CNAME a.net.", "a.net. 300 IN A 192.0.2.1"), then))
	secure := read(t, message(t, 3, "example.com. 600 IN SOA a. b. 1 2 3 4 30"), then)
	secure.Secure, secure.EDE, secure.Why, secure.Upstream = true, 9, "why", "who"
	put(www, dns.TypeA, true, true, secure)
	https, err := Read("www.example.com.", dns.TypeHTTPS, false, message(t, 0, "www.example.com. 60 IN HTTPS 1 x.net. alpn=h2 ipv4hint=192.0.2.1 ech=AAAA"), "", limits, then)
	if err != nil {
		t.Fatal(err)
	}
	put(www, dns.TypeHTTPS, false, false, https)
	return c, keys
}

// TestFile: what is written down comes back as it was.
func TestFile(t *testing.T) {
	c, keys := filled(t)
	now := then.Add(10 * time.Second)
	b := c.Marshal("settings", now)
	d := New(1000, 1<<20, time.Hour)
	if n, err := d.Unmarshal(b, "settings", now); err != nil || n != len(keys) {
		t.Fatal(n, err)
	}
	for _, k := range keys {
		was, _, _ := c.Get(k, now)
		is, ok, _ := d.Get(k, now)
		if !ok {
			t.Errorf("%+v is gone", k)
			continue
		}
		if !was.Stored.Equal(is.Stored) || len(was.Answer) != len(is.Answer) || len(was.Authority) != len(is.Authority) {
			t.Errorf("was %+v\nis %+v", was, is)
		}
		for i, rr := range slices.Concat(was.Answer, was.Authority) {
			if got := slices.Concat(is.Answer, is.Authority)[i]; got.String() != rr.String() {
				t.Errorf("was %v, is %v", rr, got)
			}
		}
		w, i := *was, *is
		for _, a := range []*Answer{&w, &i} {
			a.Stored, a.Answer, a.Authority = time.Time{}, nil, nil
		}
		if !reflect.DeepEqual(w, i) {
			t.Errorf("was %+v\nis %+v", w, i)
		}
	}
	if s, u := c.Stats(), d.Stats(); s.Bytes != u.Bytes {
		t.Errorf("%+v, and then %+v", s, u)
	}
}

// TestFileRefused: a file that is damaged anywhere, of other settings, or of
// another version gives nothing.
func TestFileRefused(t *testing.T) {
	c, _ := filled(t)
	b := c.Marshal("settings", then)
	refused := func(what string, b []byte, settings string) {
		t.Helper()
		d := New(1000, 1<<20, time.Hour)
		if n, err := d.Unmarshal(b, settings, then); !errors.Is(err, ErrFile) || n != 0 || d.Stats().Entries != 0 {
			t.Errorf("%s: %d taken, error %v", what, n, err)
		}
	}
	refused("other settings", b, "others")
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1 << (i % 8)
		refused(fmt.Sprintf("octet %d changed", i), bad, "settings")
		refused(fmt.Sprintf("cut to %d", i), b[:i], "settings")
	}
	refused("longer", append(bytes.Clone(b), 0), "settings")
	refused("zeros", make([]byte, len(b)), "settings")
}

// TestFileTime: what ended meanwhile is left out, and so is what comes from the
// future: then the clock is not the one it was.
func TestFileTime(t *testing.T) {
	c, keys := filled(t)
	b := c.Marshal("", then)
	for after, want := range map[time.Duration]int{
		0: len(keys), time.Hour: len(keys), time.Hour + 45*time.Second: len(keys) - 1, 2 * time.Hour: 0, 365 * 24 * time.Hour: 0, -time.Minute: 0, -365 * 24 * time.Hour: 0,
	} {
		if n, err := New(1000, 1<<20, time.Hour).Unmarshal(b, "", then.Add(after)); err != nil || n != want {
			t.Errorf("after %v: %d taken, want %d (%v)", after, n, want, err)
		}
	}
	if n := len(c.Marshal("", then.Add(2*time.Hour))); n != fileHead+sha256.Size {
		t.Errorf("%d octets of what is over", n)
	}
}

// TestFileUnderLoad: writing down what is known is safe while it changes, and
// what is written can be read.
func TestFileUnderLoad(t *testing.T) {
	c, a := New(500, 1<<20, time.Hour), read(t, message(t, 0, "www.example.com. 60 IN A 192.0.2.1"), then)
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			for i := range 3000 {
				k := Key{Name: fmt.Sprintf("\x06n%05d\x00", i%700), Type: uint16(1 + g)}
				c.Put(k, a)
				c.Get(k, then)
			}
		})
	}
	for range 10 {
		if _, err := New(500, 1<<20, time.Hour).Unmarshal(c.Marshal("", then), "", then); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

// TestFileYields: what is newer stays, and a small cache takes what it can hold.
func TestFileYields(t *testing.T) {
	c, keys := filled(t)
	b := c.Marshal("", then)
	d := New(1000, 1<<20, time.Hour)
	newer := read(t, message(t, 0, "www.example.com. 60 IN A 192.0.2.9"), then.Add(time.Second))
	d.Put(keys[0], newer)
	if n, err := d.Unmarshal(b, "", then); err != nil || n != len(keys)-1 {
		t.Error(n, err)
	}
	if a, _, _ := d.Get(keys[0], then); a != newer {
		t.Error("an older answer took the place of a newer one")
	}
	small := New(16, 1<<20, time.Hour)
	if n, err := small.Unmarshal(b, "", then); err != nil || n < 1 || small.Stats().Entries != n || small.Stats().Evicted != 0 {
		t.Error(n, err, small.Stats())
	}
}

// TestBytesAreReal: what a full cache holds on the heap is no more than what it
// may, and what it says.
func TestBytesAreReal(t *testing.T) {
	const bound = 4 << 20
	for name, make := range map[string]func(i int) *Answer{
		"small":   func(i int) *Answer { return small(t, i) },
		"https":   func(i int) *Answer { return large(t, i) },
		"denials": func(i int) *Answer { return denial(t, i) },
	} {
		var before, after runtime.MemStats
		c := New(1<<20, bound, 0)
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range 15000 {
			c.Put(Key{Name: fmt.Sprintf("\x08n%07d\x07example\x03com\x00", i), Type: dns.TypeA}, make(i))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		held, s := int(after.HeapAlloc)-int(before.HeapAlloc), c.Stats()
		t.Logf("%s: %d entries, %d octets said, %d held", name, s.Entries, s.Bytes, held)
		if s.Evicted == 0 || s.Bytes > bound || held > bound+bound/10 {
			t.Errorf("%s: %+v, %d octets held of %d", name, s, held, bound)
		}
		runtime.KeepAlive(c)
	}
}

func must(t testing.TB, name string, qtype uint16, do bool, m *dns.Msg) *Answer {
	a, err := Read(name, qtype, do, m, "upstream", limits, then)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func small(t testing.TB, i int) *Answer {
	name := fmt.Sprintf("n%07d.example.com.", i)
	return must(t, name, dns.TypeA, false, message(t, 0, name+" 60 IN A 192.0.2.1"))
}

func large(t testing.TB, i int) *Answer {
	name := fmt.Sprintf("n%07d.example.com.", i)
	return must(t, name, dns.TypeHTTPS, false, message(t, 0, name+" 60 IN CNAME cdn."+name, "cdn."+name+" 60 IN CNAME edge.cdn."+name,
		"edge.cdn."+name+" 60 IN HTTPS 1 . alpn=h3,h2 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1,2001:db8::2 ech="+strings.Repeat("AAAA", 30)))
}

func denial(t testing.TB, i int) *Answer {
	name := fmt.Sprintf("n%07d.example.com.", i)
	m := message(t, 3, "example.com. 600 IN SOA ns.example.com. hostmaster.example.com. 1 2 3 4 600")
	for _, s := range []string{"example.com. 600 IN NSEC ns.example.com. A NS SOA MX TXT AAAA RRSIG NSEC DNSKEY", name + " 600 IN NSEC z.example.com. A RRSIG NSEC"} {
		rr, err := dns.NewRR(s)
		if err != nil {
			t.Fatal(err)
		}
		m.Ns = append(m.Ns, rr)
	}
	return must(t, name, dns.TypeA, true, m)
}

// TestEnding: an answer is told to end once, when it was asked for often and
// little of its time is left.
func TestEnding(t *testing.T) {
	c := New(100, 1<<20, time.Hour)
	k := Key{Name: "\x03www\x07example\x03com\x00", Type: dns.TypeA}
	c.Put(k, read(t, message(t, 0, "www.example.com. 100 IN A 192.0.2.1"), then))
	told := 0
	get := func(after time.Duration, wire bool) {
		_, _, ending := c.Get(k, then.Add(after))
		if wire {
			_, _, e := c.GetWire([]byte(k.Name), k.Type, false, false, then.Add(after))
			ending = ending || e
		}
		if ending {
			told++
		}
	}
	get(95*time.Second, false)
	if told != 0 {
		t.Error("told of an answer asked for once")
	}
	for range 10 {
		get(50*time.Second, true)
	}
	if told != 0 {
		t.Error("told in the middle of its life")
	}
	for range 10 {
		get(91*time.Second, true)
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	c.Put(k, read(t, message(t, 0, "www.example.com. 100 IN A 192.0.2.1"), then))
	for range 10 {
		get(101*time.Second, true)
	}
	if told != 1 {
		t.Error("told of an answer that is over")
	}
}

// FuzzUnmarshal: whatever is in a file with a good checksum, it is read without
// harm, and what was taken can be written down and read again.
func FuzzUnmarshal(f *testing.F) {
	c, _ := filled(f)
	b := c.Marshal("", then)
	f.Add(b[fileHead : len(b)-sha256.Size])
	f.Add([]byte{0, 0, 0, 1, 7})
	f.Fuzz(func(t *testing.T, frames []byte) {
		digest := sha256.Sum256(nil)
		b := append(append([]byte(magic), digest[:]...), frames...)
		sum := sha256.Sum256(b)
		c := New(1000, 1<<20, time.Hour)
		n, err := c.Unmarshal(append(b, sum[:]...), "", then)
		if err != nil {
			return
		}
		again := New(1000, 1<<20, time.Hour)
		if m, err := again.Unmarshal(c.Marshal("", then), "", then); err != nil || m != n {
			t.Errorf("%d taken, and then %d: %v", n, m, err)
		}
	})
}

// BenchmarkFile is writing down and reading the answers of a busy household.
func BenchmarkFile(b *testing.B) {
	c := New(20000, 64<<20, time.Hour)
	for i := range 20000 {
		c.Put(Key{Name: fmt.Sprintf("\x08n%07d\x07example\x03com\x00", i), Type: dns.TypeA}, small(b, i))
	}
	file := c.Marshal("", then)
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			c.Marshal("", then)
		}
		b.ReportMetric(float64(len(file)), "octets")
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			if n, err := New(20000, 64<<20, time.Hour).Unmarshal(file, "", then); err != nil || n < 15000 {
				b.Fatal(n, err)
			}
		}
	})
}
