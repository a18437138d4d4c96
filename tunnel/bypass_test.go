package tunnel

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"nightlatch/hello/quicinitial"
	"nightlatch/journal"
	"nightlatch/policy"
	"nightlatch/tunnel/phone"
)

// trial is a way around the gateway: what an app tries, what must come of it,
// and what the journal must say.
type trial struct {
	what    string
	do      func(x *bypass) string
	happens string
	journal string // of flows to dst, and of names asked of it; empty: the journal of the resolver has it, or nothing came in
	dst     string
}

// bypass is a phone that tries to get around.
type bypass struct {
	t       *testing.T
	r       *rig
	p       *phone.Phone
	k       *keeper
	current *policy.Current
	dst     string
}

const answered, refused = "answered by the gateway", "refused"

func trials() []trial {
	hello := func(name string) func(*bypass) string {
		return func(x *bypass) string { return x.tcp(helloFor(x.t, name), 1<<20) }
	}
	request := func(target, host string) func(*bypass) string {
		return func(x *bypass) string {
			return x.tcp([]byte("GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n"), 1<<20)
		}
	}
	connect := func(x *bypass) string { return x.tcp([]byte("x"), 1) }
	return []trial{
		{"DNS to another server, UDP", func(x *bypass) string { return x.dns("udp") }, answered, "", "8.8.8.8:53"},
		{"DNS to another server, TCP", func(x *bypass) string { return x.dns("tcp") }, answered, "", "1.1.1.1:53"},
		{"DNS to another server, IPv6", func(x *bypass) string { return x.dns("udp") }, answered, "", "[2001:4860:4860::8888]:53"},
		{"DNS over TLS", connect, refused, "deny DNS over TLS", "8.8.8.8:853"},
		{"DNS over QUIC", (*bypass).udp, refused, "deny DNS over QUIC", "94.140.14.14:853"},
		{"DNS over QUIC, port of the draft", (*bypass).udp, refused, "deny DNS over QUIC", "94.140.14.14:8853"},
		{"DNS over HTTPS, address on a list", connect, refused, "deny mine:5", "203.0.113.53:443"},
		{"DNS over HTTPS, hard-coded address, name on a list", hello("dns.example"), "reset, no byte went on", "deny mine:4 dns.example sni claimed", "203.0.113.54:443"},
		{"DNS over HTTP/3, hard-coded address, name on a list", (*bypass).quic, "connection refused in QUIC, no byte went on", "deny mine:6 quic0.test ech claimed", "203.0.113.55:443"},
		{"DNS over HTTPS without the S", request("/dns-query?dns=AAAB", "203.0.113.56"), "reset, no byte went on", "deny names asked past the gateway (HTTPDNS)", "203.0.113.56:80"},
		{"HTTPDNS of Xiaomi", request("/gslb?tver=2&dm=a.io.mi.com,b.mi.com", "203.0.113.57"), "reset, no byte went on", "deny names asked past the gateway (HTTPDNS); asked a.io.mi.com b.mi.com", "203.0.113.57:80"},
		{"HTTPDNS at an address on a list", request("/gslb?tver=2&dm=c.io.mi.com", "203.0.113.53"), "reset, no byte went on", "deny mine:5; asked c.io.mi.com", "203.0.113.53:80"},
		{"HTTPDNS of Alibaba", request("/100000/d?host=www.aliyun.com", "203.0.113.58"), "reset, no byte went on", "deny names asked past the gateway (HTTPDNS); asked www.aliyun.com", "203.0.113.58:80"},
		{"HTTPDNS of Tencent, encrypted", request("/d?dn=7765636861742e636f6d&id=1&alg=des", "203.0.113.59"), "reset, no byte went on", "deny names asked past the gateway (HTTPDNS)", "203.0.113.59:80"},
		{"HTTPDNS with a name for a host", request("/gslb/?ver=4.0&list=x.example", "resolver.example"), "reset, no byte went on", "deny names asked past the gateway (HTTPDNS) resolver.example host claimed; asked x.example", "203.0.113.60:80"},
		{"HTTPDNS of a server that was resolved, for a blocked name", request("/gslb/?ver=4.0&list=tracker.example", "example.com"), "reset, no byte went on", "deny mine:3 example.com host sure; asked tracker.example", site4 + ":80"},
		{"a blocked name, hard-coded address, HTTPS", hello("a.tracker.example"), "reset, no byte went on", "deny mine:3 a.tracker.example sni claimed", "203.0.113.61:443"},
		{"the same in segments of one byte", func(x *bypass) string { return x.tcp(helloFor(x.t, "tracker.example"), 1) }, "reset, no byte went on", "deny mine:3 tracker.example sni claimed", "203.0.113.62:443"},
		{"the same in TLS records of nine bytes", func(x *bypass) string { return x.tcp(inRecords(helloFor(x.t, "tracker.example"), 9), 50) }, "reset, no byte went on", "deny mine:3 tracker.example sni claimed", "203.0.113.63:443"},
		{"a hello too long to read", func(x *bypass) string {
			return x.tcp(append([]byte{22, 3, 1, 0x40, 0, 1, 1, 0, 0}, make([]byte, 20000)...), 1<<20)
		}, "reset, no byte went on", "deny TLS that hides its name", "203.0.113.65:443"},
		{"a blocked name at another's address", hello("tracker.example"), "reset, no byte went on", "deny mine:3 tracker.example sni sure", site4 + ":8443"},
		{"a blocked name in HTTP on an odd port", request("/", "tracker.example:8080"), "reset, no byte went on", "deny mine:3 tracker.example host claimed", "203.0.113.66:8080"},
		{"a blocked name through an open proxy", func(x *bypass) string { return x.tcp([]byte("CONNECT tracker.example:443 HTTP/1.1\r\n\r\n"), 1<<20) }, "reset, no byte went on", "deny mine:3 tracker.example host claimed", "203.0.113.67:3128"},
		{"a blocked name behind a cover name (ECH)", func(x *bypass) string { return x.tcp(hidden(x.t, "cover.example", "tracker.example"), 1<<20) }, "passes", "pass hard-coded address cover.example ech claimed", "203.0.113.68:443"},
		{"TLS without a name, hard-coded address", hello("203.0.113.69"), "passes", "pass hard-coded address", "203.0.113.69:443"},
		{"something else, hard-coded address", func(x *bypass) string { return x.tcp([]byte("\x00own protocol"), 1<<20) }, "passes", "pass hard-coded address", "203.0.113.70:4000"},
		{"the same where literal_addresses: deny", (*bypass).literal, refused, "deny hard-coded address", "203.0.113.71:4000"},
		{"mail to port 25", connect, refused, "deny mail to port 25", "203.0.113.72:25"},
		{"Windows file sharing", connect, refused, "deny Windows file sharing", "203.0.113.72:445"},
		{"the router", connect, refused, "deny private address", "192.168.1.1:80"},
		{"cloud metadata", connect, refused, "deny cloud metadata", "169.254.169.254:80"},
		{"another device", connect, refused, "deny inside the tunnel", "10.88.0.3:80"},
		{"the router inside NAT64", connect, refused, "deny IPv4 inside IPv6", "[64:ff9b::c0a8:101]:80"},
		{"the router inside 6to4", connect, refused, "deny IPv4 inside IPv6", "[2002:c0a8:101::1]:80"},
		{"another device's address as the source", (*bypass).spoof, "never came in", "", "8.8.4.4:53"},
		{"an address of the sinkhole, name sunk", connect, "read by the sinkhole", "sink mine:7 telemetry.example exact certain", "10.99.0.7:443"},
		{"an address of the sinkhole, made up", connect, refused, "deny sinkhole address of a name that is not sunk", "10.99.1.1:443"},
		{"a connection opened before the rule", (*bypass).early, "reset", "pass hard-coded address; ended by a change of policy (mine:3)", "203.0.113.73:4000"},
		{"a blocked name, half of its hello held back", (*bypass).slowly, "reset, half a hello went on", "deny mine:3 tracker.example sni claimed", "203.0.113.64:443"},
	}
}

