package upstream

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// web is a server of DNS over HTTPS whose every response is the test's to
// choose.
type web struct {
	spec    string
	major   int // version of HTTP
	handler atomic.Value
}

func (w *web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.handler.Load().(func(http.ResponseWriter, *http.Request))(rw, r)
}

func listenHTTP2(t testing.TB, ca *authority) *web {
	w := &web{major: 2}
	srv := httptest.NewUnstartedServer(w)
	srv.EnableHTTP2 = true
	srv.TLS = ca.config(t, "dns.test")
	srv.StartTLS()
	t.Cleanup(srv.Close)
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	w.spec = "https://dns.test:" + port + "/dns-query#127.0.0.1"
	return w
}

func listenHTTP3(t testing.TB, ca *authority) *web {
	w := &web{major: 3}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tr := &quic.Transport{Conn: conn}
	l, err := tr.ListenEarly(http3.ConfigureTLSConfig(ca.config(t, "dns.test")), nil)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http3.Server{Handler: w}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.ServeListener(l) })
	t.Cleanup(func() {
		srv.Close()
		tr.Close()
		conn.Close()
		wg.Wait()
	})
	_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
	w.spec = "h3://dns.test:" + port + "/dns-query#127.0.0.1"
	return w
}

func TestHTTPS(t *testing.T) {
	ca := newAuthority(t)
	for name, listen := range map[string]func(testing.TB, *authority) *web{"2": listenHTTP2, "3": listenHTTP3} {
		t.Run(name, func(t *testing.T) { testHTTPS(t, ca, listen(t, ca)) })
	}
}

func query(t *testing.T, r *http.Request) *dns.Msg {
	b, _ := io.ReadAll(r.Body)
	q := new(dns.Msg)
	if err := q.Unpack(b); err != nil {
		t.Error(err)
	}
	return q
}

func sendDNS(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Type", mediaType)
	_, _ = w.Write(b)
}

func answerHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	q := new(dns.Msg)
	if q.Unpack(b) == nil {
		sendDNS(w, good(q))
	}
}

func testHTTPS(t *testing.T, ca *authority, s *web) {
	right := func(w http.ResponseWriter, r *http.Request) {
		q := query(t, r)
		if q.Id != 0 || r.ProtoMajor != s.major || r.Method != "POST" || r.URL.Path != "/dns-query" || r.Header.Get("Content-Type") != mediaType || r.UserAgent() != "" || q.Len()%padBlock != 0 {
			t.Errorf("id %d, %s %s %s, %v, %d octets", q.Id, r.Proto, r.Method, r.URL, r.Header, q.Len())
		}
		w.Header().Set("Age", "20")
		sendDNS(w, good(q))
	}
	t.Run("answers", func(t *testing.T) {
		s.handler.Store(right)
		g := group(t, Options{Upstreams: []string{s.spec}, RootCAs: ca.roots})
		if r := mustAsk(t, g); r.Msg.Answer[0].Header().Ttl != 40 {
			t.Errorf("TTL %d, want 40 after an Age of 20", r.Msg.Answer[0].Header().Ttl)
		}
	})
	for name, bad := range map[string]func(w http.ResponseWriter, r *http.Request){
		"status 500": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.test/", http.StatusFound)
		},
		"html":    func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"garbage": func(w http.ResponseWriter, r *http.Request) { sendDNS(w, []byte("garbage")) },
		"nothing": func(w http.ResponseWriter, r *http.Request) { sendDNS(w, nil) },
		"cut off": func(w http.ResponseWriter, r *http.Request) { sendDNS(w, truncated(query(t, r))) },
		"aborted": func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		"wrong answer": func(w http.ResponseWriter, r *http.Request) {
			sendDNS(w, reply(query(t, r), func(m *dns.Msg) { m.Question[0].Name = "evil.test." }))
		},
		"endless body": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<14)); err != nil {
					return
				}
			}
		},
		"endless header": func(w http.ResponseWriter, r *http.Request) {
			for i := range 100 {
				w.Header().Set("X-"+string(rune('A'+i%26))+string(rune('a'+i/26)), strings.Repeat("a", 4000))
			}
			sendDNS(w, good(query(t, r)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.handler.Store(bad)
			if _, took, err := ask(t, group(t, Options{Upstreams: []string{s.spec}, RootCAs: ca.roots})); err == nil || took > time.Second {
				t.Errorf("%v after %v", err, took)
			}
		})
	}
	t.Run("hangs", func(t *testing.T) {
		s.handler.Store(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		other := listen(t, false, nil, always)
		g := group(t, Options{Upstreams: []string{s.spec, other.addr()}, RootCAs: ca.roots, Step: 200 * time.Millisecond})
		if _, took, err := ask(t, g); err != nil || took > time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
	t.Run("drips", func(t *testing.T) { // one octet at a time
		s.handler.Store(func(w http.ResponseWriter, r *http.Request) {
			b := good(query(t, r))
			w.Header().Set("Content-Type", mediaType)
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for _, c := range b {
				if _, err := w.Write([]byte{c}); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				select {
				case <-tick.C:
				case <-r.Context().Done():
					return
				}
			}
		})
		other := listen(t, false, nil, always)
		g := group(t, Options{Upstreams: []string{s.spec, other.addr()}, RootCAs: ca.roots, Step: 200 * time.Millisecond})
		if r, took, err := ask(t, g); err != nil || took > time.Second || r.Upstream != other.addr() {
			t.Errorf("%v after %v", err, took)
		}
	})
	t.Run("unknown authority", func(t *testing.T) {
		if _, _, err := ask(t, group(t, Options{Upstreams: []string{s.spec}})); err == nil {
			t.Error("no error")
		}
	})
}
