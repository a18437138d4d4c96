package listen

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"nightlatch/journal"
)

// exchange asks over a transport of the DNS library: udp, tcp or tls.
func (l *lab) exchange(network string, m *dns.Msg, server string) (*dns.Msg, error) {
	c := &dns.Client{Net: network, Timeout: 5 * time.Second, UDPSize: 1232}
	if network == "tls" {
		c.Net, c.TLSConfig = "tcp-tls", l.tls(server)
	}
	r, _, err := c.Exchange(m, l.addr(network))
	return r, err
}

// doq asks over QUIC, with ID 0 as RFC 9250 wants it.
func (l *lab) doq(m *dns.Msg, server string) (*dns.Msg, error) {
	m = m.Copy()
	m.Id = 0
	b, err := m.Pack()
	if err != nil {
		return nil, err
	}
	out, err := l.doqBytes(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b, server)
	if err != nil {
		return nil, err
	}
	if len(out) < 2 || int(binary.BigEndian.Uint16(out)) != len(out)-2 {
		return nil, fmt.Errorf("no message: %x", out)
	}
	r := new(dns.Msg)
	return r, r.Unpack(out[2:])
}

func (l *lab) doqBytes(head, b []byte, server string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := quic.DialAddr(ctx, l.addr("quic"), l.tls(server, "doq"), nil)
	if err != nil {
		return nil, err
	}
	defer c.CloseWithError(0, "")
	st, err := c.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	_ = st.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := st.Write(append(head, b...)); err != nil {
		return nil, err
	}
	st.Close()
	return io.ReadAll(st)
}

// web gives an HTTP client for a version, whose name stands in its requests.
func (l *lab) web(version, server string) (c *http.Client, base string) {
	base = "https://" + server
	if version == "h3" {
		tr := &http3.Transport{TLSClientConfig: l.tls(server), Dial: func(ctx context.Context, _ string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, l.addr("h3"), t, q)
		}}
		l.Cleanup(func() { tr.Close() })
		return &http.Client{Transport: tr, Timeout: 5 * time.Second}, base
	}
	tr := &http.Transport{TLSClientConfig: l.tls(server), ForceAttemptHTTP2: version == "h2", DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.addr("https"))
	}}
	l.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 5 * time.Second}, base
}

func (l *lab) doh(version, server, path string, m *dns.Msg) (*dns.Msg, error) {
	c, base := l.web(version, server)
	b, err := m.Pack()
	if err != nil {
		return nil, err
	}
	resp, err := c.Post(base+path, dohType, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		return nil, fmt.Errorf("%s %s %v", resp.Status, out, err)
	}
	want := map[string]int{"h1": 1, "h2": 2, "h3": 3}[version]
	if resp.ProtoMajor != want || resp.Header.Get("Cache-Control") != "private, max-age=60" {
		return nil, fmt.Errorf("%s, Cache-Control %q", resp.Proto, resp.Header.Get("Cache-Control"))
	}
	r := new(dns.Msg)
	return r, r.Unpack(out)
}

