package decoder

import (
	"strconv"
	"strings"

	"nightlatch/decoder/codec"
	"nightlatch/decoder/vendor"
	"nightlatch/decoder/walk"
)

// scene lets vendor descriptions look at a request.
type scene struct{ p *peel }

// Host gives the server's name.
func (s scene) Host() string { return s.p.req.Host }

// Path gives the path without its query.
func (s scene) Path() string {
	path, _, _ := strings.Cut(s.p.req.Target, "?")
	return path
}

// Value gives a header or a query parameter.
func (s scene) Value(name string) ([]byte, bool) {
	v, _, ok := s.p.part(name)
	return v, ok
}

// part gives what a recipe begins with: a part of the request or of its body,
// the content codings undone.
func (p *peel) part(name string) ([]byte, *walk.Step, bool) {
	kind, key, _ := strings.Cut(name, ":")
	switch kind {
	case "body":
		return p.plain, p.plainAt, len(p.plain) > 0
	case "header":
		v := p.req.get(key)
		return []byte(v), source("header").Child(key, -1), v != ""
	case "query":
		_, query, _ := strings.Cut(p.req.Target, "?")
		return pick(walk.Form, []byte(query), source("query"), key)
	case "form":
		if !walk.LooksForm(p.plain) {
			return nil, nil, false
		}
		return pick(walk.Form, p.plain, p.plainAt.Begin("form"), key)
	case "json":
		return pick(walk.JSON, p.plain, p.plainAt.Begin("json"), key)
	case "thrift":
		return pick(walk.Thrift, p.plain, p.plainAt.Begin("thrift_compact"), key)
	}
	return nil, nil, false
}

type walker func([]byte, *walk.Step, walk.Visitor) walk.End

// pick gives the first leaf under a name directly below at, or below a pointer
// of names joined by '/'.
func pick(run walker, data []byte, at *walk.Step, key string) (v []byte, where *walk.Step, ok bool) {
	if at == nil || len(data) == 0 {
		return nil, nil, false
	}
	run(data, at, func(l walk.Leaf) bool {
		if stepsTo(l.At, at) != strings.TrimPrefix(key, "/") {
			return true
		}
		v, where, ok = l.Value, l.At, true
		return false
	})
	return v, where, ok
}

func stepsTo(s, root *walk.Step) string {
	name := ""
	for ; s != root && s != nil; s = s.Up {
		key := s.Key
		if s.Array {
			key = strconv.Itoa(s.Index)
		}
		if name = key + "/" + name; s.Codec != "" {
			break
		}
	}
	return strings.TrimSuffix(name, "/")
}

// recipes opens the body, or a part of it, with the vendor's own key. It notes
// which keys would have opened it when they may not be used.
func (p *peel) recipes() {
	for _, v := range p.vendors {
		for i := range v.Open {
			r := &v.Open[i]
			if !r.Applies(p.part) {
				continue
			}
			if p.d.noKeys && r.Flag != "" {
				p.keys = append(p.keys, r.Flag)
				continue
			}
			var way []func()
			out, at, ok := r.Run(p.part, p.budget, func(at *walk.Step, data []byte) {
				way = append(way, func() { p.keep(at, data) })
			})
			if !ok || at == nil || !p.productive(out) {
				if r.Flag != "" {
					p.keys = append(p.keys, r.Flag)
				}
				continue
			}
			if p.opened = true; r.Flag != "" {
				p.flag("encrypted")
				p.flag(r.Flag)
			}
			for _, keep := range way {
				keep()
			}
			p.descend(out, at, true)
			return
		}
	}
}

// named gives the kind that a vendor's description promises at a place.
func (p *peel) named(at *walk.Step) string { return vendor.Kind(p.vendors, at.String()) }

// hides reports that a blob may be the encrypted part of a vendor's payload: a
// good part of it, too long for a digest, and without any pattern.
func (p *peel) hides(b blob) bool {
	size := len(b.data)
	if b.text != nil {
		if size = len(b.text); len(b.data) == 16 || len(b.data) == 20 || len(b.data) == 32 {
			return false
		}
	}
	return size*4 >= len(p.plain) && (codec.HighEntropy(b.data) || len(b.data) < 48 && len(b.data) >= 16)
}
