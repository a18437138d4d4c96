package walk

import (
	"encoding/binary"
	"math"
	"strconv"

	"nightlatch/decoder/codec"
)

// pack is a walk over MessagePack or CBOR: both are trees of typed items with
// lengths in front. Nothing is allocated for a declared length; a container
// that claims more items than bytes follow is broken.
type pack struct {
	p     []byte
	i     int
	visit Visitor
	end   *End
	names int // short text keys seen
	texts int // bytes of text seen, and of byte strings, whose length was declared
	read  func(*pack) (item, bool)
}

// item is the head of one value.
type item struct {
	kind  byte // 's' text, 'b' bytes, 'n' number, 'a' array, 'm' map, '0' nothing, 'B' break
	size  int  // bytes of a text or bytes, items of a container, -1 for an open one
	value []byte
}

// MsgPack walks a MessagePack value (spec of 2017) that fills p.
func MsgPack(p []byte, at *Step, visit Visitor) End { return runPack(p, at, visit, msgpackItem) }

// CBOR walks a CBOR value (RFC 8949) that fills p.
func CBOR(p []byte, at *Step, visit Visitor) End { return runPack(p, at, visit, cborItem) }

// LooksMsgPack reports a map with short text keys, or an array of such, that
// fills p from beginning to end.
func LooksMsgPack(p []byte) bool {
	if len(p) < 4 || p[0]>>4 != 8 && p[0]>>4 != 9 && p[0] < 0xdc {
		return false
	}
	return looksPack(p, msgpackItem)
}

// LooksCBOR reports the same of CBOR, with or without its own magic tag.
func LooksCBOR(p []byte) bool {
	if len(p) < 4 || p[0]>>5 != 5 && p[0]>>5 != 4 && p[0]>>5 != 6 {
		return false
	}
	return looksPack(p, cborItem)
}

// ToldMsgPack gives the 32-bit count or length in the head of a MessagePack
// value, or 0 when it has none.
func ToldMsgPack(p []byte) uint64 {
	if len(p) < 5 || p[0] != 0xc6 && p[0] != 0xc9 && p[0] != 0xdb && p[0] != 0xdd && p[0] != 0xdf {
		return 0
	}
	return uint64(binary.BigEndian.Uint32(p[1:]))
}

// ToldCBOR gives the count or length of 32 or 64 bits in the head of a CBOR
// value, or 0 when it has none.
func ToldCBOR(p []byte) uint64 {
	if len(p) < 5 || p[0]>>5 < 2 || p[0]>>5 > 5 {
		return 0
	}
	switch {
	case p[0]&31 == 26:
		return uint64(binary.BigEndian.Uint32(p[1:]))
	case p[0]&31 == 27 && len(p) >= 9:
		return binary.BigEndian.Uint64(p[1:])
	}
	return 0
}

func looksPack(p []byte, read func(*pack) (item, bool)) bool {
	var end End
	w := pack{p: p, visit: func(Leaf) bool { return true }, end: &end, read: read}
	ok := w.walk(nil, 0) && w.i == len(p) || end.TooDeep
	return ok && w.names > 0 && w.texts*10 >= len(p)*3
}

func runPack(p []byte, at *Step, visit Visitor, read func(*pack) (item, bool)) End {
	var end End
	w := pack{p: p, visit: visit, end: &end, read: read}
	end.OK = w.walk(at, 0) && w.i == len(p)
	end.Used = w.i
	return end
}

// walk reads one value; its depth is bounded, so it may recurse.
func (w *pack) walk(at *Step, depth int) bool {
	it, ok := w.read(w)
	if !ok {
		return false
	}
	switch it.kind {
	case 's', 'b', 'n':
		if it.kind != 'n' {
			w.texts += len(it.value)
		}
		binary := it.kind == 'b' && !codec.Printable(it.value)
		return w.end.leaf(Leaf{At: at, Value: it.value, Number: it.kind == 'n', Binary: binary}, w.visit)
	case 'a', 'm':
		if depth >= MaxDepth {
			w.end.TooDeep = true
			return false
		}
		return w.container(it, at, depth)
	}
	return it.kind == '0'
}

func (w *pack) container(it item, at *Step, depth int) bool {
	if it.size > len(w.p)-w.i {
		return false
	}
	for n := 0; it.size < 0 || n < it.size; n++ {
		if it.size < 0 && w.i < len(w.p) && w.p[w.i] == 0xff {
			w.i++
			return true
		}
		var step *Step
		if it.kind == 'a' {
			if at != nil {
				step = at.Child("", n)
			}
		} else {
			key, ok := w.key()
			if !ok {
				return false
			}
			if at != nil {
				step = at.Child(key, -1)
			}
		}
		if !w.walk(step, depth+1) {
			return false
		}
	}
	return true
}

// key reads the name of a map entry; only texts and numbers can be one.
func (w *pack) key() (string, bool) {
	it, ok := w.read(w)
	if !ok || it.kind != 's' && it.kind != 'n' || len(it.value) > 256 {
		return "", false
	}
	if it.kind == 's' && len(it.value) <= 64 && codec.Printable(it.value) {
		w.names++
		w.texts += len(it.value)
	}
	return string(it.value), true
}

// uint reads n bytes, big endian.
func (w *pack) uint(n int) (uint64, bool) {
	if n > len(w.p)-w.i {
		return 0, false
	}
	var b [8]byte
	copy(b[8-n:], w.p[w.i:w.i+n])
	w.i += n
	return binary.BigEndian.Uint64(b[:]), true
}

