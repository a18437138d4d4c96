package enrol

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightlatch/config"
)

func ask(i *Invitation, method, path, form string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	return w
}

func made(got **config.Key) func(*config.Key) ([]byte, error) {
	return func(k *config.Key) ([]byte, error) { *got = k; return []byte("[Interface]\n"), nil }
}

// TestOnce: looking uses nothing up, the first post does, and afterwards the
// link is void.
func TestOnce(t *testing.T) {
	var got *config.Key
	i := New("tablet", time.Minute, made(&got))
	for range 3 {
		if w := ask(i, "GET", i.Path, ""); w.Code != 200 || !strings.Contains(w.Body.String(), "Download tablet.conf") {
			t.Fatal(w.Code, w.Body)
		}
	}
	key, _ := config.NewKey().Public()
	if w := ask(i, "POST", i.Path, "public_key=nonsense"); w.Code != 400 {
		t.Error(w.Code)
	}
	if w := ask(i, "POST", i.Path, "public_key="+strings.Repeat("a", 2000)); w.Code == 200 {
		t.Error("a long form is taken")
	}
	w := ask(i, "POST", i.Path, url.Values{"public_key": {key.String()}}.Encode())
	if w.Code != 200 || got == nil || *got != key || !strings.Contains(w.Header().Get("Content-Disposition"), "tablet.conf") {
		t.Error(w.Code, got, w.Header())
	}
	for _, method := range []string{"GET", "POST"} {
		if w := ask(i, method, i.Path, ""); w.Code == 200 {
			t.Errorf("%s after it was used: %d", method, w.Code)
		}
	}
	if err := <-i.end; err != nil {
		t.Error(err)
	}
}

// TestGuessing: whoever guesses ends the invitation, also for who has the link.
func TestGuessing(t *testing.T) {
	var got *config.Key
	i := New("tablet", time.Minute, made(&got))
	for _, path := range []string{"/", "/favicon.ico", "/enrol/", "/enrol"} {
		for range maxWrong {
			if w := ask(i, "GET", path, ""); w.Code != 404 {
				t.Error(path, w.Code)
			}
		}
	}
	if w := ask(i, "GET", i.Path, ""); w.Code != 200 {
		t.Error("a browser that asks for its icon is taken for a guesser")
	}
	for range maxWrong {
		ask(i, "POST", "/enrol/AAAAAAAAAAAAAAAAAAAAAAAAAA", "")
	}
	if w := ask(i, "POST", i.Path, ""); w.Code != 404 || got != nil {
		t.Error(w.Code)
	}
	if err := <-i.end; !errors.Is(err, ErrLocked) {
		t.Error(err)
	}
}

// TestSecret: 128 bits at least, another each time, and not kept.
func TestSecret(t *testing.T) {
	a, b := New("x", time.Minute, nil), New("x", time.Minute, nil)
	if a.Path == b.Path || len(strings.TrimPrefix(a.Path, "/enrol/"))*5 < 128 {
		t.Error(a.Path, b.Path)
	}
}

func TestExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got *config.Key
		i := New("tablet", time.Minute, made(&got))
		l := &deaf{closed: make(chan struct{})}
		if err := i.Serve(t.Context(), l); !errors.Is(err, ErrExpired) {
			t.Error(err)
		}
		if w := ask(i, "POST", i.Path, ""); w.Code != 404 || got != nil {
			t.Error(w.Code)
		}
	})
}

// deaf is a listener to which nobody comes.
type deaf struct{ closed chan struct{} }

func (d *deaf) Accept() (net.Conn, error) { <-d.closed; return nil, net.ErrClosed }
func (d *deaf) Close() error              { close(d.closed); return nil }
func (d *deaf) Addr() net.Addr            { return &net.TCPAddr{} }

// TestServe: the whole of it over a socket, and what cannot be made is told.
func TestServe(t *testing.T) {
	for _, fails := range []error{nil, errors.New("no address is free")} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		i := New("tablet", time.Minute, func(*config.Key) ([]byte, error) { return []byte("conf"), fails })
		done := make(chan error)
		go func() { done <- i.Serve(context.Background(), l) }()
		resp, err := http.Post("http://"+l.Addr().String()+i.Path, "application/x-www-form-urlencoded", nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if fails == nil && string(body) != "conf" || fails != nil && strings.Contains(string(body), "no address") {
			t.Errorf("%q", body)
		}
		if err := <-done; !errors.Is(err, fails) {
			t.Error(err)
		}
	}
}
