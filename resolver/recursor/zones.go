package recursor

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// host is one server of a zone.
type host struct {
	name  string       // canonical, with the final dot
	addrs []netip.Addr // told along with the zone; they serve this zone alone
	spare bool         // the parent names it and the zone does not: asked last
}

// delegation is how to reach the servers of a zone. It is immutable once kept.
type delegation struct {
	name            string // of the zone, canonical, with the final dot
	hosts           []host
	own             bool // the servers are those that the zone itself names
	stored, expires time.Time
}

// addrs gives the addresses that are known without looking anything up.
func (d *delegation) addrs() (out []netip.Addr) {
	for _, h := range d.hosts {
		out = append(out, h.addrs...)
	}
	return out
}

func (d *delegation) glue(name string) []netip.Addr {
	if i := slices.IndexFunc(d.hosts, func(h host) bool { return h.name == name }); i >= 0 {
		return d.hosts[i].addrs
	}
	return nil
}

func (d *delegation) refused(refuse func(netip.Addr) bool) bool {
	return slices.ContainsFunc(d.addrs(), refuse)
}

// adopt gives the delegation with the servers that the zone itself names
// (RFC 2181 §5.4.1 ranks its word above the parent's). Those that only the
// parent names stay as spares, and the time stays the parent's: a zone that was
// taken back must not prolong itself (the ghost domain names of CVE-2012-1033).
func (d *delegation) adopt(own []host) *delegation {
	out := *d
	out.own, out.hosts = true, nil
	for _, h := range own {
		if len(h.addrs) == 0 {
			h.addrs = d.glue(h.name)
		}
		out.hosts = append(out.hosts, h)
	}
	for _, h := range d.hosts {
		if len(out.hosts) < 2*maxHosts && !slices.ContainsFunc(own, func(o host) bool { return o.name == h.name }) {
			h.spare = true
			out.hosts = append(out.hosts, h)
		}
	}
	return &out
}

// hosts reads the servers that NS records name, and their addresses where they
// lie within zone: the zone whose server said so. At most maxHosts are taken,
// whichever, so that a long list cannot choose them.
func hosts(zone string, ns, extra []dns.RR, refuse func(netip.Addr) bool) (out []host) {
	for _, i := range rand.Perm(len(ns)) {
		rr, ok := ns[i].(*dns.NS)
		if !ok || rr.Hdr.Class != dns.ClassINET {
			continue
		}
		name := dns.CanonicalName(rr.Ns)
		if name == "." || slices.ContainsFunc(out, func(h host) bool { return h.name == name }) {
			continue
		}
		if out = append(out, host{name: name}); len(out) == maxHosts {
			break
		}
	}
	for i := range out {
		if dns.IsSubDomain(zone, out[i].name) {
			out[i].addrs = addresses(out[i].name, extra, refuse)
		}
	}
	return out
}

// addresses gives the addresses that records give a name, a bounded number of
// each family.
func addresses(name string, rrs []dns.RR, refuse func(netip.Addr) bool) (out []netip.Addr) {
	count := [2]int{}
	for _, rr := range rrs {
		var ip []byte
		switch v := rr.(type) {
		case *dns.A:
			ip = v.A.To4()
		case *dns.AAAA:
			ip = v.AAAA
		}
		a, ok := netip.AddrFromSlice(ip)
		if !ok || rr.Header().Class != dns.ClassINET || !strings.EqualFold(rr.Header().Name, name) {
			continue
		}
		family := 0
		if a.Is6() {
			family = 1
		}
		if refuse != nil && refuse(a) || count[family] == maxGlue || slices.Contains(out, a) {
			continue
		}
		count[family]++
		out = append(out, a)
	}
	return out
}

// Bounds of what is remembered: at most some 18 MB with maxServers.
const (
	maxZones = 4096
	maxNames = 8192
)

