package decoder

import (
	"bytes"
	"strings"

	"nightlatch/decoder/codec"
	"nightlatch/decoder/walk"
)

// address opens the query of a web address, or one that stands alone after a
// question mark as in Matomo's bulk requests, and the data of a data: address.
func (p *peel) address(data []byte, at *walk.Step) bool {
	switch {
	case bytes.HasPrefix(data, []byte("data:")):
		head, body, ok := bytes.Cut(data, []byte(","))
		if !ok || !bytes.HasSuffix(head, []byte(";base64")) {
			return false
		}
		out, ok := codec.Base64(body)
		if ok {
			p.layer("base64", at, out, false)
		}
		return ok
	case data[0] == '?' && walk.LooksForm(data[1:]):
		return p.query(data[1:], at)
	case webAddress(data):
		if _, query, ok := bytes.Cut(data, []byte("?")); ok && !bytes.ContainsAny(data, " \n") {
			query, _, _ = bytes.Cut(query, []byte("#"))
			p.query(query, at)
		}
		return true
	}
	return false
}

func webAddress(data []byte) bool {
	return bytes.HasPrefix(data, []byte("http://")) || bytes.HasPrefix(data, []byte("https://"))
}

func (p *peel) query(data []byte, at *walk.Step) bool {
	p.pairs(data, at.Begin("urlparam"), at)
	return true
}

// markup opens XML and multipart bodies.
func (p *peel) markup(data []byte, at *walk.Step) bool {
	mark := len(p.leaves)
	switch {
	case webPage(data): // only known values are looked for
		p.leaves = append(p.leaves, walk.Leaf{At: at, Value: data, Binary: true})
		return true
	case data[0] == '<' && len(data) > 8 && bytes.IndexByte(data, '>') > 0:
		step := at.Begin("xml")
		end := walk.XML(data, step, p.leaf)
		if end.TooDeep {
			p.flag("too-deep")
		}
		if end.Stopped {
			p.flag("budget")
		}
		if !end.TooDeep && (end.Leaves == 0 || !end.OK && !end.Truncated) {
			p.leaves = p.leaves[:mark]
			return false
		}
		p.keep(step, data)
		return true
	case bytes.HasPrefix(data, []byte("--")):
		step := at.Begin("multipart")
		end := walk.Multipart(data, step, p.leaf)
		if end.Stopped {
			p.flag("budget")
		}
		return end.Leaves > 0
	}
	return false
}

// webPage reports HTML: a page that was fetched, not visits that are told.
func webPage(data []byte) bool {
	head := bytes.ToLower(data[:min(len(data), 16)])
	return bytes.HasPrefix(head, []byte("<!doctype html")) || bytes.HasPrefix(head, []byte("<html")) || bytes.HasPrefix(head, []byte("<svg"))
}

// token opens a JSON Web Token (RFC 7519): three parts in base64url, the first
// two JSON. The third is a signature and says nothing.
func (p *peel) token(data []byte, at *walk.Step) bool {
	data = bytes.TrimPrefix(data, []byte("Bearer "))
	parts := bytes.Split(data, []byte("."))
	if len(parts) != 3 || !bytes.HasPrefix(parts[0], []byte("eyJ")) {
		return false
	}
	head, ok := codec.Base64(parts[0])
	claims, ok2 := codec.Base64(parts[1])
	if !ok || !ok2 || len(head) < 2 || head[0] != '{' || len(claims) < 2 || !codec.Printable(claims) {
		return false
	}
	p.layer("jwt", at, claims, false)
	return true
}

// formLines opens text of which every line is a form, as GA4 sends events.
func (p *peel) formLines(data []byte, at *walk.Step) bool {
	return allForms(data) && p.lines(bytes.Split(data, []byte("\n")), at)
}

// allForms reports several lines that are all forms.
func allForms(data []byte) bool {
	if n := bytes.Count(data, []byte("\n")); n == 0 || n > maxLines || bytes.IndexByte(data, '=') < 0 {
		return false
	}
	for l := range bytes.Lines(data) {
		if l = bytes.TrimSpace(l); len(l) > 0 && !walk.LooksForm(l) {
			return false
		}
	}
	return true
}

// islands opens encoded words inside other text: a log line that quotes a
// payload. Only words that begin like one are tried.
func (p *peel) islands(data []byte, at *walk.Step) bool {
	if data = data[:min(len(data), maxWords)]; len(data) < 40 || !p.budget.Take(4*len(data)) {
		return false
	}
	words := strings.FieldsFunc(string(data), func(r rune) bool { return strings.ContainsRune(" \t\r\n\"'`,;|<>()[]{}:&", r) })
	if len(words) < 2 || len(words) > walk.MaxPairs {
		return false
	}
	for _, w := range words {
		if i := strings.IndexByte(w, '='); i > 0 && i < len(w)-3 {
			w = w[i+1:]
		}
		for _, begin := range []string{"eyJ", "W3s", "H4sI", "eJ", "KLUv"} {
			if strings.HasPrefix(w, begin) && len(w) >= 24 {
				if out, ok := codec.Base64([]byte(w)); ok && p.productive(out) {
					p.layer("base64", at.Begin("token"), out, false)
				}
			}
		}
	}
	if i := bytes.Index(data, []byte("{\"")); i > 0 {
		return p.carve(data[i:], at, false)
	}
	return false
}