// TestBypassMatrix tries every way around; run with -v it prints the table.
func TestBypassMatrix(t *testing.T) {
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "what was tried\twhere\twhat happened\twhat the journal says")
	x := newBypass(t, patience)
	for _, c := range trials() {
		x.dst = c.dst
		happened, said := c.do(x), ""
		if c.journal != "" {
			eventually(t, c.what+": the journal tells of it", func() bool { said = x.says(); return said != "" })
		} else {
			said = x.says()
		}
		shown := said
		if happened == answered {
			shown = "the question, as any other"
		} else if said == "" {
			shown = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.what, c.dst, happened, shown)
		if happened != c.happens || said != c.journal {
			t.Errorf("%s: %s, %q; want %s, %q", c.what, happened, said, c.happens, c.journal)
		}
	}
	w.Flush()
	t.Log("\n" + table.String())
}

const bypassRules = `tracker.example
dns.example
203.0.113.53
quic0.test`

func newBypass(t *testing.T, hold time.Duration) *bypass {
	x := &bypass{t: t, k: newKeeper(t), current: &policy.Current{}}
	x.current.Store(x.policy(policy.Rules{}))
	x.r = newTunedRig(t, 2, func(o *Options) { o.Policy, o.Handlers.Dial = x.current, x.k.dial }, func(n *Tunnel) { n.hold = hold })
	x.p = x.r.connect(t, 0)
	return x
}

