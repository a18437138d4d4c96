package walk

import (
	"encoding/binary"
	"math"
	"strconv"

	"nightlatch/decoder/codec"
)

// maxField is the highest field number taken for one: what SDKs use is far
// lower, and random bytes are mostly higher.
const maxField = 2000

// protoField is one field on the wire (protobuf encoding guide, "wire types").
type protoField struct {
	number uint64
	wire   byte
	value  uint64 // wire types 0, 1 and 5
	bytes  []byte // wire type 2
}

// nextField reads one field and gives what follows it. Groups, which nobody
// sends any more, do not count.
func nextField(p []byte) (f protoField, rest []byte, ok bool) {
	tag, n := binary.Uvarint(p)
	f.number, f.wire = tag>>3, byte(tag&7)
	if n <= 0 || f.number == 0 || f.number > maxField {
		return f, nil, false
	}
	p = p[n:]
	switch f.wire {
	case 0:
		f.value, n = binary.Uvarint(p)
		if n <= 0 {
			return f, nil, false
		}
		return f, p[n:], true
	case 1:
		if len(p) < 8 {
			return f, nil, false
		}
		f.value = binary.LittleEndian.Uint64(p)
		return f, p[8:], true
	case 5:
		if len(p) < 4 {
			return f, nil, false
		}
		f.value = uint64(binary.LittleEndian.Uint32(p))
		return f, p[4:], true
	case 2:
		size, n := binary.Uvarint(p)
		if n <= 0 || size > uint64(len(p)-n) {
			return f, nil, false
		}
		f.bytes = p[n : n+int(size)]
		return f, p[n+int(size):], true
	}
	return f, nil, false
}

// validProto reports that p is fields from beginning to end, one level deep.
func validProto(p []byte) bool {
	for len(p) > 0 {
		_, rest, ok := nextField(p)
		if !ok {
			return false
		}
		p = rest
	}
	return true
}

// LooksProtobuf reports that p is a protobuf message beyond reasonable doubt:
// it is read to its end, and at least 30 in 100 of its bytes are readable text
// or a container we know, at whatever depth they stand.
func LooksProtobuf(p []byte) bool {
	if len(p) < 4 || !validProto(p) {
		return false
	}
	return protoText(p, 0)*10 >= len(p)*3
}

// protoText counts the bytes of p that are text, or compressed, inside fields.
func protoText(p []byte, depth int) int {
	n := 0
	for len(p) > 0 {
		f, rest, ok := nextField(p)
		if !ok {
			return n
		}
		p = rest
		switch {
		case f.wire != 2 || len(f.bytes) < 2:
		case codec.IsContainer(f.bytes):
			n += len(f.bytes)
		case nestedProto(f.bytes):
			if depth < MaxProto {
				n += protoText(f.bytes, depth+1)
			} else {
				n += len(f.bytes)
			}
		case len(f.bytes) >= 4 && (codec.Printable(f.bytes) || structured(f.bytes)):
			n += len(f.bytes)
		}
	}
	return n
}

// structured reports a field that is something else than text or protobuf.
func structured(p []byte) bool {
	return codec.IsUTF16(p) || LooksMsgPack(p) || LooksCBOR(p) || LooksThrift(p) || LooksJCE(p) ||
		len(p) >= 12 && (int64(binary.BigEndian.Uint32(p)) == int64(len(p)-4) || int64(binary.BigEndian.Uint32(p)) == int64(len(p)))
}

// nestedProto tells a message inside a message from a text. A text may happen
// to read as fields; then it is a text unless it begins with the tag of a
// first field, which is a control character.
func nestedProto(p []byte) bool {
	if len(p) < 2 || !validProto(p) {
		return false
	}
	return p[0] < ' ' || !codec.Printable(p)
}

// Protobuf walks a message without its schema. Strings and byte strings are
// leaves, and so are numbers, in decimal: an id may travel as a varint.
// Doubles that read like a coordinate are written as such.
func Protobuf(p []byte, at *Step, visit Visitor) End {
	end := End{OK: true, Used: len(p)}
	protoWalk(p, at, visit, 0, &end)
	return end
}

func protoWalk(p []byte, at *Step, visit Visitor, depth int, end *End) bool {
	if depth >= MaxProto {
		end.TooDeep = true
		return true
	}
	seen := map[uint64]int{}
	for len(p) > 0 {
		f, rest, ok := nextField(p)
		if !ok {
			end.OK = false
			return true
		}
		p = rest
		step := at.Child(strconv.FormatUint(f.number, 10), -1)
		if n := seen[f.number]; n > 0 {
			step = step.Child("", n)
		}
		seen[f.number]++
		if f.wire == 2 && nestedProto(f.bytes) && !codec.IsContainer(f.bytes) {
			if !protoWalk(f.bytes, step, visit, depth+1, end) {
				return false
			}
			continue
		}
		if !end.leaf(protoLeaf(f, step), visit) {
			return false
		}
	}
	return true
}

// leaf counts a leaf and hands it on.
func (e *End) leaf(l Leaf, visit Visitor) bool {
	if len(l.Value) == 0 {
		return true
	}
	e.Leaves++
	if !visit(l) {
		e.Stopped = true
		return false
	}
	return true
}

func protoLeaf(f protoField, step *Step) Leaf {
	if f.wire == 2 {
		return Leaf{At: step, Value: f.bytes, Binary: !codec.Printable(f.bytes)}
	}
	l := Leaf{At: step, Number: true}
	switch {
	case f.wire == 1 && plainDouble(math.Float64frombits(f.value)):
		l.Value = strconv.AppendFloat(nil, math.Float64frombits(f.value), 'f', -1, 64)
	case f.wire == 5 && plainDouble(float64(math.Float32frombits(uint32(f.value)))):
		l.Value = strconv.AppendFloat(nil, float64(math.Float32frombits(uint32(f.value))), 'f', -1, 32)
	default:
		l.Value = strconv.AppendUint(nil, f.value, 10)
	}
	return l
}

// plainDouble reports a number of everyday size, such as a coordinate.
func plainDouble(v float64) bool {
	if v < 0 {
		v = -v
	}
	return v > 1e-4 && v < 1e7
}
