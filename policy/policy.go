// Package policy decides. A [Policy] is an immutable value made from the
// compiled blocklists and the owner's wishes per device; it turns a device and
// a question into a [Verdict] that carries its reason. It is pure: it reads no
// file, no clock and no network, so that every decision can be replayed.
//
// # Order of precedence
//
// Every decision first takes the wishes of the device: those given under its
// name, or else the ones for every device. Among the rules of the lists it
// follows, package blocklists says which one speaks: the owner's own lists
// stand above all others, and there the most specific rule wins. Then the first
// line that applies decides.
//
// For a name ([Policy.Name]):
//
//	1  a rule allows it                               pass
//	2  a rule blocks it and says how                  deny, sink or drop, as it says
//	3  a rule blocks it                               as the device wishes, sink by default
//	4  no rule speaks about it                        pass
//
// For a flow ([Policy.Flow]):
//
//	1  the destination is no address                  deny
//	2  a sinkhole address, its name is sunk           sink
//	3  any other sinkhole address                     deny
//	4  port 53: the gateway answers DNS               deny
//	5  TCP port 853: DNS over TLS                     deny
//	6  UDP port 853, 784, 8853: DNS over QUIC         deny
//	7  TCP port 25: mail, as spam is sent             deny
//	8  port 135-139, 445: Windows file sharing        deny
//	9  UDP port 443, the device may not use QUIC      deny
//	10 an own list blocks the address or the name     deny, or drop
//	11 an own list allows the address or the name     pass
//	12 a list blocks the address or the name          deny, or drop
//	13 a list allows the address or the name          pass
//	14 no name, the device may not use literals       deny, or drop
//	15 no name                                        pass, and reported
//	16 anything else                                  pass
//
// Where no sinkhole is set up, sink means deny. A flow to an ordinary address is
// never sunk: the sinkhole knows its visitors by the address it gave them.
//
// Three things are decided elsewhere. Private and reserved addresses are closed
// by the tunnel's guard, before and after any policy. Names of the gateway
// itself, and names by which a network says that it filters (use-application-dns.net,
// mask.icloud.com, resolver.arpa), are answered by the resolver.
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
	Pass    Action = iota // answered, forwarded
	Sink                  // led to the sinkhole, which stands in for the server
	Deny                  // refused at once: NXDOMAIN or what the Verdict's Reply says, RST, ICMP unreachable
	Drop                  // silence
	Rewrite               // names only: answered with what the rule itself says, see [Policy.Rewrites]
	Observe               // a name is answered truthfully; a TCP flow to it is forwarded and sampled
)

// Stops says whether the action keeps a device from what it asked for: Sink,
// Deny and Drop do.
func (a Action) Stops() bool { return a == Sink || a == Deny || a == Drop }

// String gives the word used in the journal, the config and the terminal:
// pass, sink, deny, drop, rewrite or observe. The numbers are kept in the
// journal's file: new actions come after Observe.
func (a Action) String() string {
	switch a {
	case Pass:
		return "pass"
	case Sink:
		return "sink"
	case Deny:
		return "deny"
	case Rewrite:
		return "rewrite"
	case Observe:
		return "observe"
	}
	return "drop"
}

// Verdict is a decision and what made it. Verdicts can be compared.
type Verdict struct {
	Action Action
	Rule   blocklists.Rule  // the rule that decided; Rule.List is empty when no list did
	Reason string           // why, when no list decided: one of the reasons of this package, or a word of the tunnel
	Reply  blocklists.Reply // names only: how a Deny is answered; never ReplyDefault then
}

// The reasons of a verdict that no list made. They are read by people, as they
// stand. A name that nothing speaks about passes without one.
const (
	ReasonLiteral     = "hard-coded address"
	ReasonNoAddress   = "no address"
	ReasonNotSunk     = "sinkhole address of a name that is not sunk"
	ReasonDNS         = "DNS past the gateway"
	ReasonDoT         = "DNS over TLS"
	ReasonDoQ         = "DNS over QUIC"
	ReasonMail        = "mail to port 25"
	ReasonFileSharing = "Windows file sharing"
	ReasonQUIC        = "QUIC is refused for this device"
)

// Current is the policy in force: replaced whole, never edited.
type Current = atomic.Pointer[Policy]
