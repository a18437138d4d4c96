package listen

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSipHash: the reference vectors of SipHash-2-4 for messages 00, 00 01, ...
func TestSipHash(t *testing.T) {
	var key [16]byte
	for i := range key {
		key[i] = byte(i)
	}
	msg := make([]byte, 16)
	for i := range msg {
		msg[i] = byte(i)
	}
	for n, want := range map[int]string{0: "310e0edd47db6f72", 1: "fd67dc93c539f874", 8: "6224939a79f5f593", 15: "e545be4961ca29a1"} {
		if got := hex.EncodeToString(binary.LittleEndian.AppendUint64(nil, sipHash(&key, msg[:n]))); got != want {
			t.Errorf("%d octets: %s, want %s", n, got, want)
		}
	}
}

// TestCookieVectors are those of RFC 9018, Appendix A.
func TestCookieVectors(t *testing.T) {
	for _, c := range []struct {
		secret, addr, client, cookie string
		at                           int64
	}{
		{"e5e973e5a6b2a43f48e7dc849e37bfcf", "198.51.100.100", "2464c4abcf10c957", "010000005cf79f111f8130c3eee29480", 1559731985},
		{"e5e973e5a6b2a43f48e7dc849e37bfcf", "198.51.100.100", "2464c4abcf10c957", "010000005cf7a871d4a564a1442aca77", 1559734385},
		{"e5e973e5a6b2a43f48e7dc849e37bfcf", "203.0.113.203", "fc93fc62807ddb86", "010000005cf7a9acf73a7810aca2381e", 1559734700},
		{"dd3bdf9344b678b185a6f5cb60fca715", "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298", "010000005cf7c57926556bd0934c72f8", 1559741817},
		{"445536bcd2513298075a5d379663c962", "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298", "010000005cf7c609a6bb79d16625507a", 1559741961},
	} {
		now := time.Unix(c.at, 0)
		k := &cookies{secret: [16]byte(unhex(t, c.secret)), now: func() time.Time { return now }}
		addr := netip.MustParseAddr(c.addr)
		got := k.append(nil, unhex(t, c.client), addr)
		if want := c.client + c.cookie; hex.EncodeToString(got) != want {
			t.Errorf("%x, want %s", got, want)
		}
		for _, later := range []struct {
			by   time.Duration
			good bool
		}{{0, true}, {time.Hour, true}, {time.Hour + time.Second, false}, {-5 * time.Minute, true}, {-5*time.Minute - time.Second, false}} {
			now = time.Unix(c.at, 0).Add(later.by)
			if k.good(got, addr) != later.good {
				t.Errorf("%s after it was given: want %v", later.by, later.good)
			}
		}
		now = time.Unix(c.at, 0)
		if k.good(got, addr.Next()) {
			t.Error("good for another address")
		}
		for i := range got {
			bad := bytes.Clone(got)
			if bad[i] ^= 1; k.good(bad, addr) {
				t.Errorf("good with octet %d changed", i)
			}
		}
	}
}

// TestCookies over the wire: fresh ones for everybody, spoofed ones count for
// nothing, broken ones are an error (RFC 7873 §5.2).
func TestCookies(t *testing.T) {
	l := newLab(t, nil)
	cookie := func(name, hexed, network string) (*dns.Msg, string) {
		m := ask(name, dns.TypeA, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: hexed})
		r, err := l.exchange(network, m, "dns.test")
		if err != nil {
			t.Fatal(err)
		}
		if r.IsEdns0() == nil {
			return r, ""
		}
		if c, ok := options(t, r)[dns.EDNS0COOKIE].(*dns.EDNS0_COOKIE); ok {
			return r, c.Cookie
		}
		return r, ""
	}
	mine := "0102030405060708"
	for _, name := range []string{"now.example.", "x.example."} {
		for _, network := range []string{"udp", "tcp"} {
			r, got := cookie(name, mine, network)
			if len(got) != 2*cookieLen || !strings.HasPrefix(got, mine) || len(r.Answer) != 1 {
				t.Fatalf("%s: %q %v", network, got, r)
			}
			if !l.cookies.good(unhex(t, got), netip.MustParseAddr("127.0.0.1")) {
				t.Error("not a cookie of ours")
			}
			spoofed := mine + strings.Repeat("00", 16)
			if r, again := cookie(name, spoofed, network); len(r.Answer) != 1 || again == spoofed || len(again) != 2*cookieLen {
				t.Errorf("spoofed: %q %v", again, r)
			}
			for _, broken := range []string{"01", "010203040506070809", strings.Repeat("00", 41)} {
				if r, _ := cookie(name, broken, network); r.Rcode != dns.RcodeFormatError {
					t.Errorf("%d octets: %v", len(broken)/2, r)
				}
			}
		}
	}
	if _, got := cookie("x.example.", mine, "tls"); got != "" {
		t.Errorf("a cookie over TLS: %s", got)
	}
	if r, got := cookie("long.example.", mine, "udp"); r.Truncated || len(got) != 2*cookieLen {
		t.Errorf("an answer of 1,000 octets: %v", r)
	}
}

