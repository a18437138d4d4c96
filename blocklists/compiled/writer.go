package compiled

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
)

const (
	parts    = 64       // parts in which rules are put aside until all are known
	partSize = 32 << 10 // bytes of a part that are held before they go to the file put aside
	// MaxSame is how many rules for one key a list may have, when limits make them
	// differ: all of them are looked at for a question about it.
	MaxSame  = 64
	maxRules = 1 << 28 // rules of all lists, so that positions fit
)

// Counts is what became of the rules of one list.
type Counts struct {
	Rules      int // in the table
	Duplicates int // left out, since the same list says the same already
	Crowded    int // left out, since the same list has 64 others for the same key
}

// Writer takes rules, in the order of lists and lines or not, and makes a Table
// of them. Rules are put aside in parts by their hash, in a file when the table
// becomes one, so that what it holds does not grow with their number.
type Writer struct {
	// Same says whether two rules of one list and key, the earlier one first, ask
	// for the same in every case, so that the later one can be left out. The texts
	// of the two are not known then.
	Same func(a, b *Record) bool

	// Gone takes a rule that is to be left out, with its text, and says so. It is
	// asked about the lists of Suspect alone, for to bring the texts back costs time.
	Gone    func(r *Record) bool
	Suspect map[int]bool

	Counts []Counts // by list; complete when the table is

	seed    uint64
	classes []class
	class   map[class]uint64
	parts   [parts]part
	file    *os.File // where rules are put aside; nil: everything stays in memory
	written int64
	count   int
	rec     []byte
	err     error

	texts    texts
	lastText string // of a multi-line neighbour, written already
	lastAt   uint64
	lastLine uint32
	lastList int
}

// part is some of the rules: what is held, and where the rest was put.
type part struct {
	held []byte
	put  []segment
}

type segment struct {
	at   int64
	size int
}

// NewWriter makes a writer. aside is an empty file for it alone, or nil to work in
// memory.
func NewWriter(aside *os.File) *Writer {
	w := &Writer{seed: rand.Uint64(), class: map[class]uint64{}, file: aside, lastList: -1}
	w.texts.w = w
	return w
}

// Add puts a rule aside. Its key is canonical, in lower case, at most MaxName
// bytes; its text has at most 512 bytes.
func (w *Writer) Add(r *Record) error {
	q, ok := NewName(r.Key)
	if r.Raw {
		q, ok = Name{text: r.Key}, true
	}
	if !ok || len(r.Text) > maxText || len(r.Key) > MaxName || w.count >= maxRules {
		return fmt.Errorf("compiled: a rule cannot be kept: %.40q", r.Key)
	}
	for len(w.Counts) <= r.List {
		w.Counts = append(w.Counts, Counts{})
	}
	w.count++
	h := w.seed
	if r.Raw {
		h = q.label(h, 0, len(r.Key))
	} else {
		h = q.whole(h)
	}
	inline := inlineText(r)
	if inline && w.lastList == r.List && w.lastLine == r.Line && w.lastText == r.Text {
		inline = false // a line with several rules: its text is there already
	}
	var at uint64
	if !inline {
		at = w.textAt(r)
	}
	w.rec = binary.LittleEndian.AppendUint64(w.rec[:0], h)
	w.rec = binary.LittleEndian.AppendUint32(w.rec, uint32(r.List))
	w.rec = binary.LittleEndian.AppendUint32(w.rec, r.Order)
	w.rec = append(w.rec, 0, 0)
	w.rec = appendRecord(w.rec, w.classOf(r), r, inline, at)
	binary.LittleEndian.PutUint16(w.rec[16:], uint16(len(w.rec)-entryHead))
	w.put(&w.parts[h>>(64-6)], w.rec)
	return w.err
}

// entryHead is what stands before a record that is put aside: its hash, list,
// order and length.
const entryHead = 18

func (w *Writer) classOf(r *Record) uint64 {
	c := class{list: uint32(r.List), flags: r.Flags}
	if r.Raw {
		c.kind |= kindRaw
	}
	if r.Detail >= 0 {
		c.kind |= kindDetail
	}
	id, ok := w.class[c]
	if !ok {
		id = uint64(len(w.classes))
		w.class[c] = id
		w.classes = append(w.classes, c)
	}
	return id
}

// put appends to a part.
func (w *Writer) put(p *part, b []byte) {
	if w.file != nil && len(p.held)+len(b) > partSize {
		w.flush(p)
	}
	if p.held == nil && w.file != nil {
		p.held = make([]byte, 0, partSize)
	}
	p.held = append(p.held, b...)
}

func (w *Writer) flush(p *part) {
	if w.err != nil || len(p.held) == 0 {
		return
	}
	if _, err := w.file.WriteAt(p.held, w.written); err != nil {
		w.err = fmt.Errorf("compiled: %w", err)
	}
	p.put = append(p.put, segment{w.written, len(p.held)})
	w.written += int64(len(p.held))
	p.held = p.held[:0]
}

// texts is the blocks of texts that do not lie with their keys.
type texts struct {
	w    *Writer
	part part
	size uint64
}

