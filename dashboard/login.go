package dashboard

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"nightlatch/dashboard/door"
	"nightlatch/dashboard/words"
)

// cookieName holds the session id. It has no __Host- prefix, because that
// demands TLS, and inside the tunnel WireGuard is what encrypts.
const cookieName = "nightlatch_session"

// member lets a handler be reached by those who are signed in: by a session,
// or, for the API, by the token itself as a bearer (RFC 6750 §2.1). A link
// with the token signs in on the way.
func (d *Dashboard) member(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch token := linkToken(r); {
		case d.signedIn(r) && token != "":
			d.cleanRedirect(w, r) // a link opened again: only its token must go from the address bar
		case d.signedIn(r):
			next(w, r)
		case token != "":
			d.loginByLink(w, r, token)
		case strings.HasPrefix(r.URL.Path, "/api/"):
			d.bearer(w, r, next)
		case r.URL.Path == "/live":
			d.fail(w, r, http.StatusUnauthorized, "You are signed out.")
		default:
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		}
	})
}

func (d *Dashboard) signedIn(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	return err == nil && d.door.Admits(c.Value, d.now(), true)
}

// bearer admits scripts that send the token with each request.
func (d *Dashboard) bearer(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="nightlatch"`)
		d.fail(w, r, http.StatusUnauthorized, "Sign in, or send the token as a bearer: Authorization: Bearer TOKEN")
		return
	}
	ok, wait := d.door.Knock(remote(r), token, d.now())
	if !ok {
		w.Header().Set("WWW-Authenticate", `Bearer realm="nightlatch", error="invalid_token"`)
		d.refuseKnock(w, r, wait)
		return
	}
	next(w, r)
}

// linkToken gives the token of the address that was printed at start.
func linkToken(r *http.Request) string {
	if r.Method != http.MethodGet || r.URL.Path != "/" && r.URL.Path != "/login" {
		return ""
	}
	return r.URL.Query().Get("token")
}

func (d *Dashboard) loginByLink(w http.ResponseWriter, r *http.Request, token string) {
	if ok, wait := d.door.Knock(remote(r), token, d.now()); !ok {
		d.refuseKnock(w, r, wait)
		return
	}
	d.admit(w, r)
}

// login answers the form.
func (d *Dashboard) login(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		d.fail(w, r, http.StatusBadRequest, "The form could not be read.")
		return
	}
	ok, wait := d.door.Knock(remote(r), strings.TrimSpace(r.PostForm.Get("token")), d.now())
	if !ok {
		d.refuseKnock(w, r, wait)
		return
	}
	d.admit(w, r)
}

// admit begins a session and leads to the first page, by an address that holds
// no token. The id is new each time, so that one planted before is worthless.
func (d *Dashboard) admit(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: d.door.Begin(d.now()), Path: "/", MaxAge: int(door.Life / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil})
	d.cleanRedirect(w, r)
}

func (d *Dashboard) cleanRedirect(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// refuseKnock answers a wrong token, or one that came too soon.
func (d *Dashboard) refuseKnock(w http.ResponseWriter, r *http.Request, wait time.Duration) {
	status, said := http.StatusUnauthorized, "That is not the token. It is printed by nightlatch when it starts."
	if wait > 0 {
		seconds := int((wait + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		status, said = http.StatusTooManyRequests, fmt.Sprintf("Too many wrong tokens. Try again in %s.", words.Span(wait))
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		d.fail(w, r, status, said)
		return
	}
	d.showLogin(w, r, status, said)
}

func (d *Dashboard) loginPage(w http.ResponseWriter, r *http.Request) {
	token := linkToken(r)
	switch {
	case d.signedIn(r):
		d.cleanRedirect(w, r)
	case token != "":
		d.loginByLink(w, r, token)
	default:
		d.showLogin(w, r, http.StatusOK, "")
	}
}

func (d *Dashboard) showLogin(w http.ResponseWriter, r *http.Request, status int, words string) {
	d.show(w, r, status, page{Name: "login", Title: "Sign in", Body: words})
}

// logout ends the session, and with it any live stream it opened.
func (d *Dashboard) logout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		d.door.End(c.Value)
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil})
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// remote is the address the request came from; no header is believed, since no
// proxy stands before the dashboard.
func remote(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr()
}
