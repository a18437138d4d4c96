package decoder

// verdict sums up. A payload built to do harm is hostile whatever it holds; a
// damaged one is malformed whatever was saved from it.
func (p *peel) verdict(found []Finding) string {
	leak := false
	for _, f := range found {
		leak = leak || f.Confidence >= Likely
	}
	switch {
	case p.flags["bomb"], p.flags["too-deep"], p.flags["depth-limit"], p.flags["budget"]:
		return Hostile
	case p.flags["truncated"], p.flags["bad-checksum"]:
		return Malformed
	case leak && p.opaque:
		return OpaqueLeak
	case leak:
		return Leak
	case p.opaque:
		return Opaque
	}
	return Clean
}
