package blocklists

import (
	"iter"
	"math/bits"
)

// table finds records by the hash of their name. Its buckets are a cache line
// each, so that a question about a suffix costs one access to memory when no
// rule has that name, and a second, for the record, when one has. A tag is a part
// of the hash and is wrong once in 6,500 times, so a find is always checked
// against the name in the record.
type table struct {
	buckets []bucket
	seed    uint64
}

const (
	lanes   = 10 // records of a bucket
	filling = 7  // records that a bucket has on average: few enough that nine of ten hold all of theirs
)

// bucket is 64 bytes: ten tags of 16 bits, four to a word, where 0 is free; in
// the upper half of the third word, whether a search goes on in the next bucket;
// and the positions of the records.
type bucket struct {
	tags [3]uint64
	refs [lanes]uint32
}

const (
	ones    = 0x0001_0001_0001_0001 // times a tag: the tag in every lane
	tops    = 0x8000_8000_8000_8000 // the top bit of every lane
	topsEnd = 0x8000_8000           // of those of the third word that hold tags
	goesOn  = 1 << 32               // in the third word
)

func newTable(n int, seed uint64) table {
	return table{buckets: make([]bucket, n/filling+1), seed: seed}
}

// home is where the search for a hash begins (Lemire's range reduction), and the
// tag it looks for, in every lane. They come from different bits of the hash.
func (t *table) home(h uint64) (i int, tag uint64) {
	hi, _ := bits.Mul64(h<<32, uint64(len(t.buckets)))
	return int(hi), max(h>>48, 1) * ones
}

func (t *table) next(i int) int {
	if i++; i == len(t.buckets) {
		return 0
	}
	return i
}

// lanesOf marks the top bit of the lanes that are zero in a word; the lanes above
// one of these may be marked in error.
func lanesOf(word uint64) uint64 { return (word - ones) &^ word & tops }

// find marks the lanes of a bucket that have a tag, word by word.
func (k *bucket) find(tag uint64) (a, b, c uint64) {
	return lanesOf(k.tags[0] ^ tag), lanesOf(k.tags[1] ^ tag), lanesOf(k.tags[2]^tag) & topsEnd
}

// lane gives the number of the first lane that is marked in a word.
func lane(word int, marks uint64) int { return word*4 + bits.TrailingZeros64(marks)>>4 }

func (k *bucket) goesOn() bool { return k.tags[2]&goesOn != 0 }

// each gives the records that may have a hash; it is not for the hot path, which
// is Set.probe.
func (t *table) each(h uint64) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i, tag := t.home(h); ; i = t.next(i) {
			k := &t.buckets[i]
			a, b, c := k.find(tag)
			for w, marks := range [...]uint64{a, b, c} {
				for ; marks != 0; marks &= marks - 1 {
					if !yield(k.refs[lane(w, marks)]) {
						return
					}
				}
			}
			if !k.goesOn() {
				return
			}
		}
	}
}

// add puts a record into the first bucket with a free lane. A table takes the
// number of records it was made for: then one bucket at least is not full, and
// every search ends.
func (t *table) add(h uint64, ref uint32) {
	for i, tag := t.home(h); ; i = t.next(i) {
		k := &t.buckets[i]
		for n := range lanes {
			if shift := n % 4 * 16; uint16(k.tags[n/4]>>shift) == 0 {
				k.tags[n/4] |= uint64(uint16(tag)) << shift
				k.refs[n] = ref
				return
			}
		}
		k.tags[2] |= goesOn
	}
}

// prime is the multiplier of FNV-1a with 64 bits. Names are hashed from their
// last byte to their first, so that one pass gives the hash of every suffix.
const prime = 1099511628211

func step(h uint64, c byte) uint64 { return (h ^ uint64(c)) * prime }

// finish spreads the last bytes over the whole hash (the finalizer of MurmurHash3).
func finish(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	return h
}

func (t *table) hash(key string) uint64 {
	h := t.seed
	for i := len(key) - 1; i >= 0; i-- {
		h = step(h, key[i])
	}
	return finish(h)
}
