package report

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"nightlatch/dashboard/geo"
	"nightlatch/journal"
	"nightlatch/policy"
)

// Bounds of a report, however much a phone did.
const (
	maxServers   = 20_000 // told apart; more are not counted by name
	maxValues    = 100    // values listed for one server
	maxPlaces    = 8      // addresses listed for one server
	maxLosses    = 200
	maxPeriods   = 62 // columns of the chart
	maxRules     = 8  // rules listed for one server
	maxUnread    = 8
	maxNameBytes = 300
)

// Options say of whom a report is and what is known beside the journal.
type Options struct {
	Device       string
	Since, Until time.Time
	Zone         *time.Location
	Now          time.Time
	OwnerOf      func(list string) string     // the company behind a list
	TitleOf      func(list string) string     // what a list calls itself
	CompanyOf    func(name string) string     // the company whose list knows a name, stopped or not; may give ""
	Place        func(a netip.Addr) geo.Place // where an address is said to be
	Databases    []geo.Source
	Gateway      Gateway
}

// Builder gathers events, in any order. It is not safe for concurrent use.
type Builder struct {
	o               Options
	r               Report
	stopped, passed map[string]*server
	hours           map[int64]*Period // by the hour since 1970
}

// server is a destination while it is gathered.
type server struct {
	Server
	values map[valueKey]*Value
	rules  map[ruleKey]*Rule
	unread map[string]int64
}

type valueKey struct{ kind, value, mark, chain, path, confidence string }

type ruleKey struct {
	list   string
	line   int
	text   string
	reason string
}

// New begins a report.
func New(o Options) *Builder {
	return &Builder{o: o, stopped: map[string]*server{}, passed: map[string]*server{}, hours: map[int64]*Period{}, r: Report{
		Format: 1, Device: o.Device, Generated: o.Now.UTC(), Since: o.Since.UTC(), Until: o.Until.UTC(), Zone: o.Zone.String(), zone: o.Zone,
		Gateway: o.Gateway, Databases: append([]geo.Source{}, o.Databases...), Integrity: Integrity{Losses: []Loss{}},
	}}
}

// at finds or makes the server of a name on one side.
func (b *Builder) at(side map[string]*server, name string, literal bool, t time.Time) *server {
	if len(name) > maxNameBytes {
		name = strings.ToValidUTF8(name[:maxNameBytes], "") + "…"
	}
	s := side[name]
	if s == nil {
		s = &server{Server: Server{Name: name, Literal: literal, First: t, Last: t}, values: map[valueKey]*Value{}, rules: map[ruleKey]*Rule{}, unread: map[string]int64{}}
		if len(side) < maxServers {
			side[name] = s
		} else {
			b.r.Integrity.Cut = true
		}
	}
	widen(&s.First, &s.Last, t)
	widen(&b.r.First, &b.r.Last, t)
	return s
}

// widen makes a span of time hold t.
func widen(first, last *time.Time, t time.Time) {
	t = t.UTC()
	if first.IsZero() || t.Before(*first) {
		*first = t
	}
	if last.IsZero() || t.After(*last) {
		*last = t
	}
}

func (b *Builder) side(v policy.Verdict) map[string]*server {
	if v.Action.Stops() {
		return b.stopped
	}
	return b.passed
}

// Query adds one question.
func (b *Builder) Query(q journal.StoredQuery) {
	s := b.at(b.side(q.Verdict), q.Name, false, q.Time)
	s.Questions++
	b.r.Totals.Questions++
	h := b.hour(q.Time)
	h.Asked++
	if q.Verdict.Action.Stops() {
		b.r.Totals.StoppedQuestions++
		h.Stopped++
		s.rule(q.Verdict, b.o)
		return
	}
	for _, a := range q.Answers {
		if addr, err := netip.ParseAddr(a); err == nil {
			s.place(addr, b.o)
		}
	}
}

func (b *Builder) hour(t time.Time) *Period {
	n := t.Unix() / 3600
	if b.hours[n] == nil {
		b.hours[n] = &Period{Start: time.Unix(n*3600, 0)}
	}
	return b.hours[n]
}

// Flow adds one connection.
func (b *Builder) Flow(f journal.StoredFlow) {
	name := f.Name
	if name == "" {
		name = f.Dst.Addr().Unmap().String()
	}
	s := b.at(b.side(f.Verdict), name, f.Name == "", f.Time)
	s.Connections++
	b.r.Totals.Connections++
	switch {
	case !f.Verdict.Action.Stops():
		s.Up, s.Down = s.Up+f.Up, s.Down+f.Down
		b.r.Totals.Up, b.r.Totals.Down = b.r.Totals.Up+f.Up, b.r.Totals.Down+f.Down
		s.place(f.Dst.Addr().Unmap(), b.o)
	case f.Verdict.Action == policy.Sink:
		b.r.Totals.Refused++
	default:
		b.r.Totals.Refused++
		s.rule(f.Verdict, b.o)
		s.place(f.Dst.Addr().Unmap(), b.o) // a refused address is the real one
	}
}