// TestEveryWay asks over each transport, as who it was said to be.
func TestEveryWay(t *testing.T) {
	l := newLab(t, nil)
	for _, c := range []struct {
		name, network, device string
		do                    func(*dns.Msg) (*dns.Msg, error)
	}{
		{"udp", "udp", "127.0.0.1", func(m *dns.Msg) (*dns.Msg, error) { return l.exchange("udp", m, "") }},
		{"tcp", "tcp", "127.0.0.1", func(m *dns.Msg) (*dns.Msg, error) { return l.exchange("tcp", m, "") }},
		{"tls", "tls", "127.0.0.1", func(m *dns.Msg) (*dns.Msg, error) { return l.exchange("tls", m, "dns.test") }},
		{"tls by name", "tls", "redmi", func(m *dns.Msg) (*dns.Msg, error) { return l.exchange("tls", m, "redmi.dns.test") }},
		{"tls by an unknown name", "tls", "127.0.0.1", func(m *dns.Msg) (*dns.Msg, error) { return l.exchange("tls", m, "who.dns.test") }},
		{"quic", "quic", "127.0.0.1", func(m *dns.Msg) (*dns.Msg, error) { return l.doq(m, "dns.test") }},
		{"quic by name", "quic", "redmi", func(m *dns.Msg) (*dns.Msg, error) { return l.doq(m, "redmi.dns.test") }},
		{"http/1", "https", "127.0.0.1", func(m *dns.Msg) (*dns.Msg, error) { return l.doh("h1", "dns.test", "/dns-query", m) }},
		{"http/2", "https", "127.0.0.1", func(m *dns.Msg) (*dns.Msg, error) { return l.doh("h2", "dns.test", "/dns-query", m) }},
		{"http/2 by path", "https", "redmi", func(m *dns.Msg) (*dns.Msg, error) { return l.doh("h2", "dns.test", "/dns-query/Redmi", m) }},
		{"http/2 by server", "https", "redmi", func(m *dns.Msg) (*dns.Msg, error) { return l.doh("h2", "redmi.dns.test", "/dns-query", m) }},
		{"http/3", "https", "127.0.0.1", func(m *dns.Msg) (*dns.Msg, error) { return l.doh("h3", "dns.test", "/dns-query", m) }},
		{"http/3 by path", "https", "redmi", func(m *dns.Msg) (*dns.Msg, error) { return l.doh("h3", "dns.test", "/dns-query/redmi", m) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := ask("www.example.com.", dns.TypeTXT, &dns.EDNS0_NSID{Code: dns.EDNS0NSID})
			r, err := c.do(m)
			if err != nil {
				t.Fatal(err)
			}
			if got := text(t, r); got != c.device {
				t.Errorf("asked as %s, want %s", got, c.device)
			}
			f, network := l.resolved.last()
			if network != c.network || !f.Device.Outside || len(f.Device.Addrs) != 0 || f.Device.Key == [32]byte{} {
				t.Errorf("%s %+v", network, f.Device)
			}
			if f.Src.Addr().String() != "127.0.0.1" || f.Src.Port() == 0 || f.Dst.Addr().String() != "127.0.0.1" || f.Dst.Port() == 0 {
				t.Errorf("flow %s -> %s", f.Src, f.Dst)
			}
			o := options(t, r)
			_, padded := o[dns.EDNS0PADDING]
			size := r.Len()
			if secret := network != "udp" && network != "tcp"; padded != secret || secret && size%padBlock != 0 {
				t.Errorf("padding: %v, %d octets", padded, size)
			}
		})
	}
	st := l.Stats()
	for _, n := range []string{"udp", "tcp", "tls", "https", "quic"} {
		if st.Asked[n] == 0 {
			t.Errorf("%s: not counted", n)
		}
	}
}

// TestDatagrams: what is known at once, what is waited for, what is long, and
// what comes by another address of the home.
func TestDatagrams(t *testing.T) {
	wholeLoopback(t)
	l := newLab(t, func(o *Options) {
		o.Plain = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:0"), netip.MustParseAddrPort("[::]:0")}
	})
	for _, at := range l.Addrs("udp") {
		host := "127.0.0.5" // not the address the kernel would choose by itself
		if at.Addr().Is6() {
			host = "::1"
		}
		target := net.JoinHostPort(host, fmt.Sprint(at.Port()))
		for _, name := range []string{"now.example.", "waits.example."} {
			r, err := dns.Exchange(ask(name, dns.TypeA), target) // a connected socket: the source must be right
			if err != nil || len(r.Answer) != 1 {
				t.Errorf("%s of %s: %v %v", name, target, r, err)
			}
			if f, _ := l.resolved.last(); f.Dst.String() != target {
				t.Errorf("asked at %s, want %s", f.Dst, target)
			}
		}
		if r, err := dns.Exchange(ask("long.example.", dns.TypeA), target); err != nil || !r.Truncated {
			t.Errorf("60 records in 512 octets: %v %v", r, err)
		}
		c, err := net.Dial("udp", target)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var ids []uint16
		for i := range 200 { // a row of them
			m := ask("now.example.", dns.TypeA)
			m.Id = uint16(i)
			b, _ := m.Pack()
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		for buf := make([]byte, 2048); len(ids) < 200; {
			if _, err := c.Read(buf); err != nil {
				t.Fatalf("%d of 200 answered: %v", len(ids), err)
			}
			ids = append(ids, binary.BigEndian.Uint16(buf))
		}
	}
	d := &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 7)}, Timeout: time.Second}
	c := &dns.Client{Dialer: d}
	r, _, err := c.Exchange(ask("x.example.", dns.TypeTXT), net.JoinHostPort("127.0.0.1", fmt.Sprint(l.Addrs("udp")[0].Port())))
	if err != nil || text(t, r) != "tv" {
		t.Errorf("127.0.0.7 is not the tv: %v %v", r, err)
	}
}

