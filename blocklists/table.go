package blocklists

import "math/bits"

// table finds records by the hash of their name: open addressing, eight bytes a
// slot, four slots of five taken. A slot is the high half of the hash, then the
// position of the record plus one; zero is free. Half a hash alone would name a
// wrong rule once in some billion questions, so a find is always checked
// against the name in the record.
type table struct {
	slots  []uint64
	filter []uint64 // eight bits a record, one set, so that most misses stay in the processor's cache
	seed   uint64
}

func newTable(n int, seed uint64) table {
	return table{slots: make([]uint64, n+n/4+1), filter: make([]uint64, n/8+1), seed: seed}
}

// bit is where the filter keeps a hash.
func (t *table) bit(h uint64) (word int, mask uint64) {
	hi, _ := bits.Mul64(h, uint64(len(t.filter))*64)
	return int(hi / 64), 1 << (hi % 64)
}

// absent says that no record has this hash. It is right when it says so, and
// wrong one time in eight when it does not.
func (t *table) absent(h uint64) bool {
	word, mask := t.bit(h)
	return t.filter[word]&mask == 0
}

// home is where the search for a hash begins (Lemire's range reduction).
func (t *table) home(h uint64) int {
	hi, _ := bits.Mul64(h<<32, uint64(len(t.slots)))
	return int(hi)
}

func (t *table) next(i int) int {
	if i++; i == len(t.slots) {
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
