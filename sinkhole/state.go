package sinkhole

import "nightlatch/journal"

// State says in one word what became of a capture for whoever wants to know
// what a device tells a host: was it read, and if not, why not.
type State string

// The states, as people are shown them.
const (
	StateRead    State = "read"                    // the payload was there to be decoded
	StateRefused State = "refused our certificate" // this client does not trust the owner's authority
	StateOpaque  State = "opaque"                  // encrypted, and not opened: no authority, exempt, QUIC, or a cipher inside
)

// StateOf gives the state of a capture. Of several captures of one device and
// host the latest counts: an owner may have installed the authority since.
func StateOf(c journal.Capture) State {
	if c.TLS != nil {
		switch c.TLS.Outcome {
		case OutcomeRead:
		case OutcomeRefused, OutcomeHungUp, OutcomeRemember:
			return StateRefused
		default:
			return StateOpaque
		}
	}
	if c.Result.Verdict == "opaque" {
		return StateOpaque
	}
	return StateRead
}