// TestPipelining: an answer that takes long holds nothing up (RFC 7766 §6.2.1.1).
func TestPipelining(t *testing.T) {
	l := newLab(t, nil)
	raw, err := net.Dial("tcp", l.addr("tcp"))
	if err != nil {
		t.Fatal(err)
	}
	c := &dns.Conn{Conn: raw}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	slow := ask("slow.example.", dns.TypeA)
	slow.Id = 1
	if err := c.WriteMsg(slow); err != nil {
		t.Fatal(err)
	}
	for id := uint16(2); id < 2*maxPipelined; id++ {
		m := ask("quick.example.", dns.TypeA, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE})
		m.Id = id
		if err := c.WriteMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	for range 2*maxPipelined - 2 {
		r, err := c.ReadMsg()
		if err != nil || r.Id == 1 {
			t.Fatalf("%v %v", r, err)
		}
		if k, ok := options(t, r)[dns.EDNS0TCPKEEPALIVE].(*dns.EDNS0_TCP_KEEPALIVE); !ok || k.Timeout != 300 {
			t.Fatalf("keepalive: %v", r)
		}
	}
	close(l.resolved.goOn)
	if r, err := c.ReadMsg(); err != nil || r.Id != 1 {
		t.Errorf("%v %v", r, err)
	}
}

// TestStrangers hear nothing, whatever way they come.
func TestStrangers(t *testing.T) {
	l := newLab(t, func(o *Options) { o.Allow = []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")} })
	c := dns.Client{Timeout: 100 * time.Millisecond}
	if r, _, err := c.Exchange(ask("now.example.", dns.TypeA), l.addr("udp")); err == nil {
		t.Errorf("UDP: %v", r)
	}
	for _, network := range []string{"tcp", "tls", "https"} {
		conn, err := net.Dial("tcp", l.addr(network))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: %d octets", network, n)
		}
		conn.Close()
	}
	for _, network := range []string{"quic", "h3"} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if _, err := quic.DialAddr(ctx, l.addr(network), l.tls("dns.test", "doq", "h3"), nil); err == nil || ctx.Err() == nil {
			t.Errorf("%s: not silence: %v", network, err)
		}
		cancel()
	}
	if st := l.Stats(); st.Denied < 6 || l.resolved.count() != 0 || st.Clients != 0 {
		t.Errorf("%+v, %d came through", st, l.resolved.count())
	}
	l.tellSince(Stats{})
	if len(l.diary.events) != 1 || !strings.Contains(l.diary.events[0].(journal.Notice).Text, "dns.home.allow") {
		t.Errorf("%v", l.diary.events)
	}
}