// textAt writes a text and gives where, the last one's place when it is the same.
func (w *Writer) textAt(r *Record) uint64 {
	if r.Text == "" {
		return 0
	}
	if w.lastText == r.Text {
		return w.lastAt
	}
	t := &w.texts
	if room := blockSize - t.size%blockSize; room < uint64(len(r.Text)) {
		w.put(&t.part, make([]byte, room))
		t.size += room
	}
	at := t.size
	w.put(&t.part, []byte(r.Text))
	t.size += uint64(len(r.Text))
	w.lastText, w.lastAt, w.lastList, w.lastLine = strings.Clone(r.Text), at, r.List, r.Line
	return at
}

// load brings back everything that was put into a part.
func (w *Writer) load(p *part, buf []byte) []byte {
	buf = buf[:0]
	for _, s := range p.put {
		n := len(buf)
		buf = slices.Grow(buf, s.size)[:n+s.size]
		if _, err := w.file.ReadAt(buf[n:], s.at); err != nil && w.err == nil {
			w.err = fmt.Errorf("compiled: %w", err)
		}
	}
	return append(buf, p.held...)
}

// item is a rule on its way into a bucket.
type item struct {
	hash        uint64
	list, order uint32
	rec         []byte
}

// layout makes buckets and blocks.
type layout struct {
	w            *Writer
	homes        uint64
	words, cells []byte
	out          *blocks
	carry        []item // rules that found their bucket full
	next         uint64 // the bucket to be written
}

// finish writes all rules, part by part: hashes rise from part to part, so the
// buckets do.
func (l *layout) run() error {
	var buf []byte
	var items, sorted []item
	var starts []uint32
	for i := range l.w.parts {
		p := &l.w.parts[i]
		buf = l.w.load(p, buf)
		if l.w.err != nil {
			return l.w.err
		}
		p.held, p.put = nil, nil
		items = items[:0]
		for rest := buf; len(rest) > entryHead; {
			size := entryHead + int(binary.LittleEndian.Uint16(rest[16:]))
			items = append(items, item{binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint32(rest[8:]),
				binary.LittleEndian.Uint32(rest[12:]), rest[entryHead:size]})
			rest = rest[size:]
		}
		from, _ := bits.Mul64(uint64(i)<<58, l.homes)
		to, _ := bits.Mul64(uint64(i+1)<<58-1, l.homes)
		if i == parts-1 {
			to = l.homes - 1
		}
		sorted, starts = l.byHome(items, sorted, starts, from, to)
		l.part(sorted, starts, from, to)
		for j := range l.carry { // the buffer is used again
			l.carry[j].rec = slices.Clone(l.carry[j].rec)
		}
	}
	for len(l.carry) > 0 || l.next < l.homes {
		l.bucket()
	}
	return l.out.err
}

// byHome sorts rules by where their search begins, counting.
func (l *layout) byHome(items, sorted []item, starts []uint32, from, to uint64) ([]item, []uint32) {
	n := int(to-from) + 2
	starts = slices.Grow(starts[:0], n)[:n]
	clear(starts)
	for i := range items {
		b, _ := bits.Mul64(items[i].hash, l.homes)
		starts[b-from+1]++
	}
	for i := 1; i < n; i++ {
		starts[i] += starts[i-1]
	}
	sorted = slices.Grow(sorted[:0], len(items))[:len(items)]
	at := slices.Clone(starts)
	for _, it := range items {
		b, _ := bits.Mul64(it.hash, l.homes)
		sorted[at[b-from]] = it
		at[b-from]++
	}
	return sorted, starts
}

// part writes the buckets of one part. The bucket at which two parts meet may
// have rules of both, so the last one is left to the next part.
func (l *layout) part(sorted []item, starts []uint32, from, to uint64) {
	for b := from; b <= to; b++ {
		for l.next < b {
			l.bucket()
		}
		own := sorted[starts[b-from]:starts[b-from+1]]
		slices.SortStableFunc(own, func(x, y item) int {
			if x.list != y.list {
				return int(x.list) - int(y.list)
			}
			return int(x.order) - int(y.order)
		})
		l.carry = l.keep(l.carry, own)
	}
}

// keep appends the rules of one bucket that say something new. Each is held
// against those of its list and key that were kept, which are few.
func (l *layout) keep(dst, own []item) []item {
	first := len(dst)
	for i := range own {
		it := &own[i]
		c := &l.w.Counts[it.list]
		switch same, twin := l.kept(dst[first:], it); {
		case twin:
			c.Duplicates++
		case same >= MaxSame:
			c.Crowded++
		case l.w.Suspect[int(it.list)] && l.w.gone(it):
		default:
			c.Rules++
			dst = append(dst, *it)
		}
	}
	return dst
}

// gone asks whether a rule is to be left out.
func (w *Writer) gone(it *item) bool {
	var r Record
	at, size, ok := r.read(it.rec, w.classes)
	if ok && size > 0 {
		r.Text = string(w.textBack(at, size))
	}
	r.Key, r.Text = strings.Clone(r.Key), strings.Clone(r.Text) // the buffer is used again
	return ok && w.Gone(&r)
}

