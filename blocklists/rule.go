// Package blocklists reads lists of names that should be stopped, and answers
// which rule of which list, at which line, speaks about a name.
//
// A list is parsed once into a [List], several lists are compiled into one
// immutable [Set], and a Set is asked by many goroutines at a time.
package blocklists

// Match says how much of the name tree a rule covers.
type Match uint8

const (
	Subtree Match = iota // the name and every name below it
	Exact                // this name alone
)

// Action is what a rule wants done with a name it stops. The zero value leaves
// the choice to the policy of the device.
type Action uint8

const (
	ActionDefault Action = iota // as the policy says
	ActionDeny                  // answer that the name does not exist
	ActionSink                  // answer with an address of the sinkhole
	ActionDrop                  // do not answer
)

// Rule is one line of one list. Every verdict carries the rule that made it,
// so that an owner can open the list and see the line.
type Rule struct {
	List     string // short name of the list, as in the config: "xiaomi"
	Line     int    // 1-based line in the list's file
	Text     string // the rule as written, at most 200 bytes
	Domain   string // the name in canonical form: lower case, A-labels, no final dot; empty for an address rule
	Match    Match
	Allow    bool   // an exception: the name is wanted
	Action   Action // what to do instead of the policy's default
	Category string // native lists: analytics, ads, crash, ...
	Why      string // native lists: what it collects
	Breaks   string // native lists: what stops working
	Source   string // native lists: where the fact comes from
}
