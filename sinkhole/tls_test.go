package sinkhole

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nightlatch/hello/clienthello"
	"nightlatch/sinkhole/authority"
)

func newCA(tb testing.TB) (*CA, *x509.CertPool) {
	tb.Helper()
	ca, err := authority.Create(filepath.Join(tb.TempDir(), "ca"), authority.Options{Now: time.Now()})
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.PEM())
	return ca, roots
}

func TestHTTPSRead(t *testing.T) {
	ca, roots := newCA(t)
	for _, tt := range []struct {
		name  string
		h2    bool
		max   uint16
		proto int
	}{{"h1 tls12", false, tls.VersionTLS12, 1}, {"h1 tls13", false, tls.VersionTLS13, 1}, {"h2 tls13", true, tls.VersionTLS13, 2}, {"h2 tls12", true, tls.VersionTLS12, 2}} {
		t.Run(tt.name, func(t *testing.T) {
			b := build(t, func(o *Options) { o.CA = ca })
			c := b.client(t, sunk, &http.Transport{ForceAttemptHTTP2: tt.h2, TLSClientConfig: &tls.Config{RootCAs: roots, MaxVersion: tt.max}})
			for _, body := range []string{"secret", strings.Repeat("more", 100_000)} {
				resp, err := c.Post("https://"+sunk+"/track/v4", "text/x", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(got) != `{"code":0}` || resp.ProtoMajor != tt.proto {
					t.Errorf("%s %q", resp.Proto, got)
				}
				leaf := resp.TLS.PeerCertificates[0]
				if life := leaf.NotAfter.Sub(leaf.NotBefore); life > 30*24*time.Hour || !slices.Equal(leaf.DNSNames, []string{sunk}) {
					t.Errorf("leaf for %v lives %v", leaf.DNSNames, life)
				}
			}
			g := b.tape.wait(t, 2)[1]
			if g.Scheme != "https" || len(g.Sample) != 400_000 || g.Path != "/track/v4" || g.Method != "POST" || g.ContentType != "text/x" {
				t.Errorf("capture %+v", g)
			}
			if g.TLS == nil || g.TLS.Outcome != OutcomeRead || g.TLS.SNI != sunk || !strings.HasPrefix(g.TLS.JA4, "t1") {
				t.Errorf("tls %+v", g.TLS)
			}
			if want := clienthello.VersionName(tt.max); g.TLS.Version != want {
				t.Errorf("version %s, want %s", g.TLS.Version, want)
			}
		})
	}
}

func TestHTTPSRawInside(t *testing.T) {
	ca, roots := newCA(t)
	b := build(t, func(o *Options) { o.CA = ca })
	c := tls.Client(b.dial(t, b.flow(sunk, 5223)), &tls.Config{RootCAs: roots, ServerName: sunk})
	say(t, c, "\x00\x00mqtt-like")
	c.CloseWrite()
	answerTo0(t, c)
	g := b.tape.wait(t, 1)[0]
	if g.Scheme != "tls" || string(g.Sample) != "\x00\x00mqtt-like" || g.TLS.Outcome != OutcomeRead || len(b.tape.captures()) != 1 {
		t.Errorf("capture %+v %+v", g, g.TLS)
	}
}

func TestHTTPSRefused(t *testing.T) {
	ca, _ := newCA(t)
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		b := build(t, func(o *Options) { o.CA = ca })
		try := func() error {
			c := tls.Client(b.dial(t, b.flow(sunk, 443)), &tls.Config{ServerName: sunk, MaxVersion: v, NextProtos: []string{"h2"}})
			defer c.Close()
			return c.Handshake()
		}
		if err := try(); err == nil {
			t.Fatal("a client without our authority went on")
		}
		g := b.tape.wait(t, 1)[0]
		if g.Scheme != "tls" || g.TLS.Outcome != OutcomeRefused || !strings.Contains(g.TLS.Alert, "certificate") || g.Result.Verdict != "opaque" {
			t.Errorf("%x: %+v %q", v, g.TLS, g.Result.Verdict)
		}
		if g.Size == 0 || len(g.Sample) != int(g.Size) || g.Sample[0] != 0x16 || !slices.Equal(g.TLS.ALPN, []string{"h2"}) {
			t.Errorf("the ClientHello was not kept: %d bytes", len(g.Sample))
		}
		if err := try(); err == nil || !strings.Contains(err.Error(), "handshake failure") {
			t.Errorf("second try: %v", err)
		}
		if g := b.tape.wait(t, 2)[1]; g.TLS.Outcome != OutcomeRemember {
			t.Errorf("second try: %+v", g.TLS)
		}
		if n := b.Stats().Untrusted; n != 1 {
			t.Errorf("untrusted %d", n)
		}
	}
}