func (x *bypass) policy(rules policy.Rules) *policy.Policy {
	x.t.Helper()
	rules.Action = policy.Deny
	text := "name: mine\nrules:\n"
	for name := range strings.Lines(bypassRules) {
		text += "  - domain: " + strings.TrimSpace(name) + "\n"
	}
	text += "  - {domain: telemetry.example, action: sink}\n"
	opts := policy.Options{Default: rules, Sink: []netip.Prefix{netip.MustParsePrefix("10.99.0.0/16")}, Set: compiled(x.t, text)}
	p, err := policy.New(opts)
	if err != nil {
		x.t.Fatal(err)
	}
	return p
}

func (x *bypass) dial(network string) (net.Conn, string) {
	c, err := x.p.DialContext(within(x.t, patience), network, x.dst)
	switch {
	case err == nil:
		x.t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		return c, ""
	case strings.Contains(err.Error(), "refused"):
		return nil, refused
	}
	return nil, err.Error()
}

// tcp sends bytes in pieces and tells how that went.
func (x *bypass) tcp(b []byte, piece int) string {
	before := len(x.k.kept())
	c, why := x.dial("tcp")
	if c == nil {
		return why
	}
	got := say(x.t, x.r, c, b, piece)
	c.Close()
	if len(x.r.net.sunk) > 0 {
		<-x.r.net.sunk
		return "read by the sinkhole"
	}
	switch n := len(x.k.kept()) - before; {
	case got == "ok":
		return "passes"
	case n == 0:
		return got + ", no byte went on"
	default:
		return fmt.Sprintf("%s, %d bytes went on", got, n)
	}
}

func (x *bypass) dns(network string) string {
	b, err := x.p.Exchange(within(x.t, patience), network, netip.MustParseAddrPort(x.dst), query(7))
	if err != nil || len(b) < 12 || b[2]&0x80 == 0 {
		return fmt.Sprint(b, err)
	}
	<-x.r.net.asked
	return answered
}

func (x *bypass) udp() string {
	c, why := x.dial("udp")
	if c == nil {
		return why
	}
	c.Write([]byte("x"))
	if _, err := c.Read(make([]byte, 10)); err != nil && strings.Contains(err.Error(), "refused") {
		return refused
	}
	return "passes"
}

func (x *bypass) quic() string {
	c, why := x.dial("udp")
	if c == nil {
		return why
	}
	packets := chromium(x.t)
	for _, b := range packets {
		c.Write(b)
	}
	b := make([]byte, 2000)
	n, err := c.Read(b)
	if p, _, _ := quicinitial.Open(packets[0]); err == nil && bytes.Equal(b[:n], quicinitial.Refuse(p)) {
		return "connection refused in QUIC, no byte went on" // the echo server would have sent it back
	}
	return fmt.Sprint(n, err)
}

