// Package httpdns recognises questions that apps ask resolvers of their own in
// plain HTTP, so that the network's DNS never hears the names: by the shape of
// the request alone, as the addresses change. It is pure and reads hostile bytes.
package httpdns

import (
	"net/url"
	"slices"
	"strings"

	"nightlatch/tunnel/opening"
)

// MaxNames bounds the names of one question.
const MaxNames = 16

// Question is what a request asks.
type Question struct {
	Service string   // whose it looks like: Xiaomi, Alibaba, Tencent, Baidu, or empty
	Names   []string // asked for; empty when Hidden, or when servers themselves are asked for
	Hidden  bool     // the names are encrypted
}

// shape is one way to ask.
type shape struct {
	service string
	fits    func(segments []string, q url.Values) bool
	keys    []string // parameters that hold names
	named   bool     // recognised as well where the host has a name
}

// shapes, the narrow ones first.
func shapes() []shape {
	last := func(s []string) string { return s[len(s)-1] }
	return []shape{
		// unknownFalleN/xiaomi-dns-blocklist issue 19, and Xiaomi's push SDK:
		// /gslb?tver=2&...&dm=NAMES, /gslb/?ver=4.0&...&list=NAMES
		{"Xiaomi", func(s []string, q url.Values) bool {
			return last(s) == "gslb" && (q.Has("dm") || q.Has("list") || q.Has("ver") || q.Has("tver"))
		}, []string{"dm", "list"}, true},
		// Alibaba Cloud's documentation, "Resolve a domain name": /ACCOUNT/d?host=NAME, and
		// sign_d, resolve and sign_resolve of its SDK; ss asks for servers.
		{"Alibaba", func(s []string, q url.Values) bool {
			at := slices.Index([]string{"d", "sign_d", "resolve", "sign_resolve", "ss"}, last(s))
			return len(s) == 2 && digits(s[0]) && at >= 0 && (at == 4 || q.Has("host"))
		}, []string{"host"}, false},
		// Tencent Cloud's documentation, "Querying with HTTP request methods": /d?dn=NAME,
		// encrypted in hexadecimal digits when there is an id.
		{"Tencent", func(s []string, q url.Values) bool { return len(s) == 1 && s[0] == "d" && q.Has("dn") }, []string{"dn"}, false},
		// Baidu's SDK: /v3/resolve?account_id=...&dn=NAME
		{"Baidu", func(s []string, q url.Values) bool { return last(s) == "resolve" && q.Has("account_id") && q.Has("dn") }, []string{"dn"}, true},
		// DNS over HTTPS without the S (RFC 8484 §4.1), and the JSON form of it.
		{"", func(s []string, q url.Values) bool {
			return last(s) == "dns-query" || last(s) == "resolve" && q.Has("name")
		}, []string{"name"}, true},
		// Others, where the host is an address: a path that says what it is for.
		{"", func(s []string, q url.Values) bool {
			return slices.Contains([]string{"d", "q", "resolve", "httpdns", "dns", "gslb"}, last(s)) &&
				(q.Has("dn") || q.Has("host") || q.Has("hosts") || q.Has("domain") || q.Has("dm"))
		}, []string{"dn", "host", "hosts", "domain", "dm"}, false},
	}
}

// Read tells whether a request with this target (path and query) is a question
// for names. literal: its host is an address, as it is where apps carry the
// address of their resolver inside.
func Read(target string, literal bool) (Question, bool) {
	path, query, _ := strings.Cut(target, "?")
	segments := strings.Split(strings.Trim(strings.ToLower(path), "/"), "/")
	if len(segments) > 8 || len(target) > 8<<10 {
		return Question{}, false
	}
	q, _ := url.ParseQuery(query) // what can be read of it
	for _, s := range shapes() {
		if (literal || s.named) && s.fits(segments, q) {
			return s.read(q), true
		}
	}
	return Question{}, false
}

// read takes the names out of the parameters.
func (s *shape) read(q url.Values) Question {
	out := Question{Service: s.service}
	for _, key := range s.keys {
		for _, value := range q[key] {
			for part := range strings.SplitSeq(value, ",") {
				name := opening.Name(strings.TrimSpace(part))
				switch {
				case !strings.Contains(name, "."): // hexadecimal digits, or nothing that could be looked up
					out.Hidden = out.Hidden || part != ""
				case len(out.Names) < MaxNames && !slices.Contains(out.Names, name):
					out.Names = append(out.Names, name)
				}
			}
		}
	}
	out.Hidden = out.Hidden && len(out.Names) == 0
	return out
}

func digits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c < '0' || c > '9' })
}
