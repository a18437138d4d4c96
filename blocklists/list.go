package blocklists

import (
	"iter"

	"nightlatch/blocklists/report"
	"nightlatch/blocklists/syntax"
)

// Format names the syntax of a list.
type Format = syntax.Format

const (
	Auto     Format = "auto"          // found out from the content; "" means the same
	Native          = syntax.Native   // nightlatch's own YAML
	Hosts           = syntax.Hosts    // 0.0.0.0 name name # comment
	Domains         = syntax.Domains  // a name a line, or *.name
	Wildcard        = syntax.Wildcard // *.name a line, which means name and all below it; a bare name means the same
	Adblock         = syntax.Adblock  // the part of AdGuard's syntax that speaks of names: ||name^, @@||name^
	DNSMasq         = syntax.DNSMasq  // local=/name/, address=/name/0.0.0.0
	RPZ             = syntax.RPZ      // a response policy zone file
	IP              = syntax.IP       // an address or CIDR a line
)

// Formats gives every format that can be asked for.
func Formats() []Format {
	return []Format{Auto, Native, Hosts, Domains, Wildcard, Adblock, DNSMasq, RPZ, IP}
}

// Source says what is known about a list before it is read.
type Source struct {
	Name     string // short name, as in the config: "xiaomi"; it is the Rule.List of every rule
	Format   Format // Auto when empty
	Match    *Match // what a bare name means, Exact or Subtree; nil leaves it to the format
	Action   Action // for every block of the list that names none itself
	Reply    Reply  // how a denied name is answered, for every block when neither it nor the list says
	Own      bool   // the owner's own file: stands above all other lists
	Overlay  bool   // the owner's overlay, written by commands: stands above the owner's own files as well; implies Own
	MayBreak bool   // take the rules too that say "risk: may-break"; one's own files always do
	Owner    string // who the names belong to, when the list does not say
	About    string // what the list is for, when the list does not say
}

// List is one list, parsed. It is immutable and safe for concurrent use.
type List struct {
	Name    string   // Source.Name
	Title   string   // the list's own name for itself; Source.Name when it has none
	Owner   string   // who the names belong to
	About   string   // what the list is for, in a sentence
	Own     bool     // the owner's own file
	Overlay bool     // the owner's overlay: above the owner's own files; Own is set too
	Reply   Reply    // of every denied name whose rule does not say
	Report  Report   // how the reading went
	Cancels []string // rules that it takes back, in other lists as well

	details []detail
	count   int
	holes   map[string]struct{} // names that end the reach of the wildcards above them (RPZ)

	records []string         // of a list that was parsed, in chunks
	dead    map[int]struct{} // positions of records that the list itself cancels ($badfilter)

	from  *Set // of a list that was opened with its Set: there its rules are, and not in records
	index int  // which of the Set's lists it is
}

// Len gives the number of rules, allows included.
func (l *List) Len() int { return l.count }

// Rules gives the rules in the order of the file. The rules are made on the
// way: a list keeps them in a compact form.
func (l *List) Rules() iter.Seq[Rule] {
	return func(yield func(Rule) bool) {
		for _, r := range l.each() {
			if !yield(l.rule(&r)) {
				return
			}
		}
	}
}

// each gives the records in force, with their positions.
func (l *List) each() iter.Seq2[int, record] {
	if l.from != nil {
		return l.from.eachOf(l.index)
	}
	return func(yield func(int, record) bool) {
		order, base := uint32(0), 0
		for _, chunk := range l.records {
			for at := 0; at < len(chunk); order++ {
				r := readRecord(chunk, at)
				r.Order = order
				if _, dead := l.dead[base+at]; !dead && !yield(base+at, r) {
					return
				}
				at = r.end
			}
			base += len(chunk)
		}
	}
}

// detail gives what lies beside a record; nil when nothing does.
func (l *List) detail(r *record) *detail {
	if uint(r.Detail) >= uint(len(l.details)) {
		return nil
	}
	return &l.details[r.Detail]
}

func (l *List) rule(r *record) (rule Rule) {
	l.fill(&rule, r)
	return rule
}

// fill makes a zero Rule the one that a record holds; a Rule is large, and is not
// copied on the way.
func (l *List) fill(rule *Rule, r *record) {
	rule.List, rule.Line, rule.Text = l.Name, int(r.Line), r.Text
	rule.Match, rule.Allow, rule.Action = r.match(), r.allow(), r.action()
	if rule.Match == Address {
		rule.Prefix = keyPrefix(r.Key)
	} else {
		rule.Domain = r.Key
	}
	if d := l.detail(r); d != nil {
		if d.pattern != nil {
			rule.Domain, rule.Match = "", Pattern
		}
		if d.client.IsValid() {
			rule.Match, rule.Prefix = Client, d.client
		}
		rule.Category, rule.Why, rule.Breaks, rule.Source, rule.Answer = d.Category, d.Why, d.Breaks, d.Source, d.Answer
		rule.Rewrite, rule.File, rule.Risk, rule.Confidence, rule.Reply, rule.Decode = d.rewrite, d.File, d.Risk, d.Confidence, d.Reply, d.Decode
		if d.observe {
			rule.Action = ActionObserve
		}
	}
	if rule.Reply == (Reply{}) && !rule.Allow {
		rule.Reply = l.Reply
	}
}

// Report tells how the reading of a list went. A list that was understood only
// in part says so here.
type Report = report.Report

// Ignored is the lines of a list that were left out for one reason, or its rules
// that do nothing for one reason.
type Ignored = report.Group

// Example is one line that was left out.
type Example = report.Example
