package codec

import (
	"bytes"
	"encoding/binary"
)

const snappyMagic = "\xff\x06\x00\x00sNaPpY"

// IsSnappyFramed reports the stream identifier of the framing format.
func IsSnappyFramed(p []byte) bool { return bytes.HasPrefix(p, []byte(snappyMagic)) }

// SnappyFramed inflates a framed snappy stream (framing_format.txt).
func SnappyFramed(p []byte, b *Budget) (Output, bool) {
	var out Output
	for at := 0; at < len(p); {
		if len(p)-at < 4 {
			out.Truncated = true
			break
		}
		kind := p[at]
		size := int(p[at+1]) | int(p[at+2])<<8 | int(p[at+3])<<16
		at += 4
		if size > len(p)-at {
			size, out.Truncated = len(p)-at, true
		}
		chunk := p[at : at+size]
		at += size
		if !out.snappyChunk(kind, chunk, at, b) || out.Truncated {
			b.Spent = b.Spent || b.Inflate < 64<<10 && at < len(p) // a chunk may hold so much
			break
		}
	}
	return out, len(out.Data) > 0
}

func (o *Output) snappyChunk(kind byte, chunk []byte, used int, b *Budget) bool {
	const checksum = 4
	before, ok := len(o.Data), true
	switch {
	case kind == 0 && len(chunk) > checksum:
		var data []byte
		data, ok = SnappyBlock(chunk[checksum:], b.Inflate)
		o.Data = append(room(o.Data, len(data)), data...)
	case kind == 1 && len(chunk) > checksum:
		o.Data = append(o.Data, chunk[checksum:min(len(chunk), checksum+b.Inflate)]...)
	case kind >= 2 && kind < 0x80:
		ok = false
	}
	o.Broken = !ok && !o.Truncated
	return o.charge(len(o.Data)-before, used, b) && ok
}

// SnappyBlock inflates a snappy block (format_description.txt) of at most limit
// bytes. The length a block declares is only compared with what came out.
func SnappyBlock(p []byte, limit int) ([]byte, bool) {
	want, n := binary.Uvarint(p)
	if n <= 0 || want == 0 || want > uint64(limit) || want > 64*uint64(len(p)) {
		return nil, false
	}
	dst := make([]byte, 0, min(int(want), 4*len(p)))
	for i := n; i < len(p); {
		lit, size, back, next, ok := snappyElement(p, i)
		if i = next; !ok || size <= 0 || uint64(len(dst)+size) > want {
			return dst, false
		}
		if lit {
			dst = append(dst, p[i:i+size]...)
			i += size
			continue
		}
		if back == 0 || back > len(dst) {
			return dst, false
		}
		dst = repeat(dst, back, size)
	}
	return dst, uint64(len(dst)) == want
}

// snappyElement reads a tag: a literal of size bytes or a copy from back.
func snappyElement(p []byte, i int) (lit bool, size, back, next int, ok bool) {
	tag := p[i]
	i++
	extra := [...]int{0, 1, 2, 4}[tag&3]
	if tag&3 == 0 {
		size = int(tag >> 2)
		if extra = size - 59; extra < 0 {
			extra = 0
		}
	}
	if extra > len(p)-i {
		return false, 0, 0, i, false
	}
	var v uint32
	for k := range extra {
		v |= uint32(p[i+k]) << (8 * k)
	}
	i += extra
	switch tag & 3 {
	case 0:
		if extra > 0 {
			size = int(v)
		}
		size++
		return true, min(size, len(p)-i), 0, i, size > 0
	case 1:
		return false, 4 + int(tag>>2&7), int(tag>>5)<<8 | int(v), i, true
	}
	return false, 1 + int(tag>>2), int(v), i, true
}