// TestPinnedLate is a client that checks its pins after the handshake, as
// OkHttp does, and hangs up: after three times it counts as a refusal.
func TestPinnedLate(t *testing.T) {
	ca, roots := newCA(t)
	b := build(t, func(o *Options) { o.CA = ca; o.Limits.Fold = time.Nanosecond })
	for i, want := range []string{OutcomeSilent, OutcomeSilent, OutcomeSilent, OutcomeRemember} {
		c := tls.Client(b.dial(t, b.flow(sunk, 443)), &tls.Config{ServerName: sunk, RootCAs: roots})
		c.Handshake()
		c.Close()
		if g := b.tape.wait(t, i+1)[i]; g.TLS.Outcome != want {
			t.Errorf("%d: %+v", i, g.TLS)
		}
	}
	// Another client of the same phone, told apart by its JA4, is read all the same.
	c := b.client(t, sunk, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}}})
	if resp, err := c.Get("https://" + sunk + "/"); err != nil {
		t.Fatal(err)
	} else {
		resp.Body.Close()
	}
}

// TestNeverMinted: no certificate for a name that is not the flow's own.
func TestNeverMinted(t *testing.T) {
	ca, roots := newCA(t)
	for _, tt := range []struct {
		flow, sni, also, exempt string
		want                    string
	}{
		{flow: sunk, sni: "www.bank.example", want: OutcomeOtherName},
		{flow: sunk, sni: "miui.com", want: OutcomeOtherName},
		{flow: sunk, sni: "xtracking.miui.com", want: OutcomeOtherName},
		{flow: sunk, sni: "a." + sunk, want: OutcomeOtherName},
		{flow: sunk, sni: "a." + sunk, also: "a." + sunk, want: OutcomeSilent},
		{flow: sunk, sni: "other.example", also: "other.example", want: OutcomeOtherName},
		{flow: sunk, sni: sunk, exempt: sunk, want: OutcomeExempt},
		{flow: sunk, sni: "a." + sunk, also: "a." + sunk, exempt: sunk, want: OutcomeExempt},
		{flow: "localhost", sni: "localhost", want: OutcomeFailed},
		{flow: sunk, sni: strings.ToUpper(sunk), want: OutcomeSilent},
	} {
		b := build(t, func(o *Options) {
			o.CA = ca
			o.Exempt = func(n string) bool { return n == tt.exempt }
		})
		if tt.also != "" {
			b.Addr(tt.also, false)
		}
		c := tls.Client(b.dial(t, b.flow(tt.flow, 443)), &tls.Config{ServerName: tt.sni, RootCAs: roots})
		err := c.Handshake()
		c.Close()
		if ok := tt.want == OutcomeSilent; ok != (err == nil) {
			t.Errorf("%+v: handshake %v", tt, err)
		}
		if g := b.tape.wait(t, 1)[0]; g.TLS.Outcome != tt.want {
			t.Errorf("%+v: %+v", tt, g.TLS)
		}
		if n := b.mint.Load().Size(); (tt.want == OutcomeSilent) != (n == 1) {
			t.Errorf("%+v: %d leafs", tt, n)
		}
	}
}

func TestWithoutSNI(t *testing.T) {
	ca, roots := newCA(t)
	b := build(t, func(o *Options) { o.CA = ca })
	c := tls.Client(b.dial(t, b.flow(sunk, 443)), &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ConnectionState().PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: sunk, Roots: roots}); err != nil {
		t.Error(err)
	}
}

