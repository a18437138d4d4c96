// Package syntax reads the list formats of other programs, line by line: hosts
// files, plain and wildcard domains, the part of AdGuard's syntax that speaks of
// names, dnsmasq, RPZ zone files, and lists of addresses. It only says what a
// line means; names are handed on as they were written.
//
// A line is used as its author meant it or left out whole, with a reason.
// Nothing is ever widened: a rule without its path or its modifiers would stop
// more than was asked for.
package syntax

import (
	"bytes"
	"net/netip"
)

// Format names a syntax.
type Format string

const (
	Native   Format = "native" // found by Detect, read elsewhere
	Hosts    Format = "hosts"
	Domains  Format = "domains"
	Wildcard Format = "wildcard"
	Adblock  Format = "adblock"
	DNSMasq  Format = "dnsmasq"
	RPZ      Format = "rpz"
	IP       Format = "ip"
)

// Scope says what a rule covers.
type Scope uint8

const (
	Subtree  Scope = iota // Name and all below it
	Exact                 // Name alone
	Below                 // what lies below Name
	Addr                  // Prefix
	Patterns              // what Pattern finds
	Asker                 // whatever a client out of Prefix asks for
)

// Action is what a rule asks for by name; most rules do not.
type Action uint8

const (
	Default Action = iota
	NoName         // answer that the name does not exist, or has no such data
	Silence        // do not answer
)

// Rule is what one line, or one name of a line, asks for.
type Rule struct {
	Name      []byte // as written; valid until the next call of Line
	Prefix    netip.Prefix
	Scope     Scope
	Pattern   *Pattern
	Allow     bool       // lets through instead of stopping
	Exception bool       // an allow that beats every block that is not important
	Important bool       // beats exceptions
	Action    Action     // what the line says to do
	Answer    netip.Addr // the ordinary address the line gives, if it does
	Limits    *Limits    // when the rule holds; nil is always
	Rewrite   *Rewrite   // the answer the rule gives by itself; of an exception the one it takes back, the zero value for every one
}

// Reader reads the lines of one list.
type Reader struct {
	format Format
	line   func(*Reader, []byte) string
	emit   func(Rule) bool
	bare   Scope
	given  bool
	zone   zone
}

// NewReader makes a reader of a format. bare, when not nil, says what a bare
// name means, Exact or Subtree; by itself it means Exact. emit gets every rule
// and says whether its name was one. It gives nil for a format that is not read here.
func NewReader(f Format, bare *Scope, emit func(Rule) bool) *Reader {
	line, ok := map[Format]func(*Reader, []byte) string{
		Hosts:    (*Reader).hostsLine,
		Domains:  (*Reader).domainsLine,
		Wildcard: (*Reader).domainsLine,
		Adblock:  (*Reader).adblockLine,
		DNSMasq:  (*Reader).dnsmasqLine,
		RPZ:      (*Reader).rpzLine,
		IP:       (*Reader).ipLine,
	}[f]
	if !ok {
		return nil
	}
	r := &Reader{format: f, line: line, emit: emit, bare: Exact}
	if f == Wildcard {
		r.bare = Subtree
	}
	if bare != nil {
		r.bare, r.given = *bare, true
	}
	return r
}

// Bare says what a bare name means to this reader.
func (r *Reader) Bare() Scope { return r.bare }

// Line reads one line; its end may be on it. It gives the reason when the line,
// or a part of it, was left out. Comments are not left out, they are no rules.
func (r *Reader) Line(text []byte) (reason string) {
	if r.format != RPZ { // in a zone file the blanks at the front have a meaning
		if text = trim(text); len(text) == 0 {
			return ""
		}
	}
	return r.line(r, text)
}

// Reasons for which a line is left out.
const (
	NotName   = "not a name or a rule that is known"
	All       = "would match everything"
	Cosmetic  = "cosmetic rule, for browsers"
	Path      = "URL path, port or query"
	Modifier  = "modifier: " // and its name
	BadValue  = "modifier with a value that is not understood: "
	Regex     = "regular expression that is not understood"
	Separator = "separator inside the pattern: can never match a name"
	Short     = "pattern too short: would match nearly everything"
	Routing   = "names an upstream, stops nothing"
	Setting   = "a setting, not a rule"
	Record    = "record of a kind that is not used"
	NoLength  = "response address without a prefix length"
	Trigger   = "trigger that is not used: " // and its name
	Local     = "local data that is not used: "
)

func trim(b []byte) []byte {
	for len(b) > 0 && blank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && blank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// word cuts the first word off a line.
func word(b []byte) (first, rest []byte) {
	i := 0
	for i < len(b) && !blank(b[i]) {
		i++
	}
	return b[:i], trim(b[i:])
}

// uncomment cuts a comment off that begins with sign.
func uncomment(b []byte, sign byte) []byte {
	if i := bytes.IndexByte(b, sign); i >= 0 {
		return trim(b[:i])
	}
	return b
}
