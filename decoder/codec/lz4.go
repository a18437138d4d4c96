package codec

import "encoding/binary"

// IsLZ4 reports the magic number of the LZ4 frame format.
func IsLZ4(p []byte) bool {
	return len(p) >= 11 && binary.LittleEndian.Uint32(p) == 0x184d2204 && p[4]>>6 == 1
}

// LZ4 inflates an LZ4 frame (lz4_Frame_format.md, version 1.6). The checksums
// are passed over: evidence with a wrong sum is still evidence.
func LZ4(p []byte, b *Budget) (Output, bool) {
	var out Output
	if !IsLZ4(p) {
		return out, false
	}
	flags, at := p[4], 7
	if flags&0x08 != 0 {
		at += 8 // content size
	}
	if flags&0x01 != 0 {
		at += 4 // dictionary id
	}
	for {
		if len(p)-at < 4 || at > len(p) {
			out.Truncated = true
			break
		}
		head := binary.LittleEndian.Uint32(p[at:])
		at += 4
		size := int(head & 0x7fffffff)
		if head == 0 {
			if flags&0x04 != 0 {
				at += 4
			}
			out.Rest = max(0, len(p)-at)
			break
		}
		if size > len(p)-at {
			size, out.Truncated = len(p)-at, true
		}
		if !out.lz4Block(p[at:at+size], head>>31 == 1, at, b) || out.Truncated {
			break
		}
		if at += size; flags&0x10 != 0 {
			at += 4 // block checksum
		}
	}
	return out, len(out.Data) > 0
}

// lz4Block appends one block; used is the input that came before it.
func (o *Output) lz4Block(p []byte, stored bool, used int, b *Budget) bool {
	before := len(o.Data)
	ok := true
	if stored {
		n := min(len(p), b.Inflate)
		o.Data = append(room(o.Data, n), p[:n]...)
	} else {
		o.Data, ok = lz4Append(o.Data, p, b.Inflate)
	}
	o.Broken = !ok && !o.Truncated
	return o.charge(len(o.Data)-before, used+len(p), b) && ok
}

// charge takes what was inflated from the budget and looks for a bomb.
func (o *Output) charge(n, used int, b *Budget) bool {
	b.Inflate -= n
	b.Work -= min(n, b.Work)
	if len(o.Data) > bombFrom && len(o.Data)/bombRatio > used {
		o.Bomb = true
		o.Data = append([]byte(nil), o.Data[:bombKeep]...)
		return false
	}
	if b.Inflate <= 0 {
		b.Inflate, b.Spent = 0, true
		return false
	}
	return true
}

// lz4Append inflates one block (lz4_Block_format.md) behind what is already
// there, to which it may refer. It stops after limit bytes.
func lz4Append(dst, p []byte, limit int) ([]byte, bool) {
	limit += len(dst)
	for i := 0; i < len(p); {
		token := p[i]
		i++
		lit, next, ok := lz4Length(p, i, int(token>>4))
		if i = next; !ok || lit > len(p)-i || len(dst)+lit > limit {
			return append(dst, p[i:min(len(p), i+max(0, limit-len(dst)))]...), false
		}
		dst = append(room(dst, lit), p[i:i+lit]...)
		if i += lit; i == len(p) {
			return dst, true
		}
		if len(p)-i < 2 {
			return dst, false
		}
		back := int(binary.LittleEndian.Uint16(p[i:]))
		size, next, ok := lz4Length(p, i+2, int(token&15))
		if i = next; !ok || back == 0 || back > len(dst) || len(dst)+size+4 > limit {
			return dst, false
		}
		dst = repeat(dst, back, size+4)
	}
	return dst, true
}

// lz4Length reads on when a length of 15 says that more follows.
func lz4Length(p []byte, i, n int) (int, int, bool) {
	if n < 15 {
		return n, i, true
	}
	for ; i < len(p); i++ {
		if n += int(p[i]); p[i] != 255 {
			return n, i + 1, true
		}
	}
	return 0, i, false
}

// repeat appends n bytes that begin back bytes before the end, which may
// overlap what is being appended.
func repeat(dst []byte, back, n int) []byte {
	dst = room(dst, n)
	for n > 0 {
		k := min(n, back)
		from := len(dst) - back
		dst = append(dst, dst[from:from+k]...)
		n -= k
	}
	return dst
}
