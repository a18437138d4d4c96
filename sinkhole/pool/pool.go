// Package pool gives every sunk name an IPv4 and an IPv6 address of its own,
// so that whatever arrives at the address can be attributed to the name with
// certainty.
//
// A name's place is derived from a hash of the name, so that after a restart
// most names return to the address that phones still remember. The table is
// bounded; an address changes hands only after its name has been silent for
// much longer than any answer or flow that could still use it.
package pool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the table and the silence after which an address may change hands.
const (
	// DefaultNames is how many names live at a time unless told otherwise:
	// ten times the vendor hosts of all lists, about 8 MiB when full.
	DefaultNames = 32768

	// IdleAsked frees a name that was resolved and never connected to. It is
	// far above the TTL of a sunk answer, and short enough that a device which
	// asks for random names cannot hold the table for long.
	IdleAsked = 30 * time.Minute

	// IdleUsed frees a name that was connected to: SDKs keep addresses of
	// servers they have spoken to for as long as their process lives.
	IdleUsed = 12 * time.Hour

	// maxSlots bounds the addresses used of a large prefix.
	maxSlots = 1 << 20

	// reclaimShare: when the table is full one sweep frees up to 1/64 of it,
	// so that the cost of looking at every name is shared by many newcomers.
	reclaimShare = 64

	maxName = 253 // RFC 1035 §2.3.4, in presentation form without the final dot
)

// Options say where the addresses come from.
type Options struct {
	Prefix4 netip.Prefix     // IPv4 range; the zero value gives no IPv4 addresses
	Prefix6 netip.Prefix     // IPv6 range; the zero value gives no IPv6 addresses
	Names   int              // names at a time; 0 means DefaultNames, cut to what the ranges hold
	Now     func() time.Time // nil means time.Now
}

// Pool is the table of names and their addresses. It is safe for concurrent
// use; a lookup of a known name allocates nothing.
type Pool struct {
	p4, p6 netip.Prefix
	slots  uint32 // usable places 1..slots; place 0 is the network, or RFC 4291 §2.6.1 anycast
	names  int
	now    func() time.Time

	mu        sync.RWMutex
	byName    map[string]*entry
	bySlot    map[uint32]*entry
	nextSweep time.Time // no name can become free before
	full      atomic.Uint64
}

// entry is one name. Times and counts are atomic because lookups change them
// under the read lock.
type entry struct {
	name string
	slot uint32
	last atomic.Int64 // Unix nanoseconds of the latest use
	used atomic.Bool  // a flow was seen
	held atomic.Int32 // flows that are open now
}

// New makes an empty pool. At least one range must be given, and each must
// leave room for one address besides its first and last.
func New(o Options) (*Pool, error) {
	p := &Pool{p4: o.Prefix4.Masked(), p6: o.Prefix6.Masked(), now: o.Now, slots: maxSlots,
		byName: map[string]*entry{}, bySlot: map[uint32]*entry{}}
	if p.now == nil {
		p.now = time.Now
	}
	if !p.p4.IsValid() && !p.p6.IsValid() {
		return nil, errors.New("sinkhole: pool: no address range is given")
	}
	if p.p4.IsValid() && !p.p4.Addr().Is4() {
		return nil, fmt.Errorf("sinkhole: pool: %s is not an IPv4 range", p.p4)
	}
	if p.p6.IsValid() && (!p.p6.Addr().Is6() || p.p6.Addr().Is4In6()) {
		return nil, fmt.Errorf("sinkhole: pool: %s is not an IPv6 range", p.p6)
	}
	for _, prefix := range []netip.Prefix{p.p4, p.p6} {
		if !prefix.IsValid() {
			continue
		}
		n := room(prefix)
		if n == 0 {
			return nil, fmt.Errorf("sinkhole: pool: %s has no room for a name; a /29 or larger is needed", prefix)
		}
		p.slots = min(p.slots, n)
	}
	p.names = o.Names
	if p.names <= 0 {
		p.names = DefaultNames
	}
	p.names = min(p.names, int(p.slots))
	return p, nil
}

// room is how many addresses of a prefix are given out: all but the first and
// the last, which stacks treat as network and broadcast.
func room(p netip.Prefix) uint32 {
	host := p.Addr().BitLen() - p.Bits()
	switch {
	case host < 2:
		return 0
	case host > 20:
		return maxSlots
	}
	return 1<<host - 2
}

// Addr gives the address of a name, and makes a place for the name when it is
// new. It is false when the name is not a host name, when the family has no
// range, and when the table is full of names that may still be in use.
func (p *Pool) Addr(name string, v6 bool) (netip.Addr, bool) {
	prefix := p.p4
	if v6 {
		prefix = p.p6
	}
	name = canonical(name)
	if !prefix.IsValid() || name == "" || len(name) > maxName {
		return netip.Addr{}, false
	}
	now := p.now()
	p.mu.RLock()
	e := p.byName[name]
	if e != nil {
		e.last.Store(now.UnixNano())
	}
	p.mu.RUnlock()
	if e == nil {
		if e = p.insert(name, now); e == nil {
			p.full.Add(1)
			return netip.Addr{}, false
		}
	}
	return nth(prefix, e.slot), true
}

