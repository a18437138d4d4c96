// Package policy decides. A [Policy] is an immutable value made from the
// compiled blocklists and the owner's wishes per device; it turns a device and
// a question into a [Verdict] that carries its reason. It is pure: it reads no
// file, no clock and no network, so that every decision can be replayed.
//
// # Order of precedence
//
// Every decision first takes the wishes of the device: those given under its
// name, or else the ones for every device. Among the rules of the lists it
// follows at that hour, package blocklists says which one speaks: the overlay
// stands above the owner's own lists, and these with the blocked services above
// all others; there the most specific rule wins, and an allow before a block that
// is as specific. What a paused list stops is not heard; what it allows is, where
// it has the last word, so that a pause never stops more than before.
//
// What a rule that stops a name does is said, in this order, by: the service it
// belongs to (deny), the device's action for its list, the rule or its list, the
// schedule in force, the device. A rule or list that says how a name is to be
// denied, and names no action, denies it.
//
// Then the first line that applies decides.
//
// For a name ([Policy.Name]):
//
//	1  a pause of everything covers it                pass
//	2  a rule stops it                                sink, deny or drop
//	3  all is closed, no own list lets it through     deny
//	4  the device may not ask for this type           deny, without data
//	5  a rule answers by itself                       rewrite
//	6  safe search has an answer                      rewrite
//	7  a rule has it observed                         observe
//	8  a rule allows it                               pass
//	9  a pause of a list covers it                    pass
//	10 no rule speaks about it                        pass
//
// For a flow ([Policy.Flow]):
//
//	1  the destination is no address                  deny
//	2  a sinkhole address, its name is sunk           sink
//	3  any other sinkhole address                     deny
//	4  port 53: the gateway answers DNS               deny
//	5  the device may reach it in the home network    pass
//	6  TCP port 853: DNS over TLS                     deny
//	7  UDP port 853, 784, 8853: DNS over QUIC         deny
//	8  TCP port 25: mail, as spam is sent             deny
//	9  port 135-139, 445: Windows file sharing        deny
//	10 a pause of everything covers it                pass
//	11 UDP port 443, the device may not use QUIC      deny, or drop
//	12 an own list stops the address or the name      deny, or drop
//	13 an own list lets the address or the name pass  pass, or observe
//	14 a list stops the address or the name           deny, or drop
//	15 all is closed                                  deny
//	16 a list lets the address or the name pass       pass, or observe
//	17 it asks for a name that would be stopped       deny
//	18 it asks for names past the gateway (HTTPDNS)   deny
//	19 no name, the device may not use literals       deny, or drop
//	20 no name                                        pass, and reported
//	21 a pause of a list covers it                    pass
//	22 anything else                                  pass
//
// All is closed while a schedule of the device says so (block: all). Where no
// sinkhole is set up, sink means deny. A flow to an ordinary address is never
// sunk: the sinkhole knows its visitors by the address it gave them. A flow is
// let pass by a rule that allows it or answers it, and by one that has it
// observed, which for a flow other than TCP is a pass.
//
// Three things are decided elsewhere. Private and reserved addresses are closed
// by the tunnel's guard, before and after any policy. Names of the gateway
// itself, and names by which a network says that it filters (use-application-dns.net,
// mask.icloud.com, resolver.arpa), are answered by the resolver.
package policy

import (
	"fmt"
	"net/netip"
	"sync/atomic"

	"nightlatch/blocklists"
)

// Device is a WireGuard peer: its key is its identity, its addresses are its own.
type Device struct {
	Name  string       // the owner's name for it, unique: "redmi"
	Key   [32]byte     // WireGuard public key
	Addrs []netip.Addr // its addresses inside the tunnel, one IPv4 and one IPv6

	Outside bool // it asks from outside the tunnel, from where no sinkhole is reached
}

// Flow is one 5-tuple a device wants to open.
type Flow struct {
	Device   Device
	Proto    uint8          // IANA protocol number: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6
	Src, Dst netip.AddrPort // ports are 0 for ICMP
	Name     string         // the name Dst was reached by, if known
	Exact    bool           // Dst belongs to Name alone, so Name is certain

	// Asked are names that the flow asks for past the gateway's DNS, in plain
	// HTTP. HTTPDNS: it does so at an address the device never asked a name for.
	Asked   []string
	HTTPDNS bool
}

// StripsECH tells whether a device is to hear of no keys for Encrypted
// ClientHello.
func (p *Policy) StripsECH(d Device) bool { return p.of(d).StripECH }

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
	case Drop:
		return "drop"
	case Rewrite:
		return "rewrite"
	case Observe:
		return "observe"
	}
	return fmt.Sprintf("action %d", uint8(a))
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
	ReasonHTTPDNS     = "names asked past the gateway (HTTPDNS)"
	ReasonLAN         = "allowed in the home network"
	ReasonQUIC        = "QUIC is refused for this device"
	ReasonType        = "this type of question is refused for this device"
	ReasonPaused      = "paused"    // a rule that would have stopped it is named
	ReasonSchedule    = "schedule " // and its name: it closes everything
)

// Wanted says that the owner wants the name answered with whatever stands behind
// it, other names and addresses: a rule allows it, or a pause covers it.
func (v Verdict) Wanted() bool { return v.Rule.Allow || v.Reason == ReasonPaused }

// Current is the policy in force: replaced whole, never edited.
type Current = atomic.Pointer[Policy]
