package decoder

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"nightlatch/decoder/codec"
	"nightlatch/decoder/vendor"
	"nightlatch/decoder/walk"
)

// Limits of the peel; the byte limits stand in package codec.
const (
	maxDepth  = 12  // codecs above one another; SDKs use up to five
	maxLayers = 512 // layers kept as evidence
	minBase64 = 16  // characters: below, random text decodes to text too often
	minHex    = 32
	maxLines  = 20_000    // lines of JSON or of forms in one text
	maxLZ     = 256 << 10 // characters of lz-string, which is slow
	maxWords  = 256 << 10 // bytes of a text that are searched for encoded words
)

// peel is the work on one payload. Every node is tried with everything that
// fits, and every branch that gives something is kept.
type peel struct {
	d      *Decoder
	req    *Request
	budget *codec.Budget
	flags  map[string]bool
	leaves []walk.Leaf
	layers []Layer
	blobs  []blob
	runs   int    // of letters between binary that were opened
	tries  int    // of noise with the last resorts
	only   string // keep only the layers on the way to this place

	foreign string           // a content coding no standard names: "encrypted", "rc4"
	vendors []*vendor.Vendor // the descriptions that fit the request
	plain   []byte           // the body with its content codings undone, and where that is
	plainAt *walk.Step
	keys    []string // flags of the recipes that were not used
	opened  bool     // a recipe opened the body
	opaque  bool     // encrypted telemetry was left unread
}

// blob is a stretch of bytes nobody could read, kept for the verdict.
type blob struct {
	at   *walk.Step
	data []byte
	text []byte // the text it was decoded from, if it was one
}

func newPeel(d *Decoder, r *Request) *peel {
	return &peel{d: d, req: r, budget: codec.NewBudget(), flags: map[string]bool{}}
}

func (p *peel) flag(name string) { p.flags[name] = true }

// leaf records a value and looks into it. It is the visitor of every walk.
func (p *peel) leaf(l walk.Leaf) bool {
	if len(p.leaves) >= walk.MaxLeaves {
		p.flag("budget")
		return false
	}
	if !p.budget.Take(len(l.Value) + 16) {
		return false
	}
	if l.Binary {
		p.binaryLeaf(l)
		return true
	}
	if !l.Number && !utf8.Valid(l.Value) {
		if out, ok := codec.GB18030(l.Value); ok { // GBK, percent-encoded in a form
			l.At, l.Value = l.At.Begin("gb18030"), out
		}
	}
	if !l.Number && tricky(l.Value) {
		p.flag("sanitise")
	}
	p.leaves = append(p.leaves, l)
	if len(l.Value) >= 8 && !l.Number {
		p.open(l.Value, l.At, false)
	}
	return true
}

// open tries to undo one encoding of data, which stands at the given place. It
// reports whether one was found. whole says that data is not a value inside a
// structure, so that a cut structure means a cut payload.
func (p *peel) open(data []byte, at *walk.Step, whole bool) bool {
	if len(data) == 0 || !p.budget.Take(len(data)) {
		return false
	}
	if at.Depth >= maxDepth {
		if p.wouldOpen(data) {
			p.flag("depth-limit")
		}
		return false
	}
	if p.container(data, at, whole) {
		return true
	}
	if codec.Printable(data) {
		return p.text(data, at, whole)
	}
	return p.binary(data, at, whole)
}

// wouldOpen is asked at the depth limit, to tell a value from one more layer.
func (p *peel) wouldOpen(data []byte) bool {
	if codec.IsGzip(data) || codec.IsZlib(data) {
		return true
	}
	if len(data) < 4*minBase64 || !p.budget.Take(len(data)) {
		return false
	}
	out, ok := codec.Base64(data)
	return ok && (codec.Printable(out) || codec.IsGzip(out) || codec.IsZlib(out))
}

// layer records what a codec gave and goes on with it. What opens no further
// is a leaf of its own.
func (p *peel) layer(name string, at *walk.Step, out []byte, whole bool) {
	at = at.Begin(name)
	p.keep(at, out)
	p.descend(out, at, whole)
}

func (p *peel) keep(at *walk.Step, out []byte) {
	if p.only != "" && !below(p.only, at.String()) {
		return
	}
	if len(p.layers) < maxLayers {
		p.layers = append(p.layers, Layer{Codec: lastCodec(at), Path: at.String(), Data: out})
	}
}

func lastCodec(at *walk.Step) string {
	for ; at != nil; at = at.Up {
		if at.Codec != "" {
			return at.Codec
		}
	}
	return ""
}

// descend opens out, or records it: as a value when it is text, as a raw
// stretch when it is a long one or whole, as a blob when it is neither.
func (p *peel) descend(out []byte, at *walk.Step, whole bool) {
	if p.open(out, at, whole) && !webAddress(out) || len(p.leaves) >= walk.MaxLeaves {
		return // of an address the query was opened; it is a value all the same
	}
	switch {
	case codec.Printable(out):
		mixed := len(out) > 200 || bytes.ContainsAny(out, "=|,{\n")
		p.leaves = append(p.leaves, walk.Leaf{At: at, Value: out, Raw: mixed && !found(out)})
	case codec.Texty(out):
		p.leaves = append(p.leaves, walk.Leaf{At: at, Value: out, Raw: true})
	default:
		p.blob(out, at, nil)
	}
}

// found reports a text that is one thing in spite of its signs: a pair of
// coordinates, a list of packages, an address.
func found(out []byte) bool {
	return len(out) < 4096 && !bytes.ContainsAny(out, "=|{\n") || bytes.HasPrefix(out, []byte("http"))
}

func (p *peel) blob(data []byte, at *walk.Step, text []byte) {
	if len(data) >= 16 && len(p.blobs) < 256 {
		p.blobs = append(p.blobs, blob{at, data, text})
	}
}

// tricky reports a value that would do something to a terminal or a page that
// shows it unescaped.
func tricky(v []byte) bool {
	for i, c := range v {
		switch {
		case c < ' ' && c != '\n' && c != '\r' && c != '\t', c == 0x7f:
			return true
		case c == '<' && i+7 < len(v) && strings.EqualFold(string(v[i:i+7]), "<script"):
			return true
		case c == 0xe2 && i+2 < len(v) && v[i+1] == 0x80 && v[i+2] >= 0xaa && v[i+2] <= 0xae: // RFC 3629 form of U+202A to U+202E
			return true
		}
	}
	return false
}

// sortedFlags gives the flags in order.
func (p *peel) sortedFlags() []string {
	out := make([]string, 0, len(p.flags))
	for f := range p.flags {
		out = append(out, f)
	}
	slices.Sort(out)
	return out
}
