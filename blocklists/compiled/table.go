// Package compiled keeps the rules of many lists in a form that answers fast and
// lies in a file: a table of hashes, small enough to stay in the caches of a
// processor, and beside it the rules themselves, in the order of their hashes.
// A question about a name costs one access to memory for the table, for all of
// the name's suffixes at a time, and one more for the rule when there is one.
//
// # What is trusted
//
// The head, the table, the sums and whatever the lists keep beside their rules
// are checked against their checksums (CRC-32C) when a file is opened; the rules
// in blocks of 1 KiB when one of a block is first needed, or all by Verify.
// Everything read is checked against its bounds besides, so a file that was made
// up can at worst be wrong. A file whose rules turn out to be damaged says so by
// Damaged.
//
// # How long a mapping lives
//
// The table is read from the mapping of the file; blocks of rules are copied out
// of it before they are used, so that every string handed out lies in the Go heap
// and stays good for as long as someone holds it. So the mapping can go as soon as
// nobody asks the [Table] any more, and goes when the Table is collected.
package compiled

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"runtime"
	"runtime/debug"
	"sync/atomic"
)

// A bucket holds up to seven rules, in two places. The first is a word: a tag of
// eight bits for each, 0 for none, and in the last byte whether the search goes on
// in the next bucket. The words of a million rules are 1.5 MB, and all that most
// questions about unlisted names ever touch. The second is a cell of 20 bytes:
// eight more bits of tag for each, where each begins, in units of four bytes from
// the first of them, and where the first is in the blocks, in the same units.
const (
	wordSize = 8
	cellSize = 20
	lanes    = 7
	filling  = 5.3 // rules a bucket has on average, so that five of six hold all of theirs
	startsAt = 7
	baseAt   = 16
	goesOn   = 1 << 63
)

const topOfLanes = 0x0080_8080_8080_8080

type block [blockSize]byte

// Table answers which rules a name has. It is immutable and safe for concurrent use.
type Table struct {
	words   []byte // of the mapping
	cells   []byte // of the mapping
	homes   uint64 // buckets at which a search can begin; a few more may follow them
	seed    uint64
	classes []class
	records int // blocks of records, the first of all; texts follow

	blocks  []atomic.Pointer[block] // those that were needed
	raw     []byte                  // of the mapping: the blocks, to be checked
	sums    []byte                  // of the mapping: their checksums
	damaged atomic.Pointer[error]
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// home is where the search for a hash begins (Lemire's range reduction), and its
// tag: the first eight bits in every lane, and eight more. They come from
// different ends of the hash.
func home(h, homes uint64) (bucket, tag uint64, more byte) {
	bucket, _ = bits.Mul64(h, homes)
	return bucket, max(h&0xff, 1) * everyByte, byte(h >> 8)
}

// look marks the top bit of the lanes of a bucket that have a tag, and the very
// top one when the search goes on. A lane above one of these may be marked in error.
func (t *Table) look(bucket, tag uint64) uint64 {
	word := binary.LittleEndian.Uint64(t.words[bucket*wordSize:])
	diff := word ^ tag
	return (diff-everyByte)&^diff&topOfLanes | word&goesOn
}

// Begin starts a walk through the suffixes of a name. Whoever walks keeps the
// Table reachable until the end (runtime.KeepAlive), since the mapping goes with it.
func (t *Table) Begin(q *Name, w *Walk) {
	w.h, w.end, w.dots, w.word = t.seed, len(q.text), q.dots, (len(q.text)-1)>>6
}

// Next goes to the next suffix that may have rules, the shortest first: w.Find
// looks for them then. It is false when there is none left.
func (t *Table) Next(q *Name, w *Walk) bool {
	for {
		for ; w.at < w.n; w.at++ {
			if m := w.marks[w.at]; m != 0 {
				w.Find.bucket, w.Find.tag, w.Find.more = home(w.hash[w.at], t.homes)
				w.Find.marks = m
				w.at++
				return true
			}
		}
		if !w.fill(q) {
			return false
		}
		for i := range w.n & (2*batch - 1) { // no branch: the accesses overlap
			bucket, tag, _ := home(w.hash[i&(batch-1)], t.homes)
			w.marks[i&(batch-1)] = t.look(bucket, tag)
		}
	}
}

// Find goes through the rules that may have a key.
type Find struct {
	bucket, tag, marks uint64
	more               byte
}

// FindName begins to look for one canonical name, and not for its suffixes.
func (t *Table) FindName(name string) Find {
	q, ok := NewName(name)
	if !ok {
		return Find{}
	}
	return t.find(q.whole(t.seed))
}

// FindRaw begins to look for the bytes of a prefix.
func (t *Table) FindRaw(key []byte) Find {
	q := raw(key)
	return t.find(q.label(t.seed, 0, len(key)))
}

func (t *Table) find(h uint64) (f Find) {
	f.bucket, f.tag, f.more = home(h, t.homes)
	f.marks = t.look(f.bucket, f.tag)
	return f
}

// Lists gives how many lists the rules are of: the highest number and one.
func (t *Table) Lists() int {
	n := 0
	for _, c := range t.classes {
		n = max(n, int(c.list)+1)
	}
	return n
}

// Rule gives the next rule of a find that has the key; false when there is none left.
func (t *Table) Rule(f *Find, key []byte, raw bool, r *Record) bool {
	for {
		for f.marks&^goesOn != 0 {
			lane := bits.TrailingZeros64(f.marks) >> 3
			f.marks &= f.marks - 1
			if t.take(f, lane, key, raw, r) {
				return true
			}
		}
		if f.bucket++; f.marks == 0 || f.bucket >= uint64(len(t.words))/wordSize {
			return false
		}
		f.marks = t.look(f.bucket, f.tag)
	}
}

// take reads the rule in a lane if it has the key.
func (t *Table) take(f *Find, lane int, key []byte, raw bool, r *Record) bool {
	c := (*[cellSize]byte)(t.cells[f.bucket*cellSize:])
	if c[lane&7] != f.more {
		return false
	}
	at := cellAt(c, lane)
	k := t.block(at / blockSize)
	if k == nil {
		return false
	}
	rec := k[at%blockSize:]
	have, ok := keyOf(rec)
	if !ok {
		t.fail(at / blockSize)
		return false
	}
	if string(have) != string(key) {
		return false
	}
	if !t.read(rec, r) {
		t.fail(at / blockSize)
		return false
	}
	return r.Raw == raw
}

// cellAt gives where the rule of a lane begins, in bytes.
func cellAt(c *[cellSize]byte, lane int) uint64 {
	return (uint64(binary.LittleEndian.Uint32(c[baseAt:])) + uint64(c[startsAt+lane&7])) * grain
}

// read decodes a record with its text.
func (t *Table) read(rec []byte, r *Record) bool {
	at, size, ok := r.read(rec, t.classes)
	if !ok || size == 0 {
		return ok
	}
	i, from := at/blockSize, int(at%blockSize)
	if i >= uint64(len(t.blocks)) || from+size > blockSize {
		return false
	}
	k := t.block(i + uint64(t.records))
	if k == nil {
		return false
	}
	r.Text = view(k[from : from+size])
	return true
}

// block gives a block, checked; nil when it is damaged or does not exist.
func (t *Table) block(i uint64) *block {
	if i >= uint64(len(t.blocks)) {
		t.fail(i)
		return nil
	}
	if k := t.blocks[i].Load(); k != nil {
		return k
	}
	return t.fetch(i)
}

// fetch copies a block out of the mapping. Two who do it at a time get the same one.
func (t *Table) fetch(i uint64) *block {
	k := new(block)
	if !t.copyBlock(k, i) {
		return nil
	}
	if !t.blocks[i].CompareAndSwap(nil, k) {
		return t.blocks[i].Load()
	}
	return k
}

// copyBlock copies and checks a block. A file that was cut short below a mapping
// faults on reading (mmap(2)), which is damage like any other.
func (t *Table) copyBlock(k *block, i uint64) (ok bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil || !ok {
			t.fail(i)
			ok = false
		}
	}()
	copy(k[:], t.raw[i*blockSize:])
	ok = crc32.Checksum(k[:], castagnoli) == binary.LittleEndian.Uint32(t.sums[i*4:])
	runtime.KeepAlive(t)
	return ok
}

