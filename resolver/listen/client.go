package listen

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"nightlatch/policy"
)

// maxClients bounds what is remembered of addresses: a home has tens, but an
// IPv6 network has as many as a neighbour cares to make up.
const maxClients = 4096

// Private gives the networks that no stranger can ask from: loopback, private
// use (RFC 1918, 6598, 4193) and link-local. Who asks from elsewhere makes an
// open resolver of us.
func Private() []netip.Prefix {
	var out []netip.Prefix
	for _, p := range []string{
		"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
		"::1/128", "fc00::/7", "fe80::/10",
	} {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func within(nets []netip.Prefix, a netip.Addr) bool {
	for _, p := range nets {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// client is what is known of one address.
type client struct {
	addr   netip.Addr
	device policy.Device

	due     atomic.Int64 // when its next question is due, ns of the Unix clock (GCRA)
	limited atomic.Uint64
	waiting atomic.Int32 // datagrams
	conns   atomic.Int32
}

// clients remembers addresses. It is safe for concurrent use.
type clients struct {
	allow []netip.Prefix
	every int64 // ns between two questions; 0 means that there is no limit
	known *atomic.Pointer[Known]

	mu  sync.RWMutex
	all map[netip.Addr]*client
	gen *Known // by which the devices in all were named
}

func newClients(allow []netip.Prefix, rate int, known *atomic.Pointer[Known]) *clients {
	c := &clients{allow: allow, known: known, all: map[netip.Addr]*client{}}
	if rate > 0 {
		c.every = int64(time.Second) / int64(rate)
	}
	if c.known == nil {
		c.known = new(atomic.Pointer[Known])
	}
	return c
}

// find gives the client at an address; nil when it may not ask.
func (c *clients) find(a netip.Addr) *client {
	a = a.Unmap().WithZone("")
	known := c.known.Load()
	c.mu.RLock()
	cl, same := c.all[a], c.gen == known
	c.mu.RUnlock()
	if cl != nil && same {
		return cl
	}
	if !within(c.allow, a) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gen != known { // names may have changed: the bounds begin anew
		clear(c.all)
		c.gen = known
	}
	if cl = c.all[a]; cl == nil {
		c.room()
		cl = &client{addr: a, device: deviceAt(known, a)}
		c.all[a] = cl
	}
	return cl
}

// room makes room for one more by forgetting one that has no connection. Of a
// few looked at, the one that asked longest ago.
func (c *clients) room() {
	if len(c.all) < maxClients {
		return
	}
	var old *client
	looked := 0
	for _, cl := range c.all {
		if cl.conns.Load() == 0 && (old == nil || cl.due.Load() < old.due.Load()) {
			old = cl
		}
		if looked++; looked >= 32 && old != nil {
			break
		}
	}
	if old != nil {
		delete(c.all, old.addr)
	}
}

func (c *clients) size() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.all)
}

// worst names the device that was refused most since it was last asked.
func (c *clients) worst() string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	name, most := "devices", uint64(0)
	for _, cl := range c.all {
		if n := cl.limited.Swap(0); n > most {
			name, most = cl.device.Name, n
		}
	}
	return name
}

// within tells whether one more question keeps to the rate, and counts it: a
// bucket of one second's questions that fills evenly.
func (c *clients) within(cl *client, now int64) bool {
	if c.every == 0 {
		return true
	}
	for {
		due := cl.due.Load()
		next := max(due, now) + c.every
		if next-now > int64(time.Second)+c.every {
			cl.limited.Add(1)
			return false
		}
		if cl.due.CompareAndSwap(due, next) {
			return true
		}
	}
}

// deviceAt gives the device at an address. One that nobody named has its
// address for a name.
func deviceAt(k *Known, a netip.Addr) policy.Device {
	if k != nil {
		if d, ok := k.ByAddr[a]; ok {
			return outside(d)
		}
	}
	return outside(policy.Device{Name: a.String()})
}

// named gives the device of a name; false when there is none.
func (s *Server) named(name string) (policy.Device, bool) {
	k := s.clients.known.Load()
	if k == nil {
		return policy.Device{}, false
	}
	d, ok := k.ByName[name]
	return outside(d), ok
}

// outside is a device as it asks from outside the tunnel: it cannot reach the
// sinkhole, and has no key that says who it is.
func outside(d policy.Device) policy.Device {
	return policy.Device{Name: d.Name, Key: sha256.Sum256([]byte("home " + d.Name)), Outside: true}
}
