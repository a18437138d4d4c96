package blocklists

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"unicode/utf8"
	"unsafe"

	"nightlatch/blocklists/compiled"
	"nightlatch/blocklists/syntax"
)

const (
	maxText  = 200     // bytes kept of a rule as written: enough for any name, short enough for a log line
	maxRules = 8 << 20 // rules of one list: eight times the largest list met
	maxExtra = 1 << 20 // rules of one list with more than a name: a hundred times the most met
	maxBlob  = 1 << 31 // bytes of the records of one list, so that positions fit the table of a Set
)

// A list keeps its rules as records, one after the other in one string: about
// the size of the text they came from. Names and texts are handed out as parts
// of that string, so that a verdict costs no allocation.
//
//	flags(1) line(uvarint) [detail(uvarint)] shape(1) size(1) ...
//
// size is the length of the name. By shape there follow:
//
//	0..253     textLen(uvarint) text        the name begins at text[shape]
//	elsewhere  textLen(uvarint) text name   the text spells the name differently
//	sameText   back(uvarint) textLen(uvarint) name   the text lies back bytes before the record
//
// An address rule has its prefix (4 or 16 bytes of address, 1 of length) for a name.
const (
	elsewhere = 254
	sameText  = 255
)

// flags of a record
const (
	flagMatch     = 0b11   // a Match
	flagAllow     = 1 << 2 // Rule.Allow
	flagAction    = 3 << 3 // an Action
	flagException = 1 << 5 // an exception of an imported list: beats every plain block
	flagImportant = 1 << 6 // beats every exception that is not important itself
	flagDetail    = 1 << 7 // a detail follows
)

const actionShift = 3

// detail is what few rules have; it lies beside the records.
type detail struct {
	Category, Why, Breaks, Source, File, Risk, Confidence string

	Answer  netip.Addr
	Reply   Reply       // zero: as the list says
	Decode  *DecodeHint // shared by the rules of a group
	observe bool        // Rule.Action is ActionObserve; the flags say ActionDefault

	pattern *syntax.Pattern // the rule is a pattern; its record is named by the pattern's key
	limits  *syntax.Limits  // when the rule holds; nil is always
	rewrite *Rewrite        // the answer the rule gives by itself; of an exception the one it takes back
	kind    kind            // what rewrite makes of the rule
	client  netip.Prefix    // valid for a rule about who asks
}

// kind tells the rules that need more than to be matched.
type kind uint8

const (
	plain kind = iota // a block or an allow, as nearly every rule
	local             // data of a zone: for those who can answer by it
	first             // AdGuard's $dnsrewrite and its exceptions: heard before all others
)

// record is one rule, decoded. Of a parsed list its strings are parts of the
// list's records; see [compiled.Record] for those of a Set.
type record struct {
	compiled.Record
	end int // of a parsed list: where the next record begins
}

func (r *record) match() Match   { return Match(r.Flags & flagMatch) }
func (r *record) allow() bool    { return r.Flags&flagAllow != 0 }
func (r *record) action() Action { return Action(r.Flags & flagAction >> actionShift) }

// readRecord decodes the record at position at. The records are our own, made
// by builder.add, so they are not checked again.
func readRecord(blob string, at int) record {
	r := record{}
	r.Flags, r.Detail = blob[at], -1
	pos := at + 1
	line, pos := uvarint(blob, pos)
	r.Line = uint32(line)
	if r.Flags&flagDetail != 0 {
		var d uint64
		d, pos = uvarint(blob, pos)
		r.Detail = int(d)
	}
	shape, size := int(blob[pos]), int(blob[pos+1])
	pos += 2
	var back uint64
	if shape == sameText {
		back, pos = uvarint(blob, pos)
	}
	length, pos := uvarint(blob, pos)
	switch shape {
	case sameText:
		start := at - int(back)
		r.Text = blob[start : start+int(length)]
	default:
		r.Text = blob[pos : pos+int(length)]
		pos += int(length)
	}
	if shape < elsewhere {
		r.Key = r.Text[shape : shape+size]
	} else {
		r.Key = blob[pos : pos+size]
		pos += size
	}
	r.Raw = r.match() == Address
	r.end = pos
	return r
}