// TestPrivate: what is private, and nothing more.
func TestPrivate(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "172.31.0.1": true, "192.168.1.1": true, "100.64.0.1": true, "169.254.3.4": true,
		"::1": true, "fd00::1": true, "fe80::1": true, "::ffff:192.168.1.1": true, "fe80::1%eth0": true,
		"8.8.8.8": false, "172.32.0.1": false, "100.128.0.1": false, "2001:db8::1": false, "::ffff:8.8.8.8": false, "ff02::1": false, "0.0.0.0": false, "::": false,
	} {
		if got := newClients(Private(), 0, nil).find(netip.MustParseAddr(addr)) != nil; got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

// TestRate: what is beyond it is refused, counted and told with a name.
func TestRate(t *testing.T) {
	l := newLab(t, func(o *Options) { o.Rate = 5 })
	conn, err := net.Dial("tcp", l.addr("tcp"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c, refused := &dns.Conn{Conn: conn}, 0
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	for range 50 {
		if err := c.WriteMsg(ask("x.example.", dns.TypeA)); err != nil {
			t.Fatal(err)
		}
		r, err := c.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		if r.Rcode == dns.RcodeRefused {
			refused++
		}
	}
	if refused == 0 || l.Stats().Limited != uint64(refused) {
		t.Errorf("%d refused, %d counted", refused, l.Stats().Limited)
	}
	l.tellSince(Stats{})
	if got := l.diary.events[0].(journal.Notice).Text; !strings.Contains(got, "127.0.0.1") || !strings.Contains(got, "5 a second") {
		t.Error(got)
	}
}

// TestRateOfDatagrams: silence, a hint at TCP, and an answer for those whose
// address is proved.
func TestRateOfDatagrams(t *testing.T) {
	now := time.Now()
	s := &Server{cookies: &cookies{now: func() time.Time { return now }}, clients: newClients(Private(), 1, nil)}
	src := netip.MustParseAddrPort("192.168.1.9:999")
	cl := s.clients.find(src.Addr())
	a := &asked{client: cl, src: src, over: overUDP}
	b, _ := ask("x.example.", dns.TypeA).Pack()
	var quiet, cut, asked int
	for range 10 {
		out, done := s.refuse(a, b, &wants{}, now.UnixNano())
		switch {
		case !done:
			asked++
		case out == nil:
			quiet++
		case out[2]&2 != 0:
			cut++
		}
	}
	if asked != 2 || quiet != 4 || cut != 4 {
		t.Errorf("%d asked, %d not answered, %d truncated", asked, quiet, cut)
	}
	w := &wants{cookie: s.cookies.append(nil, []byte("abcdefgh"), src.Addr())}
	if out, done := s.refuse(a, b, w, now.UnixNano()); !done || out[3]&15 != dns.RcodeRefused {
		t.Errorf("with a cookie: %x", out)
	}
	w = &wants{cookie: s.cookies.append(nil, []byte("abcdefgh"), netip.MustParseAddr("192.168.1.10"))} // somebody else's
	if out, done := s.refuse(a, b, w, now.UnixNano()); !done || out != nil && out[3]&15 == dns.RcodeRefused {
		t.Errorf("with a spoofed cookie: %x", out)
	}
	if _, done := s.refuse(a, b, &wants{}, now.Add(3*time.Second).UnixNano()); done {
		t.Error("the bucket does not fill")
	}
}

// TestOwnNames: where the encrypted listeners are, and where the server is.
func TestOwnNames(t *testing.T) {
	l := newLab(t, nil)
	for _, name := range []string{"_dns.resolver.arpa.", "_DNS.Resolver.ARPA.", "_dns.dns.test."} {
		r, err := l.exchange("udp", ask(name, dns.TypeSVCB), "")
		if err != nil || len(r.Answer) != 3 || !strings.EqualFold(r.Question[0].Name, name) {
			t.Fatalf("%s: %v %v", name, r, err)
		}
		for i, want := range []string{
			fmt.Sprintf(`1 dns.test. alpn="doq" port="%d" ipv4hint="127.0.0.1"`, l.Addrs("quic")[0].Port()),
			fmt.Sprintf(`2 dns.test. alpn="dot" port="%d" ipv4hint="127.0.0.1"`, l.Addrs("tls")[0].Port()),
			fmt.Sprintf(`3 dns.test. alpn="h2,h3" port="%d" ipv4hint="127.0.0.1" dohpath="/dns-query{?dns}"`, l.Addrs("https")[0].Port()),
		} {
			got := r.Answer[i].String()
			if got = got[strings.LastIndexByte(got, '\t')+1:]; got != want {
				t.Errorf("%s\nwant %s", got, want)
			}
		}
	}
	for name, want := range map[string]string{"dns.test.": "127.0.0.1", "ReDmi.Dns.Test.": "127.0.0.1", "a.b.dns.test.": "203.0.113.1", "xdns.test.": "203.0.113.1", "test.": "203.0.113.1"} {
		r, err := l.exchange("tcp", ask(name, dns.TypeA), "")
		if err != nil || len(r.Answer) != 1 || r.Answer[0].(*dns.A).A.String() != want {
			t.Errorf("%s: %v %v", name, r, err)
		}
	}
	if r, err := l.exchange("tcp", ask("dns.test.", dns.TypeAAAA), ""); err != nil || len(r.Answer) != 0 || r.Rcode != 0 {
		t.Errorf("%v %v", r, err)
	}
	if n := len(l.diary.events); n != 6 {
		t.Errorf("%d answers in the journal", n)
	}
	none := newLab(t, func(o *Options) { o.TLS, o.HTTPS, o.QUIC = nil, nil, nil })
	if r, err := none.exchange("udp", ask("_dns.resolver.arpa.", dns.TypeSVCB), ""); err != nil || len(r.Answer) != 1 {
		t.Errorf("without encrypted listeners it is the resolver's: %v %v", r, err)
	}
}

// TestIdle: connections beyond the bounds are closed, the others stay, and a
// client elsewhere is served all the same.
func TestIdle(t *testing.T) {
	wholeLoopback(t)
	l := newLab(t, func(o *Options) { o.TLS, o.HTTPS, o.QUIC = nil, nil, nil })
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	dial := func(last byte) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, last)}}
		c, err := d.Dial("tcp", l.addr("tcp"))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		return c
	}
	for i := range 1000 {
		dial(byte(1 + i/50))
	}
	eventually(t, "1,000 idle connections", func() bool { return l.Stats().Conns == 1000 })
	for range 100 {
		dial(1)
	}
	eventually(t, "a bound on one address", func() bool { return l.Stats().Refused == 100-(maxPerSource-50) })
	for i := range 100 {
		dial(byte(100 + i/50))
	}
	eventually(t, "a bound on all", func() bool {
		st := l.Stats()
		return st.Conns == maxConns && st.Refused == 86+1000+100+maxPerSource-50-maxConns
	})
	if r, err := l.exchange("udp", ask("now.example.", dns.TypeA), ""); err != nil || len(r.Answer) != 1 {
		t.Errorf("UDP beside them: %v %v", r, err)
	}
	for _, c := range open {
		c.Close()
	}
	eventually(t, "places given back", func() bool { return l.Stats().Conns == 0 })
}

