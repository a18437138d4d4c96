package decoder

import (
	"bytes"

	"nightlatch/decoder/codec"
	"nightlatch/decoder/walk"
)

// Limits of carving, which looks for islands in a sea nobody could read.
const (
	maxIslands = 32      // compressed streams and JSON texts tried
	minRun     = 6       // letters that make a string, as strings(1) has it
	maxRuns    = 2000    // strings kept
	minText    = 24      // letters that may be a text with a structure
	maxCarve   = 1 << 20 // bytes searched
)

// carve looks for compressed streams, JSON and strings inside binary data. It
// reports whether it found an island; strings alone do not make data read.
func (p *peel) carve(data []byte, at *walk.Step, whole bool) bool {
	if len(data) > maxCarve {
		data = data[:maxCarve]
	}
	if !p.budget.Take(2 * len(data)) {
		return false
	}
	found, from := false, 0
	for i, n := 0, 0; i+8 < len(data) && n < maxIslands; i++ {
		used := 0
		switch c := data[i]; {
		case c == 0x1f && codec.IsGzip(data[i:]), c == 0x28 && codec.IsZstd(data[i:]), c == 0x04 && codec.IsLZ4(data[i:]), c == 0xff && codec.IsSnappyFramed(data[i:]),
			c == 0x78 && codec.IsZlib(data[i:]) && data[i+1] != 0x1f && bytes.IndexByte([]byte{0x01, 0x5e, 0x9c, 0xda}, data[i+1]) >= 0:
			n++
			used = p.carveStream(data[i:], at, i)
		case (c == '{' || c == '[') && (data[i+1] == '"' || data[i+1] == '{'):
			n++
			used = p.carveJSON(data[i:], at)
		}
		if used > 0 {
			p.strings(data[from:i], at)
			found, from = true, i+used
			i = from - 1
		}
	}
	if whole || found {
		p.strings(data[from:], at)
	}
	return found
}

func (p *peel) carveStream(data []byte, at *walk.Step, offset int) int {
	for _, c := range []struct {
		name  string
		looks bool
		run   inflater
	}{{"gzip", codec.IsGzip(data), codec.Gzip}, {"zlib", codec.IsZlib(data), codec.Zlib}, {"zstd", data[0] == 0x28, codec.Zstd},
		{"lz4f", data[0] == 0x04, codec.LZ4}, {"snappy_framed", data[0] == 0xff, codec.SnappyFramed}} {
		if !c.looks {
			continue
		}
		out, ok := c.run(data, p.budget)
		if out.Bomb {
			p.flag("bomb")
		}
		if ok && p.trust(out.Data) {
			p.layer(c.name, at.Begin("carve").Child("", offset), out.Data, false)
			return max(1, len(data)-out.Rest)
		}
	}
	return 0
}

func (p *peel) carveJSON(data []byte, at *walk.Step) int {
	mark := len(p.leaves)
	step := at.Begin("ascii").Begin("json")
	end := walk.JSON(data, step, p.leaf)
	if end.Leaves == 0 || end.Used < 8 {
		p.leaves = p.leaves[:mark]
		return 0
	}
	p.keep(step, data[:end.Used])
	return end.Used
}

// strings keeps the readable runs between binary as one raw stretch each. A run
// long enough to be a text of its own is opened.
func (p *peel) strings(data []byte, at *walk.Step) {
	step := at.Begin("ascii")
	start, runs := -1, 0
	for i := 0; i <= len(data); i++ {
		if i < len(data) && (data[i] >= ' ' && data[i] < 0x7f || start >= 0 && (data[i] == '\n' || data[i] == '\r' || data[i] == '\t')) {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 && i-start >= minRun && runs < maxRuns && len(p.leaves) < walk.MaxLeaves {
			runs++
			p.run(data[start:i], step)
		}
		start = -1
	}
}

// run opens or keeps one readable run.
func (p *peel) run(text []byte, at *walk.Step) {
	if len(text) >= minText && p.runs < maxIslands && at.Depth < maxDepth && p.budget.Take(len(text)) {
		if p.runs++; p.text(text, at, false) {
			return
		}
	}
	p.leaves = append(p.leaves, walk.Leaf{At: at, Value: text, Raw: true})
}