// zones remembers the tree as far as it was walked. It is safe for concurrent
// use. Answers of the owner's are not in here, so that no flood of delegations
// drives them out (CacheFlush).
type zones struct {
	mu     sync.Mutex
	table  map[string]*delegation
	inside map[string]inside // by name
	hosts  map[string]address
}

// inside is a name at which no zone begins, so that nobody is asked about it on
// the way to names below.
type inside struct {
	zone    string
	expires time.Time
}

// insideLife is short: a server that knows better refers all the same.
const insideLife = 5 * time.Minute

// address is what was found out about the name of a server.
type address struct {
	addrs   []netip.Addr // none: it has none that can be asked
	half    bool         // those of one family; the other was not looked up
	expires time.Time
}

// reaches tells whether there is hope for any of the addresses.
func (a address) reaches(four, six bool) bool {
	return slices.ContainsFunc(a.addrs, func(a netip.Addr) bool { return a.Is4() && four || a.Is6() && six })
}

func newZones() *zones {
	return &zones{table: map[string]*delegation{}, inside: map[string]inside{}, hosts: map[string]address{}}
}

func (z *zones) get(name string, now time.Time) *delegation {
	z.mu.Lock()
	defer z.mu.Unlock()
	if d := z.table[name]; d != nil && now.Before(d.expires) {
		return d
	}
	return nil
}

// nearest gives the deepest zone that is known at or above a name, nil when not
// even the root is, and how many labels of the name are known to need no asking.
func (z *zones) nearest(name string, now time.Time) (d *delegation, have int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for n := dns.CountLabel(name); n >= 0; n-- {
		at := suffix(name, n)
		if d := z.table[at]; d != nil && now.Before(d.expires) {
			return d, max(n, have)
		}
		if in, ok := z.inside[at]; ok && have == 0 && now.Before(in.expires) && z.table[in.zone] != nil {
			have = n
		}
	}
	return nil, 0
}

// none notes that no zone begins at a name, which lies in zone.
func (z *zones) none(name, zone string, now time.Time) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(z.inside) >= maxZones {
		clear(z.inside) // cheap to learn again
	}
	z.inside[name] = inside{zone, now.Add(insideLife)}
}

func (z *zones) put(d *delegation, now time.Time) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(z.table) >= maxZones {
		z.shrink(now)
	}
	z.table[d.name] = d
}

func (z *zones) drop(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.table, name)
}

// shrink makes room: what has ended goes first, then whatever comes. The root
// and what is directly below it stay while they can: everybody needs them, and
// nobody can make up more.
func (z *zones) shrink(now time.Time) {
	for name, d := range z.table {
		if !now.Before(d.expires) {
			delete(z.table, name)
		}
	}
	for _, labels := range []int{2, 0} {
		for name := range z.table {
			if len(z.table) < maxZones*3/4 {
				return
			}
			if dns.CountLabel(name) >= labels {
				delete(z.table, name)
			}
		}
	}
}

// host gives what is known about a server's name.
func (z *zones) host(name string, now time.Time) (a address, known bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	a, ok := z.hosts[name]
	if !ok || !now.Before(a.expires) {
		return address{}, false
	}
	return a, true
}

func (z *zones) putHost(name string, a address, now time.Time) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(z.hosts) >= maxNames {
		for n, old := range z.hosts {
			if !now.Before(old.expires) || len(z.hosts) > maxNames*3/4 {
				delete(z.hosts, n)
			}
		}
	}
	z.hosts[name] = a
}

// life clamps a TTL in seconds; one with the top bit counts as zero (RFC 2181 §8).
func life(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		ttl = 0
	}
	return min(max(time.Duration(ttl)*time.Second, minLife), maxLife)
}

// suffix gives the last n labels of a canonical name.
func suffix(name string, n int) string {
	starts := dns.Split(name)
	switch {
	case n <= 0:
		return "."
	case n >= len(starts):
		return name
	}
	return name[starts[len(starts)-n]:]
}
