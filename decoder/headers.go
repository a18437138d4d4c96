package decoder

import (
	"maps"
	"slices"
	"strings"

	"nightlatch/decoder/codec"
	"nightlatch/decoder/walk"
)

// headers opens what SDKs put into headers; those that HTTP itself needs, and
// those that trace requests, say nothing about a person.
func (p *peel) headers() {
	for _, name := range slices.Sorted(maps.Keys(p.req.Header)) {
		for _, v := range p.req.Header[name] {
			switch strings.ToLower(name) {
			case "host", "content-length", "content-type", "content-encoding", "transfer-encoding", "accept", "accept-encoding",
				"accept-language", "connection", "date", "etag", "if-none-match", "if-match", "cache-control", "origin", "user-agent",
				"traceparent", "tracestate", "x-request-id", "x-b3-traceid", "x-b3-spanid", "x-amzn-trace-id", "expect", "range":
				// only known values are looked for here
				p.leaves = append(p.leaves, walk.Leaf{At: source("header").Child(name, -1), Value: []byte(v), Binary: true})
			case "cookie":
				p.cookies(v)
			case "authorization", "proxy-authorization":
				p.credentials(name, v)
			default:
				p.header(name, v)
			}
		}
	}
}

// credentials opens a token, or a name and a password (RFC 7617), of which the
// name is looked at.
func (p *peel) credentials(name, v string) {
	scheme, token, ok := strings.Cut(v, " ")
	if token = strings.TrimSpace(token); !ok {
		token = v
	}
	if plain, ok := codec.Base64([]byte(token)); ok && strings.EqualFold(scheme, "Basic") && codec.Printable(plain) {
		user, _, _ := strings.Cut(string(plain), ":")
		at := source("header").Child(name, -1).Begin("base64")
		p.leaf(walk.Leaf{At: at.Child("username", -1), Value: []byte(user)})
		return
	}
	p.header(name, token)
}

func (p *peel) header(name, value string) {
	if len(value) > 1 {
		p.leaf(walk.Leaf{At: source("header").Child(name, -1), Value: []byte(value)})
	}
}

func (p *peel) cookies(v string) {
	for n, pair := range strings.Split(v, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if value != "" && n < walk.MaxPairs {
			plain, _ := codec.Percent([]byte(value))
			p.leaf(walk.Leaf{At: source("cookie").Child(name, -1), Value: plain})
		}
	}
}