// uvarint is binary.Uvarint over a string.
func uvarint(s string, pos int) (uint64, int) {
	var v uint64
	for shift := 0; ; shift += 7 {
		c := s[pos]
		pos++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v, pos
		}
	}
}

// chunk is how many bytes of records lie together: what has been read of a list is
// not moved when more comes.
const chunk = 1 << 20

// builder makes the records of one list.
type builder struct {
	blob    []byte   // the chunk at hand
	chunks  []string // those before it
	size    int      // of all chunks
	details []detail
	count   int
	full    bool // a bound was met: the list must be refused

	lastLine         int // the line of the last record, whose text the next may share
	lastText, lastTo int // where that text lies in blob
}

// add appends one rule. name is canonical; text is the line as written.
func (b *builder) add(line int, name, text []byte, flags byte, d *detail) {
	if b.full = b.full || b.count >= maxRules || len(b.details) >= maxExtra || b.size >= maxBlob-2*chunk; b.full {
		return
	}
	if len(b.blob) >= chunk-4*maxText-maxName {
		b.endChunk()
	}
	at := len(b.blob)
	if d != nil {
		flags |= flagDetail
	}
	b.blob = append(b.blob, flags)
	b.blob = binary.AppendUvarint(b.blob, uint64(line))
	if d != nil {
		b.blob = binary.AppendUvarint(b.blob, uint64(b.addDetail(*d)))
	}
	b.count++
	text = tidy(text)
	if b.lastLine == line && bytes.Equal(text, b.blob[b.lastText:b.lastTo]) {
		b.blob = append(b.blob, sameText, byte(len(name)))
		b.blob = binary.AppendUvarint(b.blob, uint64(at-b.lastText))
		b.blob = binary.AppendUvarint(b.blob, uint64(b.lastTo-b.lastText))
		b.blob = append(b.blob, name...)
		return
	}
	b.addText(line, name, text)
}

func (b *builder) addText(line int, name, text []byte) {
	shape := bytes.Index(text, name)
	if shape < 0 {
		shape = elsewhere
	}
	b.blob = append(b.blob, byte(shape), byte(len(name)))
	b.blob = binary.AppendUvarint(b.blob, uint64(len(text)))
	b.lastLine, b.lastText = line, len(b.blob)
	b.blob = append(b.blob, text...)
	b.lastTo = len(b.blob)
	if shape == elsewhere {
		b.blob = append(b.blob, name...)
	}
}

// addDetail keeps a detail, sharing it with the rule before when both are the
// same: groups of rules usually are.
func (b *builder) addDetail(d detail) int {
	if n := len(b.details); n > 0 && b.details[n-1] == d {
		return n - 1
	}
	b.details = append(b.details, d)
	return len(b.details) - 1
}

// endChunk puts the chunk at hand to the others. It is never written again, so it
// becomes a string without a copy.
func (b *builder) endChunk() {
	if len(b.blob) > 0 {
		b.chunks = append(b.chunks, unsafe.String(&b.blob[0], len(b.blob)))
		b.size += len(b.blob)
	}
	b.blob, b.lastLine = nil, 0
	if b.size > 0 {
		b.blob = make([]byte, 0, chunk)
	}
}

// tidy shortens a text to what is kept and makes it valid UTF-8.
func tidy(text []byte) []byte {
	if len(text) <= maxText && utf8.Valid(text) {
		return text
	}
	s := strings.ToValidUTF8(clip(text), "\uFFFD")
	return []byte(clip(s))
}

// prefixKey gives the bytes by which an address rule is found.
func prefixKey(dst []byte, p netip.Prefix) []byte {
	dst = append(dst, p.Addr().AsSlice()...)
	return append(dst, byte(p.Bits()))
}

func keyPrefix(key string) netip.Prefix {
	n := len(key) - 1
	if n < 4 {
		return netip.Prefix{}
	}
	a, _ := netip.AddrFromSlice([]byte(key[:n]))
	return netip.PrefixFrom(a, int(key[n]))
}
