package listen

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// header writes a PROXY header of version 2.
func header(command, family byte, rest ...byte) []byte {
	b := append([]byte(proxySignature), 0x20|command, family)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(rest))), rest...)
}

var (
	fromPrivate = []byte{192, 168, 5, 6, 10, 0, 0, 1, 0x9c, 0x40, 0, 53}
	fromPublic  = []byte{8, 8, 8, 8, 10, 0, 0, 1, 0x9c, 0x40, 0, 53}
)

func TestProxy(t *testing.T) {
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	l := newLab(t, func(o *Options) { o.Proxies = here })
	v6 := append(netip.MustParseAddr("fd00::5").AsSlice(), netip.MustParseAddr("fd00::1").AsSlice()...)
	v6 = append(v6, 0x9c, 0x40, 0, 53)
	for _, c := range []struct {
		name, want string
		head       []byte
	}{
		{"IPv4", "192.168.5.6", header(1, 0x11, fromPrivate...)},
		{"with TLVs", "192.168.5.6", header(1, 0x11, append(bytes.Clone(fromPrivate), 4, 0, 1, 0)...)},
		{"IPv6", "fd00::5", header(1, 0x21, v6...)},
		{"its own", "127.0.0.1", header(0, 0)},
		{"a local socket", "127.0.0.1", header(1, 0x31, make([]byte, 216)...)},
		{"a public address", "", header(1, 0x11, fromPublic...)},
		{"none", "", nil},
		{"version 1", "", []byte("PROXY TCP4 192.168.5.6 10.0.0.1 40000 53\r\n")},
		{"version 3", "", append([]byte(proxySignature), 0x31, 0x11, 0, 0)},
		{"UDP", "", header(1, 0x12, fromPrivate...)},
		{"too short", "", header(1, 0x11, fromPrivate[:8]...)},
		{"too long", "", header(1, 0x11, make([]byte, maxProxy+1)...)},
	} {
		for _, network := range []string{"tcp", "tls"} {
			raw, err := net.Dial("tcp", l.addr(network))
			if err != nil {
				t.Fatal(err)
			}
			_ = raw.SetDeadline(time.Now().Add(5 * time.Second))
			_, _ = raw.Write(c.head)
			r, err := over(l, raw, network)
			raw.Close()
			if c.want == "" {
				if err == nil {
					t.Errorf("%s, %s: answered %v", c.name, network, r)
				}
				continue
			}
			if err != nil || text(t, r) != c.want {
				t.Errorf("%s, %s: %v %v", c.name, network, r, err)
			}
		}
	}
	if r, err := l.exchange("udp", ask("x.example.", dns.TypeA), ""); err != nil || len(r.Answer) != 1 {
		t.Errorf("UDP of a proxy: %v %v", r, err)
	}
}

// over asks one question over a connection that is there.
func over(l *lab, raw net.Conn, network string) (*dns.Msg, error) {
	c := &dns.Conn{Conn: raw}
	if network == "tls" {
		c.Conn = tlsClient(l, raw)
	}
	if err := c.WriteMsg(ask("x.example.", dns.TypeTXT)); err != nil {
		return nil, err
	}
	return c.ReadMsg()
}

// TestNoProxy: who is no proxy cannot say that he is somebody else.
func TestNoProxy(t *testing.T) {
	l := newLab(t, nil)
	raw, err := net.Dial("tcp", l.addr("tcp"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = raw.Write(header(1, 0x11, fromPrivate...))
	if _, err := over(l, raw, "tcp"); err == nil {
		t.Error("a PROXY header was believed")
	}
	if l.resolved.count() != 0 {
		t.Errorf("%v", l.resolved.flows)
	}
}

func FuzzProxy(f *testing.F) {
	f.Add(header(1, 0x11, fromPrivate...))
	f.Add(header(0, 0))
	f.Add(header(1, 0x21, make([]byte, 36)...))
	f.Add([]byte("PROXY TCP4 192.168.5.6 10.0.0.1 40000 53\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.NewReader(b)
		p, err := readProxy(in)
		if err != nil {
			return
		}
		if used := len(b) - in.Len(); used != proxyFixed+int(binary.BigEndian.Uint16(b[14:])) {
			t.Errorf("%d octets read", used)
		}
		if p.src.IsValid() != p.dst.IsValid() {
			t.Errorf("%v", p)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"/dns-query", "/dns-query/", "/dns-query/phone", "/dns-query/a/b", "/dns-query/..", "/dns-query//", "/dns-queryphone", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		name, ok := pathName(path)
		if !ok && name != "" || len(name) > 63 || strings.ContainsAny(name, "/.% ") || strings.ToLower(name) != name {
			t.Errorf("%q: %q %v", path, name, ok)
		}
		if ok && !strings.HasPrefix(path, dohPath) {
			t.Errorf("%q is ours", path)
		}
	})
}

// FuzzAnswer: whatever a query is, its answer is a message that fits, and what
// was asked for in its options stands where it was asked for.
func FuzzAnswer(f *testing.F) {
	for _, m := range []*dns.Msg{
		ask("x.example.", dns.TypeA),
		ask("x.example.", dns.TypeTXT, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}, &dns.EDNS0_NSID{Code: dns.EDNS0NSID}),
		ask("long.example.", dns.TypeA, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}),
		ask("_dns.resolver.arpa.", dns.TypeSVCB, &dns.EDNS0_PADDING{Padding: make([]byte, 9)}),
	} {
		b, _ := m.Pack()
		f.Add(b, uint8(0))
		f.Add(b, uint8(2))
	}
	s := &Server{opt: Options{Name: "dns.test", Resolver: &resolved{}}, clients: newClients(Private(), 0, nil), cookies: &cookies{now: time.Now}}
	s.own = own{name: packed("dns.test"), ddr: [][]byte{packed("_dns.resolver.arpa"), packed("_dns.dns.test")},
		services: []*dns.SVCB{{Priority: 1, Target: "dns.test."}}}
	src := netip.MustParseAddrPort("192.168.1.1:5000")
	f.Fuzz(func(t *testing.T, b []byte, over uint8) {
		if len(b) > 12 && bytes.Contains(bytes.ToLower(b), []byte("\x04slow")) {
			return
		}
		a := &asked{client: s.clients.find(src.Addr()), src: src, dst: src, over: way(over) % ways}
		kept := bytes.Clone(b)
		out := s.answer(t.Context(), a, b)
		if !bytes.Equal(b, kept) {
			t.Error("the query was written to")
		}
		if out == nil {
			return
		}
		var m dns.Msg
		if err := m.Unpack(out); err != nil || !m.Response {
			t.Errorf("%x: %v", out, err)
		}
		if a.over == overUDP && len(out) > maxDatagram {
			t.Errorf("%d octets", len(out))
		}
	})
}

func tlsClient(l *lab, raw net.Conn) net.Conn { return tls.Client(raw, l.tls("dns.test")) }
