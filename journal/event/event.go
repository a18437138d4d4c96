// Package event holds the vocabulary of the journal: what can have happened,
// how it is asked for, and how it is printed. It is pure. The parent package
// gives all of it under its own name.
package event

import (
	"net/netip"
	"time"

	"nightlatch/decoder"
	"nightlatch/policy"
)

// Event is one thing that happened: [Query], [Flow], [Capture] or [Notice],
// and nothing else.
type Event interface{ event() }

// Query is one DNS question and how it was answered.
type Query struct {
	Time     time.Time
	Device   string         // device name
	Name     string         // QNAME, lower case, no final dot
	Type     string         // A, AAAA, HTTPS, ...
	Server   netip.AddrPort // whom the device meant to ask
	Network  string         // udp or tcp
	Verdict  policy.Verdict
	Through  string        // the CNAME target the rule matched, when not Name itself
	RCode    string        // NOERROR, NXDOMAIN, ...
	Answers  []string      // addresses and names given, at most 8
	Upstream string        // who answered, "cache" or "" for an answer made here
	Took     time.Duration // from question to answer
	Repeats  int           // the same again within a second, folded into this one when they were written
}

// Flow is one connection or datagram flow; recorded when it ends or is refused.
type Flow struct {
	Time     time.Time // when it began
	Device   string
	Proto    string // tcp, udp or icmp
	Src, Dst netip.AddrPort
	Name     string // the name Dst was reached by; empty for a hard-coded address
	Exact    bool   // as Known says: KnownExact
	Known    Known  // how Name is known
	Verdict  policy.Verdict
	Up, Down int64         // payload bytes from and to the device
	Took     time.Duration // lifetime
	Err      string        // why it failed, if it did: "connection refused"
}

// Capture is what the sinkhole received in place of a blocked server.
type Capture struct {
	Time        time.Time
	Device      string
	Name        string // the blocked name the device thought it spoke to
	Dst         netip.AddrPort
	Scheme      string // http, https, tls (no CA or refused), tcp, udp or quic (refused)
	Method      string // HTTP only
	Path        string // HTTP only: path and query
	ContentType string
	UserAgent   string
	TLS         *TLS  // nil for plain connections
	Size        int64 // payload bytes received, before any bound cut them
	Repeats     int   // identical captures that were left out since the last one recorded
	Sample      []byte
	Result      decoder.Result // in memory only: findings are masked before they are kept
	Marks       []Mark         // of Result.Findings, in their order; made when the capture is kept
}

// TLS is what a TLS client shows before or instead of its payload.
type TLS struct {
	SNI     string
	ALPN    []string
	Version string // highest version offered, or the one negotiated
	JA4     string
	Outcome string // read, refused our certificate, no CA, not TLS, ...
	Alert   string // the alert the client sent, in words
}

// Level says how urgent a notice is.
type Level uint8

const (
	Info Level = iota
	Warn
	Error
)

// String gives info, warn or error.
func (l Level) String() string { return [...]string{"info", "warn", "error"}[min(l, Error)] }

// Notice is something the owner should know.
type Notice struct {
	Time   time.Time
	Level  Level
	Room   string // resolver, tunnel, blocklists, ...
	Device string // empty when no device is meant
	Text   string // one calm line: what, where, what to do
}

func (Query) event()   {}
func (Flow) event()    {}
func (Capture) event() {}
func (Notice) event()  {}
