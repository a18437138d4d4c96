package decoder

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"nightlatch/decoder/codec"
	"nightlatch/decoder/walk"
)

// binary opens bytes that are not text: strict structures first, then what
// wraps them, and as a last resort what can be carved out. whole means a body
// rather than one field among many; only a body is worth the last resorts.
func (p *peel) binary(data []byte, at *walk.Step, whole bool) bool {
	if len(data) < 8 {
		if whole {
			p.lies(data)
		}
		return false
	}
	if out, name, ok := codec.UTF16(data); ok {
		p.layer(name, at, out, whole)
		return true
	}
	if p.structure(data, at) || p.framed(data, at) {
		return true
	}
	if out, ok := codec.GB18030(data); ok && p.budget.Take(len(data)) && mostlyASCII(data) {
		p.layer("gb18030", at, out, whole)
		return true
	}
	if json := bytes.TrimSpace(data); (json[0] == '{' || json[0] == '[') && codec.Texty(data) && p.json(json, at, whole) {
		return true
	}
	if walk.LooksForm(data) && codec.Texty(data) {
		return p.form(data, at)
	}
	if !whole {
		return p.carve(data, at, false)
	}
	p.lies(data)
	return p.unxor(data, at) || p.last(data, at) || p.carve(data, at, true)
}

// maxTold is the size of a container above which a body that is hardly there
// was made to have it allocated.
const maxTold = 1 << 24

// lies flags a MessagePack or CBOR body whose head promises more items or bytes
// than follow. Thousands of times more is no accident.
func (p *peel) lies(data []byte) {
	if len(data) > 64 {
		return // in a longer body chance would do it, once in a hundred times
	}
	kind := strings.ToLower(p.req.get("Content-Type"))
	var told uint64
	if strings.Contains(kind, "msgpack") {
		told = walk.ToldMsgPack(data)
	}
	if strings.Contains(kind, "cbor") {
		told = walk.ToldCBOR(data)
	}
	if len(data) <= 9 && told == 0 { // nothing but the promise
		told = max(walk.ToldMsgPack(data), walk.ToldCBOR(data))
	}
	if told < maxTold {
		return
	}
	p.flag("truncated")
	p.flag("bomb")
}

func mostlyASCII(p []byte) bool {
	n := 0
	for _, c := range p {
		if c < 0x80 {
			n++
		}
	}
	return n*2 >= len(p)
}

// structured asks for what [peel.structure] opens, without opening it.
func (p *peel) structured(data []byte) bool {
	if !p.budget.Take(4 * len(data)) {
		return false
	}
	return looksStructure(data) || p.looksFramed(data)
}

func looksStructure(data []byte) bool {
	_, _, ok := codec.UTF16(data)
	return ok || walk.LooksProtobuf(data) || walk.LooksMsgPack(data) || walk.LooksCBOR(data) || walk.LooksThrift(data) || walk.LooksJCE(data)
}

// structure walks protobuf, Thrift, JCE, MessagePack and CBOR. More than one may
// fit; all that fit are walked.
func (p *peel) structure(data []byte, at *walk.Step) bool {
	if !p.budget.Take(4 * len(data)) {
		return false
	}
	any := false
	for _, s := range []struct {
		name  string
		looks func([]byte) bool
		walk  func([]byte, *walk.Step, walk.Visitor) walk.End
	}{
		{"thrift_compact", walk.LooksThrift, walk.Thrift},
		{"jce", walk.LooksJCE, walk.JCE},
		{"protobuf", walk.LooksProtobuf, walk.Protobuf},
		{"cbor", walk.LooksCBOR, walk.CBOR},
		{"msgpack", walk.LooksMsgPack, walk.MsgPack},
	} {
		if !s.looks(data) {
			continue
		}
		step := at.Begin(s.name)
		p.keep(step, data)
		if end := s.walk(data, step, p.leaf); end.TooDeep {
			p.flag("too-deep")
		}
		any = true
	}
	return any
}

