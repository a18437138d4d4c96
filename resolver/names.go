package resolver

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// maxDevices with a memory of their own; a gateway has as many peers at
	// most. When full the one that asked longest ago is forgotten.
	maxDevices = 1024
	// maxNames addresses are remembered per device, about half a MiB; when full
	// the one given out longest ago goes. No phone talks to more in a day.
	maxNames = 4096
)

// memory remembers which name was resolved to which address for which device,
// so that a flow can be called by the name it was meant for.
type memory struct {
	mu      sync.Mutex
	devices map[[32]byte]*deviceNames
}

type deviceNames struct {
	mu   sync.Mutex
	used time.Time
	at   map[netip.Addr]int // place in ring
	ring []named            // in order of giving out, next overwritten first
	next int
}

type named struct {
	addr netip.Addr
	name string
}

func newMemory() *memory { return &memory{devices: map[[32]byte]*deviceNames{}} }

func (m *memory) device(key [32]byte, now time.Time) *deviceNames {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.devices[key]
	if d == nil {
		if len(m.devices) >= maxDevices {
			m.forgetOldest()
		}
		d = &deviceNames{at: map[netip.Addr]int{}}
		m.devices[key] = d
	}
	d.used = now
	return d
}

func (m *memory) forgetOldest() {
	var oldest [32]byte
	first := true
	for k, d := range m.devices {
		if first || d.used.Before(m.devices[oldest].used) {
			oldest, first = k, false
		}
	}
	delete(m.devices, oldest)
}

// learn notes that the device was given addrs for name.
func (m *memory) learn(key [32]byte, name string, addrs []netip.Addr, now time.Time) {
	if len(addrs) == 0 {
		return
	}
	d := m.device(key, now)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range addrs {
		d.put(a, name)
	}
}

func (d *deviceNames) put(a netip.Addr, name string) {
	i, known := d.at[a]
	if known && d.ring[i].name == name && (i+maxNames-d.next)%maxNames >= maxNames/2 {
		return // given out lately: its place is still good
	}
	if known {
		d.ring[i] = named{} // it moves to the young end
	}
	if len(d.ring) < maxNames {
		d.ring = append(d.ring, named{})
		d.next = len(d.ring) - 1
	}
	if old := d.ring[d.next]; old.addr.IsValid() {
		delete(d.at, old.addr)
	}
	d.ring[d.next] = named{a, name}
	d.at[a] = d.next
	d.next = (d.next + 1) % maxNames
}

func (m *memory) find(key [32]byte, a netip.Addr) string {
	m.mu.Lock()
	d := m.devices[key]
	m.mu.Unlock()
	if d == nil {
		return ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if i, ok := d.at[a]; ok {
		return d.ring[i].name
	}
	return ""
}