func TestNoCommonVersion(t *testing.T) {
	ca, roots := newCA(t)
	b := build(t, func(o *Options) { o.CA = ca })
	c := tls.Client(b.dial(t, b.flow(sunk, 443)), &tls.Config{ServerName: sunk, RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if c.Handshake() == nil {
		t.Fatal("TLS 1.1 was accepted")
	}
	if g := b.tape.wait(t, 1)[0]; g.TLS.Outcome != OutcomeFailed || g.TLS.Version != "TLS 1.1" || g.TLS.Alert == "" {
		t.Errorf("%+v", g.TLS)
	}
}

// hello is the first flight of a real client.
func hello(tb testing.TB, cfg *tls.Config) []byte {
	tb.Helper()
	near, far := net.Pipe()
	defer near.Close()
	go func() { tls.Client(far, cfg).Handshake(); far.Close() }()
	buf := make([]byte, 8192)
	near.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, err := near.Read(buf)
	if err != nil {
		tb.Fatal(err)
	}
	return buf[:n]
}

func TestWithoutCA(t *testing.T) {
	whole := hello(t, &tls.Config{ServerName: sunk, NextProtos: []string{"h2", "http/1.1"}})
	body := whole[5:]
	var fragments []byte // RFC 8446 §5.1: one byte a record
	for _, c := range body {
		fragments = append(fragments, 0x16, 3, 1, 0, 1, c)
	}
	for _, tt := range []struct {
		name    string
		send    []byte
		step    int
		outcome string
	}{
		{"whole", whole, len(whole), OutcomeNoCA},
		{"byte by byte", whole, 1, OutcomeNoCA},
		{"fragmented", fragments, 7, OutcomeNoCA},
		{"half", whole[:len(whole)/2], 100, OutcomeBroken},
		{"broken lengths", append(append([]byte{}, whole[:43]...), 0xff), 50, OutcomeBroken},
		{"lying session id", func() []byte { b := append([]byte{}, whole...); b[43] = 0xff; return b }(), 600, OutcomeMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := build(t, nil)
			c := b.dial(t, b.flow(sunk, 443))
			for at := 0; at < len(tt.send); at += tt.step {
				c.Write(tt.send[at:min(len(tt.send), at+tt.step)])
			}
			c.(*net.TCPConn).CloseWrite()
			if got := answerTo0(t, c); got != handshakeFailure {
				t.Errorf("answer %q", got)
			}
			g := b.tape.wait(t, 1)[0]
			if g.TLS.Outcome != tt.outcome || string(g.Sample) != string(tt.send) || g.Scheme != "tls" {
				t.Errorf("%d bytes, %+v", len(g.Sample), g.TLS)
			}
			if tt.outcome == OutcomeNoCA && (g.TLS.SNI != sunk || !slices.Equal(g.TLS.ALPN, []string{"h2", "http/1.1"}) || g.TLS.Version != "TLS 1.3") {
				t.Errorf("%+v", g.TLS)
			}
		})
	}
}

// TestJA4OfRealClient compares our JA4 with one computed from what crypto/tls
// understood of the same ClientHello.
func TestJA4OfRealClient(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	var info *tls.ClientHelloInfo
	rec := &recording{Conn: far}
	server := tls.Server(rec, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		info = h
		return nil, io.EOF
	}})
	go tls.Client(near, &tls.Config{ServerName: sunk, NextProtos: []string{"h2"}}).HandshakeContext(t.Context())
	go io.Copy(io.Discard, near)
	server.HandshakeContext(context.Background())
	msg, _, err := clienthello.Message(rec.got)
	if err != nil {
		t.Fatal(err)
	}
	got, err := clienthello.Parse(msg)
	if err != nil {
		t.Fatal(err)
	}
	want := clienthello.Hello{Versions: info.SupportedVersions, Ciphers: info.CipherSuites, Extensions: info.Extensions,
		HasSNI: info.ServerName != "", SNI: info.ServerName, ALPN: info.SupportedProtos}
	for _, s := range info.SignatureSchemes {
		want.SigAlgs = append(want.SigAlgs, uint16(s))
	}
	if got.JA4() != want.JA4() || got.SNI != sunk {
		t.Errorf("%s, want %s", got.JA4Raw(), want.JA4Raw())
	}
}

type recording struct {
	net.Conn
	got []byte
}

func (r *recording) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.got = append(r.got, p[:n]...)
	return n, err
}

func TestRefusals(t *testing.T) {
	now := time.Now()
	r := &refusals{now: func() time.Time { return now }, table: map[client]refusal{}}
	for i := range maxRefusals + 100 {
		r.add(client{"d", time.Duration(i).String(), ""}, true)
	}
	if len(r.table) > maxRefusals {
		t.Errorf("%d entries", len(r.table))
	}
	c := client{"d", "n", "j"}
	r.add(c, true)
	if !r.active(c) || r.active(client{"e", "n", "j"}) || r.active(client{"d", "n", "k"}) {
		t.Error("wrong client")
	}
	now = now.Add(refusalLife)
	if r.active(c) {
		t.Error("for ever")
	}
	now = now.Add(-365 * 24 * time.Hour)
	if r.active(c) {
		t.Error("a clock set back prolongs it")
	}
	now = now.Add(2 * 365 * 24 * time.Hour)
	r.trust(c)
	for range 2 * silentLimit { // a browser's spare connections
		r.add(c, false)
	}
	if r.active(c) {
		t.Error("a client that trusts us counts as refusing")
	}
	r.add(c, true)
	if !r.active(c) {
		t.Error("an alert does not count")
	}
	r.trust(c)
	if r.active(c) {
		t.Error("trust does not end a refusal")
	}
}
