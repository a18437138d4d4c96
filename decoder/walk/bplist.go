package walk

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf16"
)

// bplist is a walk over a binary property list (CFBinaryPList.c of Apple's
// published CoreFoundation): objects that refer to one another by number, an
// offset for each, and a trailer of 32 bytes.
type bplist struct {
	p       []byte
	visit   Visitor
	end     *End
	table   int // where the offsets stand
	width   int // bytes of an offset
	ref     int // bytes of a reference
	objects int
	left    int // objects that may still be visited: references may be shared
}

// IsBPlist reports the magic number of a binary property list.
func IsBPlist(p []byte) bool { return bytes.HasPrefix(p, []byte("bplist00")) && len(p) >= 40 }

// BPlist walks a binary property list from its top object. A list whose
// references go round ends at the depth or the number of objects allowed.
func BPlist(p []byte, at *Step, visit Visitor) End {
	end := End{Used: len(p)}
	if !IsBPlist(p) {
		return end
	}
	t := p[len(p)-32:]
	w := bplist{p: p, visit: visit, end: &end, width: int(t[6]), ref: int(t[7]), left: 2 * MaxLeaves}
	count, top, table := binary.BigEndian.Uint64(t[8:]), binary.BigEndian.Uint64(t[16:]), binary.BigEndian.Uint64(t[24:])
	if w.width < 1 || w.width > 8 || w.ref < 1 || w.ref > 8 || count > uint64(len(p)) || table > uint64(len(p)) || top >= count {
		return end
	}
	w.objects, w.table = int(count), int(table)
	end.OK = w.object(int(top), at, 0)
	return end
}

// number reads n bytes at i, big endian.
func (w *bplist) number(i, n int) (int, bool) {
	if i < 0 || n < 0 || n > 8 || i > len(w.p)-n {
		return 0, false
	}
	var b [8]byte
	copy(b[8-n:], w.p[i:i+n])
	v := binary.BigEndian.Uint64(b[:])
	return int(v), v <= math.MaxInt32
}

// sized reads a marker's length: its low four bits, or the integer behind.
func (w *bplist) sized(i int) (n, next int, ok bool) {
	if n = int(w.p[i] & 15); n < 15 {
		return n, i + 1, true
	}
	if i+1 >= len(w.p) || w.p[i+1]>>4 != 1 || w.p[i+1]&15 > 3 {
		return 0, 0, false
	}
	width := 1 << (w.p[i+1] & 15)
	n, ok = w.number(i+2, width)
	return n, i + 2 + width, ok
}

func (w *bplist) object(n int, at *Step, depth int) bool {
	if w.left--; n >= w.objects || w.left < 0 {
		w.end.Stopped = w.left < 0
		return false
	}
	if depth > MaxDepth {
		w.end.TooDeep = true
		return false
	}
	i, ok := w.number(w.table+n*w.width, w.width)
	if !ok || i >= len(w.p) {
		return false
	}
	switch kind := w.p[i] >> 4; kind {
	case 0:
		return true // null and booleans
	case 1, 2, 3:
		return w.scalar(kind, i, at)
	}
	size, next, ok := w.sized(i)
	switch kind := w.p[i] >> 4; {
	case !ok:
		return false
	case kind == 4 || kind == 5:
		return next+size <= len(w.p) && w.end.leaf(Leaf{At: at, Value: w.p[next : next+size], Binary: kind == 4}, w.visit)
	case kind == 6:
		return w.wide(next, size, at)
	case kind == 8:
		return true // uid
	case kind == 0xa || kind == 0xc:
		return w.list(next, size, at, depth)
	case kind == 0xd:
		return w.dict(next, size, at, depth)
	}
	return false
}

func (w *bplist) scalar(kind byte, i int, at *Step) bool {
	width := 1 << (w.p[i] & 15)
	if w.p[i]&15 > 4 || i+1+width > len(w.p) {
		return false
	}
	var b [16]byte
	copy(b[16-width:], w.p[i+1:i+1+width])
	v := binary.BigEndian.Uint64(b[8:])
	text := strconv.AppendInt(nil, int64(v), 10)
	switch {
	case kind == 2 && width == 4:
		text = strconv.AppendFloat(nil, float64(math.Float32frombits(uint32(v))), 'f', -1, 32)
	case kind == 2:
		text = strconv.AppendFloat(nil, math.Float64frombits(v), 'f', -1, 64)
	case kind == 3:
		return true // a date
	}
	return w.end.leaf(Leaf{At: at, Value: text, Number: true}, w.visit)
}

// wide reads a text in UTF-16.
func (w *bplist) wide(i, units int, at *Step) bool {
	if units > (len(w.p)-i)/2 {
		return false
	}
	out := make([]uint16, units)
	for k := range out {
		out[k] = binary.BigEndian.Uint16(w.p[i+2*k:])
	}
	return w.end.leaf(Leaf{At: at, Value: []byte(string(utf16.Decode(out)))}, w.visit)
}

func (w *bplist) list(i, n int, at *Step, depth int) bool {
	for k := range n {
		ref, ok := w.number(i+k*w.ref, w.ref)
		if !ok || !w.object(ref, at.Child("", k), depth+1) {
			return false
		}
	}
	return true
}

func (w *bplist) dict(i, n int, at *Step, depth int) bool {
	for k := range n {
		ref, ok := w.number(i+k*w.ref, w.ref)
		value, ok2 := w.number(i+(n+k)*w.ref, w.ref)
		if !ok || !ok2 {
			return false
		}
		name := ""
		key := *w
		key.end = &End{}
		key.visit = func(l Leaf) bool {
			name = string(l.Value[:min(len(l.Value), 256)])
			return true
		}
		if !key.object(ref, at, MaxDepth) || !w.object(value, at.Child(name, -1), depth+1) {
			return false
		}
	}
	return true
}
