// Package blocklists reads lists of names that should be stopped, and answers
// which rule of which list, at which line, speaks about a name.
//
// A list is parsed once into a [List], several lists are compiled into one
// immutable [Set], and a Set is asked by many goroutines at a time.
//
// # Which rule wins
//
// The owner's own lists stand above all others: if one of them speaks about a
// name, no other list is heard. Within a level, in this order:
//
//  1. an exception of an imported list marked important (@@…$important),
//  2. a block of an imported list marked important ($important),
//  3. an exception of an imported list (@@…),
//  4. everything else: the most specific rule (the longer name; on the same
//     name the exact rule before the subtree), and on a tie allow before block.
//
// A pattern counts for as long as the whole labels it must end with: *x.ads.example
// for ads.example. In an RPZ zone a name of its own ends the reach of a wildcard
// above it, as in the DNS (RFC 4592 §3.3.1).
//
// Two kinds of rules answer by themselves (see [Rewrite]) and are heard before
// all of these on their level, the first kind first: the rules of an RPZ zone about
// who asks (rpz-client-ip), of which the longest prefix wins; and AdGuard's
// $dnsrewrite rules that no exception with $dnsrewrite takes back. The local data
// of a zone has no such place: it is one of everything else.
//
// Rules that are still equal are decided by the order of the lists, then of
// the lines, so that the same lists always name the same rule.
package blocklists

import (
	"net/netip"

	"nightlatch/blocklists/domain"
	"nightlatch/blocklists/syntax"
)

// Match says how much of the name tree a rule covers.
type Match = syntax.Match

const (
	Subtree = syntax.MatchSubtree // the name and every name below it
	Exact   = syntax.MatchExact   // this name alone
	Below   = syntax.MatchBelow   // every name below it, not the name itself: *.name
	Address = syntax.MatchAddress // no name: addresses, see Rule.Prefix
	Pattern = syntax.MatchPattern // no one name: a wildcard inside it, a fragment, a regular expression; see Rule.Text
	Client  = syntax.MatchClient  // no name: whatever certain devices ask for; see Rule.Prefix for their addresses
)

// Action is what a rule wants done with a name it stops. The zero value leaves
// the choice to the policy of the device.
type Action uint8

const (
	ActionDefault Action = iota // as the policy says
	ActionDeny                  // answer that the name does not exist
	ActionSink                  // answer with an address of the sinkhole
	ActionDrop                  // do not answer
	ActionObserve               // answer truthfully, and sample what is sent to the name in plain HTTP on its way; never stop it
)

// String gives the word used in lists: deny, sink, drop or observe; the zero
// value is "default".
func (a Action) String() string {
	switch a {
	case ActionDeny:
		return "deny"
	case ActionSink:
		return "sink"
	case ActionDrop:
		return "drop"
	case ActionObserve:
		return "observe"
	}
	return "default"
}

// Rule is one line of one list. Every verdict carries the rule that made it,
// so that an owner can open the list and see the line.
type Rule struct {
	List       string       // short name of the list, as in the config: "xiaomi"
	Line       int          // 1-based line in the list's file
	Text       string       // the rule as written, at most 200 bytes
	Domain     string       // the name in canonical form: lower case, A-labels, no final dot; empty for an address rule, a pattern and a client rule
	Prefix     netip.Prefix // address and client rules only: the addresses meant, a single one as /32 or /128
	Match      Match
	Allow      bool        // an exception: the name is wanted
	Action     Action      // what to do instead of the policy's default
	Category   string      // native lists: analytics, ads, crash, ...
	Why        string      // native lists: what it collects
	Breaks     string      // native lists: what stops working
	Source     string      // native lists: where the fact comes from
	Confidence string      // native lists: measured, documented, reported, claimed or listed; empty when the rule does not say
	File       string      // native lists: the included file that Line counts in, relative to the list's own; empty for that one
	Risk       string      // native lists: "may-break" for a rule that is known to stop something people want; else empty
	Answer     netip.Addr  // hosts lists: the ordinary address the line gives; not valid when the line gives none
	Reply      Reply       // how the name is answered when it is denied: the rule's own word, else its list's, else [Source].Reply
	Decode     *DecodeHint // what the decoder should look at; nil when the rule does not say. It must not be changed
	Rewrite    *Rewrite    // the answer the rule gives by itself; nil for nearly every rule. It must not be changed
}

// Rewrite is an answer that a rule gives by itself: $dnsrewrite of AdGuard's
// syntax, local data of an RPZ zone. See [Set.Rewrites] for several that add up.
type Rewrite = syntax.Rewrite

// Reply is how a denied name is answered; see [ParseReply].
type Reply = syntax.Reply

// ReplyKind is the kind of a [Reply].
type ReplyKind = syntax.ReplyKind

// The kinds of a Reply.
const (
	ReplyDefault  = syntax.ReplyDefault  // as the policy says
	ReplyNXDomain = syntax.ReplyNXDomain // the name does not exist
	ReplyNull     = syntax.ReplyNull     // 0.0.0.0 and ::
	ReplyNoData   = syntax.ReplyNoData   // the name exists and has nothing of the type asked
	ReplyRefused  = syntax.ReplyRefused  // REFUSED
	ReplyAddress  = syntax.ReplyAddress  // Reply.Addr4 and Addr6
)

// ParseReply reads nxdomain, null, nodata, refused, or one address of each
// family, as words of their own or with a comma between them.
func ParseReply(words ...string) (Reply, error) { return syntax.ParseReply(words...) }

// DecodeHint tells the decoder what to look at in what a name would have
// received: which parameter, and which encodings in order.
type DecodeHint = syntax.DecodeHint

const maxName = domain.Max // bytes of a name

// Canonical gives the form in which names are kept and compared: lower case,
// Unicode as A-labels, no final dot. It fails for what is no name.
func Canonical(name string) (string, error) { return domain.Canonical(name) }

// clip shortens what is shown to a person.
func clip[T string | []byte](s T) string { return domain.Clip(s) }
