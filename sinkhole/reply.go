package sinkhole

import (
	"net/http"
	"path"
	"strings"
	"time"
)

// reply is what the sinkhole says in place of the server.
type reply struct {
	status int
	kind   string // Content-Type; empty when there is no body
	body   []byte
	cors   http.Header // what a browser wants to see before it lets a page go on
}

// drain is one vendor's idea of "received, delete it": which requests it
// answers, and with what. The first that fits is given.
type drain struct {
	host   string // this name and everything below it; empty means any
	path   string // the path begins with this
	query  string // this parameter is there; empty means any
	status int
	kind   string
	body   string
	source string // where the fact comes from
}

const (
	jsonType = "application/json; charset=utf-8"
	gifType  = "image/gif"

	// pixel is the smallest transparent GIF89a, 1x1.
	pixel = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff\x21\xf9\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b"
)

// drains are the vendors whose SDK looks at more than the status. Every other
// SDK that we know of deletes its queue on a 2xx: the default.
func drains() []drain {
	const probe = "connectivity probes; they should not be sunk at all"
	const cct = "Firebase transport: a reply without the field is an I/O error and the batch is kept"
	const wait = `{"nextRequestWaitMillis":900000}`
	const mixpanel = "Mixpanel ingestion API: 1 is success, 0 is not"
	return []drain{
		{host: "miui.com", path: "/track", status: 200, kind: jsonType, body: `{"code":0}`, source: "OneTrack 2.1.1: deletes on code 0"},
		{host: "firebaselogging.googleapis.com", path: "/", status: 200, kind: jsonType, body: wait, source: cct},
		{host: "firebaselogging-pa.googleapis.com", path: "/", status: 200, kind: jsonType, body: wait, source: cct},
		{host: "crashlyticsreports-pa.googleapis.com", path: "/", status: 200, kind: jsonType, body: wait, source: cct},
		{host: "api.mixpanel.com", path: "/", status: 200, kind: "text/plain", body: "1", source: mixpanel},
		{host: "api-js.mixpanel.com", path: "/", status: 200, kind: "text/plain", body: "1", source: mixpanel},
		{path: "/i", query: "app_key", status: 200, kind: jsonType, body: `{"result":"Success"}`, source: "Countly SDKs: a 2xx must hold a result"},
		{host: "google-analytics.com", path: "/g/collect", status: 204, source: "GA4 answers 204"},
		{path: "/generate_204", status: 204, source: probe},
		{path: "/gen_204", status: 204, source: probe},
	}
}

// fits tells whether a request is one that the drain answers.
func (d drain) fits(name, path, query string) bool {
	return under(name, d.host) && strings.HasPrefix(path, d.path) &&
		(d.query == "" || strings.Contains("&"+query, "&"+d.query+"="))
}

// answer chooses the reply to a request for a sunk name.
func (s *Sinkhole) answer(name string, req *http.Request) reply {
	r := s.choose(name, req)
	r.cors = cors(req)
	return r
}

func (s *Sinkhole) choose(name string, req *http.Request) reply {
	if req.Method == http.MethodOptions {
		return reply{status: http.StatusNoContent}
	}
	at, query := "/", ""
	if req.URL != nil && req.URL.Path != "" {
		at, query = req.URL.Path, req.URL.RawQuery
	}
	for _, d := range s.drains {
		if d.fits(name, at, query) {
			return reply{status: d.status, kind: d.kind, body: []byte(d.body)}
		}
	}
	kind := req.Header.Get("Content-Type")
	switch {
	case strings.EqualFold(path.Ext(at), ".gif"), strings.HasPrefix(req.Header.Get("Accept"), "image/"):
		return reply{status: http.StatusOK, kind: gifType, body: []byte(pixel)}
	case strings.Contains(kind, "protobuf"):
		return reply{status: http.StatusOK, kind: "application/x-protobuf"} // no bytes are a valid empty message
	}
	return reply{status: http.StatusOK, kind: jsonType, body: []byte("{}")}
}

// under tells whether a name is host or below it.
func under(name, host string) bool {
	return host == "" || name == host || strings.HasSuffix(name, "."+host)
}

// cors lets pages of any origin go on (Fetch standard, CORS protocol): a
// page whose tracker "works" behaves as it always does.
func cors(req *http.Request) http.Header {
	origin := req.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	h := http.Header{"Access-Control-Allow-Origin": {origin}, "Access-Control-Allow-Credentials": {"true"}, "Vary": {"Origin"}}
	if m := req.Header.Get("Access-Control-Request-Method"); m != "" {
		h.Set("Access-Control-Allow-Methods", m)
		h.Set("Access-Control-Max-Age", "86400")
		if v := req.Header.Get("Access-Control-Request-Headers"); v != "" {
			h.Set("Access-Control-Allow-Headers", v)
		}
	}
	return h
}

// headers are the reply's header fields without those of the connection.
func (r reply) headers(now time.Time) http.Header {
	h := http.Header{"Date": {now.UTC().Format(http.TimeFormat)}, "Cache-Control": {"no-store"}}
	if r.kind != "" {
		h.Set("Content-Type", r.kind)
	}
	for k, v := range r.cors {
		h[k] = v
	}
	return h
}
