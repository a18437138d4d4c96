package decoder

import (
	"strings"

	"nightlatch/decoder/codec"
	"nightlatch/decoder/find"
	"nightlatch/decoder/walk"
)

// Decode peels a raw HTTP/1.x request, or bytes of any other kind. It never
// panics: should a codec, there are some we did not write, then the payload is
// malformed and flagged "decoder-error".
func (d *Decoder) Decode(raw []byte) (r Result) {
	p := newPeel(d, &Request{})
	defer p.rescue(&r)
	return p.raw(raw)
}

func (p *peel) raw(raw []byte) Result {
	if len(raw) > maxRaw {
		raw = raw[:maxRaw]
		p.flag("truncated")
	}
	if !looksHTTP(raw) {
		p.descend(raw, source("raw"), true)
		return p.result()
	}
	for n := 0; looksHTTP(raw) && n < 16; n++ {
		m := parseHTTP(raw)
		if m.truncated {
			p.flag("truncated")
		}
		if m.ambiguous {
			p.flag("ambiguous-length")
		}
		p.req = &m.Request
		p.request()
		raw = m.rest
	}
	if len(raw) > 4 {
		p.descend(raw, source("rest"), false)
	}
	return p.result()
}

// DecodeRequest peels a request whose transfer coding is already undone. Like
// [Decoder.Decode] it never panics.
func (d *Decoder) DecodeRequest(req Request) (r Result) {
	p := newPeel(d, &req)
	defer p.rescue(&r)
	if len(req.Body) > maxRaw {
		req.Body = req.Body[:maxRaw]
		p.flag("truncated")
	}
	p.request()
	return p.result()
}

// rescue turns a panic into a verdict.
func (p *peel) rescue(r *Result) {
	if recover() != nil {
		p.flag("decoder-error")
		*r = Result{Verdict: Malformed, Flags: p.sortedFlags(), Layers: p.layers}
	}
}

// source begins a path.
func source(name string) *walk.Step { return &walk.Step{Codec: name, Index: -1} }

// request peels every part of a request in which SDKs put things.
func (p *peel) request() {
	p.vendors = p.d.vendors.Match(scene{p})
	path, query, _ := strings.Cut(p.req.Target, "?")
	p.path(path)
	if query != "" {
		step := source("query")
		p.pairs([]byte(query), step, step)
	}
	p.headers()
	p.body()
}

// path opens the long segments of a path: some SDKs put base64 there.
func (p *peel) path(path string) {
	for i, s := range strings.Split(path, "/") {
		if len(s) >= 6 && i < 32 {
			p.leaf(walk.Leaf{At: source("path").Child("", i), Value: codec.FormValue([]byte(strings.ReplaceAll(s, "+", "%2B")))})
		}
	}
}

// result names what was gathered and judges the whole.
func (p *peel) result() Result {
	around := find.Scene{Host: strings.ToLower(p.req.Host), Telemetry: len(p.vendors) > 0, Index: p.d.index, Known: p.d.known}
	if len(p.vendors) > 0 {
		around.Named = p.named
	}
	found := find.Scan(p.leaves, &around)
	p.judgeBlobs()
	if around.Withheld {
		p.flag("ad-id-withheld")
	}
	if p.budget.Spent {
		p.flag("budget")
	}
	r := Result{Layers: p.layers}
	if len(p.vendors) > 0 {
		r.Vendor = p.vendors[0].Name
	}
	for _, f := range found {
		r.Findings = append(r.Findings, Finding{Kind: f.Kind, Value: f.Value, Observed: f.Observed, Form: f.Form,
			Path: f.At.String(), Chain: f.At.Chain(), Confidence: f.Confidence})
	}
	r.Verdict = p.verdict(r.Findings)
	r.Flags = p.sortedFlags()
	return r
}
