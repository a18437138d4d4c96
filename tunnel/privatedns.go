package tunnel

import (
	"time"

	"nightlatch/journal"
)

const (
	dotPort = 853 // RFC 7858 §3.1

	// strictTries in strictTime are enough to tell: a phone whose Private DNS is
	// automatic tries the address of its own DNS server, which has no name; one
	// that was given a provider looks its name up, and goes there again and again.
	strictTries = 2
	strictTime  = 10 * time.Minute

	// strictEvery is how often the owner is told; the phone tries all day.
	strictEvery = 24 * time.Hour
)

// dotTries counts DNS over TLS to a server that was looked up; peer.mu guards it.
type dotTries struct {
	name  string
	since time.Time
	n     int
}

// strictDNS notices Android's strict Private DNS, with which nothing on the
// phone resolves behind a gateway, and says so once.
func (t *Tunnel) strictDNS(f *flow) {
	if f.resolved == "" {
		return
	}
	p := f.peer
	p.mu.Lock()
	if d := &p.dot; d.name != f.resolved || f.began.Sub(d.since) > strictTime {
		*d = dotTries{name: f.resolved, since: f.began}
	}
	p.dot.n++
	strict := p.dot.n >= strictTries
	p.mu.Unlock()
	if strict {
		t.noticeEvery(journal.Warn, f.Device.Name, "private dns", "Private DNS is set to "+f.resolved+" on this device, which is refused here, so no name resolves on it; "+
			"set it to Off or Automatic (Android: Settings, Network & internet, Private DNS)", strictEvery)
	}
}