// TestFinish: an answer never grows beyond what its client takes.
func TestFinish(t *testing.T) {
	s := &Server{cookies: &cookies{now: time.Now}}
	addr := netip.MustParseAddr("192.168.1.1")
	for records := range 40 {
		q := ask("a.example.", dns.TypeA)
		m := new(dns.Msg).SetReply(q)
		for i := range records {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: "a.example.", Rrtype: 1, Class: 1}, A: []byte{1, 1, 1, byte(i)}})
		}
		m.Compress = true
		m.SetEdns0(1232, true)
		out, _ := m.Pack()
		for _, size := range []int{512, 1232} {
			if len(out) > size {
				continue
			}
			w := &wants{edns: true, size: size, cookie: make([]byte, 8)}
			got := s.finish(bytes.Clone(out), w, overUDP, addr)
			var r dns.Msg
			if err := r.Unpack(got); err != nil || len(got) > size {
				t.Fatalf("%d octets of %d: %v", len(got), size, err)
			}
			o := options(t, &r)
			if o[dns.EDNS0COOKIE] == nil || r.Truncated != (len(r.Answer) < records) || !r.IsEdns0().Do() {
				t.Errorf("%d records, %d octets: %v", records, size, &r)
			}
		}
	}
}

// TestSlowClients: who begins a message ends it, and who asks nothing is not
// kept, unless an answer is still to come.
func TestSlowClients(t *testing.T) {
	for _, c := range []struct {
		name  string
		send  []byte
		after time.Duration
	}{
		{"silent", nil, idlePatience},
		{"half a length", []byte{0}, readPatience},
		{"half a message", []byte{0, 30, 1, 2, 3}, readPatience},
	} {
		synctest.Test(t, func(t *testing.T) {
			near, end := pipe(t)
			if c.send != nil {
				if _, err := near.Write(c.send); err != nil {
					t.Fatal(err)
				}
			}
			begin := time.Now()
			<-end
			if took := time.Since(begin); took != c.after {
				t.Errorf("%s: closed after %s, want %s", c.name, took, c.after)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // does not read
		near, end := pipe(t)
		b, _ := ask("x.example.", dns.TypeA).Pack()
		begin := time.Now()
		if _, err := near.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)); err != nil {
			t.Fatal(err)
		}
		<-end
		if took := time.Since(begin); took != readPatience {
			t.Errorf("closed after %s", took)
		}
	})
}

// pipe is a stream's client; end is closed with the connection.
func pipe(t *testing.T) (near net.Conn, end chan struct{}) {
	near, far := net.Pipe()
	s := &Server{opt: Options{Resolver: &resolved{}}, clients: newClients(Private(), 0, nil), cookies: &cookies{now: time.Now}}
	src := netip.MustParseAddrPort("192.168.1.1:5000")
	cl := s.clients.find(src.Addr())
	c := &caller{Conn: far, s: s, client: cl, src: src, dst: src}
	end = make(chan struct{})
	go func() {
		s.serveStream(t.Context(), c, overTCP)
		close(end)
	}()
	return near, end
}

func TestCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		cert, key, _ := authority(t, "one.test")
		certFile, keyFile := write(t, dir, "c.pem", cert), write(t, dir, "k.pem", key)
		c, err := LoadCertificate(certFile, keyFile, nil)
		if err != nil {
			t.Fatal(err)
		}
		name := func() string {
			got, err := c.Get(nil)
			if err != nil {
				t.Fatal(err)
			}
			return got.Leaf.DNSNames[0]
		}
		next := func(n int) { // the clock of files is not that of the bubble
			at := time.Now().Add(time.Duration(n) * time.Hour)
			for _, f := range []string{certFile, keyFile} {
				if err := os.Chtimes(f, at, at); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := name(); got != "one.test" {
			t.Error(got)
		}
		cert, key, _ = authority(t, "two.test")
		write(t, dir, "c.pem", cert) // and not the key yet
		next(1)
		<-time.After(certEvery)
		if got := name(); got != "one.test" {
			t.Errorf("half a pair was taken: %s", got)
		}
		write(t, dir, "k.pem", key)
		next(2)
		if got := name(); got != "one.test" {
			t.Errorf("the files were looked at again at once: %s", got)
		}
		<-time.After(certEvery)
		if got := name(); got != "two.test" {
			t.Error(got)
		}
		if err := os.Remove(certFile); err != nil {
			t.Fatal(err)
		}
		<-time.After(certEvery)
		if got := name(); got != "two.test" {
			t.Errorf("removed: %s", got)
		}
	})
	if _, err := LoadCertificate("/absent.pem", "/absent.key", nil); err == nil || !strings.Contains(err.Error(), "/absent.pem") {
		t.Error(err)
	}
}
