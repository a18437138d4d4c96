package walk

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"

	"nightlatch/decoder/codec"
)

// Limits of an Avro file; its schema is JSON written by the sender.
const (
	maxSchema = 64 << 10
	maxAvro   = 24 // nested types
)

// IsAvro reports the magic number of an Avro object container file.
func IsAvro(p []byte) bool { return bytes.HasPrefix(p, []byte("Obj\x01")) }

// avro is a walk over records whose schema stands in front of them.
type avro struct {
	p     []byte
	i     int
	visit Visitor
	end   *End
	named map[string]any // record, enum and fixed types by name
	b     *codec.Budget
}

// Avro walks the records of an object container file (Avro 1.11 specification,
// "Object Container Files") with the codecs null and deflate.
func Avro(p []byte, at *Step, b *codec.Budget, visit Visitor) End {
	var end End
	w := avro{p: p, i: 4, visit: visit, end: &end, named: map[string]any{}, b: b}
	meta, ok := w.meta()
	if schema := meta["avro.schema"]; !ok || len(schema) > maxSchema || len(p)-w.i < 16 {
		return end
	}
	var schema any
	if json.Unmarshal(meta["avro.schema"], &schema) != nil {
		return end
	}
	w.i += 16 // the mark between blocks
	for n := 0; w.i < len(w.p); {
		count, ok1 := w.long()
		size, ok2 := w.long()
		if !ok1 || !ok2 || size < 0 || size > int64(len(w.p)-w.i) || count < 0 || count > size+1 {
			return end
		}
		block := w.p[w.i : w.i+int(size)]
		if w.i += int(size) + 16; string(meta["avro.codec"]) == "deflate" {
			out, _ := codec.Deflate(block, b)
			block = out.Data
		}
		in := avro{p: block, visit: visit, end: &end, named: w.named, b: b}
		for range count {
			if !in.value(schema, at.Child("", n), 0) {
				return end
			}
			n++
		}
	}
	end.OK, end.Used = true, len(p)
	return end
}

// meta reads the map of byte strings in the head.
func (w *avro) meta() (map[string][]byte, bool) {
	out := map[string][]byte{}
	for {
		n, ok := w.long()
		if n < 0 {
			if _, ok = w.long(); !ok {
				return nil, false
			}
			n = -n
		}
		if !ok || n > 64 || n < 0 {
			return nil, false
		}
		if n == 0 {
			return out, true
		}
		for range n {
			k, ok1 := w.bytes()
			v, ok2 := w.bytes()
			if !ok1 || !ok2 {
				return nil, false
			}
			out[string(k)] = v
		}
	}
}

func (w *avro) long() (int64, bool) {
	v, n := binary.Uvarint(w.p[min(w.i, len(w.p)):])
	w.i += max(n, 0)
	return zigzag(v), n > 0
}

func (w *avro) bytes() ([]byte, bool) {
	n, ok := w.long()
	if !ok || n < 0 {
		return nil, false
	}
	return w.take(n)
}

func (w *avro) take(n int64) ([]byte, bool) {
	if n < 0 || n > int64(len(w.p)-w.i) {
		return nil, false
	}
	v := w.p[w.i : w.i+int(n)]
	w.i += int(n)
	return v, true
}

func (w *avro) leaf(at *Step, v []byte, number bool) bool {
	return w.end.leaf(Leaf{At: at, Value: v, Number: number, Binary: !number && !codec.Printable(v)}, w.visit)
}

// value reads one value of a type: a name, a union or a description.
func (w *avro) value(schema any, at *Step, depth int) bool {
	if depth > maxAvro || !w.b.Take(8) {
		w.end.TooDeep = depth > maxAvro
		return false
	}
	switch s := schema.(type) {
	case string:
		if full, ok := w.named[s]; ok {
			return w.value(full, at, depth+1)
		}
		return w.scalar(s, at)
	case []any:
		n, ok := w.long()
		return ok && n >= 0 && n < int64(len(s)) && w.value(s[n], at, depth+1)
	case map[string]any:
		return w.complex(s, at, depth)
	}
	return false
}

func (w *avro) scalar(name string, at *Step) bool {
	switch name {
	case "null":
		return true
	case "boolean":
		_, ok := w.take(1)
		return ok
	case "int", "long":
		v, ok := w.long()
		return ok && w.leaf(at, strconv.AppendInt(nil, v, 10), true)
	case "float":
		v, ok := w.take(4)
		return ok && w.leaf(at, strconv.AppendFloat(nil, float64(math.Float32frombits(binary.LittleEndian.Uint32(v))), 'f', -1, 32), true)
	case "double":
		v, ok := w.take(8)
		return ok && w.leaf(at, strconv.AppendFloat(nil, math.Float64frombits(binary.LittleEndian.Uint64(v)), 'f', -1, 64), true)
	case "bytes", "string":
		v, ok := w.bytes()
		return ok && w.leaf(at, v, false)
	}
	return false
}

func (w *avro) complex(s map[string]any, at *Step, depth int) bool {
	if name, ok := s["name"].(string); ok && len(w.named) < 256 {
		w.named[name] = s
	}
	switch s["type"] {
	case "record":
		fields, _ := s["fields"].([]any)
		for _, f := range fields {
			field, _ := f.(map[string]any)
			name, _ := field["name"].(string)
			if !w.value(field["type"], at.Child(name, -1), depth+1) {
				return false
			}
		}
		return true
	case "enum":
		_, ok := w.long()
		return ok
	case "fixed":
		size, _ := s["size"].(float64)
		v, ok := w.take(int64(size))
		return ok && w.leaf(at, v, false)
	case "array":
		return w.items(s["items"], false, at, depth)
	case "map":
		return w.items(s["values"], true, at, depth)
	}
	return w.value(s["type"], at, depth+1)
}

// items reads the blocks of an array or a map.
func (w *avro) items(schema any, keyed bool, at *Step, depth int) bool {
	for k := 0; ; {
		n, ok := w.long()
		if ok && n < 0 {
			n = -n
			_, ok = w.long()
		}
		if !ok || n < 0 || n > int64(len(w.p)-w.i)+1 {
			return false
		}
		if n == 0 {
			return true
		}
		for range n {
			step := at.Child("", k)
			if keyed {
				key, ok := w.bytes()
				if !ok {
					return false
				}
				step = at.Child(string(key[:min(len(key), 256)]), -1)
			}
			if !w.value(schema, step, depth+1) {
				return false
			}
			k++
		}
	}
}
