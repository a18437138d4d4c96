package opening

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// hello is a real ClientHello, as Go's client sends it.
func hello(tb testing.TB, name string) []byte {
	tb.Helper()
	a, b := net.Pipe()
	go func() {
		tls.Client(a, &tls.Config{ServerName: name}).Handshake()
	}()
	defer a.Close()
	defer b.Close()
	head := make([]byte, recordHeader)
	if _, err := io.ReadFull(b, head); err != nil {
		tb.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(b, body); err != nil {
		tb.Fatal(err)
	}
	return append(head, body...)
}

// fragmented puts a hello into records of n bytes (RFC 8446 §5.1).
func fragmented(record []byte, n int) (out []byte) {
	for msg := record[recordHeader:]; len(msg) > 0; {
		k := min(n, len(msg))
		out = append(append(out, 22, 3, 1, byte(k>>8), byte(k)), msg[:k]...)
		msg = msg[k:]
	}
	return out
}

// inPieces reads a stream in pieces of n bytes; used is how many bytes it took.
func inPieces(b []byte, n int) (w Words, used int, done bool) {
	var r Reader
	for used < len(b) && !done {
		k := min(n, len(b)-used)
		w, done = r.Add(b[used : used+k])
		used += k
	}
	return w, used, done
}

func TestReader(t *testing.T) {
	record := hello(t, "Tracking.Example.com")
	for _, c := range []struct {
		name string
		in   string
		want Words
	}{
		{"a hello", string(record), Words{Kind: TLS, Name: "tracking.example.com"}},
		{"and what follows it", string(record) + "more", Words{Kind: TLS, Name: "tracking.example.com"}},
		{"in records of one byte", string(fragmented(record, 1)), Words{Kind: TLS, Name: "tracking.example.com"}},
		{"in records of 100 bytes", string(fragmented(record, 100)), Words{Kind: TLS, Name: "tracking.example.com"}},
		{"of a client without a name", string(hello(t, "192.0.2.1")), Words{Kind: TLS}},
		{"a hello of 16 MB", "\x16\x03\x01\x40\x00\x01\xff\xff\xff" + strings.Repeat("x", 1<<14), Words{Kind: Unreadable}},
		{"broken inside", "\x16\x03\x01\x00\x08\x01\x00\x00\x04abcd", Words{Kind: Unreadable}},
		{"an alert in between", "\x16\x03\x01\x00\x02\x01\x00\x15\x03\x01\x00\x02", Words{Kind: Unreadable}},
		{"http", "GET /a?b HTTP/1.1\r\nAccept: */*\r\nhost:  Example.COM.:80 \r\n\r\n", Words{Kind: HTTP, Name: "example.com", Target: "/a?b"}},
		{"bare line feeds", "\r\n\nGET / HTTP/1.0\nHost: a.example\n\n", Words{Kind: HTTP, Name: "a.example", Target: "/"}},
		{"host is an address", "POST /d?dn=a.b HTTP/1.1\r\nHost: 119.29.29.29\r\n\r\n", Words{Kind: HTTP, Addr: netip.MustParseAddr("119.29.29.29"), Target: "/d?dn=a.b"}},
		{"host is an address with a port", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", Words{Kind: HTTP, Addr: netip.MustParseAddr("2001:db8::1"), Target: "/"}},
		{"no host", "GET / HTTP/1.0\r\nA: b\r\n\r\n", Words{Kind: HTTP, Target: "/"}},
		{"a proxy's request", "GET http://a.example:80/x?y HTTP/1.1\r\nHost: b.example\r\n\r\n", Words{Kind: HTTP, Name: "a.example", Target: "/x?y"}},
		{"a tunnel through a proxy", "CONNECT a.example:443 HTTP/1.1\r\n\r\n", Words{Kind: HTTP, Name: "a.example", Target: "a.example:443"}},
		{"a host that is none", "GET / HTTP/1.1\r\nHost: a b\x1b[1m\r\n\r\n", Words{Kind: HTTP, Target: "/"}},
		{"redis", "GET key\r\n", Words{}},
		{"ssh", "SSH-2.0-OpenSSH_9\r\n", Words{}},
		{"http/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Words{}},
		{"binary", "\x00\x01\x02", Words{}},
		{"a head without end", "GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", 4000), Words{Kind: HTTP, Target: "/"}},
		{"a line without end", "GET /" + strings.Repeat("a", 20000), Words{Kind: HTTP}},
	} {
		for _, n := range []int{1, 2, 7, 100, 1 << 20} {
			w, _, done := inPieces([]byte(c.in), n)
			if !done || w != c.want {
				t.Errorf("%s, in pieces of %d: %+v %v, want %+v", c.name, n, w, done, c.want)
			}
		}
	}
}

// TestReaderWaits: a beginning is not decided about, and nothing else is waited for.
func TestReaderWaits(t *testing.T) {
	record := hello(t, "a.example")
	for _, in := range []string{string(record[:len(record)-1]), "\x16", "G", "GET /", "GET / HTTP/1.1\r\nHost: a.example", "\r\n"} {
		if w, _, done := inPieces([]byte(in), 1); done {
			t.Errorf("%q: %+v", in[:min(len(in), 20)], w)
		}
	}
	for _, in := range []string{"X", "\x17", "GEX", "\x16\x02"} {
		if _, _, done := inPieces([]byte(in), 1); !done {
			t.Errorf("%q is waited for", in)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(hello(f, "a.example"), 1)
	f.Add(fragmented(hello(f, "a.example"), 30), 7)
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), 3)
	f.Add([]byte("\n\nPOST http://a/ HTTP/1.1\n"), 2)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		n = max(1, n&0xff)
		whole, _, done := inPieces(b, 1<<30)
		w, used, done2 := inPieces(b, n)
		if done != done2 && len(b) < maxHead {
			t.Fatalf("whole: %+v %v; in pieces of %d: %+v %v", whole, done, n, w, done2)
		}
		if len(b) < maxHead && w != whole {
			t.Fatalf("whole: %+v; in pieces of %d: %+v", whole, n, w)
		}
		if used > 3*64<<10+n && !done2 {
			t.Fatalf("%d bytes are not enough", used)
		}
		if w.Name != "" && w.Name != Name(w.Name) {
			t.Fatalf("name %q", w.Name)
		}
	})
}
