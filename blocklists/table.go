package blocklists

import "math/bits"

// table finds records by the hash of their name: open addressing, six bytes a
// slot, two slots of three taken. The tags alone, two bytes each, settle nearly
// every miss, so that they are what has to stay in the processor's cache. A tag
// is a part of the hash and is wrong once in 65,000 times, so a find is always
// checked against the name in the record.
type table struct {
	tags []uint16 // 0 is a free slot
	refs []uint32 // the position of the record
	seed uint64
}

func newTable(n int, seed uint64) table {
	size := n + n/2 + 1
	return table{tags: make([]uint16, size), refs: make([]uint32, size), seed: seed}
}

// home is where the search for a hash begins (Lemire's range reduction), and
// tag what it looks for there. They come from different bits of the hash.
func (t *table) home(h uint64) (i int, tag uint16) {
	hi, _ := bits.Mul64(h<<32, uint64(len(t.tags)))
	return int(hi), uint16(h>>48) | 1
}

func (t *table) next(i int) int {
	if i++; i == len(t.tags) {
		return 0
	}
	return i
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
