// Package journal remembers. Rooms hand it events through a [Recorder], which
// never blocks and never fails; the journal writes them to a SQLite file in
// batches, hands them live to whoever listens, and forgets them when they are
// old. It holds private life: values are masked before they are written.
//
// The events themselves are described in nightlatch/journal/event; they are
// given here under the same names.
package journal

import "nightlatch/journal/event"

// The events: one of [Query], [Flow], [Capture] and [Notice], and nothing else.
type (
	Event   = event.Event   // one thing that happened
	Query   = event.Query   // one DNS question and how it was answered
	Flow    = event.Flow    // one connection or datagram flow
	Capture = event.Capture // what the sinkhole received
	TLS     = event.TLS     // what a TLS client showed
	Notice  = event.Notice  // something the owner should know
	Mark    = event.Mark    // tells equal values of findings from different ones
	Level   = event.Level   // how urgent a notice is
)

// Levels of a [Notice].
const (
	Info  = event.Info
	Warn  = event.Warn
	Error = event.Error
)

// Known says how the name of a [Flow] is known, see [event.Known].
type Known = event.Known

// Ways in which the name of a [Flow] is known.
const (
	KnownDNS   = event.KnownDNS
	KnownExact = event.KnownExact
	KnownSNI   = event.KnownSNI
	KnownHost  = event.KnownHost
	KnownQUIC  = event.KnownQUIC
	KnownECH   = event.KnownECH
	Claimed    = event.Claimed
)

// What is read: [Filter] chooses, the rest is what comes back.
type (
	Filter         = event.Filter
	StoredQuery    = event.StoredQuery
	StoredFlow     = event.StoredFlow
	StoredCapture  = event.StoredCapture
	StoredFinding  = event.StoredFinding
	StoredNotice   = event.StoredNotice
	StoredEvent    = event.StoredEvent
	Summary        = event.Summary
	DeviceSummary  = event.DeviceSummary
	BlockedName    = event.BlockedName
	FindingSummary = event.FindingSummary
	Hour           = event.Hour
)

// Kinds of events for [Filter], and the bounds of one read.
const (
	KindQuery    = event.KindQuery
	KindFlow     = event.KindFlow
	KindCapture  = event.KindCapture
	KindNotice   = event.KindNotice
	DefaultLimit = event.DefaultLimit
	MaxLimit     = event.MaxLimit
)

// What a planted value is called, see [event.KindCanary].
const (
	KindCanary  = event.KindCanary
	CanaryLabel = event.CanaryLabel
)

// Recorder takes events. Record never blocks and never fails: what cannot be
// kept is counted. It is safe for concurrent use.
type Recorder interface{ Record(Event) }

// Line gives one escaped line for a terminal, as [event.Line] says. Live and
// stored events give the same.
func Line(e Event) string { return event.Line(e) }

// JSON gives one event as one line of JSON, as [event.JSON] says.
func JSON(e Event) ([]byte, error) { return event.JSON(e) }