// textBack reads a text that was put aside.
func (w *Writer) textBack(at uint64, size int) []byte {
	b, pos := make([]byte, 0, size), int64(0)
	take := func(from int64, n int, read func([]byte, int64)) {
		lo, hi := max(int64(at)+int64(len(b)), from), min(int64(at)+int64(size), from+int64(n))
		if lo < hi {
			b = b[:len(b)+int(hi-lo)]
			read(b[len(b)-int(hi-lo):], lo-from)
		}
	}
	for _, s := range w.texts.part.put {
		take(pos, s.size, func(dst []byte, off int64) {
			if _, err := w.file.ReadAt(dst, s.at+off); err != nil {
				w.err = fmt.Errorf("compiled: %w", err)
			}
		})
		pos += int64(s.size)
	}
	held := w.texts.part.held
	take(pos, len(held), func(dst []byte, off int64) { copy(dst, held[off:]) })
	return b
}

// kept counts the rules of the list and key of it, and says whether one asks for
// the same.
func (l *layout) kept(all []item, it *item) (same int, twin bool) {
	var a, b Record
	for i := len(all) - 1; i >= 0 && all[i].list == it.list; i-- {
		if all[i].hash != it.hash {
			continue
		}
		a.read(all[i].rec, l.w.classes)
		b.read(it.rec, l.w.classes)
		if a.Key != b.Key || a.Raw != b.Raw {
			continue
		}
		if same++; l.w.Same != nil && l.w.Same(&a, &b) {
			return same, true
		}
	}
	return same, false
}

// bucket writes the next bucket with as many of the waiting rules as fit.
func (l *layout) bucket() {
	var word [wordSize]byte
	var cell [cellSize]byte
	n, size := 0, 0
	for n < lanes && n < len(l.carry) {
		padded := (len(l.carry[n].rec) + grain - 1) / grain * grain
		if size+padded > blockSize {
			break
		}
		_, tag, more := home(l.carry[n].hash, l.homes)
		word[n], cell[n], cell[startsAt+n] = byte(tag), more, byte(size/grain)
		size += padded
		n++
	}
	binary.LittleEndian.PutUint32(cell[baseAt:], uint32(l.out.room(size)/grain))
	for _, it := range l.carry[:n] {
		l.out.padded(it.rec)
	}
	if l.carry = append(l.carry[:0], l.carry[n:]...); len(l.carry) > 0 {
		word[wordSize-1] = goesOn >> 56
	}
	l.words, l.cells = append(l.words, word[:]...), append(l.cells, cell[:]...)
	l.next++
}

// blocks writes blocks and sums them.
type blocks struct {
	to   io.Writer
	cur  []byte
	done uint64
	sums []byte
	err  error
}

// room makes sure that the next size bytes lie in one block, and gives where.
func (o *blocks) room(size int) uint64 {
	if len(o.cur)+size > blockSize {
		o.flush()
	}
	return o.done + uint64(len(o.cur))
}

func (o *blocks) padded(rec []byte) {
	o.cur = append(o.cur, rec...)
	for len(o.cur)%grain != 0 {
		o.cur = append(o.cur, 0)
	}
}

// flush ends the block.
func (o *blocks) flush() {
	if len(o.cur) == 0 {
		return
	}
	o.cur = append(o.cur, make([]byte, blockSize-len(o.cur))...)
	o.sums = binary.LittleEndian.AppendUint32(o.sums, crc32.Checksum(o.cur, castagnoli))
	if _, err := o.to.Write(o.cur); err != nil && o.err == nil {
		o.err = fmt.Errorf("compiled: %w", err)
	}
	o.done += blockSize
	o.cur = o.cur[:0]
}

// assemble writes the blocks of records and then of texts to to, and gives the
// rest of the table.
func (w *Writer) assemble(to io.Writer) (*Table, error) {
	l := &layout{w: w, homes: uint64(float64(w.count)/filling) + 1, out: &blocks{to: to}}
	l.words, l.cells = make([]byte, 0, (l.homes+8)*wordSize), make([]byte, 0, (l.homes+8)*cellSize)
	if err := l.run(); err != nil {
		return nil, err
	}
	l.out.flush()
	t := &Table{words: l.words, cells: l.cells, homes: l.homes, seed: w.seed, classes: w.classes, records: len(l.out.sums) / 4}
	for _, s := range w.texts.part.put {
		buf := make([]byte, s.size)
		if _, err := w.file.ReadAt(buf, s.at); err != nil {
			return nil, fmt.Errorf("compiled: %w", err)
		}
		w.appendTexts(l.out, buf)
	}
	w.appendTexts(l.out, w.texts.part.held)
	l.out.flush()
	t.sums = l.out.sums
	return t, l.out.err
}

func (w *Writer) appendTexts(o *blocks, b []byte) {
	for len(b) > 0 {
		n := min(len(b), blockSize-len(o.cur))
		o.cur = append(o.cur, b[:n]...)
		if b = b[n:]; len(o.cur) == blockSize {
			o.flush()
		}
	}
}
