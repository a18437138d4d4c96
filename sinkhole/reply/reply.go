// Package reply holds what the sinkhole says in place of a blocked server, as
// data: which requests a reply answers, and with what an SDK takes its events
// for delivered and deletes them. The replies are YAML; an owner can add a file
// without writing Go.
package reply

import (
	"net/http"
	"strings"
)

// Request is what a reply is chosen by.
type Request struct {
	Host   string // the sunk name, in lower case
	Method string
	Path   string // without the query; empty means /
	Query  string // as sent
	Accept string // the header field
	Type   string // Content-Type
	Gzip   bool   // the client takes gzip
}

// Reply is an answer. Header and Body are shared: they must not be changed.
type Reply struct {
	Status int
	Header http.Header // without what belongs to the connection
	Body   []byte
}

// Set is the replies in force, the first that fits first. It is immutable and
// safe for concurrent use.
type Set struct{ rules []rule }

// rule is one entry of a file, ready to be asked.
type rule struct {
	entry
	plain, packed Reply // packed: with the body in gzip, where the entry has one
}

// Answer chooses the reply to a request. It is never empty: whatever fits
// nothing gets 200 and an empty JSON object, which most SDKs take for success.
func (s *Set) Answer(r Request) Reply {
	if r.Path == "" {
		r.Path = "/"
	}
	for i := range s.rules {
		switch e := &s.rules[i]; {
		case !e.fits(r):
		case r.Gzip && e.packed.Status != 0:
			return e.packed
		default:
			return e.plain
		}
	}
	return Reply{http.StatusOK, http.Header{"Content-Type": {jsonType}}, []byte("{}")}
}

const jsonType = "application/json; charset=utf-8"

// Len is how many replies there are.
func (s *Set) Len() int { return len(s.rules) }

// fits tells whether an entry answers a request: every condition that it has
// must hold, and of a list one of its members.
func (e *entry) fits(r Request) bool {
	return some(e.Hosts, func(h string) bool { return under(r.Host, h) }) &&
		some(e.Paths, func(p string) bool { return glob(p, r.Path) }) &&
		some(e.Methods, func(m string) bool { return m == r.Method }) &&
		(e.Accept == "" || glob(e.Accept, strings.ToLower(r.Accept))) &&
		(e.Type == "" || glob(e.Type, strings.ToLower(r.Type))) &&
		every(e.Query, func(q string) bool { return strings.Contains("&"+r.Query, "&"+q+"=") })
}

// some: an empty list is no condition.
func some(list []string, ok func(string) bool) bool {
	for _, v := range list {
		if ok(v) {
			return true
		}
	}
	return len(list) == 0
}

func every(list []string, ok func(string) bool) bool {
	for _, v := range list {
		if !ok(v) {
			return false
		}
	}
	return true
}

// under tells whether a name is a host or below it; a star in the host stands
// for any run of characters of the name.
func under(name, host string) bool {
	if strings.Contains(host, "*") {
		return glob(host, name)
	}
	return name == host || strings.HasSuffix(name, "."+host)
}

// glob tells whether text fits a pattern in which * stands for any run of
// characters. What follows a star is looked for from the left, and the last
// part at the end, so that it takes no longer than the text times its stars.
func glob(pattern, text string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, head)
	for ok {
		var part string
		if part, rest, star = strings.Cut(rest, "*"); !star {
			return strings.HasSuffix(text, part)
		}
		var i int
		if i = strings.Index(text, part); i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return false
}