// Name gives the name that owns an address. It counts as a use of the name.
func (p *Pool) Name(a netip.Addr) (string, bool) {
	slot, ok := p.slot(a)
	if !ok {
		return "", false
	}
	now := p.now().UnixNano()
	p.mu.RLock()
	defer p.mu.RUnlock()
	e := p.bySlot[slot]
	if e == nil {
		return "", false
	}
	e.last.Store(now)
	e.used.Store(true)
	return e.name, true
}

// Has tells whether a name owns an address at present, without using it.
func (p *Pool) Has(name string) bool {
	name = canonical(name)
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.byName[name] != nil
}

// Hold keeps a name in its place while a flow to it is open. The returned
// function lets go and must be called once; holding an unknown name is harmless.
func (p *Pool) Hold(name string) (release func()) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	e := p.byName[canonical(name)]
	if e == nil {
		return func() {}
	}
	e.used.Store(true)
	e.held.Add(1)
	return func() {
		e.last.Store(p.now().UnixNano())
		e.held.Add(-1)
	}
}

// Len is how many names own an address.
func (p *Pool) Len() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.byName)
}

// Full counts the names that were turned away because the table was full.
func (p *Pool) Full() uint64 { return p.full.Load() }

// insert finds a place for a new name: its own by hash, or the next free one.
func (p *Pool) insert(name string, now time.Time) *entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.byName[name]; e != nil { // another goroutine was faster
		e.last.Store(now.UnixNano())
		return e
	}
	if len(p.byName) >= p.names && !p.reclaim(now) {
		return nil
	}
	e := &entry{name: strings.Clone(name)}
	e.last.Store(now.UnixNano())
	for e.slot = p.start(name); p.bySlot[e.slot] != nil; {
		e.slot = e.slot%p.slots + 1 // names <= slots, so a free one comes
	}
	p.byName[e.name], p.bySlot[e.slot] = e, e
	return e
}

// start is the place a name has when nobody else is there.
func (p *Pool) start(name string) uint32 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return uint32(h.Sum64()%uint64(p.slots)) + 1
}

// reclaim frees the names that have been silent longest, if any has been
// silent long enough. The caller holds the write lock.
func (p *Pool) reclaim(now time.Time) bool {
	if now.Before(p.nextSweep) && p.nextSweep.Sub(now) <= IdleUsed { // a clock that jumped back must not lock the table
		return false
	}
	var free []*entry
	next := now.Add(IdleAsked)
	for _, e := range p.byName {
		at := e.freeAt()
		switch {
		case e.held.Load() > 0:
		case at.After(now):
			if at.Before(next) {
				next = at
			}
		default:
			free = append(free, e)
		}
	}
	if len(free) == 0 {
		p.nextSweep = next
		return false
	}
	slices.SortFunc(free, func(a, b *entry) int { return a.freeAt().Compare(b.freeAt()) })
	for _, e := range free[:min(len(free), 1+p.names/reclaimShare)] {
		delete(p.byName, e.name)
		delete(p.bySlot, e.slot)
	}
	return true
}

// freeAt is when the place may be given to another name.
func (e *entry) freeAt() time.Time {
	idle := IdleAsked
	if e.used.Load() {
		idle = IdleUsed
	}
	return time.Unix(0, e.last.Load()).Add(idle)
}

// slot is the place an address of one of the ranges stands for.
func (p *Pool) slot(a netip.Addr) (uint32, bool) {
	a = a.Unmap()
	prefix := p.p4
	if a.Is6() {
		prefix = p.p6
	}
	if !prefix.IsValid() || !prefix.Contains(a.WithZone("")) {
		return 0, false
	}
	b, base := a.As16(), prefix.Addr().As16()
	for i := range 12 { // within IPv4 these are equal anyway
		if b[i] != base[i] {
			return 0, false
		}
	}
	n := binary.BigEndian.Uint32(b[12:]) - binary.BigEndian.Uint32(base[12:])
	return n, n >= 1 && n <= p.slots
}

// nth is the n-th address of a prefix.
func nth(p netip.Prefix, n uint32) netip.Addr {
	if p.Addr().Is4() {
		b := p.Addr().As4()
		binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+n)
		return netip.AddrFrom4(b)
	}
	b := p.Addr().As16()
	binary.BigEndian.PutUint32(b[12:], binary.BigEndian.Uint32(b[12:])+n)
	return netip.AddrFrom16(b)
}

// canonical is the name in lower case without its final dot. Names that are
// so already, which is all the resolver sends, are returned as they are.
func canonical(name string) string {
	name = strings.TrimSuffix(name, ".")
	for i := range len(name) {
		if 'A' <= name[i] && name[i] <= 'Z' {
			return strings.ToLower(name)
		}
	}
	return name
}
