package subscription

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return b.String()
}

func TestFirstCopy(t *testing.T) {
	f := newFixture(t)
	st := f.good(Updated)
	if st.InUse.Summary.Rules != 100 || st.InUse.SHA256 != sum(names(100)) || st.InUse.Bytes != int64(len(names(100))) {
		t.Errorf("in use is %+v", st.InUse)
	}
	if !st.Success.Equal(st.Attempt.Time) || st.Attempt.Address != f.sub.Address {
		t.Errorf("%+v", st)
	}
	if text, _ := os.ReadFile(f.store.Copy("test")); string(text) != names(100) {
		t.Error("the copy is not what was published")
	}
	if a := f.asked[0].Header; a.Get("User-Agent") != "nightlatch/test" || a.Get("Accept-Encoding") != "gzip" || a.Get("If-None-Match") != "" {
		t.Errorf("asked with %v", a)
	}
	again, err := f.store.State(f.sub)
	if err != nil || !again.Success.Equal(st.Success) || *again.InUse.withTime(st.InUse.Fetched) != *st.InUse {
		t.Errorf("kept %+v, %v; want %+v", again.InUse, err, st.InUse)
	}
	f.clean()
}

// withTime takes the time of another for the same moment.
func (v *Version) withTime(t time.Time) *Version {
	if v.Fetched.Equal(t) {
		v.Fetched = t
	}
	return v
}

