package decoder

import "nightlatch/decoder/find"

// KnownKinds gives the kinds of value an owner may tell, in order.
func KnownKinds() []string { return find.Kinds() }

// CheckKnown reports a known value that cannot be of its kind, or that would be
// found everywhere, in one line that does not show it.
func CheckKnown(kind, value string) error { return find.Check(kind, value) }
