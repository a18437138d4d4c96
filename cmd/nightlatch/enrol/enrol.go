// Package enrol lets one new device in by a link: an address with a secret of
// 128 bits that works once, for a while, on a listener of its own. The keys of
// the device are made in its browser where that can be; else here, in memory,
// and are never written to disk.
package enrol

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"sync"
	"time"

	"nightlatch/config"
)

// Errors by which an invitation ends unused.
var (
	ErrExpired = errors.New("enrol: nobody came in time; the link is void")
	ErrLocked  = errors.New("enrol: somebody guesses at the link; it is void")
)

const (
	maxWrong = 10      // wrong secrets until the invitation is void: a person types none
	maxBody  = 1 << 10 // of the form: a public key
	farewell = 2 * time.Second
)

// Invitation is one link. It is safe for concurrent use.
type Invitation struct {
	// Path is where the page lies, with the secret in it.
	Path string
	// Name is the device's.
	Name string
	// Make makes the device with this public key, or, for nil, with keys of its
	// own, and gives its .conf. It is called once, or again after an error.
	Make func(public *config.Key) (conf []byte, err error)

	hash  [sha256.Size]byte // of the secret, which is not kept
	until time.Time
	now   func() time.Time

	mu    sync.Mutex
	wrong int
	used  bool
	end   chan error // one value
}

// New makes an invitation that lasts for so long.
func New(name string, lasts time.Duration, make_ func(*config.Key) ([]byte, error)) *Invitation {
	secret := rand.Text() // 26 characters of base32: 130 bits
	return &Invitation{
		Path: "/enrol/" + secret, Name: name, Make: make_, hash: sha256.Sum256([]byte(secret)),
		until: time.Now().Add(lasts), now: time.Now, end: make(chan error, 1),
	}
}

// Serve answers on l until the link was used, is void, or ctx ends; l is closed
// then. A nil error means that it was used.
func (i *Invitation) Serve(ctx context.Context, l net.Listener) error {
	i.mu.Lock()
	left := i.until.Sub(i.now())
	i.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, left, ErrExpired)
	defer cancel()
	srv := &http.Server{
		Handler: i, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	var err error
	select {
	case err = <-i.end:
	case err = <-failed:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), farewell) // the answer is on its way
	defer stop()
	if srv.Shutdown(end) != nil {
		srv.Close()
	}
	return err
}

//go:embed keys.js
var keys []byte

// ServeHTTP answers the page and its form. Reading the page uses nothing up:
// messengers look at links before people do.
func (i *Invitation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if r.URL.Path == "/keys.js" && r.Method == http.MethodGet {
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = w.Write(keys)
		return
	}
	if !i.right(r.URL.Path) {
		http.Error(w, "This link does not exist, was used, or is too old.", http.StatusNotFound)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, i)
	case http.MethodPost:
		i.use(w, r)
	default:
		h.Set("Allow", "GET, HEAD, POST")
		http.Error(w, "This address answers get and post alone.", http.StatusMethodNotAllowed)
	}
}

// right compares the secret of a path in constant time. Too many wrong ones end
// the invitation.
func (i *Invitation) right(path string) bool {
	const prefix = "/enrol/"
	if len(path) <= len(prefix) || path[:len(prefix)] != prefix {
		return false // a browser that asks for its icon guesses at nothing
	}
	sum := sha256.Sum256([]byte(path[len(prefix):]))
	fits := subtle.ConstantTimeCompare(sum[:], i.hash[:]) == 1
	i.mu.Lock()
	defer i.mu.Unlock()
	if !fits {
		if i.wrong++; i.wrong == maxWrong {
			i.finish(ErrLocked)
		}
	}
	return fits && i.wrong < maxWrong && !i.used && i.now().Before(i.until)
}

// finish ends the invitation; i.mu is held.
func (i *Invitation) finish(err error) {
	select {
	case i.end <- err:
	default: // it has ended already
	}
}

// use makes the device and gives its .conf.
func (i *Invitation) use(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil { // a key that was cut off is not the wish for one of ours
		http.Error(w, "This form cannot be read.", http.StatusBadRequest)
		return
	}
	var public *config.Key
	if text := r.PostFormValue("public_key"); text != "" {
		public = new(config.Key)
		if err := public.UnmarshalText([]byte(text)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.used {
		http.Error(w, "This link was used.", http.StatusGone)
		return
	}
	conf, err := i.Make(public)
	if err != nil {
		http.Error(w, "It could not be done; the terminal of the gateway says why.", http.StatusInternalServerError)
		i.finish(err)
		return
	}
	i.used = true
	w.Header().Set("Content-Type", "application/octet-stream") // text would be shown
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", i.Name+".conf"))
	_, _ = w.Write(conf)
	i.finish(nil)
}

// page is all that there is to see. It works without scripts.
var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>nightlatch: {{.Name}}</title>
<h1>Connect {{.Name}}</h1>
<p>This link works once. It gives this device the file that the WireGuard app imports.</p>
<p id="how">Its keys are made on the gateway, sent to you once, and not kept there.</p>
<form method="post" action="{{.Path}}"><button>Download {{.Name}}.conf</button></form>
<p>Then: WireGuard app, +, <i>Import from file or archive</i>, choose {{.Name}}.conf, and switch it on.</p>
<p id="said" role="status"></p>
<script src="/keys.js"></script>
</html>
`))