// slowly sends half of a hello, and the rest when that was let go.
func (x *bypass) slowly() string {
	dst := x.dst
	*x = *newBypass(x.t, 100*time.Millisecond)
	x.dst = dst
	before := len(x.k.kept())
	c, why := x.dial("tcp")
	if c == nil {
		return why
	}
	b := helloFor(x.t, "tracker.example")
	c.Write(b[:20])
	eventually(x.t, "half of it goes on", func() bool { return len(x.k.kept()) == before+20 })
	io.ReadFull(c, make([]byte, 2)) // the server's ok
	got := say(x.t, x.r, c, b[20:], 1<<20)
	if len(x.k.kept()) == before+20 {
		return got + ", half a hello went on"
	}
	return got + ", all went on"
}

// literal tries where flows without a name are refused.
func (x *bypass) literal() string {
	x.current.Store(x.policy(policy.Rules{Literal: policy.Deny}))
	defer x.current.Store(x.policy(policy.Rules{}))
	return x.tcp([]byte("x"), 1)
}

// early opens a connection, and then there is a rule against it.
func (x *bypass) early() string {
	c, why := x.dial("tcp")
	if c == nil {
		return why
	}
	if got := say(x.t, x.r, c, []byte("\x00x"), 10); got != "ok" {
		return got
	}
	x.current.Store(strict(x.t, policy.Rules{}, "203.0.113.73"))
	x.r.Rejudge()
	x.current.Store(x.policy(policy.Rules{}))
	if _, err := c.Read(make([]byte, 1)); err != nil && strings.Contains(err.Error(), "reset") {
		return "reset"
	}
	return "goes on"
}

func (x *bypass) spoof() string {
	x.p.Inject(udpPacket(netip.MustParseAddrPort("10.88.0.3:5555"), netip.MustParseAddrPort(x.dst), query(1)))
	x.dst = "9.9.9.9:53"
	if got := x.dns("udp"); got != answered || len(x.r.net.asked) > 0 { // what came behind it did come in
		return got
	}
	x.dst = "8.8.4.4:53"
	return "never came in"
}

// says puts together what the journal has about the destination.
func (x *bypass) says() string {
	var out []string
	for _, f := range x.r.rec.flows(func(f journal.Flow) bool { return f.Dst.String() == x.dst }) {
		s := strings.TrimSpace(f.Verdict.Action.String() + " " + why(f.Verdict))
		if f.Name != "" {
			s += " " + f.Name + " " + f.Known.String() + " " + f.Known.Sure()
		}
		if f.Err != "" {
			s += "; " + f.Err
		}
		out = append(out, s)
	}
	var asked []string
	x.r.rec.mu.Lock()
	for _, e := range x.r.rec.events {
		if q, ok := e.(journal.Query); ok && q.Server.String() == x.dst {
			asked = append(asked, q.Name)
		}
	}
	x.r.rec.mu.Unlock()
	if len(out) > 0 && len(asked) > 0 {
		out = append(out, "asked "+strings.Join(asked, " "))
	}
	return strings.Join(out, "; ")
}

// inRecords cuts a hello into TLS records of n bytes.
func inRecords(record []byte, n int) (out []byte) {
	for msg := record[5:]; len(msg) > 0; {
		k := min(n, len(msg))
		out = append(append(out, 22, 3, 1, 0, byte(k)), msg[:k]...)
		msg = msg[k:]
	}
	return out
}

// hidden is a ClientHello for a name that stands encrypted behind a cover
// (RFC 9849), as Go's client sends it.
func hidden(t *testing.T, cover, name string) []byte {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public := key.PublicKey().Bytes()
	c := []byte{1, 0, 0x20, 0, byte(len(public))} // config id, KEM, length
	c = append(c, public...)
	c = append(c, 0, 4, 0, 1, 0, 1, 64, byte(len(cover))) // HKDF-SHA256 with AES-128-GCM
	c = append(append(c, cover...), 0, 0)
	list := binary.BigEndian.AppendUint16(nil, uint16(len(c)+4))
	list = append(list, 0xfe, 0x0d)
	list = append(binary.BigEndian.AppendUint16(list, uint16(len(c))), c...)
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	failed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		failed <- tls.Client(a, &tls.Config{ServerName: name, EncryptedClientHelloConfigList: list, MinVersion: tls.VersionTLS13}).HandshakeContext(ctx)
	}()
	buf := make([]byte, 8192)
	n, err := b.Read(buf)
	if err != nil {
		t.Fatal(errors.Join(err, <-failed))
	}
	return buf[:n]
}
