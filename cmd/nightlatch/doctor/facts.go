package doctor

import (
	"net/netip"
	"time"
)

// Facts are what was found out about a gateway and the machine and network it
// stands in. What could not be found out is zero.
type Facts struct {
	Now  time.Time
	Host Host
	Net  Net
	Gate *Running // nil: no gateway runs in this home

	Endpoint  string // tunnel.endpoint
	MTU       int    // tunnel.mtu
	Mapping   string // tunnel.port_mapping
	DNSSEC    string // dns.dnssec
	Port      uint16 // UDP port phones connect to
	Devices   []Device
	Upstreams []Upstream
	Journal   Journal
	Lists     []string // what is wrong with lists
	Home      []string // what else is wrong in the files
	CA        CA
}

// Host is the machine.
type Host struct {
	PortErr   string        // why the UDP port cannot be opened; empty when it can, or when a gateway has it
	Unwritten string        // why the home folder cannot be written
	Free      uint64        // bytes of disk for the home folder; 0 when unknown
	Clock     string        // whose clock it was compared with; empty when with none
	Skew      time.Duration // by how much ours is ahead of it
	ClockErr  string        // a certificate that ours says is not good yet, or no longer
}

// Net is the network the machine stands in.
type Net struct {
	Outward4, Outward6 netip.Addr // of this machine towards the internet; invalid when there is none
	PathMTU            int        // of the interface that leads there; 0 when unknown
	Outside            netip.Addr // of the router, by itself
	OutsideBy          string     // how the router was asked
	OutsideErr         string     // why it does not tell
	Resolved           []netip.Addr
	ResolveErr         string // of the endpoint's name
}

// Running is what a running gateway tells of itself.
type Running struct {
	Started  time.Time           `json:"started"`
	Port     uint16              `json:"port"`
	Arrivals Arrivals            `json:"arrivals"`
	Sessions map[string]Session  `json:"sessions"` // by device
	Queries  uint64              `json:"queries"`  // of DNS
	Bogus    uint64              `json:"bogus"`    // answers that were not what their owners signed
	Lost     uint64              `json:"lost"`     // events the journal lost
	Trouble  string              `json:"trouble"`  // why the journal cannot write
	Upstream map[string]Upstream `json:"upstreams"`
	Panics   int64               `json:"panics"`
}

// Arrivals counts what came to the UDP port since the gateway started.
type Arrivals struct {
	Packets     int64     `json:"packets"`
	Data        int64     `json:"data"`
	Initiations int64     `json:"initiations"` // handshakes by someone who knows the gateway's key
	WrongKey    int64     `json:"wrong_key"`   // handshakes meant for another key
	Garbage     int64     `json:"garbage"`     // not WireGuard
	Answered    int64     `json:"answered"`    // of the initiations
	Last        time.Time `json:"last"`
}

// Session is one device's, as WireGuard knows it.
type Session struct {
	Handshake time.Time `json:"handshake"` // zero: never since the start
	Endpoint  string    `json:"endpoint,omitempty"`
	Rx, Tx    int64
}

// Device is one configured device, and what the journal says of its last day.
type Device struct {
	Name      string
	Ended     string // why it may not connect: disabled, or expired
	Queries   int    // DNS questions of the last day, counted to 1000
	Elsewhere int    // of them, meant for another server and answered here all the same
	DoT       int    // tries of DNS over TLS, counted to 1000
	Strict    string // what the gateway noticed of Private DNS; empty when nothing
}

// Upstream is one server that is asked.
type Upstream struct {
	Name    string `json:"name"`
	Up      bool   `json:"up"`
	Untried bool   `json:"untried,omitempty"`
	Err     string `json:"err,omitempty"`
}

// Journal is the journal's file.
type Journal struct {
	Err   string // why it cannot be read; empty also when there is none yet
	Alarm string // the newest notice of DNSSEC that is a warning, of the last day
}

// CA is the owner's certificate authority.
type CA struct {
	There    bool
	NotAfter time.Time
	Err      string
}
