package walk

import (
	"encoding/binary"
	"math"
	"strconv"

	"nightlatch/decoder/codec"
)

// thrift is a walk over the compact protocol of Apache Thrift
// (thrift-compact-protocol.md of its documentation).
type thrift struct {
	p     []byte
	i     int
	visit Visitor
	end   *End
	texts int
}

// Types of the compact protocol.
const (
	thriftTrue = 1 + iota
	thriftFalse
	thriftByte
	thriftI16
	thriftI32
	thriftI64
	thriftDouble
	thriftBinary
	thriftList
	thriftSet
	thriftMap
	thriftStruct
)

// maxThrift bounds the nesting of structs and lists.
const maxThrift = 16

// LooksThrift reports a struct of the compact protocol that fills p and whose
// bytes are mostly strings.
func LooksThrift(p []byte) bool {
	if len(p) < 8 || p[len(p)-1] != 0 {
		return false
	}
	var end End
	w := thrift{p: p, visit: func(Leaf) bool { return true }, end: &end}
	return w.structure(nil, 0) && w.i == len(p) && end.Leaves >= 2 && w.texts*10 >= len(p)*5
}

// Thrift walks a struct of the compact protocol.
func Thrift(p []byte, at *Step, visit Visitor) End {
	var end End
	w := thrift{p: p, visit: visit, end: &end}
	end.OK = w.structure(at, 0) && w.i == len(p)
	end.Used = w.i
	return end
}

func (w *thrift) byte() (byte, bool) {
	if w.i >= len(w.p) {
		return 0, false
	}
	w.i++
	return w.p[w.i-1], true
}

func (w *thrift) varint() (uint64, bool) {
	v, n := binary.Uvarint(w.p[w.i:])
	w.i += max(n, 0)
	return v, n > 0
}

func zigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

func (w *thrift) structure(at *Step, depth int) bool {
	if depth >= maxThrift {
		w.end.TooDeep = true
		return false
	}
	id := int64(0)
	for {
		head, ok := w.byte()
		if !ok || head == 0 {
			return ok
		}
		if delta := head >> 4; delta != 0 {
			id += int64(delta)
		} else {
			v, ok := w.varint()
			if !ok {
				return false
			}
			id = zigzag(v)
		}
		if id < 1 || id > maxField {
			return false
		}
		var step *Step
		if at != nil {
			step = at.Child(strconv.FormatInt(id, 10), -1)
		}
		if !w.value(head&15, step, depth, false) {
			return false
		}
	}
}

// value reads one value. A boolean field has its value in its type; inside a
// container it takes a byte.
func (w *thrift) value(kind byte, at *Step, depth int, inside bool) bool {
	switch kind {
	case thriftTrue, thriftFalse:
		if inside {
			_, ok := w.byte()
			return ok
		}
		return true
	case thriftByte:
		_, ok := w.byte()
		return ok
	case thriftI16, thriftI32, thriftI64:
		v, ok := w.varint()
		return ok && w.leaf(at, strconv.AppendInt(nil, zigzag(v), 10), true)
	case thriftDouble:
		if len(w.p)-w.i < 8 {
			return false
		}
		v := math.Float64frombits(binary.LittleEndian.Uint64(w.p[w.i:]))
		w.i += 8
		return w.leaf(at, strconv.AppendFloat(nil, v, 'f', -1, 64), true)
	case thriftBinary:
		n, ok := w.varint()
		if !ok || n > uint64(len(w.p)-w.i) {
			return false
		}
		v := w.p[w.i : w.i+int(n)]
		w.i += int(n)
		w.texts += len(v)
		return w.leaf(at, v, false)
	case thriftList, thriftSet:
		return w.list(at, depth)
	case thriftMap:
		return w.pairs(at, depth)
	case thriftStruct:
		return w.structure(at, depth+1)
	}
	return false
}

func (w *thrift) leaf(at *Step, v []byte, number bool) bool {
	return w.end.leaf(Leaf{At: at, Value: v, Number: number, Binary: !number && !codec.Printable(v)}, w.visit)
}

func (w *thrift) list(at *Step, depth int) bool {
	head, ok := w.byte()
	n := uint64(head >> 4)
	if ok && n == 15 {
		n, ok = w.varint()
	}
	if !ok || n > uint64(len(w.p)-w.i) || depth >= maxThrift {
		return false
	}
	for i := range int(n) {
		var step *Step
		if at != nil {
			step = at.Child("", i)
		}
		if !w.value(head&15, step, depth+1, true) {
			return false
		}
	}
	return true
}

func (w *thrift) pairs(at *Step, depth int) bool {
	n, ok := w.varint()
	if !ok || n > uint64(len(w.p)-w.i) || depth >= maxThrift {
		return false
	}
	if n == 0 {
		return true
	}
	types, ok := w.byte()
	for i := 0; ok && i < int(n); i++ {
		var step *Step
		if at != nil {
			step = at.Child("", i)
		}
		if types>>4 != thriftBinary {
			ok = w.value(types>>4, step, depth+1, true) && w.value(types&15, step, depth+1, true)
			continue
		}
		key, named := w.key()
		if at != nil && named {
			step = at.Child(key, -1)
		}
		ok = named && w.value(types&15, step, depth+1, true)
	}
	return ok
}

// key reads a text that names the value behind it.
func (w *thrift) key() (string, bool) {
	n, ok := w.varint()
	if !ok || n > uint64(len(w.p)-w.i) {
		return "", false
	}
	v := w.p[w.i : w.i+int(n)]
	w.i += int(n)
	w.texts += len(v)
	return string(v[:min(len(v), 256)]), true
}
