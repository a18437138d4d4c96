package find

import (
	"strings"

	"nightlatch/decoder/walk"
)

// Confidence says how sure a finding is.
type Confidence uint8

const (
	Possible Confidence = iota // the shape fits; hidden by default
	Likely                     // shape, checksum and context agree
	Proved                     // a value the owner told us, in any of its variants
)

// String gives possible, likely or proved.
func (c Confidence) String() string {
	switch c {
	case Proved:
		return "proved"
	case Likely:
		return "likely"
	}
	return "possible"
}

// MarshalText writes the word.
func (c Confidence) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Found is one identifier or piece of private life in a payload.
type Found struct {
	Kind       string
	Value      string // the known value, or the identifier in its usual writing
	Observed   string // as it stood there, when that differs
	Form       string // how Observed was made from a known value: "md5.hex"; empty when it was not
	Confidence Confidence
	At         *walk.Step
}

// Scene is what surrounds the leaves of one payload.
type Scene struct {
	Host      string // the server it was meant for, in lower case
	Telemetry bool   // the server is known to collect telemetry
	Index     *Index
	Known     map[string][]string
	Named     func(*walk.Step) string // the kind a vendor's description promises at a place, or nil
	Withheld  bool                    // set by [Scan]: an advertising id was there, zeroed
}

const (
	maxFound = 2000     // findings of one payload
	maxValue = 64 << 10 // bytes of one leaf that detectors look at
)

// Scan looks at every leaf and gives what was found, in the order of the
// leaves, the same thing at the same place once and with its best confidence.
func Scan(leaves []walk.Leaf, s *Scene) []Found {
	f := finder{scene: s, seen: map[string]int{}, kinds: map[string]string{}}
	for i := range leaves {
		if len(f.out) >= maxFound {
			break
		}
		f.leaf(&leaves[i])
	}
	f.groups(leaves)
	return f.settle()
}

// pieces reports the form of a value found inside base64 that was not undone.
func pieces(form string) bool { return strings.HasPrefix(form, "base64[") }

// settle drops a guess where the same kind is proved at the same place.
func (f *finder) settle() []Found {
	proved := map[string]bool{}
	for _, n := range f.out {
		if n.Confidence == Proved && !pieces(n.Form) {
			proved[n.Kind+"\x00"+n.At.String()] = true
			proved[n.Kind+"\x01"+n.Value] = true
		}
	}
	out := f.out[:0]
	for _, n := range f.out {
		if pieces(n.Form) && proved[n.Kind+"\x01"+n.Value] {
			continue // the same, once more decoded
		}
		if n.Confidence == Proved || !proved[n.Kind+"\x00"+n.At.String()] {
			out = append(out, n)
		}
	}
	return out
}

type finder struct {
	scene *Scene
	out   []Found
	seen  map[string]int
	kinds map[string]string // what names promise
	last  *walk.Step        // the leaf before
	hits  int               // findings, those already known among them
}

// field is a leaf or a part of one, with the names it stands under.
type field struct {
	at     *walk.Step
	name   string // the nearest name
	kind   string // what that name promises
	up     string // what the name above promises
	value  string
	number bool
	source string // body, query, header, cookie, path, raw
}

func (f *finder) leaf(l *walk.Leaf) {
	hits := f.scene.Index.Search(l.Value, l.Raw || l.Binary)
	if hits == nil {
		hits = f.scene.Index.SearchBare(l.Value)
	}
	f.prove(hits, l.At)
	f.names(l.At)
	if l.Raw {
		f.raw(l)
		return
	}
	if len(l.Value) > maxValue || l.Binary {
		return
	}
	name, up := l.At.Name()
	fd := field{at: l.At, name: name, up: up, value: strings.TrimSpace(string(l.Value)), number: l.Number, source: source(l.At)}
	f.judge(&fd)
}

func (f *finder) prove(hits []Hit, at *walk.Step) {
	for _, h := range hits {
		f.add(Found{Kind: h.Needle.Kind, Value: h.Needle.Value, Observed: differs(h), Form: h.Form, Confidence: Proved, At: at})
	}
}

// names looks for known values in the names on the way to a leaf: a visited
// host may be the key of a counter. Names shared with the leaf before are done.
func (f *finder) names(at *walk.Step) {
	before := f.last
	f.last = at
	for s := at; s != nil && s != before; s = s.Up {
		if len(s.Key) >= minKnown {
			f.prove(f.scene.Index.Search([]byte(s.Key), false), s)
		}
		if before != nil && before.Up == s.Up {
			return
		}
	}
}

// judge runs the detectors over one field.
func (f *finder) judge(fd *field) {
	if len(fd.value) < 2 || placeholder(fd.value) {
		return
	}
	if f.scene.Named != nil {
		fd.kind = f.scene.Named(fd.at)
	}
	promised := fd.kind != ""
	if !promised {
		fd.kind = f.kindOf(fd.name)
		if fd.kind == "" && holder(fd.name) {
			fd.kind = f.kindOf(fd.up)
		}
	}
	before := f.hits
	if !f.deviceID(fd) {
		f.person(fd)
	}
	if promised && f.hits == before && !dull(fd.value) && len(fd.value) >= 4 {
		kind := fd.kind
		if n := len(fd.value); isHex(fd.value) && (n == 32 || n == 40 || n == 64) {
			kind = "hashed_" + kind
		}
		f.found(fd, kind, fd.value, Likely)
	}
}

// kindOf is [kindOf], which takes a name apart, once for every name.
func (f *finder) kindOf(name string) string {
	kind, ok := f.kinds[name]
	if !ok {
		kind = kindOf(name)
		f.kinds[name] = kind
	}
	return kind
}

// holder reports names that say nothing of their own: {"imei":{"value":..}}.
func holder(name string) bool {
	switch strings.ToLower(name) {
	case "value", "val", "v", "data", "content", "text", "string", "str", "raw":
		return true
	}
	return false
}

func differs(h Hit) string {
	if h.Observed == h.Needle.Value {
		return ""
	}
	return h.Observed
}

// add keeps the best confidence of the same kind and value at the same place.
func (f *finder) add(n Found) {
	f.hits++
	key := n.Kind + "\x00" + n.Value + "\x00" + n.At.String()
	if at, ok := f.seen[key]; ok {
		if f.out[at].Confidence < n.Confidence {
			f.out[at] = n
		}
		return
	}
	f.seen[key] = len(f.out)
	f.out = append(f.out, n)
}

func (f *finder) found(fd *field, kind, value string, c Confidence) {
	n := Found{Kind: kind, Value: value, Confidence: c, At: fd.at}
	if value != fd.value {
		n.Observed = fd.value
	}
	f.add(n)
}

func source(s *walk.Step) string {
	for s.Up != nil {
		s = s.Up
	}
	return s.Codec
}

// placeholder reports what phones send when they have nothing to send.
func placeholder(v string) bool {
	switch strings.ToLower(v) {
	case "null", "nil", "none", "unknown", "not found", "n/a", "na", "undefined", "true", "false", "<unknown ssid>", "unknown ssid",
		"02:00:00:00:00:00", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "9774d56d682e549c", "0123456789abcdef", "0.0.0.0", "android":
		return true
	}
	return false
}
