package row

import (
	"nightlatch/journal"
)

// Subject gives the name or the address that an event is about, and its DNS
// type, for a rule or a question about it; empty for a notice.
func Subject(e journal.StoredEvent) (device, name, qtype string, stopped bool) {
	switch v := e.Event.(type) {
	case journal.StoredQuery:
		return v.Device, v.Name, v.Type, v.Verdict.Action.Stops()
	case journal.StoredFlow:
		if name = v.Name; name == "" {
			name = v.Dst.Addr().Unmap().String()
		}
		return v.Device, name, "", v.Verdict.Action.Stops()
	case journal.StoredCapture:
		return v.Device, v.Name, "", !Observed(v)
	}
	return "", "", "", false
}

// Observed tells whether a capture was read along the way to a server that
// received it: its device was observed, and nothing stopped.
func Observed(c journal.StoredCapture) bool {
	for _, flag := range c.Result.Flags {
		if flag == "observed" {
			return true
		}
	}
	return false
}

// Acts tells whether a line is about something that can be blocked or allowed.
func (r Row) Acts() bool { return r.Kind != journal.KindNotice }