// binaryLeaf looks into a byte string of a structure. Short ones may be an
// address or a digest in binary: they are searched for in hex.
func (p *peel) binaryLeaf(l walk.Leaf) {
	if p.open(l.Value, l.At, false) {
		return
	}
	if len(l.Value) >= 6 && len(l.Value) <= 64 {
		l.Value = []byte(hex.EncodeToString(l.Value))
		p.leaves = append(p.leaves, l)
		return
	}
	p.blob(l.Value, l.At, nil)
}

// framings are the ways to put a length in front of a message: gRPC (a flag
// and 32 bits), plain 32 bits of either order, protobuf's delimited messages.
func framings() []framing {
	return []framing{{"grpc", 1, be32}, {"frames", 0, be32}, {"frames", 0, be32all}, {"frames", 0, le32}, {"delimited", 0, varint}}
}

type framing struct {
	name string
	skip int
	size func([]byte) (n, used int)
}

// framed opens length-prefixed frames that fill data exactly.
func (p *peel) framed(data []byte, at *walk.Step) bool {
	for _, f := range framings() {
		frames := cutFrames(data, f.skip, f.size)
		if len(frames) == 0 || !p.productiveFrames(frames) {
			continue
		}
		step := at.Begin(f.name)
		for i, frame := range frames {
			p.descend(frame, step.Child("", i), false)
		}
		return true
	}
	return false
}

// looksFramed asks for what [peel.framed] opens. The frames must be more than
// structures, or frames in frames would be asked for without end.
func (p *peel) looksFramed(data []byte) bool {
	for _, f := range framings() {
		frames := cutFrames(data, f.skip, f.size)
		ok := len(frames) > 0
		for _, frame := range frames[:min(len(frames), 4)] {
			ok = ok && len(frame) >= 6 && (codec.IsContainer(frame) || codec.Printable(frame) || looksStructure(frame))
		}
		if ok {
			return true
		}
	}
	return false
}

func be32(p []byte) (int, int) { return int(binary.BigEndian.Uint32(p)), 4 }

// be32all is a length that counts its own four bytes, as JCE packets have it.
func be32all(p []byte) (int, int) { return int(binary.BigEndian.Uint32(p)) - 4, 4 }

func le32(p []byte) (int, int) { return int(binary.LittleEndian.Uint32(p)), 4 }

func varint(p []byte) (int, int) {
	v, n := binary.Uvarint(p[:4])
	return int(v), n
}

// cutFrames gives the frames if they fill data to its last byte.
func cutFrames(data []byte, skip int, size func([]byte) (int, int)) [][]byte {
	var out [][]byte
	for len(data) > 0 {
		if len(data) < skip+4 || skip == 1 && data[0] > 1 {
			return nil
		}
		n, used := size(data[skip:])
		if used <= 0 || n < 2 || n > len(data)-skip-used || len(out) >= walk.MaxPairs {
			return nil
		}
		out = append(out, data[skip+used:skip+used+n])
		data = data[skip+used+n:]
	}
	return out
}

func (p *peel) productiveFrames(frames [][]byte) bool {
	for _, f := range frames[:min(len(frames), 4)] {
		if !p.productive(f) {
			return false
		}
	}
	return true
}

// maxXOR bounds the texts on which the 255 keys of a one-byte XOR are tried.
const maxXOR = 32 << 10

// unxor tries a one-byte XOR. Magic numbers give the key away; for a text all
// keys are tried, and the result must be a structure; for snappy likewise.
func (p *peel) unxor(data []byte, at *walk.Step) bool {
	if len(data) < 24 || len(data) > maxXOR || !p.budget.Take(8*len(data)) {
		return false
	}
	for _, magic := range []string{"\x1f\x8b\x08", "\x28\xb5\x2f\xfd", "\x04\x22\x4d\x18", "\x78\x9c", "\x78\xda", "\x78\x01", "\x78\x5e"} {
		key := data[0] ^ magic[0]
		head, _ := codec.XOR(data[:12], []byte{key})
		if key == 0 || !bytes.HasPrefix(head, []byte(magic)) || len(magic) == 2 && head[2]&6 == 6 { // RFC 1951 §3.2.3: no such block
			continue
		}
		if out, _ := codec.XOR(data, []byte{key}); codec.IsContainer(out) && p.unxored(out, at) {
			return true
		}
	}
	for key := 1; key < 256; key++ {
		n := textUnder(data, byte(key))
		if p.budget.Work -= min(n, p.budget.Work); n < len(data) {
			continue
		}
		if out, _ := codec.XOR(data, []byte{byte(key)}); p.budget.Take(4*len(data)) && codec.Printable(out) && p.telling(out) {
			return p.unxored(out, at)
		}
	}
	return p.unxorSnappy(data, at)
}

