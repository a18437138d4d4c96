package dashboard

import (
	"net/netip"
	"time"
)

// Status is how the gateway is at one moment, as cmd knows it.
type Status struct {
	Version   string    // of the program: "0.2.0"
	Started   time.Time // when the gateway began
	Devices   []Device  // every configured device, connected or not
	Upstreams []Upstream
	Lists     []List
	SinkHTTPS bool     // the owner made a CA, so that sunk HTTPS is read too
	SinkCA    string   // the fingerprint of that CA: SHA-256 in hex; empty without one
	Listen    []string // where the gateway listens: "udp 0.0.0.0:51820", "http 127.0.0.1:8080"
}

// Device is one configured device and its WireGuard session.
type Device struct {
	Name      string
	Addrs     []netip.Addr   // inside the tunnel
	Endpoint  netip.AddrPort // where its packets come from; zero when it never came
	Handshake time.Time      // the last handshake; zero when there was none
	Rx, Tx    uint64         // bytes from and to the device since the gateway began
	Flows     int            // flows open now
}

// Upstream is one DNS server that the gateway asks.
type Upstream struct {
	Name    string        // as configured: "https://dns.quad9.net/dns-query"
	Healthy bool          // false while it is being passed over
	Untried bool          // no question was sent to it yet
	Latency time.Duration // of late; 0 when unknown
	Err     string        // the last failure, while it is not healthy
}

// List is one blocklist in force.
type List struct {
	Name  string // short name, as verdicts spell it: "xiaomi"
	Title string // "Xiaomi telemetry"
	Owner string // the company whose names it stops; may be empty
	Rules int    // rules in force
	Own   bool   // the owner's own file
	Note  string // what is wrong with it, in one line; empty when nothing is
}

// connectedFor is how long after a handshake a device counts as connected. A
// session that carries traffic is renewed every two minutes and dead after
// three (WireGuard paper §6.1, Reject-After-Time).
const connectedFor = 3 * time.Minute

// Connected tells whether the device has a live session at now. A phone that
// sleeps may be away from here and still be well.
func (d Device) Connected(now time.Time) bool {
	return !d.Handshake.IsZero() && now.Sub(d.Handshake) <= connectedFor
}
