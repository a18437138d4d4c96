package sinkhole

import (
	"fmt"
	"maps"
	"net/http"
	"strings"

	"nightlatch/sinkhole/reply"
)

// SetReplies takes other replies, from the next request on. Nil is ignored. It
// is safe at any time.
func (s *Sinkhole) SetReplies(r *reply.Set) {
	if r != nil {
		s.replies.Store(r)
	}
}

// firstReplies takes those of the options, or the built-in ones.
func (s *Sinkhole) firstReplies() (err error) {
	r := s.opt.Replies
	if r == nil {
		if r, err = reply.Builtin(); err != nil {
			return fmt.Errorf("sinkhole: %w", err)
		}
	}
	s.replies.Store(r)
	return nil
}

// answer chooses the reply to a request for a sunk name. Its header fields are
// the caller's own.
func (s *Sinkhole) answer(name string, req *http.Request) reply.Reply {
	var r reply.Reply
	if req.Method == http.MethodOptions {
		r.Status = http.StatusNoContent
	} else {
		r = s.replies.Load().Answer(asked(name, req))
	}
	r.Header = s.dated(r.Header)
	cors(req, r.Header)
	return r
}

func asked(name string, req *http.Request) reply.Request {
	r := reply.Request{Host: name, Method: req.Method, Accept: req.Header.Get("Accept"), Type: req.Header.Get("Content-Type"),
		Gzip: strings.Contains(req.Header.Get("Accept-Encoding"), "gzip")}
	if req.URL != nil {
		r.Path, r.Query = req.URL.Path, req.URL.RawQuery
	}
	return r
}

// failed is the reply to a request that did not come whole.
func (s *Sinkhole) failed(status int) reply.Reply {
	return reply.Reply{Status: status, Header: s.dated(nil)}
}

// dated is a copy of header fields with those that every reply has.
func (s *Sinkhole) dated(h http.Header) http.Header {
	out := http.Header{"Date": {s.now().UTC().Format(http.TimeFormat)}, "Cache-Control": {"no-store"}}
	maps.Copy(out, h)
	return out
}

// cors lets pages of any origin go on (Fetch standard, CORS protocol): a
// page whose tracker "works" behaves as it always does.
func cors(req *http.Request, h http.Header) {
	origin := req.Header.Get("Origin")
	if origin == "" {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	h["Vary"] = append([]string{"Origin"}, h["Vary"]...)
	if m := req.Header.Get("Access-Control-Request-Method"); m != "" {
		h.Set("Access-Control-Allow-Methods", m)
		h.Set("Access-Control-Max-Age", "86400")
		if v := req.Header.Get("Access-Control-Request-Headers"); v != "" {
			h.Set("Access-Control-Allow-Headers", v)
		}
	}
}