// TestWebRequests: every way of asking wrongly has its status, and the right ones work.
func TestWebRequests(t *testing.T) {
	l := newLab(t, nil)
	b, _ := ask("x.example.", dns.TypeA).Pack()
	enc := base64.RawURLEncoding.EncodeToString(b)
	for _, version := range []string{"h2", "h3"} {
		c, base := l.web(version, "dns.test")
		for _, r := range []struct {
			method, path, kind string
			body               []byte
			status             int
		}{
			{"GET", "/dns-query?dns=" + enc, "", nil, 200},
			{"GET", "/dns-query?dns=" + enc + "==", "", nil, 200},
			{"GET", "/dns-query/?dns=" + enc, "", nil, 200},
			{"GET", "/dns-query/redmi?dns=" + enc, "", nil, 200},
			{"GET", "/dns-query", "", nil, 400},
			{"GET", "/dns-query?dns=%%%", "", nil, 400},
			{"GET", "/dns-query?dns=AAAA", "", nil, 400},
			{"GET", "/dns-query?dns=!!", "", nil, 400},
			{"GET", "/", "", nil, 404},
			{"GET", "/dns-queryx?dns=" + enc, "", nil, 404},
			{"GET", "/dns-query/who?dns=" + enc, "", nil, 404},
			{"GET", "/dns-query/redmi/x?dns=" + enc, "", nil, 404},
			{"PUT", "/dns-query", dohType, b, 405},
			{"POST", "/dns-query", dohType, b, 200},
			{"POST", "/dns-query", "text/plain", b, 415},
			{"POST", "/dns-query", dohType, nil, 400},
			{"POST", "/dns-query", dohType, make([]byte, maxMessage+1), 413},
		} {
			req, _ := http.NewRequestWithContext(t.Context(), r.method, base+r.path, bytes.NewReader(r.body))
			if r.kind != "" {
				req.Header.Set("Content-Type", r.kind)
			}
			resp, err := c.Do(req)
			if err != nil {
				t.Errorf("%s %s %s: %v", version, r.method, r.path, err)
				continue
			}
			resp.Body.Close()
			if resp.StatusCode != r.status {
				t.Errorf("%s %s %s: %d, want %d", version, r.method, r.path, resp.StatusCode, r.status)
			}
		}
		drop, _ := ask("drop.example.", dns.TypeA).Pack()
		if resp, err := c.Post(base+"/dns-query", dohType, bytes.NewReader(drop)); err == nil {
			t.Errorf("%s: silence was %s", version, resp.Status)
			resp.Body.Close()
		}
	}
}

