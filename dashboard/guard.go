package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// Bounds of one request.
const (
	maxQuery    = 2 << 10          // bytes of a query string: every filter at its longest fits
	maxBody     = 4 << 10          // bytes of a form: a token, or a name and a device; lists have more
	requestTime = 15 * time.Second // reading, thinking and writing; the live stream has its own
)

// contentPolicy lets in what this server sends and nothing else: no inline
// script or style, no frame, no plug-in, no foreign form target. Text becomes
// HTML in the browser by one named policy alone (web/live.js).
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types nightlatch"

// harden sets the headers that every answer carries.
func harden(h http.Header) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store") // private life does not stay in a cache
}

// guard is the outermost handler: it hardens every answer, refuses foreign
// hosts and oversized requests, bounds time, and survives a panic.
func (d *Dashboard) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		harden(w.Header())
		defer d.survive(w, r)
		if !d.hosts.Allow(r.Host) {
			d.fail(w, r, http.StatusMisdirectedRequest,
				"This dashboard does not go by the name in your address bar. Open it by the address that nightlatch printed, or add the name to its hosts.")
			return
		}
		if len(r.URL.RawQuery) > maxQuery {
			d.fail(w, r, http.StatusRequestURITooLong, "The address is too long.")
			return
		}
		body := int64(maxBody)
		if strings.HasPrefix(r.URL.Path, "/lists/") {
			body = 3*maxList + maxBody // every letter as %41
		}
		r.Body = http.MaxBytesReader(w, r.Body, body)
		setDeadlines(w, requestTime)
		ctx, cancel := context.WithTimeout(r.Context(), requestTime)
		defer cancel()
		if r.URL.Path == "/live" { // it bounds itself, write by write
			next.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// setDeadlines bounds reading and writing on the connection from now; zero
// lifts both bounds. A writer without deadlines, as in tests, has none.
func setDeadlines(w http.ResponseWriter, in time.Duration) {
	var at time.Time
	if in > 0 {
		at = time.Now().Add(in)
	}
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(at)
	_ = c.SetWriteDeadline(at)
}

// survive turns a panic into an entry in the log and a plain failure: one page
// that breaks on hostile data must not take the gateway along.
func (d *Dashboard) survive(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	d.log.Error("dashboard: panic", "path", r.URL.Path, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	d.fail(w, r, http.StatusInternalServerError, "Something went wrong here; the log of nightlatch says what.")
}

// foreign answers requests that another site tried to make in the owner's name.
func (d *Dashboard) foreign(w http.ResponseWriter, r *http.Request) {
	d.fail(w, r, http.StatusForbidden, "The request came from another site, so it was refused.")
}