// view gives the next n bytes as the value of an item.
func (w *pack) view(kind byte, n uint64) (item, bool) {
	if n > uint64(len(w.p)-w.i) {
		return item{}, false
	}
	v := w.p[w.i : w.i+int(n)]
	w.i += int(n)
	return item{kind: kind, value: v}, true
}

func (w *pack) number(v string) (item, bool) { return item{kind: 'n', value: []byte(v)}, true }

func (w *pack) float(bits uint64, size int) (item, bool) {
	v := math.Float64frombits(bits)
	if size == 4 {
		v = float64(math.Float32frombits(uint32(bits)))
	}
	return w.number(strconv.FormatFloat(v, 'f', -1, 8*size))
}

// container heads with a length.
func (w *pack) open(kind byte, n uint64) (item, bool) {
	if n > uint64(len(w.p)) {
		return item{}, false
	}
	return item{kind: kind, size: int(n)}, true
}

// msgpackItem reads the head of a MessagePack value.
func msgpackItem(w *pack) (item, bool) {
	if w.i >= len(w.p) {
		return item{}, false
	}
	c := w.p[w.i]
	w.i++
	switch {
	case c < 0x80:
		return w.number(strconv.Itoa(int(c)))
	case c < 0x90:
		return w.open('m', uint64(c&15))
	case c < 0xa0:
		return w.open('a', uint64(c&15))
	case c < 0xc0:
		return w.view('s', uint64(c&31))
	case c >= 0xe0:
		return w.number(strconv.Itoa(int(int8(c))))
	case c == 0xc0 || c == 0xc2 || c == 0xc3:
		return item{kind: '0'}, true
	case c == 0xca || c == 0xcb:
		size := 4 << (c - 0xca)
		bits, ok := w.uint(size)
		if !ok {
			return item{}, false
		}
		return w.float(bits, size)
	case c >= 0xcc && c <= 0xd3:
		return w.integer(c)
	}
	return w.sized(c)
}

func (w *pack) integer(c byte) (item, bool) {
	size := 1 << ((c - 0xcc) & 3)
	v, ok := w.uint(size)
	if !ok {
		return item{}, false
	}
	if c < 0xd0 {
		return w.number(strconv.FormatUint(v, 10))
	}
	shift := 64 - 8*size
	return w.number(strconv.FormatInt(int64(v<<shift)>>shift, 10))
}

// sized reads the heads with a length of their own: str, bin, ext, array, map.
func (w *pack) sized(c byte) (item, bool) {
	kind, size, skip := byte('b'), 0, 0
	switch {
	case c >= 0xc4 && c <= 0xc6:
		size = 1 << (c - 0xc4)
	case c >= 0xc7 && c <= 0xc9:
		size, skip = 1<<(c-0xc7), 1
	case c >= 0xd4 && c <= 0xd8:
		v, ok := w.view('b', 1+1<<(c-0xd4)) // its type, then its bytes
		if ok {
			v.value = v.value[1:]
		}
		return v, ok
	case c >= 0xd9 && c <= 0xdb:
		kind, size = 's', 1<<(c-0xd9)
	case c == 0xdc || c == 0xdd:
		kind, size = 'a', 2<<(c-0xdc)
	case c == 0xde || c == 0xdf:
		kind, size = 'm', 2<<(c-0xde)
	default:
		return item{}, false
	}
	n, ok := w.uint(size)
	if w.i += skip; !ok || w.i > len(w.p) {
		return item{}, false
	}
	if kind == 'a' || kind == 'm' {
		return w.open(kind, n)
	}
	return w.view(kind, n)
}

// cborItem reads the head of a CBOR value; tags are passed over.
func cborItem(w *pack) (item, bool) {
	for tags := 0; tags < 8; tags++ {
		if w.i >= len(w.p) {
			return item{}, false
		}
		c := w.p[w.i]
		w.i++
		major, info := c>>5, c&31
		if info == 31 {
			return w.cborOpen(major)
		}
		n, size := uint64(info), 0
		if info >= 24 {
			var ok bool
			if size = 1 << (info - 24); info > 27 {
				return item{}, false
			}
			if n, ok = w.uint(size); !ok {
				return item{}, false
			}
		}
		if major != 6 {
			return w.cborValue(major, n, size)
		}
	}
	return item{}, false
}

func (w *pack) cborValue(major byte, n uint64, size int) (item, bool) {
	switch major {
	case 0:
		return w.number(strconv.FormatUint(n, 10))
	case 1:
		return w.number(strconv.FormatInt(-1-int64(n&math.MaxInt64), 10))
	case 2:
		return w.view('b', n)
	case 3:
		return w.view('s', n)
	case 4:
		return w.open('a', n)
	case 5:
		return w.open('m', n)
	}
	if size == 4 || size == 8 {
		return w.float(n, size)
	}
	return item{kind: '0'}, true
}

// cborOpen reads an item of indefinite length (RFC 8949 §3.2). The pieces of
// an open text are joined.
func (w *pack) cborOpen(major byte) (item, bool) {
	switch major {
	case 4:
		return item{kind: 'a', size: -1}, true
	case 5:
		return item{kind: 'm', size: -1}, true
	case 2, 3:
		var out []byte
		for w.i < len(w.p) {
			if w.p[w.i] == 0xff {
				w.i++
				return item{kind: "bs"[major-2], value: out}, true
			}
			if w.p[w.i]>>5 != major || w.p[w.i]&31 == 31 {
				break
			}
			it, ok := cborItem(w)
			if !ok {
				break
			}
			out = append(out, it.value...)
		}
	}
	return item{}, false
}
