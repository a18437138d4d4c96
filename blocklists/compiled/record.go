package compiled

import (
	"cmp"
	"encoding/binary"
	"math"
	"strings"
	"unsafe"
)

// Record is one rule as it is kept. Its strings lie in memory of the Go heap that
// is never written again, so they stay good for as long as anyone holds them.
type Record struct {
	List   int    // which of the lists, in their order
	Flags  byte   // as the lists mean them
	Raw    bool   // Key is the bytes of a prefix and not a name
	Line   uint32 // 1-based
	Order  uint32 // which of its list's rules it is; rules of one list are in the order of their lines
	Detail int    // which of its list's details it has; -1 when none
	Key    string // the name, or the bytes of the prefix
	Text   string // as written
}

// Before says whether a rule comes earlier, in the order of lists and lines.
func (r *Record) Before(o *Record) bool {
	return r.List < o.List || r.List == o.List && r.Order < o.Order
}

// Compare is that order for sorting.
func (r *Record) Compare(o *Record) int {
	return cmp.Or(cmp.Compare(r.List, o.List), cmp.Compare(r.Order, o.Order))
}

// A record in the file, padded to four bytes:
//
//	size(1) shape(1) head(1) class line order-line [detail] textLen [textAt] body
//
// size is the length of the key and head where the body begins; the numbers
// between them are varints. When shape is below elsewhere, the body is the text
// and the key lies shape bytes into it; otherwise the body is the key, and the
// text lies textAt bytes into the texts. A class is a list and the flags that go
// with it: a file has few, so that one byte is usually enough for both.
const (
	elsewhere = 255
	farText   = 48      // bytes a text may have besides the key and still lie with it, so that records stay together
	blockSize = 1 << 10 // bytes read and checked at a time; no record and no text crosses the end of one
	maxText   = 512     // bytes of a text
	grain     = 4       // records begin at multiples of this
)

// class is what the rules of a list have in common.
type class struct {
	list  uint32
	flags byte
	kind  byte
}

// bits of class.kind
const (
	kindRaw    = 1 << 0
	kindDetail = 1 << 1
	kindElse   = 1 << 2
)

// appendRecord writes a record without its padding. textAt is used when inline
// is false.
func appendRecord(b []byte, c uint64, r *Record, inline bool, textAt uint64) []byte {
	shape := elsewhere
	if inline {
		shape = strings.Index(r.Text, r.Key)
	}
	start := len(b)
	b = append(b, byte(len(r.Key)), byte(shape), 0)
	b = binary.AppendUvarint(b, c)
	b = binary.AppendUvarint(b, uint64(r.Line))
	b = binary.AppendVarint(b, int64(r.Order)-int64(r.Line))
	if r.Detail >= 0 {
		b = binary.AppendUvarint(b, uint64(r.Detail))
	}
	b = binary.AppendUvarint(b, uint64(len(r.Text)))
	if inline {
		b[start+2] = byte(len(b) - start)
		return append(b, r.Text...)
	}
	b = binary.AppendUvarint(b, textAt)
	b[start+2] = byte(len(b) - start)
	return append(b, r.Key...)
}

// inlineText says whether a text is to lie with its key.
func inlineText(r *Record) bool {
	return len(r.Text) <= len(r.Key)+farText && strings.Contains(r.Text, r.Key)
}

// keyOf finds the key of a record; false when the record is damaged.
func keyOf(rec []byte) (key []byte, ok bool) {
	if len(rec) < 4 {
		return nil, false
	}
	size, at := int(rec[0]), int(rec[2])
	if rec[1] != elsewhere {
		at += int(rec[1])
	}
	if at+size > len(rec) {
		return nil, false
	}
	return rec[at : at+size], true
}

// fields reads varints one after the other.
type fields struct {
	b  []byte
	ok bool
}

func (f *fields) uint() uint64 {
	if len(f.b) > 0 && f.b[0] < 0x80 {
		v := uint64(f.b[0])
		f.b = f.b[1:]
		return v
	}
	v, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.ok = false
		return 0
	}
	f.b = f.b[n:]
	return v
}

// read decodes a record at the beginning of rec; false when it is damaged. The
// text is left out where it lies elsewhere: textAt says where then.
func (r *Record) read(rec []byte, classes []class) (textAt uint64, textLen int, ok bool) {
	key, ok := keyOf(rec)
	if !ok || int(rec[2]) > len(rec) || rec[2] < 3 {
		return 0, 0, false
	}
	f := fields{rec[3:rec[2]], true}
	c := f.uint()
	if c >= uint64(len(classes)) {
		return 0, 0, false
	}
	k := classes[c]
	line, order := f.uint(), f.uint()
	diff := int64(order>>1) ^ -int64(order&1) // zigzag, as binary.AppendVarint
	*r = Record{List: int(k.list), Flags: k.flags, Raw: k.kind&kindRaw != 0, Line: uint32(line), Order: uint32(int64(line) + diff), Detail: -1, Key: view(key)}
	if k.kind&kindDetail != 0 {
		r.Detail = int(f.uint() & math.MaxInt32)
	}
	size := f.uint()
	if size > maxText {
		return 0, 0, false
	}
	if rec[1] == elsewhere {
		return f.uint(), int(size), f.ok
	}
	from := int(rec[2])
	if from+int(size) > len(rec) {
		return 0, 0, false
	}
	r.Text = view(rec[from : from+int(size)])
	return 0, 0, f.ok
}

// view gives bytes of a block as a string without a copy. Blocks are never
// written again, and the string keeps its block.
func view(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return unsafe.String(&b[0], len(b))
}