// TestBrokenQUIC: one message a stream, whole, with ID 0.
func TestBrokenQUIC(t *testing.T) {
	l := newLab(t, nil)
	good := ask("x.example.", dns.TypeA)
	good.Id = 0
	b, _ := good.Pack()
	length := binary.BigEndian.AppendUint16(nil, uint16(len(b)))
	withID := bytes.Clone(b)
	withID[1] = 1
	m := ask("x.example.", dns.TypeA, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE})
	m.Id = 0
	keep, _ := m.Pack()
	for what, c := range map[string][2][]byte{
		"an ID":      {length, withID},
		"too short":  {length, b[:len(b)-1]},
		"too long":   {length, append(bytes.Clone(b), 0)},
		"no message": {nil, nil},
		"keepalive":  {binary.BigEndian.AppendUint16(nil, uint16(len(keep))), keep},
	} {
		out, err := l.doqBytes(c[0], c[1], "dns.test")
		if app, ok := err.(*quic.ApplicationError); !ok || app.ErrorCode != doqProtocolError {
			t.Errorf("%s: %x %v", what, out, err)
		}
	}
	if out, err := l.doqBytes(length, b, "dns.test"); err != nil || len(out) < 12 {
		t.Errorf("%x %v", out, err)
	}
	if n := l.Stats().Malformed; n != 5 {
		t.Errorf("%d counted", n)
	}
}

// TestEnd: with clients of every kind and questions under way, Run ends and
// leaves nothing behind.
func TestEnd(t *testing.T) {
	before := runtime.NumGoroutine()
	l := newLab(t, nil)
	var open []net.Conn
	for _, network := range []string{"tcp", "tls", "https"} {
		c, err := net.Dial("tcp", l.addr(network))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	c := &dns.Conn{Conn: open[0]}
	_ = c.WriteMsg(ask("slow.example.", dns.TypeA))
	u, err := net.Dial("udp", l.addr("udp"))
	if err != nil {
		t.Fatal(err)
	}
	_ = (&dns.Conn{Conn: u}).WriteMsg(ask("slow.example.", dns.TypeA))
	eventually(t, "two questions", func() bool { return l.resolved.count() == 2 })
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
	for _, c := range append(open, u) {
		c.Close()
	}
	eventually(t, "no goroutine left", func() bool { return runtime.NumGoroutine() <= before })
}

// TestTaken: an address that is taken is told at the start, and nothing stays open.
func TestTaken(t *testing.T) {
	l := newLab(t, nil)
	for _, o := range []Options{
		{Plain: l.Addrs("udp"), Resolver: l.resolved},
		{TLS: l.Addrs("tls"), Config: l.opt.Config, Resolver: l.resolved},
		{QUIC: l.Addrs("quic"), Config: l.opt.Config, Resolver: l.resolved},
	} {
		if s, err := New(o); err == nil || !strings.Contains(err.Error(), "address already in use") {
			t.Errorf("%v %v", s, err)
		}
	}
	if _, err := New(Options{TLS: l.Addrs("tls")}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
}
