package event

// Known says how the name of a flow is known, and so how sure it is. The
// numbers are kept in the journal's file.
type Known uint8

const (
	KnownDNS   Known = 0 // the device last resolved it to the address
	KnownExact Known = 1 // the address belongs to the name alone
	KnownSNI   Known = 2 // TLS asked for it (RFC 6066 §3)
	KnownHost  Known = 3 // HTTP asked for it (RFC 9110 §7.2)
	KnownQUIC  Known = 4 // QUIC asked for it (RFC 9001 §4)
	KnownECH   Known = 5 // TLS or QUIC asked for it, and hid a part that may ask for another (RFC 9849)

	// Claimed is added where the address was hard-coded: nothing but the device's
	// own word ties the name to it.
	Claimed Known = 8
)

// known is Known, also where only Exact was told.
func (f Flow) known() Known {
	if f.Exact {
		return KnownExact
	}
	return f.Known
}

// String gives dns, exact, sni, host, quic or ech.
func (k Known) String() string {
	words := [...]string{"dns", "exact", "sni", "host", "quic", "ech"}
	if k &^= Claimed; int(k) < len(words) {
		return words[k]
	}
	return "unknown"
}

// Sure says in a word how sure the name is: certain; sure (asked for, at an
// address that was resolved); likely (resolved, but other names may share the
// address; or asked for, and another may hide behind); claimed (asked for only).
func (k Known) Sure() string {
	switch {
	case k == KnownExact:
		return "certain"
	case k&Claimed != 0:
		return "claimed"
	case k == KnownDNS, k == KnownECH:
		return "likely"
	}
	return "sure"
}
