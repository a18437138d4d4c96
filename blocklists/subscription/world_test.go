package subscription

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// read is a reader of lists that is easy to predict: every line of letters is a
// rule, a line that begins with ! is left out.
func read(path string) (Summary, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Summary{}, err
	}
	s := Summary{Format: "domains"}
	for line := range strings.Lines(string(b)) {
		s.Lines++
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "||"):
			s.Rules++
			s.Format = "adblock"
		case strings.HasPrefix(line, "!"):
			s.Ignored++
		case strings.HasPrefix(line, "{"):
			return s, fmt.Errorf("blocklists: %s: not a list: JSON", path)
		case line != "":
			s.Rules++
		}
	}
	return s, nil
}

// names writes n names, one a line.
func names(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "name-%d.example\n", i)
	}
	return b.String()
}

// home lets tests reach their own servers.
func home(netip.Addr) string { return "" }

// public is a small internet: hosts with addresses, where the ones of the
// documentation networks lead to servers of the test.
type public struct {
	hosts  map[string]string // host -> address
	server map[string]string // address -> host:port of a test server
}

func (p public) network() Network {
	return Network{
		Agent: "nightlatch/test",
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			a, err := netip.ParseAddr(p.hosts[host])
			if err != nil {
				return nil, errors.New("no such name")
			}
			return []netip.Addr{a}, nil
		},
		Refuse: func(a netip.Addr) string {
			if netip.MustParsePrefix("192.0.2.0/24").Contains(a) {
				return ""
			}
			return "private address"
		},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(address)
			if to := p.server[host]; to != "" {
				address = to
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
}

// fixture is a store, one subscription, and a server whose answer can change.
type fixture struct {
	*testing.T
	store  *Store
	sub    Subscription
	answer http.HandlerFunc
	asked  []*http.Request
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked = append(f.asked, r)
		f.answer(w, r)
	}))
	t.Cleanup(srv.Close)
	f.store = NewStore(t.TempDir()+"/lists", Network{Refuse: home, Agent: "nightlatch/test"})
	f.sub = Subscription{Name: "test", Address: srv.URL + "/list.txt", Read: read}
	f.text(names(100))
	return f
}

// text makes the server answer with a text.
func (f *fixture) text(s string) {
	f.answer = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s) }
}

func (f *fixture) raw(s string) {
	f.answer = func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			fmt.Fprint(c, s)
			c.Close()
		}
	}
}

func (f *fixture) update() (State, error) {
	f.Helper()
	c, err := f.store.Update(f.Context(), f.sub, nil)
	return c.After, err
}

// good is an update that must work.
func (f *fixture) good(want Outcome) State {
	f.Helper()
	st, err := f.update()
	if err != nil || st.Attempt.Outcome != want {
		f.Fatalf("%v, outcome %q; want %q", err, st.Attempt.Outcome, want)
	}
	return st
}

// bad is an update that must fail with words, and leave the copy in use.
func (f *fixture) bad(words string) State {
	f.Helper()
	before, _ := f.store.State(f.sub)
	text, _ := os.ReadFile(f.store.Copy("test"))
	st, err := f.update()
	if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "\n") {
		f.Fatalf("got %v; want one line with %q", err, words)
	}
	if st.Attempt.Outcome != Failed || !strings.Contains(st.Attempt.Problem, words) {
		f.Errorf("the state says %+v", st.Attempt)
	}
	if before.InUse != nil && (st.InUse == nil || *st.InUse != *before.InUse || st.Success != before.Success) {
		f.Errorf("the version in use was %+v and is %+v", before.InUse, st.InUse)
	}
	if now, _ := os.ReadFile(f.store.Copy("test")); !bytes.Equal(now, text) {
		f.Error("the copy in use was changed by a failed update")
	}
	f.clean()
	return st
}

// clean holds that nothing but the known files is left in the folder.
func (f *fixture) clean() {
	f.Helper()
	files, _ := os.ReadDir(f.store.folder)
	for _, e := range files {
		if strings.HasPrefix(e.Name(), ".") {
			f.Errorf("%s was left behind", e.Name())
		}
	}
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func firstLine(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	line, _ := bufio.NewReader(f).ReadString('\n')
	return strings.TrimSpace(line)
}