// observed marks captures of what was forwarded, as the sinkhole does.
const observed = "observed"

// Capture adds what the sinkhole took, or what it read along the way.
func (b *Builder) Capture(c journal.StoredCapture) {
	side, passed := b.stopped, slices.Contains(c.Result.Flags, observed)
	n := int64(1 + max(c.Repeats, 0))
	if passed {
		side = b.passed
		b.r.Totals.Observed += n
	} else {
		b.r.Totals.Payloads += n
	}
	s := b.at(side, c.Name, false, c.Time)
	s.Payloads += n
	if c.TLS != nil && c.Scheme == "tls" {
		s.unread["encrypted: "+c.TLS.Outcome] += n
	} else if strings.HasPrefix(c.Result.Verdict, "opaque") {
		s.unread["encrypted by the app itself"] += n
	} else if !passed {
		b.r.Totals.Read += n
	}
	for _, f := range c.Findings {
		if f.Confidence == "possible" {
			continue
		}
		s.value(f, n)
		switch {
		case passed:
			b.r.Totals.Passed += n
			continue
		case f.Confidence == "proved":
			b.r.Totals.Proved += n
		}
		b.r.Totals.Values += n
	}
}

// item is a number of an array in a path: the same field of every event of a
// batch is one place.
var item = regexp.MustCompile(`/\d+(/|$)`)

func (s *server) value(f journal.StoredFinding, n int64) {
	path := item.ReplaceAllString(item.ReplaceAllString(f.Path, "/*$1"), "/*$1")
	key := valueKey{f.Kind, f.Value, f.Mark.String(), strings.Join(f.Chain, "\n"), path, f.Confidence}
	v := s.values[key]
	if v == nil {
		if len(s.values) >= maxValues {
			s.MoreValues++
			return
		}
		v = &Value{Kind: f.Kind, Value: f.Value, Mark: key.mark, Confidence: f.Confidence, Chain: append([]string{}, f.Chain...), Path: path}
		s.values[key] = v
	}
	v.Count += n
	widen(&v.First, &v.Last, f.Time)
}

func (s *server) rule(v policy.Verdict, o Options) {
	key := ruleKey{v.Rule.List, v.Rule.Line, v.Rule.Text, v.Reason}
	r := s.rules[key]
	if r == nil {
		if len(s.rules) >= maxRules {
			return
		}
		r = &Rule{List: v.Rule.List, Line: v.Rule.Line, Text: v.Rule.Text, Why: v.Rule.Why, Source: v.Rule.Source, Reason: v.Reason}
		if r.List != "" {
			r.Title = o.TitleOf(r.List)
			if s.Company == "" {
				s.Company = o.OwnerOf(r.List)
			}
		}
		s.rules[key] = r
	}
	r.Count++
}

func (s *server) place(a netip.Addr, o Options) {
	if len(s.Places) >= maxPlaces || !a.IsValid() || a.IsUnspecified() || slices.ContainsFunc(s.Places, func(p Place) bool { return p.Addr == a }) {
		return
	}
	s.Places = append(s.Places, Place{a, o.Place(a)})
}

// Notice adds what the gateway said of losses.
func (b *Builder) Notice(n journal.StoredNotice) {
	if !strings.Contains(n.Text, "lost") && !strings.Contains(n.Text, "left out") && !strings.Contains(n.Text, "cannot be written") && !strings.Contains(n.Text, "was damaged") {
		return
	}
	if len(b.r.Integrity.Losses) >= maxLosses {
		b.r.Integrity.Cut = true
		return
	}
	b.r.Integrity.Losses = append(b.r.Integrity.Losses, Loss{n.Time.UTC(), n.Room, n.Text})
}

// Unlocated names the stopped servers whose addresses are not known, those that
// would have received most first, at most n.
func (b *Builder) Unlocated(n int) []string {
	var out []string
	for _, s := range b.servers(b.stopped) {
		if !s.Literal && len(s.Places) == 0 && len(out) < n {
			out = append(out, s.Name)
		}
	}
	return out
}

