package syntax

// Match says how much of the name tree a rule covers, once it is kept.
type Match uint8

const (
	MatchSubtree Match = iota // the name and every name below it
	MatchExact                // this name alone
	MatchBelow                // every name below it, not the name itself: *.name
	MatchAddress              // no name: addresses
	MatchPattern              // no one name: a wildcard inside it, a fragment, a regular expression
	MatchClient               // no name: whatever certain devices ask for
)

// String gives the word used in lists and messages: subtree, exact, below,
// address, pattern or client.
func (m Match) String() string {
	switch m {
	case MatchSubtree:
		return "subtree"
	case MatchExact:
		return "exact"
	case MatchBelow:
		return "below"
	case MatchAddress:
		return "address"
	case MatchClient:
		return "client"
	}
	return "pattern"
}
