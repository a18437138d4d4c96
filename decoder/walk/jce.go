package walk

import (
	"encoding/binary"
	"math"
	"strconv"

	"nightlatch/decoder/codec"
)

// Types of a JCE field, as the public sources of TarsCloud (TarsProtocol,
// "tars protocol encoding") number them. A head byte holds the tag above and
// the type below; a tag of 15 stands in the byte behind.
const (
	jceInt1 = iota
	jceInt2
	jceInt4
	jceInt8
	jceFloat
	jceDouble
	jceString1
	jceString4
	jceMap
	jceList
	jceBegin
	jceEnd
	jceZero
	jceBytes
)

// maxJCE bounds the nesting of structs, lists and maps.
const maxJCE = 16

// jce is a walk over the encoding of Tencent's SDKs. The tags of a struct
// grow, which tells it from noise.
type jce struct {
	p     []byte
	i     int
	visit Visitor
	end   *End
	texts int // bytes of text, and of byte strings
}

// LooksJCE reports a struct that fills p, with at least two values, of which
// three tenths are text or byte strings.
func LooksJCE(p []byte) bool {
	if len(p) < 8 || p[0]&15 > jceBytes || p[0]&15 == jceEnd {
		return false
	}
	var end End
	w := jce{p: p, visit: func(Leaf) bool { return true }, end: &end}
	return w.fields(nil, 0, false) && w.i == len(p) && end.Leaves >= 2 && w.texts*10 >= len(p)*3
}

// JCE walks the fields of a struct. Field numbers and the keys of maps make the
// path.
func JCE(p []byte, at *Step, visit Visitor) End {
	var end End
	w := jce{p: p, visit: visit, end: &end}
	end.OK = w.fields(at, 0, false) && w.i == len(p)
	end.Used = w.i
	return end
}

func (w *jce) head() (tag int, kind byte, ok bool) {
	if w.i >= len(w.p) {
		return 0, 0, false
	}
	tag, kind = int(w.p[w.i]>>4), w.p[w.i]&15
	if w.i++; tag == 15 {
		if w.i >= len(w.p) {
			return 0, 0, false
		}
		tag = int(w.p[w.i])
		w.i++
	}
	return tag, kind, kind <= jceBytes
}

// fields reads a struct to its end mark, or the outermost one to the end of p.
func (w *jce) fields(at *Step, depth int, inner bool) bool {
	if depth > maxJCE {
		w.end.TooDeep = true
		return false
	}
	for last := -1; inner || w.i < len(w.p); {
		tag, kind, ok := w.head()
		if !ok || kind == jceEnd {
			return ok && inner
		}
		if tag <= last {
			return false
		}
		last = tag
		var step *Step
		if at != nil {
			step = at.Child(strconv.Itoa(tag), -1)
		}
		if !w.value(kind, step, depth) {
			return false
		}
	}
	return true
}

func (w *jce) value(kind byte, at *Step, depth int) bool {
	switch kind {
	case jceInt1, jceInt2, jceInt4, jceInt8, jceFloat, jceDouble:
		return w.number(kind, at)
	case jceZero:
		return true
	case jceString1:
		n, ok := w.uint(1)
		return ok && w.text(int(n), at)
	case jceString4:
		n, ok := w.uint(4)
		return ok && n <= uint64(len(w.p)) && w.text(int(n), at)
	case jceMap, jceList:
		return w.items(kind == jceMap, at, depth)
	case jceBegin:
		return w.fields(at, depth+1, true)
	case jceBytes:
		_, inside, ok := w.head()
		n, ok2 := w.count()
		return ok && ok2 && inside == jceInt1 && w.text(n, at)
	}
	return false
}

func (w *jce) number(kind byte, at *Step) bool {
	size := 1 << kind
	if kind >= jceFloat {
		size = 4 << (kind - jceFloat)
	}
	v, ok := w.uint(size)
	if !ok {
		return false
	}
	var text []byte
	switch kind {
	case jceFloat:
		text = strconv.AppendFloat(nil, float64(math.Float32frombits(uint32(v))), 'f', -1, 32)
	case jceDouble:
		text = strconv.AppendFloat(nil, math.Float64frombits(v), 'f', -1, 64)
	default:
		shift := 64 - 8*size
		text = strconv.AppendInt(nil, int64(v<<shift)>>shift, 10)
	}
	return w.end.leaf(Leaf{At: at, Value: text, Number: true}, w.visit)
}

// uint reads n bytes, big endian.
func (w *jce) uint(n int) (uint64, bool) {
	if n > len(w.p)-w.i {
		return 0, false
	}
	var b [8]byte
	copy(b[8-n:], w.p[w.i:w.i+n])
	w.i += n
	return binary.BigEndian.Uint64(b[:]), true
}

// count reads the length of a list: an integer field with the tag 0. What is
// longer than the rest of p is a lie.
func (w *jce) count() (int, bool) {
	tag, kind, ok := w.head()
	if !ok || tag != 0 || kind == jceZero {
		return 0, ok && tag == 0
	}
	if kind > jceInt4 {
		return 0, false
	}
	v, ok := w.uint(1 << kind)
	return int(v), ok && v <= uint64(len(w.p)-w.i)
}

func (w *jce) text(n int, at *Step) bool {
	if n > len(w.p)-w.i {
		return false
	}
	v := w.p[w.i : w.i+n]
	w.i += n
	w.texts += n
	return w.end.leaf(Leaf{At: at, Value: v, Binary: !codec.Printable(v)}, w.visit)
}

// items reads a list, or a map, whose keys are fields with the tag 0 and whose
// values have the tag 1.
func (w *jce) items(keyed bool, at *Step, depth int) bool {
	n, ok := w.count()
	if !ok || depth >= maxJCE {
		w.end.TooDeep = w.end.TooDeep || depth >= maxJCE
		return false
	}
	for k := range n {
		var step *Step
		if at != nil {
			step = at.Child("", k)
		}
		if keyed {
			key, ok := w.key()
			if !ok {
				return false
			}
			if at != nil && key != "" {
				step = at.Child(key, -1)
			}
		}
		tag, kind, ok := w.head()
		if !ok || keyed && tag != 1 || !keyed && tag != 0 || !w.value(kind, step, depth+1) {
			return false
		}
	}
	return true
}

// key reads the key of a map entry, a text or a number.
func (w *jce) key() (string, bool) {
	tag, kind, ok := w.head()
	if !ok || tag != 0 {
		return "", false
	}
	out := ""
	k := jce{p: w.p, i: w.i, end: &End{}, visit: func(l Leaf) bool {
		out = string(l.Value[:min(len(l.Value), 256)])
		return true
	}}
	if kind > jceString4 || !k.value(kind, nil, 0) {
		return "", kind == jceZero
	}
	w.i, w.texts = k.i, w.texts+k.texts
	return out, true
}
