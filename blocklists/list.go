package blocklists

import (
	"iter"
	"slices"
)

// Format names the syntax of a list.
type Format string

const (
	Auto     Format = "auto"     // found out from the content; "" means the same
	Native   Format = "native"   // nightlatch's own YAML
	Hosts    Format = "hosts"    // 0.0.0.0 name name # comment
	Domains  Format = "domains"  // a name a line, or *.name
	Wildcard Format = "wildcard" // *.name a line, which means name and all below it; a bare name means the same
	Adblock  Format = "adblock"  // the part of AdGuard's syntax that speaks of names: ||name^, @@||name^
	DNSMasq  Format = "dnsmasq"  // local=/name/, address=/name/0.0.0.0
	RPZ      Format = "rpz"      // a response policy zone file
	IP       Format = "ip"       // an address or CIDR a line
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
	Name    string // Source.Name
	Title   string // the list's own name for itself; Source.Name when it has none
	Owner   string // who the names belong to
	About   string // what the list is for, in a sentence
	Own     bool   // the owner's own file
	Overlay bool   // the owner's overlay: above the owner's own files; Own is set too
	Reply   Reply  // of every denied name whose rule does not say
	Report  Report // how the reading went

	details []detail
	count   int
	holes   map[string]struct{} // names that end the reach of the wildcards above them (RPZ)

	records string           // of a list that was parsed
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
		order := uint32(0)
		for at := 0; at < len(l.records); order++ {
			r := readRecord(l.records, at)
			r.Order = order
			if _, dead := l.dead[at]; !dead && !yield(at, r) {
				return
			}
			at = r.end
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
type Report struct {
	Format    Format    // the syntax the list was read in
	Detected  bool      // the format was found out from the content
	BareNames Match     // what a bare name means in this list
	Gzip      bool      // the list came compressed
	Bytes     int64     // size of the text, decompressed
	Lines     int       // lines read
	Blocks    int       // rules that stop a name or an address
	Allows    int       // rules that let one through
	Addresses int       // how many of both are address rules
	Patterns  int       // how many of both are patterns; they cost more to ask than names
	Clients   int       // how many of both are about who asks, whatever it is
	Rewrites  int       // how many of both answer by themselves, or take back rules that do; Match leaves them aside
	Limited   int       // how many of both hold for some questions only: a type, a client, all but some names
	Cancelled int       // rules of the list that the list itself takes back ($badfilter)
	Included  []string  // native lists: the files it includes, relative to its own
	Ignored   []Ignored // what was not used, by reason; the most frequent first
}

// Ignored is the lines of a list that were left out for one reason. A line is
// left out whole: nothing is ever widened.
type Ignored struct {
	Reason   string
	Count    int
	Examples []Example // the first few
}

// Example is one line that was left out.
type Example struct {
	Line int    // 1-based
	Text string // at most 200 bytes
}

const (
	maxExamples = 3  // examples a reason keeps: enough to see what is meant
	maxReasons  = 64 // reasons a report tells apart; the rest is counted as one
)

// IgnoredLines gives how many lines were left out altogether.
func (r *Report) IgnoredLines() int {
	n := 0
	for _, i := range r.Ignored {
		n += i.Count
	}
	return n
}

// ignore counts a line that is left out.
func (r *Report) ignore(reason string, line int, text []byte) {
	i := slices.IndexFunc(r.Ignored, func(i Ignored) bool { return i.Reason == reason })
	if i < 0 {
		if len(r.Ignored) == maxReasons {
			reason = "other reasons"
			i = maxReasons - 1
			r.Ignored[i].Reason = reason
		} else {
			r.Ignored = append(r.Ignored, Ignored{Reason: reason})
			i = len(r.Ignored) - 1
		}
	}
	g := &r.Ignored[i]
	g.Count++
	if len(g.Examples) < maxExamples {
		g.Examples = append(g.Examples, Example{line, string(tidy(text))})
	}
}

func (r *Report) sortIgnored() {
	slices.SortStableFunc(r.Ignored, func(a, b Ignored) int { return b.Count - a.Count })
}