// unxored goes on with a plain text. A stream must inflate to something.
func (p *peel) unxored(out []byte, at *walk.Step) bool {
	if codec.IsZlib(out) {
		if plain, ok := codec.Zlib(out, p.budget); !ok || !plain.Clean() && !p.trust(plain.Data) {
			return false
		}
	}
	p.layer("xor", at, out, true)
	return true
}

// textUnder counts the bytes from the beginning that the key makes text of.
func textUnder(data []byte, key byte) int {
	for i, c := range data {
		if c ^= key; c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			return i
		}
	}
	return len(data)
}

// telling reports text that is a structure, or an encoding of something: what
// a wrong key does not make.
func (p *peel) telling(text []byte) bool {
	text = bytes.TrimSpace(text)
	if len(text) < 16 {
		return false
	}
	switch first, last := text[0], text[len(text)-1]; {
	case first == '{' && last == '}', first == '[' && last == ']':
		end := walk.JSON(text, &walk.Step{Index: -1}, func(walk.Leaf) bool { return true })
		return end.OK && end.Leaves > 0
	case first == '<' && last == '>':
		return bytes.Contains(text, []byte("</")) || bytes.Contains(text, []byte(`="`))
	case bytes.HasPrefix(text, []byte("eyJ")) && bytes.Count(text, []byte(".")) == 2, bytes.Count(text, []byte(`":`)) >= 2, bytes.HasPrefix(text, []byte("--")) && bytes.Contains(text, []byte("ontent-")):
		return true
	case walk.LooksForm(text) && bytes.IndexByte(text, '&') > 0, allForms(text):
		return true
	}
	if out, n := codec.Percent(text); n > 1 && len(out) < len(text) {
		return p.telling(out)
	}
	if out, ok := codec.Hex(text); ok {
		return p.productive(out)
	}
	out, ok := codec.Base64(text)
	return ok && p.productive(out)
}

// unxorSnappy tries every key with "snappy inflates it and the result is a
// structure" as the oracle.
func (p *peel) unxorSnappy(data []byte, at *walk.Step) bool {
	if len(data) > 8<<10 {
		return false
	}
	head := make([]byte, min(len(data), 5))
	for key := 1; key < 256; key++ {
		for i := range head {
			head[i] = data[i] ^ byte(key)
		}
		want, n := binary.Uvarint(head)
		if n <= 0 || want < uint64(len(data)/2) || want > 16*uint64(len(data)) || !p.budget.Take(2*len(data)) {
			continue
		}
		plain, _ := codec.XOR(data, []byte{byte(key)})
		if out, ok := codec.SnappyBlock(plain, p.budget.Inflate); ok && p.productive(out) {
			p.budget.Inflate -= len(out)
			step := at.Begin("xor")
			p.keep(step, plain)
			p.layer("snappy", step, out, true)
			return true
		}
	}
	return false
}

// last tries the codecs without a magic number. They accept noise now and
// then, so the whole input must be used and the result must be something.
func (p *peel) last(data []byte, at *walk.Step) bool {
	if out, ok := codec.SnappyBlock(data, p.budget.Inflate); ok && p.trust(out) {
		p.budget.Inflate -= len(out)
		p.layer("snappy", at, out, true)
		return true
	}
	for _, c := range []struct {
		name string
		run  inflater
	}{{"deflate", codec.Deflate}, {"brotli", codec.Brotli}} {
		out, ok := c.run(data, p.budget)
		if out.Bomb {
			p.flag("bomb")
			return true
		}
		if ok && out.Clean() && p.trust(out.Data) {
			p.layer(c.name, at, out.Data, true)
			return true
		}
	}
	return false
}

// trust is a stricter [peel.productive], for codecs that accept noise.
func (p *peel) trust(out []byte) bool { return len(out) >= 24 && p.productive(out) }
