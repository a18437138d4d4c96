package decoder

import (
	"slices"
	"strings"

	"nightlatch/decoder/codec"
	"nightlatch/decoder/walk"
)

// maxCodings bounds the content codings one header may list.
const maxCodings = 8

// body undoes the content codings, the last first (RFC 9110 §8.4), and opens
// what is left. A header that lies is noted and passed over: what the bytes
// say counts.
func (p *peel) body() {
	data := p.req.Body
	if len(data) == 0 {
		return
	}
	p.plain, p.plainAt = data, source("body")
	codings := strings.Split(strings.ToLower(p.req.get("Content-Encoding")), ",")
	slices.Reverse(codings)
	if i := slices.IndexFunc(codings, unheard); i >= 0 {
		p.foreign = strings.TrimSpace(codings[i])
		codings = nil // the rest is inside it
	}
	at := p.plainAt
	for _, c := range codings[:min(len(codings), maxCodings)] {
		out, next, ok := p.coding(strings.TrimSpace(c), data, at)
		if !ok {
			break
		}
		data, at = out, next
	}
	p.plain, p.plainAt = data, at
	p.recipes()
	p.descend(data, at, true)
}

// unheard reports a content coding that no standard names.
func unheard(name string) bool {
	switch strings.TrimSpace(name) {
	case "", "identity", "gzip", "x-gzip", "deflate", "br", "zstd", "snappy", "x-snappy", "x-snappy-framed", "lz4", "x-lz4",
		"utf-8", "utf8", "none", "binary", "aws-chunked", "compress", "x-compress", "base64", "8bit", "7bit":
		return false
	}
	return true
}

// coding undoes one content coding. It reports false when there is none to
// undo here: the magic number will say more, or the header lied.
func (p *peel) coding(name string, data []byte, at *walk.Step) ([]byte, *walk.Step, bool) {
	var run inflater
	switch name {
	case "", "identity":
		return nil, nil, false
	case "gzip", "x-gzip":
		if codec.IsGzip(data) {
			run, name = codec.Gzip, "gzip"
		}
	case "deflate":
		if run = codec.Deflate; codec.IsZlib(data) {
			run, name = codec.Zlib, "zlib"
		}
	case "br":
		run, name = codec.Brotli, "brotli"
	case "zstd":
		if codec.IsZstd(data) {
			run = codec.Zstd
		}
	case "snappy", "x-snappy", "x-snappy-framed":
		if run, name = snappyBlock, "snappy"; codec.IsSnappyFramed(data) {
			run, name = codec.SnappyFramed, "snappy_framed"
		}
	case "lz4", "x-lz4":
		if codec.IsLZ4(data) {
			run, name = codec.LZ4, "lz4f"
		}
	default:
		return nil, nil, false
	}
	return p.declared(name, run, data, at)
}

func snappyBlock(p []byte, b *codec.Budget) (codec.Output, bool) {
	out, ok := codec.SnappyBlock(p, b.Inflate)
	b.Inflate -= len(out)
	return codec.Output{Data: out}, ok
}

// declared runs the codec a header promised and notes when it does not fit.
func (p *peel) declared(name string, run inflater, data []byte, at *walk.Step) ([]byte, *walk.Step, bool) {
	if run == nil {
		p.flag("header-mismatch")
		return nil, nil, false
	}
	out, ok := run(data, p.budget)
	if out.Bomb {
		p.flag("bomb")
	}
	weak := name == "deflate" || name == "brotli" || name == "snappy"
	if out.Bomb && len(out.Data) == 0 {
		return nil, nil, false
	}
	if !ok || len(out.Data) == 0 || weak && !out.Bomb && (out.Broken || out.Truncated) && !codec.Texty(out.Data) {
		p.flag("header-mismatch")
		return nil, nil, false
	}
	if out.Truncated || out.Broken {
		p.flag("truncated")
	}
	if out.BadChecksum {
		p.flag("bad-checksum")
	}
	at = at.Begin(name)
	p.keep(at, out.Data)
	return out.Data, at, true
}