func (t *Table) fail(block uint64) {
	err := fmt.Errorf("compiled: %w: block %d of %d", ErrDamaged, block, len(t.blocks))
	t.damaged.CompareAndSwap(nil, &err)
}

// ErrDamaged says that a file is not what was written.
var ErrDamaged = errors.New("the compiled lists are damaged")

// Damaged gives the first damage that was met while answering; nil when there was
// none. Once there is some, answers may lack rules: the file must be made anew.
func (t *Table) Damaged() error {
	if err := t.damaged.Load(); err != nil {
		return *err
	}
	return nil
}

// Verify reads every block that was not needed yet and checks it, without
// keeping it.
func (t *Table) Verify() error {
	k := new(block)
	for i := range t.blocks {
		if t.blocks[i].Load() == nil && !t.copyBlock(k, uint64(i)) {
			break
		}
	}
	return t.Damaged()
}

// Touched tells how many bytes of blocks are held in memory, and how many there are.
func (t *Table) Touched() (held, all int) {
	for i := range t.blocks {
		if t.blocks[i].Load() != nil {
			held += blockSize
		}
	}
	return held, len(t.blocks) * blockSize
}

// Mapped gives how many bytes of the mapping questions can read: the table, whose
// pages are in memory once they were needed.
func (t *Table) Mapped() int { return len(t.words) + len(t.cells) }

// Scan gives every rule, in no useful order, without keeping what it reads: the
// strings are good as always, but what nobody holds is collected. It ends early
// when yield says so, and gives an error when the file is damaged.
func (t *Table) Scan(yield func(*Record) bool) error {
	at, k := uint64(1<<63), (*block)(nil)
	var text uint64 = 1 << 63
	var tk *block
	var r Record
	for b := range len(t.words) / wordSize {
		c := (*[cellSize]byte)(t.cells[b*cellSize:])
		for lane, tag := range t.words[b*wordSize:][:lanes] {
			if tag == 0 {
				continue
			}
			pos := cellAt(c, lane)
			if k = t.scanBlock(&at, k, pos/blockSize); k == nil {
				return t.Damaged()
			}
			textAt, size, ok := r.read(k[pos%blockSize:], t.classes)
			if ok && size > 0 {
				from := int(textAt % blockSize)
				if tk = t.scanBlock(&text, tk, textAt/blockSize+uint64(t.records)); tk == nil || from+size > blockSize {
					ok = false
				} else {
					r.Text = view(tk[from : from+size])
				}
			}
			if !ok {
				t.fail(pos / blockSize)
				return t.Damaged()
			}
			if !yield(&r) {
				return nil
			}
		}
	}
	runtime.KeepAlive(t)
	return nil
}

// scanBlock gives a block for a scan: the last one again, one that is held, or a copy.
func (t *Table) scanBlock(last *uint64, have *block, i uint64) *block {
	if *last == i {
		return have
	}
	*last = i
	if i >= uint64(len(t.blocks)) {
		t.fail(i)
		return nil
	}
	if k := t.blocks[i].Load(); k != nil {
		return k
	}
	k := new(block)
	if !t.copyBlock(k, i) {
		return nil
	}
	return k
}
