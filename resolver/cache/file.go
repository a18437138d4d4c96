package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/miekg/dns"

	"nightlatch/resolver/wire"
)

// The file in which a cache outlives a restart: the magic octets, a digest of
// the settings it was filled under, entries until the end, and a SHA-256 of all
// that. An entry is a frame: a length of four octets, and fields as in append.
// Numbers are big-endian.
const (
	magic     = "nightlatch cache 1\n"
	fileHead  = len(magic) + sha256.Size
	maxFrame  = 1 << 17 // a message has 64 KiB at most, and the rest is short
	clockSlip = 5 * time.Second
	maxLife   = 7 * 24 * time.Hour // of an entry; longer TTLs are cut (RFC 8767 §4)
)

// MaxFile bounds a file, in octets; what was used longest ago is left out.
const MaxFile = 64 << 20

// ErrFile is a file that cannot be taken: damaged, of another version, or made
// under other settings.
var ErrFile = errors.New("cache: the file cannot be used")

// Flags of an entry.
const (
	flagDO = 1 << iota
	flagCD
	flagSecure
)

// Marshal writes down what is known and not too old, what was used last first.
// settings says what the answers depend on, such as who validated them. Queries
// wait for it no longer than it takes to list a shard.
func (c *Cache) Marshal(settings string, now time.Time) []byte {
	digest := sha256.Sum256([]byte(settings))
	out := append([]byte(magic), digest[:]...)
	for e := range c.listed(now) {
		frame := appendEntry(nil, e)
		if len(frame) > maxFrame || len(out)+len(frame)+4+sha256.Size > MaxFile {
			continue
		}
		out = binary.BigEndian.AppendUint32(out, uint32(len(frame)))
		out = append(out, frame...)
	}
	sum := sha256.Sum256(out)
	return append(out, sum[:]...)
}

// entry is what a node holds, for writing it down.
type entry struct {
	key    Key
	answer *Answer
}

// listed gives the entries of all shards, each in order of last use.
func (c *Cache) listed(now time.Time) func(yield func(entry) bool) {
	return func(yield func(entry) bool) {
		for i := range c.parts {
			p := &c.parts[i]
			p.mu.Lock()
			all := make([]entry, 0, len(p.table))
			for n := p.ring.next; n != &p.ring; n = n.next {
				all = append(all, entry{n.key, n.answer})
			}
			p.mu.Unlock()
			for _, e := range all {
				if e.answer.Age(now) < e.answer.TTL+c.stale && !e.answer.Fail && !yield(e) {
					return
				}
			}
		}
	}
}