// Located adds the addresses that a stopped server has now.
func (b *Builder) Located(name string, addrs []netip.Addr) {
	s := b.stopped[name]
	if s == nil {
		return
	}
	for _, a := range addrs {
		s.place(a.Unmap(), b.o)
		s.Resolved = true
	}
}

// Oldest says when the journal's oldest event of any device happened.
func (b *Builder) Oldest(t time.Time) { b.r.Integrity.Oldest = t.UTC() }

// Cut says that there was more than could be read.
func (b *Builder) Cut() { b.r.Integrity.Cut = true }

// Report gives the document.
func (b *Builder) Report() *Report {
	r := b.r
	r.Stopped, r.Received = b.servers(b.stopped), b.servers(b.passed)
	r.Companies = companies(r.Stopped)
	r.Periods = periods(b.hours, r.First, r.Last, b.o.Zone)
	r.Summary = summary(&r)
	return &r
}

func (b *Builder) servers(side map[string]*server) []Server {
	out := make([]Server, 0, len(side))
	for _, s := range side {
		v := s.Server
		for _, x := range s.values {
			v.Values = append(v.Values, *x)
		}
		slices.SortFunc(v.Values, func(a, b Value) int {
			return cmp.Or(cmp.Compare(b.Confidence, a.Confidence), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Mark, b.Mark))
		})
		for _, x := range s.rules {
			v.Rules = append(v.Rules, *x)
		}
		slices.SortFunc(v.Rules, func(a, b Rule) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.List, b.List), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Reason, b.Reason))
		})
		for why, n := range s.unread {
			v.Unread = append(v.Unread, Unread{why, n})
		}
		slices.SortFunc(v.Unread, func(a, b Unread) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Why, b.Why)) })
		v.Unread = v.Unread[:min(len(v.Unread), maxUnread)]
		if v.Company == "" && !v.Literal {
			v.Company = b.o.CompanyOf(v.Name)
		}
		if places := b.passed[v.Name]; places != nil && len(v.Places) == 0 {
			v.Places = places.Places // the same name was answered at another time
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b Server) int {
		return cmp.Or(cmp.Compare(sum(b.Values), sum(a.Values)), cmp.Compare(b.Payloads, a.Payloads), cmp.Compare(b.Up, a.Up),
			cmp.Compare(b.Questions+b.Connections, a.Questions+a.Connections), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// sum counts values.
func sum(all []Value) (n int64) {
	for _, v := range all {
		n += v.Count
	}
	return n
}

// companies groups servers, those that would have learnt most first.
func companies(all []Server) []Company {
	by := map[string]*Company{}
	for _, s := range all {
		c := by[s.Company]
		if c == nil {
			c = &Company{Name: s.Company, Kinds: []string{}}
			by[s.Company] = c
		}
		c.Servers++
		c.Payloads += s.Payloads
		c.Values += sum(s.Values)
		for _, v := range s.Values {
			if !slices.Contains(c.Kinds, v.Kind) {
				c.Kinds = append(c.Kinds, v.Kind)
			}
		}
	}
	out := make([]Company, 0, len(by))
	for _, c := range by {
		slices.Sort(c.Kinds)
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Company) int {
		return cmp.Or(cmp.Compare(b.Values, a.Values), cmp.Compare(flag(a.Name == ""), flag(b.Name == "")), cmp.Compare(b.Payloads, a.Payloads), cmp.Compare(b.Servers, a.Servers), cmp.Compare(a.Name, b.Name))
	})
	return out
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// periods gathers hours into as many columns as a chart can show: hours, days
// or weeks of the owner's time zone.
func periods(hours map[int64]*Period, first, last time.Time, zone *time.Location) []Period {
	out := []Period{}
	if len(hours) == 0 {
		return out
	}
	hourly, days := last.Sub(first) <= 48*time.Hour, 1
	if last.Sub(first) > maxPeriods*24*time.Hour {
		days = max(7, int(last.Sub(first).Hours()/24/maxPeriods)+1)
	}
	begin := first.In(zone).Truncate(time.Hour)
	if !hourly {
		y, m, d := first.In(zone).Date()
		begin = time.Date(y, m, d, 0, 0, 0, 0, zone)
	}
	for at := begin; !at.After(last); {
		out = append(out, Period{Start: at})
		if at = at.Add(time.Hour); !hourly {
			at = out[len(out)-1].Start.AddDate(0, 0, days)
		}
	}
	for _, h := range hours {
		i, found := slices.BinarySearchFunc(out, h.Start, func(p Period, t time.Time) int { return p.Start.Compare(t) })
		if !found {
			i = max(i-1, 0)
		}
		out[i].Asked += h.Asked
		out[i].Stopped += h.Stopped
	}
	return out
}
