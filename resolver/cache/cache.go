package cache

import (
	"hash/maphash"
	"sync"
	"time"
)

// shards spread the lock; a power of two.
const shards = 16

// Cache is a bounded table of Answers; when it is full, what was used longest
// ago goes. It is safe for concurrent use.
type Cache struct {
	seed  maphash.Seed
	stale time.Duration
	parts [shards]part
}

// Stats counts what a Cache holds.
type Stats struct {
	Entries int
	Bytes   int    // estimate of the memory held
	Evicted uint64 // entries that went because the table was full
}

// New makes a Cache of at most entries answers and about bytes octets.
// An answer stays for stale after it stopped being true (RFC 8767).
func New(entries, bytes int, stale time.Duration) *Cache {
	c := &Cache{seed: maphash.MakeSeed(), stale: stale}
	for i := range c.parts {
		p := &c.parts[i]
		p.table = map[Key]*node{}
		p.maxEntries, p.maxBytes = max(1, entries/shards), max(1, bytes/shards)
		p.ring.next, p.ring.prev = &p.ring, &p.ring
	}
	return c
}

// Get finds what is known about k. The answer may be stale: ask
// [Answer.Fresh]. Nothing is given that is older than the cache's bound.
func (c *Cache) Get(k Key, now time.Time) (*Answer, bool) {
	return c.part(maphash.String(c.seed, k.Name)).get(k, now, c.stale)
}

// GetWire is Get for a name that is still bytes; it does not allocate.
func (c *Cache) GetWire(name []byte, qtype uint16, do, cd bool, now time.Time) (*Answer, bool) {
	p := c.part(maphash.Bytes(c.seed, name))
	p.mu.Lock()
	defer p.mu.Unlock()
	n, ok := p.table[Key{string(name), qtype, do, cd}] // the compiler makes no string here
	if !ok || n.answer.Age(now) >= n.answer.TTL+c.stale {
		return nil, false
	}
	p.front(n)
	return n.answer, true
}

// Put keeps a in place of what was known, unless it may not be kept (a TTL of
// zero) or is too large.
func (c *Cache) Put(k Key, a *Answer) {
	if a.TTL <= 0 {
		return
	}
	c.part(maphash.String(c.seed, k.Name)).put(k, a)
}

// Clear forgets everything.
func (c *Cache) Clear() {
	for i := range c.parts {
		p := &c.parts[i]
		p.mu.Lock()
		clear(p.table)
		p.ring.next, p.ring.prev, p.bytes = &p.ring, &p.ring, 0
		p.mu.Unlock()
	}
}

// Stats adds up the shards.
func (c *Cache) Stats() (s Stats) {
	for i := range c.parts {
		p := &c.parts[i]
		p.mu.Lock()
		s.Entries += len(p.table)
		s.Bytes += p.bytes
		s.Evicted += p.evicted
		p.mu.Unlock()
	}
	return s
}

func (c *Cache) part(hash uint64) *part { return &c.parts[hash&(shards-1)] }

// part is one shard: a table and a ring in order of last use.
type part struct {
	mu                   sync.Mutex
	table                map[Key]*node
	ring                 node // next is the latest used, prev the one used longest ago
	bytes                int
	maxEntries, maxBytes int
	evicted              uint64
}

type node struct {
	key        Key
	answer     *Answer
	size       int
	next, prev *node
}

func (p *part) get(k Key, now time.Time, stale time.Duration) (*Answer, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, ok := p.table[k]
	if !ok || n.answer.Age(now) >= n.answer.TTL+stale {
		return nil, false
	}
	p.front(n)
	return n.answer, true
}

func (p *part) put(k Key, a *Answer) {
	n := &node{key: k, answer: a, size: size(k, a)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.table[k]; ok {
		p.remove(old)
	}
	if n.size > p.maxBytes/4 {
		return // one huge answer must not empty a shard
	}
	p.table[k] = n
	p.bytes += n.size
	p.link(n)
	for len(p.table) > p.maxEntries || p.bytes > p.maxBytes {
		p.remove(p.ring.prev)
		p.evicted++
	}
}

func (p *part) remove(n *node) {
	delete(p.table, n.key)
	p.bytes -= n.size
	n.prev.next, n.next.prev = n.next, n.prev
}

func (p *part) link(n *node) {
	n.prev, n.next = &p.ring, p.ring.next
	n.next.prev, p.ring.next = n, n
}

func (p *part) front(n *node) {
	if p.ring.next == n {
		return
	}
	n.prev.next, n.next.prev = n.next, n.prev
	p.link(n)
}

// size estimates the memory of an entry: the records take about three times
// their packed form, and the fixed parts some 600 octets.
func size(k Key, a *Answer) int {
	return 600 + len(k.Name) + 4*len(a.Tail) + 200*(len(a.Answer)+len(a.Authority))
}