func appendEntry(b []byte, e entry) []byte {
	a, flags := e.answer, byte(0)
	if e.key.DO {
		flags |= flagDO
	}
	if e.key.CD {
		flags |= flagCD
	}
	if a.Secure {
		flags |= flagSecure
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(a.Stored.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(a.TTL))
	for _, n := range [...]int{a.RCode, a.EDE + 1, len(a.Answer), len(a.Authority), int(e.key.Type)} {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	for _, s := range [...]string{a.Why, a.Upstream, e.key.Name} {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
	}
	return append(b, a.Tail...)
}

// Unmarshal takes over what a file says and is still of use, where nothing newer
// is known and there is room, and tells how many answers that were. The error
// is [ErrFile] with a reason: then nothing was taken.
func (c *Cache) Unmarshal(b []byte, settings string, now time.Time) (int, error) {
	frames, err := open(b, settings)
	if err != nil {
		return 0, err
	}
	var all []entry
	for len(frames) > 0 {
		n := 0
		if len(frames) >= 4 {
			n = int(binary.BigEndian.Uint32(frames))
		}
		if n == 0 || n > maxFrame || n > len(frames)-4 {
			return 0, fmt.Errorf("%w: an entry has no end", ErrFile)
		}
		e, err := readEntry(frames[4 : 4+n])
		if err != nil {
			return 0, fmt.Errorf("%w: %w", ErrFile, err)
		}
		frames = frames[4+n:]
		left := e.answer.TTL + c.stale - now.Sub(e.answer.Stored)
		if left > 0 && e.answer.Stored.Before(now.Add(clockSlip)) { // the clock may have been set back since
			all = append(all, e)
		}
	}
	taken := 0
	for _, e := range all {
		if c.part(maphash.String(c.seed, e.key.Name)).last(e.key, e.answer) {
			taken++
		}
	}
	return taken, nil
}

// open checks a file as a whole, and gives its entries.
func open(b []byte, settings string) ([]byte, error) {
	end := len(b) - sha256.Size
	switch {
	case len(b) > MaxFile || end < fileHead:
		return nil, fmt.Errorf("%w: it is cut short, or too long", ErrFile)
	case string(b[:len(magic)]) != magic:
		return nil, fmt.Errorf("%w: it is of another version", ErrFile)
	}
	if sum := sha256.Sum256(b[:end]); !bytes.Equal(sum[:], b[end:]) {
		return nil, fmt.Errorf("%w: it is damaged", ErrFile)
	}
	if digest := sha256.Sum256([]byte(settings)); !bytes.Equal(digest[:], b[len(magic):fileHead]) {
		return nil, fmt.Errorf("%w: it was made under other settings", ErrFile)
	}
	return b[fileHead:end], nil
}

var errEntry = errors.New("an entry makes no sense")

// fixed is the length of the fields of an entry before its texts.
const fixed = 1 + 8 + 8 + 5*2

// readEntry makes an answer of what was written down of it, by reading the
// message that it is anew.
func readEntry(b []byte) (entry, error) {
	if len(b) < fixed {
		return entry{}, errEntry
	}
	num := func(i int) uint16 { return binary.BigEndian.Uint16(b[17+2*i:]) }
	a := &Answer{
		Stored: time.Unix(0, int64(binary.BigEndian.Uint64(b[1:]))), TTL: time.Duration(binary.BigEndian.Uint64(b[9:])),
		RCode: int(num(0)), EDE: int(num(1)) - 1, Secure: b[0]&flagSecure != 0,
	}
	k := Key{Type: num(4), DO: b[0]&flagDO != 0, CD: b[0]&flagCD != 0}
	rest := b[fixed:]
	for _, s := range [...]*string{&a.Why, &a.Upstream, &k.Name} {
		if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16(rest)) {
			return entry{}, errEntry
		}
		n := 2 + int(binary.BigEndian.Uint16(rest))
		*s, rest = string(rest[2:n]), rest[n:]
	}
	if a.TTL <= 0 || a.TTL > maxLife || a.RCode != dns.RcodeSuccess && a.RCode != dns.RcodeNameError {
		return entry{}, errEntry
	}
	return entry{k, a}, a.unpack(k, rest, num(2), num(3))
}

// unpack reads the records that follow the question k.
func (a *Answer) unpack(k Key, tail []byte, answers, authorities uint16) error {
	b := make([]byte, wire.HeaderLen, wire.HeaderLen+len(k.Name)+4+len(tail))
	b[5] = 1
	binary.BigEndian.PutUint16(b[6:], answers)
	binary.BigEndian.PutUint16(b[8:], authorities)
	b = append(b, k.Name...)
	b = binary.BigEndian.AppendUint16(b, k.Type)
	b = binary.BigEndian.AppendUint16(b, dns.ClassINET)
	q, fault := wire.Parse(append([]byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, b[wire.HeaderLen:]...))
	var m dns.Msg
	if fault != wire.OK || string(wire.AppendLower(nil, q.Name)) != k.Name || m.Unpack(append(b, tail...)) != nil {
		return errEntry
	}
	a.Name, a.Answer, a.Authority = string(wire.AppendText(nil, q.Name)), m.Answer, m.Ns
	a.collect()
	return a.pack(dns.Fqdn(a.Name), k.Type)
}
