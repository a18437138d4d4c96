// Package policy decides. A [Policy] is an immutable value made from the
// compiled blocklists and the owner's wishes per device; it turns a device and
// a question into a [Verdict] that carries its reason. It is pure: it reads no
// file, no clock and no network, so that every decision can be replayed.
package policy

import (
	"net/netip"
	"sync/atomic"

	"nightlatch/blocklists"
)

// Device is a WireGuard peer: its key is its identity, its addresses are its own.
type Device struct {
	Name  string       // the owner's name for it, unique: "redmi"
	Key   [32]byte     // WireGuard public key
	Addrs []netip.Addr // its addresses inside the tunnel, one IPv4 and one IPv6
}

// Flow is one 5-tuple a device wants to open.
type Flow struct {
	Device   Device
	Proto    uint8          // IANA protocol number: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6
	Src, Dst netip.AddrPort // ports are 0 for ICMP
	Name     string         // the name Dst was reached by, if known
	Exact    bool           // Dst belongs to Name alone, so Name is certain
}

// Action is what happens to a name or a flow.
type Action uint8

const (
	Pass Action = iota // answered, forwarded
	Sink               // led to the sinkhole, which stands in for the server
	Deny               // refused at once: NXDOMAIN, RST, ICMP unreachable
	Drop               // silence
)

// String gives the word used in the journal, the config and the terminal:
// pass, sink, deny or drop.
func (a Action) String() string {
	switch a {
	case Pass:
		return "pass"
	case Sink:
		return "sink"
	case Deny:
		return "deny"
	}
	return "drop"
}

// Verdict is a decision and what made it.
type Verdict struct {
	Action Action
	Rule   blocklists.Rule // the rule that decided; Rule.List is empty when no list did
	Reason string          // why, when no list decided: "DNS over TLS", "private address", ...
}

// Current is the policy in force: replaced whole, never edited.
type Current = atomic.Pointer[Policy]

// Policy is a set of decisions waiting for questions. It is immutable and safe
// for concurrent use.
type Policy struct{}
