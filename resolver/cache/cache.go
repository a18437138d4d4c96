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
// [Answer.Fresh]. Nothing is given that is older than the cache's bound. ending
// is told once of an answer that is asked for often and will soon not be true
// any more: it is time to fetch it anew.
func (c *Cache) Get(k Key, now time.Time) (a *Answer, ok, ending bool) {
	p := c.part(maphash.String(c.seed, k.Name))
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.use(p.table[k], now, c.stale)
}

// GetWire is Get for a name that is still bytes; it does not allocate.
func (c *Cache) GetWire(name []byte, qtype uint16, do, cd bool, now time.Time) (a *Answer, ok, ending bool) {
	p := c.part(maphash.Bytes(c.seed, name))
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.use(p.table[Key{string(name), qtype, do, cd}], now, c.stale) // the compiler makes no string here
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
	uses       uint8 // up to popular
	told       bool  // that it ends
	next, prev *node
}

// What is fetched before its time: an answer that was asked for so often since
// it came, when the last part of its TTL begins.
const (
	popular  = 4
	lastPart = 10 // a tenth
)

// use gives what a node knows, and notes that it was asked for.
func (p *part) use(n *node, now time.Time, stale time.Duration) (a *Answer, ok, ending bool) {
	if n == nil {
		return nil, false, false
	}
	left := n.answer.TTL - n.answer.Age(now)
	if left+stale <= 0 {
		return nil, false, false
	}
	p.front(n)
	if n.uses < popular {
		n.uses++
	} else if !n.told && left > 0 && left <= n.answer.TTL/lastPart {
		n.told, ending = true, true
	}
	return n.answer, true, ending
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

// last keeps a, used longest ago of all, if nothing is known about k and there
// is room.
func (p *part) last(k Key, a *Answer) bool {
	n := &node{key: k, answer: a, size: size(k, a)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.table[k]; known || len(p.table) >= p.maxEntries || p.bytes+n.size > p.maxBytes {
		return false
	}
	p.table[k] = n
	p.bytes += n.size
	n.prev, n.next = p.ring.prev, &p.ring
	n.prev.next, p.ring.prev = n, n
	return true
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
