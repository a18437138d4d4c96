// Package layers opens a capture for people: which encodings lay around which
// values, in words for those who never met them. It is pure.
package layers

import (
	"strings"

	"nightlatch/dashboard/row"
	"nightlatch/dashboard/visible"
	"nightlatch/journal"
)

// View is one capture, opened layer by layer.
type View struct {
	Capture  journal.StoredCapture
	Path     string // of the request, without its query, which may hold anything
	HasQuery bool
	Reached  bool // observed on the way: the host got it
	Steps    []Step
	Values   int64
	Possible []journal.StoredFinding
}

// Step is one encoding that was undone, and what was found right beneath it.
type Step struct {
	Codec, Words string
	Path         string
	Depth        int
	Values       []journal.StoredFinding
}

// maxSteps bounds the layers on a page; a payload bomb can have thousands.
const (
	maxSteps  = 60
	maxValues = 200 // findings on one page
	maxDepth  = 8   // how far the page indents
)

func Open(c journal.StoredCapture) View {
	v := View{Capture: c, Reached: row.Observed(c)}
	path, _, query := strings.Cut(c.Path, "?")
	v.Path, v.HasQuery = visible.Cut(path, row.LongName), query
	for _, l := range c.Result.Layers[:min(len(c.Result.Layers), maxSteps)] {
		v.Steps = append(v.Steps, Step{Codec: visible.Cut(l.Codec, 30), Words: codecWords(l.Codec), Path: l.Path})
	}
	for i := range v.Steps {
		if up := holder(v.Steps[:i], v.Steps[i].Path); up >= 0 {
			v.Steps[i].Depth = min(v.Steps[up].Depth+1, maxDepth)
		}
	}
	var loose []journal.StoredFinding
	for _, f := range c.Findings[:min(len(c.Findings), maxValues)] {
		f.Value = visible.Cut(f.Value, row.LongText)
		if f.Confidence == "possible" {
			v.Possible = append(v.Possible, f)
			continue
		}
		v.Values++
		if i := holder(v.Steps, f.Path); i >= 0 {
			v.Steps[i].Values = append(v.Steps[i].Values, f)
		} else {
			loose = append(loose, f)
		}
	}
	if len(loose) > 0 { // found as it came, beneath no encoding at all
		raw := Step{Codec: "as sent", Words: "Readable without undoing anything.", Values: loose}
		v.Steps = append([]Step{raw}, v.Steps...)
	}
	return v
}

// holder is the Step whose path is the longest that path lies beneath, or -1.
func holder(steps []Step, path string) int {
	best := -1
	for i, s := range steps {
		rest, ok := strings.CutPrefix(path, s.Path)
		if !ok || rest != "" && rest[0] != '/' && rest[0] != ':' {
			continue
		}
		if best < 0 || len(s.Path) > len(steps[best].Path) {
			best = i
		}
	}
	return best
}

// codecWords says what an encoding does, for people who never met it.
func codecWords(codec string) string {
	switch codec {
	case "form", "query":
		return "Fields of a web form. Readable by anyone."
	case "json":
		return "Names and values as text. Readable by anyone."
	case "base64", "base64url", "base32", "hex":
		return "Bytes written as letters. It hides nothing: undoing it needs no key."
	case "gzip", "zlib", "deflate", "brotli", "zstd", "lz4", "snappy", "lz-string":
		return "Compressed to save data. Undoing it needs no key."
	case "percent", "url":
		return "Letters written as %41. Undoing it needs no key."
	case "multipart":
		return "Several parts in one message. Readable by anyone."
	case "protobuf", "cbor", "avro", "msgpack":
		return "Packed fields. Undoing it needs no key."
	case "xor", "aes", "des", "rc4", "aes-cbc", "aes-ecb":
		return "Scrambled with a key that ships inside the app, so the key is no secret."
	case "jwt":
		return "A signed token. Its contents are readable by anyone."
	}
	return ""
}
