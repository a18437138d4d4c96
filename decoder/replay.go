package decoder

import "strings"

// maxValues bounds what a replay gives of a place that holds many values.
const maxValues = 1000

// Replayed is what stands at one place of a payload, and every layer on the way
// to it, outside in.
type Replayed struct {
	Layers []Layer
	Values []string // the value there; below a list or an object, all its values
}

// Replay decodes raw once more and follows the path of a finding. It reports
// false when nothing stands there. The same input gives the same way, as no
// clock and no chance has a part in it; the options must be those with which
// the finding was made.
func (d *Decoder) Replay(raw []byte, path string) (out Replayed, ok bool) {
	p := newPeel(d, &Request{})
	p.only = path
	var r Result
	func() {
		defer p.rescue(&r)
		r = p.raw(raw)
	}()
	out.Layers = Result{Layers: p.layers}.Trail(Finding{Path: path})
	var inside []string
	for _, l := range p.leaves {
		switch at := l.At.String(); {
		case at == path && len(out.Values) < maxValues:
			out.Values = append(out.Values, string(l.Value))
		case below(at, path) && len(inside) < maxValues:
			inside = append(inside, string(l.Value))
		}
	}
	if out.Values == nil {
		out.Values = inside
	}
	return out, len(out.Values) > 0 || len(out.Layers) > 0 && out.Layers[len(out.Layers)-1].Path == path
}

// below reports a path that goes on where another ends.
func below(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && outer != "" && (rest == "" || strings.IndexByte("/:.[", rest[0]) >= 0)
}
