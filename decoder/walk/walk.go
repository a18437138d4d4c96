// Package walk reads structures: JSON, forms, multipart, protobuf without a
// schema, CBOR, MessagePack, Thrift, JCE, Avro, XML and property lists. Every walker hands the
// leaves it meets to a [Visitor] and allocates nothing by a length the input
// only declares. None panics, and none recurses deeper than its bound.
package walk

import (
	"strconv"
	"strings"
)

// Limits of one structure; each is far above what a telemetry SDK sends.
const (
	MaxDepth  = 64     // nested containers in JSON, CBOR, MessagePack, XML
	MaxProto  = 16     // nested protobuf messages
	MaxPairs  = 2000   // pairs of one form
	MaxLeaves = 20_000 // leaves of one payload
)

// Step is one part of the way from the outside of a payload to a value. Steps
// form a tree that shares its trunk; a path is only written out for a finding.
type Step struct {
	Up    *Step  // nil for the source: body, query, header
	Codec string // the codec or source this step begins; empty inside one
	Key   string // the name followed in it
	Index int    // position in an array or among repeated fields, or -1
	Named bool   // Key is set, even if it is empty
	Array bool   // Index is set
	Depth int    // codecs undone so far
}

// Begin opens a codec below s, with no name yet.
func (s *Step) Begin(codec string) *Step {
	depth := 1
	if s != nil {
		depth = s.Depth + 1
	}
	return &Step{Up: s, Codec: codec, Index: -1, Depth: depth}
}

// Child follows a name or, when key is empty and index >= 0, a position.
func (s *Step) Child(key string, index int) *Step {
	return &Step{Up: s, Key: key, Index: index, Named: index < 0, Array: index >= 0, Depth: s.Depth}
}

// Name gives the nearest name at or above s within the whole path, and the
// name above that one: "phone" and "identities" for /identities/phone/0. The
// field numbers of protobuf and Thrift are no names.
func (s *Step) Name() (key, parent string) {
	for ; s != nil; s = s.Up {
		if !s.Named || s.Key == "" || s.Key[0] >= '0' && s.Key[0] <= '9' {
			continue
		}
		if key == "" {
			key = s.Key
			continue
		}
		return key, s.Key
	}
	return key, ""
}

// String writes the path out: "body/form:data_list/base64/gzip/json:/0/url".
// A '/' inside a name is written ~1 and a '~' is written ~0 (RFC 6901 §3).
func (s *Step) String() string {
	var parts []*Step
	for ; s != nil; s = s.Up {
		parts = append(parts, s)
	}
	var b strings.Builder
	codec := ""
	first := true
	for i := len(parts) - 1; i >= 0; i-- {
		p := parts[i]
		if p.Codec != "" {
			if b.Len() > 0 {
				b.WriteByte('/')
			}
			b.WriteString(p.Codec)
			codec, first = p.Codec, true
			continue
		}
		writePart(&b, p, codec, first)
		first = false
	}
	return b.String()
}

// writePart writes one step inside a codec: JSON pointers begin with a slash,
// field numbers are joined by dots.
func writePart(b *strings.Builder, p *Step, codec string, first bool) {
	dotted := codec == "protobuf" || codec == "thrift_compact" || codec == "jce"
	switch {
	case first && !dotted && pointer(codec):
		b.WriteString(":/")
	case first:
		b.WriteByte(':')
	case dotted && p.Array:
	case dotted:
		b.WriteByte('.')
	default:
		b.WriteByte('/')
	}
	switch {
	case dotted && p.Array:
		b.WriteString("[" + strconv.Itoa(p.Index) + "]")
	case p.Array:
		b.WriteString(strconv.Itoa(p.Index))
	default:
		key := p.Key
		if strings.ContainsAny(key, "~/") {
			key = strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
		}
		b.WriteString(key)
	}
}

func pointer(codec string) bool {
	switch codec {
	case "json", "cbor", "msgpack", "xml", "avro", "bplist", "exif":
		return true
	}
	return false
}

// Chain gives the codecs of the path, outside in, without its source.
func (s *Step) Chain() []string {
	var out []string
	for ; s != nil; s = s.Up {
		if s.Codec != "" && s.Up != nil {
			out = append(out, s.Codec)
		}
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// Leaf is a value at the end of a path.
type Leaf struct {
	At     *Step
	Value  []byte // a view into the payload where nothing had to be undone
	Number bool   // it was a number, not a text
	Binary bool   // it was a byte string, not a text
	Raw    bool   // it is a stretch of text or bytes whose structure was not read
}

// Visitor takes leaves. It returns false to end the walk.
type Visitor func(Leaf) bool

// End says how a walk ended.
type End struct {
	OK        bool // the structure was read to its end
	Leaves    int
	Truncated bool // the input ended inside the structure
	TooDeep   bool // deeper than the limit; what lies deeper was not read
	Stopped   bool // the visitor or a limit ended the walk
	Used      int  // bytes of input the structure took
}