// TestValidators: what the server gave is kept on disk and sent by the next
// program, and a 304 confirms the copy.
func TestValidators(t *testing.T) {
	f := newFixture(t)
	f.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"v1"` && r.Header.Get("If-Modified-Since") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Last-Modified", "Sun, 08 Mar 2026 10:00:00 GMT")
		fmt.Fprint(w, names(100))
	}
	first := f.good(Updated)
	f.store = NewStore(f.store.folder, f.store.network) // a new start
	st := f.good(Unchanged)
	if !st.Success.After(first.Success) || !st.InUse.Fetched.Equal(first.InUse.Fetched) || len(f.asked) != 2 {
		t.Errorf("after a 304: %+v", st)
	}
	// A copy that was changed is not confirmed by a 304: it is fetched whole.
	if err := os.WriteFile(f.store.Copy("test"), []byte(strings.Repeat("x", int(st.InUse.Bytes))), 0o600); err != nil {
		t.Fatal(err)
	}
	f.good(Updated)
	if got := f.asked[2].Header.Get("If-None-Match"); got != "" {
		t.Errorf("If-None-Match %q was sent for a damaged copy", got)
	}
	// Nor does the validator of one address go to another.
	f.sub.Address += "?other"
	f.good(Unchanged)
	if got := f.asked[3].Header.Get("If-None-Match"); got != "" {
		t.Errorf("If-None-Match %q was sent to another address", got)
	}
	if st, _ := f.store.State(f.sub); st.InUse.Address != f.sub.Address {
		t.Errorf("in use is said to be of %s", st.InUse.Address)
	}
}

func TestUnaskedNotModified(t *testing.T) {
	f := newFixture(t)
	f.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }
	f.bad("304")
}

func TestHostileValidators(t *testing.T) {
	f := newFixture(t)
	f.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Etag"] = []string{strings.Repeat("x", maxHeader+1)}
		w.Header()["Last-Modified"] = []string{"caf\xe9"}
		fmt.Fprint(w, names(3))
	}
	if st := f.good(Updated); st.InUse.ETag != "" || st.InUse.Modified != "" {
		t.Errorf("%q %q were kept", st.InUse.ETag, st.InUse.Modified)
	}
	f.good(Unchanged)
}

func TestCompressed(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"transfer": func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, zipped(names(50)))
		},
		"file": func(w http.ResponseWriter) { fmt.Fprint(w, zipped(names(50))) },
		"both": func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, zipped(zipped(names(50))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.answer = func(w http.ResponseWriter, _ *http.Request) { answer(w) }
			published := zipped(names(50))
			if name == "transfer" {
				published = names(50)
			}
			f.sub.SHA256 = sum(published)
			st := f.good(Updated)
			if st.InUse.SHA256 != sum(names(50)) || st.InUse.Source != sum(published) || st.InUse.Wire >= st.InUse.Bytes {
				t.Errorf("%+v", st.InUse)
			}
		})
	}
}

// TestMisbehaviour: each ends in one clear line, and the copy in use stays.
func TestMisbehaviour(t *testing.T) {
	status := func(code int) func(*fixture) {
		return func(f *fixture) {
			f.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
		}
	}
	text := func(s string) func(*fixture) { return func(f *fixture) { f.text(s) } }
	tests := map[string]struct {
		set  func(*fixture)
		want string
	}{
		"404":            {status(404), "404 Not Found; has the list moved?"},
		"403":            {status(403), "403 Forbidden"},
		"500":            {status(500), "500 Internal Server Error"},
		"204":            {status(204), "204 No Content"},
		"206":            {status(206), "206 Partial Content"},
		"999":            {status(999), "999"},
		"empty":          {text(""), "it is empty"},
		"blank":          {text("\n  \n"), "it is empty"},
		"html":           {text("\n<!DOCTYPE html><title>Log in</title>"), "it is a web page"},
		"html, no head":  {func(f *fixture) { f.html("<script>location='/login'</script>") }, "it is a web page"},
		"binary":         {text("\x00\x01\x02\x03"), "it is binary"},
		"not a list":     {text("{\"error\": \"no\"}\n"), "not usable: not a list: JSON"},
		"zip":            {text("PK\x03\x04" + strings.Repeat("../../etc/passwd", 9)), "it is a zip archive"},
		"tar":            {text(strings.Repeat("a", 257) + "ustar\x0000"), "it is a tar archive"},
		"tar.gz":         {text(zipped(strings.Repeat("a", 257) + "ustar\x0000")), "it is a tar archive"},
		"xz":             {text("\xfd7zXZ\x00aaa"), "compressed with xz"},
		"gzip twice":     {text(zipped(zipped(names(9)))), "compressed twice"},
		"broken gzip":    {text("\x1f\x8bnot gzip at all"), "broken gzip"},
		"cut gzip":       {text(zipped(names(900))[:600]), "it ended in the middle"},
		"cut gzip, soon": {text("\x1f\x8b\x08"), "it ended in the middle, after 3 bytes"},
		"brotli": {func(f *fixture) {
			f.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", "br")
				fmt.Fprint(w, "aaaa")
			}
		}, `encoding that was not asked for: "br"`},
		"truncated": {func(f *fixture) { f.raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + names(5)) }, "of 1000 bytes"},
		"truncated chunk": {func(f *fixture) {
			f.raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + names(5))
		}, "it ended in the middle"},
		"no HTTP": {func(f *fixture) { f.raw("220 ftp.example ready\r\n") }, "malformed HTTP"},
		"closed":  {func(f *fixture) { f.raw("") }, "closed the connection without an answer"},
		"huge, announced": {func(f *fixture) {
			f.answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(maxWire+1))
				w.WriteHeader(200)
			}
		}, "larger than 64 MiB"},
		"wrong sha256":       {func(f *fixture) { f.sub.SHA256 = sum("other") }, "its sha256 is " + sum(names(100))},
		"redirect loop":      {func(f *fixture) { f.redirect("/list.txt") }, "more than 5 in a row"},
		"redirect away":      {func(f *fixture) { f.redirect("ftp://192.0.2.1/x") }, "neither http nor https"},
		"redirect, password": {func(f *fixture) { f.redirect("http://a:b@127.0.0.1/x") }, "address with a password"},
		"redirect, nonsense": {func(f *fixture) { f.redirect("http://[::1") }, "Location"},
		"no scheme":          {func(f *fixture) { f.sub.Address = "http://" }, "no Host"},
		"gone":               {func(f *fixture) { f.sub.Address = gone(t) }, "connection refused"},
		"no name":            {func(f *fixture) { f.sub.Address = "http://lists.example/x" }, "lists.example cannot be looked up"},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			fresh := newFixture(t)
			c.set(fresh)
			fresh.bad(c.want)
			if st, _ := fresh.store.State(fresh.sub); st.InUse != nil || st.Attempt.Failures != 1 {
				t.Errorf("a first copy that failed: %+v", st)
			}
			f := newFixture(t)
			f.good(Updated)
			sub := f.sub
			c.set(f)
			f.bad(c.want)
			if st := f.bad(c.want); st.Attempt.Failures != 2 {
				t.Errorf("%d failures in a row", st.Attempt.Failures)
			}
			f.sub = sub
			f.text(names(100))
			if st := f.good(Unchanged); st.Attempt.Failures != 0 || st.Attempt.Problem != "" {
				t.Errorf("well again: %+v", st.Attempt)
			}
		})
	}
}

func (f *fixture) redirect(to string) {
	f.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	}
}

func (f *fixture) html(s string) {
	f.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, s)
	}
}

// gone is the address of a server that has ended.
func gone(t *testing.T) string {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	return srv.URL + "/list.txt"
}

// endless writes as long as it is let.
func endless(w http.ResponseWriter, block []byte) {
	for {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

func TestEndless(t *testing.T) {
	f := newFixture(t)
	f.good(Updated)
	block := []byte(names(5000))
	f.answer = func(w http.ResponseWriter, _ *http.Request) { endless(w, block) }
	f.bad("larger than 64 MiB")
}

// TestBomb: what is small on the wire and huge unpacked ends at its bound, be it
// packed for the transfer, as a file, or on this machine.
func TestBomb(t *testing.T) {
	bomb := zipped(strings.Repeat("a.example\n", 1<<18))
	for _, enc := range []string{"gzip", "identity", "here"} {
		f := newFixture(t)
		f.good(Updated)
		f.store.network.text = 1 << 20
		f.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", enc)
			fmt.Fprint(w, bomb)
		}
		if enc == "here" {
			f.sub.Address = filepath.Join(t.TempDir(), "bomb.gz")
			if err := os.WriteFile(f.sub.Address, []byte(bomb), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f.bad("MiB when it is unpacked; that is no list")
	}
}

func TestRetryAfter(t *testing.T) {
	f := newFixture(t)
	f.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	st := f.bad("503 Service Unavailable, and to come back in 1h0m0s")
	if d := st.Attempt.NotBefore.Sub(st.Attempt.Time); d < time.Hour || d > time.Hour+time.Minute {
		t.Errorf("not before %s after the attempt", d)
	}
	now := time.Date(2026, 3, 8, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "-5": 0, "soon": 0, "120": 2 * time.Minute, "99999999": maxAfter, "9999999999999999999999": 0,
		"Sun, 08 Mar 2026 10:05:00 GMT": 5 * time.Minute, "Sun, 08 Mar 2020 10:05:00 GMT": 0,
	} {
		got := retryAfter(text, now)
		if want == 0 && !got.IsZero() || want != 0 && got.Sub(now) != want {
			t.Errorf("Retry-After %q: %s", text, got)
		}
	}
}

// TestPrivate: a host or a redirect of the wide world does not lead home.
func TestPrivate(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { t.Error("the inside was reached") }))
	defer inside.Close()
	for name, to := range map[string]string{
		"address": inside.URL, "mapped": strings.Replace(inside.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1),
		"nat64": "http://[64:ff9b::7f00:1]/", "name": "http://inside.example/", "metadata": "http://169.254.169.254/",
	} {
		outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }))
		p := public{
			hosts:  map[string]string{"lists.example": "192.0.2.7", "inside.example": "10.0.0.1"},
			server: map[string]string{"192.0.2.7": outside.Listener.Addr().String()},
		}
		s := NewStore(t.TempDir(), p.network())
		_, err := s.Update(t.Context(), Subscription{Name: "l", Address: "http://lists.example/x", Read: read}, nil)
		if err == nil || !strings.Contains(err.Error(), "lists are not fetched from there unless the address itself is written") {
			t.Errorf("redirect to %s: %v", name, err)
		}
		var f *Failure
		if !errors.As(err, &f) || !f.Lasting {
			t.Errorf("redirect to %s: %#v is worth no other try", name, err)
		}
		_, err = s.Update(t.Context(), Subscription{Name: "l", Address: "http://inside.example/x", Read: read}, nil)
		if err == nil || !strings.Contains(err.Error(), "inside.example is at 10.0.0.1, which is refused (private address)") {
			t.Errorf("a name at home: %v", err)
		}
		outside.Close()
	}
}

// TestPrivateWritten: an address of the home that the owner wrote is fetched, and
// redirects to itself, but no other address is.
func TestPrivateWritten(t *testing.T) {
	other := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another address was reached") }))
	other.Start()
	defer other.Close()
	f := newFixture(t)
	f.store.network = Network{Refuse: func(netip.Addr) string { return "private address" }}
	f.answer = func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/list.txt":
			http.Redirect(w, r, "/there", http.StatusFound)
		case "/there":
			fmt.Fprint(w, names(3))
		}
	}
	f.good(Updated)
	f.redirect(strings.Replace(other.URL, "127.0.0.1", "127.0.0.2", 1))
	f.bad("127.0.0.2 is refused")
	f.sub.Address = strings.Replace(f.sub.Address, "127.0.0.1", "[::ffff:127.0.0.1]", 1) // the same one, written otherwise
	f.text(names(3))
	f.good(Unchanged)
	f.store.network.Refuse = nil
	f.sub.Address = strings.Replace(f.sub.Address, "[::ffff:127.0.0.1]", "localhost", 1)
	f.bad("names are not looked up here")
}

func TestNoDowngrade(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("followed to http") }))
	defer plain.Close()
	tls := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusMovedPermanently))
	defer tls.Close()
	pool := tls.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	s := NewStore(t.TempDir(), Network{Refuse: home, RootCAs: pool})
	sub := Subscription{Name: "l", Address: tls.URL, Read: read}
	if _, err := s.Update(t.Context(), sub, nil); err == nil || !strings.Contains(err.Error(), "from https to http://") {
		t.Error(err)
	}
	s.network.RootCAs = nil
	if _, err := s.Update(t.Context(), sub, nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
}

func TestLocalPath(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "list.txt")
	s := NewStore(filepath.Join(dir, "lists"), Network{})
	sub := Subscription{Name: "here", Address: path, Read: read}
	up := func() (State, error) {
		c, err := s.Update(t.Context(), sub, nil)
		return c.After, err
	}
	if _, err := up(); err == nil || err.Error() != "there is no file "+path {
		t.Error(err)
	}
	os.WriteFile(path, []byte(zipped(names(30))), 0o600)
	if st, err := up(); err != nil || st.Attempt.Outcome != Updated || st.InUse.Summary.Rules != 30 {
		t.Errorf("%+v %v", st, err)
	}
	if st, err := up(); err != nil || st.Attempt.Outcome != Unchanged {
		t.Errorf("%+v %v", st, err)
	}
	os.WriteFile(path, []byte("<html>"), 0o600)
	if st, err := up(); err == nil || !strings.Contains(err.Error(), "web page") || st.InUse.Summary.Rules != 30 {
		t.Errorf("%+v %v", st, err)
	}
	sub.Address = dir
	if _, err := up(); err == nil || err.Error() != dir+" is not a file" {
		t.Error(err)
	}
}

func TestUnwritable(t *testing.T) {
	f := newFixture(t)
	os.WriteFile(f.store.folder, nil, 0o600) // a file where the folder should be: holds for root too
	if _, err := f.update(); err == nil || !strings.Contains(err.Error(), "the folder must be writable") {
		t.Error(err)
	}
	os.Remove(f.store.folder)
	f.good(Updated)
	os.Mkdir(f.store.stateFile("test")+".d", 0o700)
	os.Remove(f.store.stateFile("test"))
	os.Rename(f.store.stateFile("test")+".d", f.store.stateFile("test")) // a folder where the state should be
	st, err := f.update()
	if err == nil || !strings.Contains(err.Error(), "the state of test cannot be kept") {
		t.Error(err)
	}
	if st.Attempt.Outcome != Unchanged {
		t.Errorf("%+v", st)
	}
	f.clean()
}

// TestDiskFull: a device that is always full stands in for the disk.
func TestDiskFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	d := &disk{full, hashNone{}}
	if _, err := d.Write([]byte("x")); !errors.Is(err, errDisk) || !strings.Contains(err.Error(), "is there room left?") {
		t.Error(err)
	}
}

type hashNone struct{}

func (hashNone) Write(p []byte) (int, error) { return len(p), nil }
func (hashNone) Sum(b []byte) []byte         { return b }
func (hashNone) Reset()                      {}
func (hashNone) Size() int                   { return 0 }
func (hashNone) BlockSize() int              { return 1 }

func TestCancelled(t *testing.T) {
	f := newFixture(t)
	first := f.good(Updated)
	ctx, cancel := context.WithCancel(t.Context())
	f.answer = func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}
	c, err := f.store.Update(ctx, f.sub, nil)
	if !errors.Is(err, context.Canceled) || c.After.Attempt.Outcome != Updated {
		t.Errorf("%v %+v", err, c.After)
	}
	if st, _ := f.store.State(f.sub); !st.Attempt.Time.Equal(first.Attempt.Time) {
		t.Error("an attempt that was called off was kept")
	}
	f.clean()
}

func TestProgress(t *testing.T) {
	f := newFixture(t)
	text := names(20000)
	f.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		fmt.Fprint(w, text)
	}
	var last, total int64
	_, err := f.store.Update(t.Context(), f.sub, func(done, all int64) {
		if done < last {
			t.Error("it went backwards")
		}
		last, total = done, all
	})
	if err != nil || last != int64(len(text)) || total != last {
		t.Errorf("%v: %d of %d", err, last, total)
	}
}

// TestKernelSide: the address that is really connected to is checked once more.
func TestKernelSide(t *testing.T) {
	n := Network{Refuse: func(netip.Addr) string { return "private address" }}
	for _, address := range []string{"127.0.0.1:9", "[::1]:9", "[::ffff:127.0.0.1]:9"} {
		if _, err := n.connect(t.Context(), "tcp", address, netip.Addr{}); !errors.Is(err, errPrivate) {
			t.Errorf("%s: %v", address, err)
		}
	}
}
