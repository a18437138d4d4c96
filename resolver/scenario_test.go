package resolver

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"nightlatch/policy"
	"nightlatch/resolver/dnssec/signed"
	"nightlatch/resolver/local"
)

// TestScenarios runs testdata/scenarios/*.txt, one behaviour a file; the first
// file, 00-how-to-write-one.txt, says how. Time is the bubble's own: waiting a day takes
// no time.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, file)
				s.ctx = t.Context()
				if strings.Contains(string(text), "\nrestart") {
					s.keep = filepath.Join(t.TempDir(), "cache")
				}
				defer func() { s.stop() }()
				s.play(string(text))
			})
		})
	}
}

// stage plays one scenario.
type stage struct {
	t     *testing.T
	file  string
	world *world
	diary *diary
	r     *Resolver
	texts map[string]string
	names local.Current
	zones []string // that are forwarded

	strips bool // keys for ECH
	signed []signed.Zone
	count  func(name string, kind uint16) int // how often the world was asked
	last   *dns.Msg

	ctx  context.Context
	stop func() // ends the running resolver
	keep string // the file in which it keeps answers, for scenarios with a restart
}

func newStage(t *testing.T, file string) *stage {
	return &stage{t: t, file: file, world: newWorld(), diary: &diary{}, texts: map[string]string{}, stop: func() {}}
}

func (s *stage) play(text string) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); {
		first := i
		head := strings.TrimSpace(lines[i])
		for i++; i < len(lines) && strings.HasPrefix(lines[i], " "); i++ {
		}
		if head == "" || strings.HasPrefix(head, "#") {
			continue
		}
		var body []string
		for _, l := range lines[first+1 : i] {
			if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
				body = append(body, l)
			}
		}
		if err := s.do(strings.Fields(head), body); err != nil {
			s.t.Fatalf("%s:%d: %s: %v", s.file, first+1, head, err)
		}
	}
	synctest.Wait()
}

func (s *stage) do(f, body []string) error {
	if len(f) > 0 && f[0] == "restart" {
		return s.restart(f[1:])
	}
	if len(f) < 2 {
		return fmt.Errorf("a word is missing")
	}
	switch f[0] {
	case "list":
		s.texts[f[1]] = strings.Join(body, "\n")
		if s.r != nil { // a list changes while the gateway runs
			s.r.opt.Policy.Store(lists(s.t, s.texts).Load())
		}
	case "world":
		return s.tell(f[1:], body)
	case "zone":
		return s.zone(f[1:], body)
	case "home":
		return s.name(f[1:], body)
	case "wait":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			return err
		}
		<-time.After(d)
	case "ask":
		return s.ask(f[1:], body)
	default:
		return fmt.Errorf("the words are list, world, zone, home, wait, restart and ask")
	}
	return nil
}

// name makes the names of the home, or forwards a zone.
func (s *stage) name(f, body []string) error {
	switch {
	case f[0] == "forwards" && len(f) == 2:
		s.zones = append(s.zones, f[1])
		return nil
	case f[0] == "strips" && len(f) == 2 && f[1] == "ech":
		s.strips = true
		return nil
	case f[0] != "names":
		return fmt.Errorf("home names, home forwards ZONE or home strips ech")
	}
	var b local.Builder
	for _, line := range body {
		if err := b.Record(line); err != nil {
			return err
		}
	}
	s.names.Store(b.Names())
	return nil
}

// zone makes a zone of a signed internet, which then stands in for the world.
func (s *stage) zone(f, body []string) error {
	z := signed.Zone{Name: f[0], Alg: dns.ED25519, Records: strings.Join(body, "\n") + "\n"}
	for _, w := range f[1:] {
		switch w {
		case "nsec":
		case "nsec3":
			z.NSEC3 = true
		case "optout":
			z.NSEC3, z.OptOut = true, true
		case "unsigned":
			z.Alg = 0
		default:
			return fmt.Errorf("%s: the words are nsec, nsec3, optout and unsigned", w)
		}
	}
	s.signed = append(s.signed, z)
	return nil
}

// restart ends the resolver and starts it anew, with what it keeps in a file;
// "damaged" is what becomes of that meanwhile.
func (s *stage) restart(f []string) error {
	if s.r == nil {
		return fmt.Errorf("nothing was asked yet")
	}
	s.stop()
	if len(f) > 0 && f[0] == "damaged" {
		b, err := os.ReadFile(s.keep)
		if err != nil {
			return err
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(s.keep, b, 0o600); err != nil {
			return err
		}
	}
	group, judge, parts := s.r.group, s.r.judge, s.r.parts
	r, err := New(s.r.opt)
	if err != nil {
		return err
	}
	s.r, r.group, r.judge, r.parts = r, group, judge, parts
	s.run()
	return nil
}

// run runs the resolver; stop ends it.
func (s *stage) run() {
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan struct{})
	go func() { _ = s.r.Run(ctx); close(done) }()
	s.stop = func() { cancel(); <-done }
	synctest.Wait()
}

// build makes the resolver, when the first question comes.
func (s *stage) build() error {
	var internet *signedWorld
	if len(s.signed) > 0 {
		w, err := signed.New(time.Now(), append(s.signed, signed.Zone{Name: ".", Alg: dns.ED25519})...)
		if err != nil {
			return err
		}
		internet = &signedWorld{world: w}
	}
	s.r = build(s.t, lists(s.t, s.texts), s.world, s.diary, func(o *Options) {
		o.Names, o.CacheFile = &s.names, s.keep
		if internet != nil {
			o.Validation, o.Anchors = ValidateAlways, internet.world.Anchor().String()
		}
	})
	if s.strips {
		held := s.r.judge
		s.r.judge = func() judge { return stripping{held()} }
	}
	s.count = s.world.count
	if internet != nil {
		s.r.group = internet
		s.count = func(name string, kind uint16) int { return internet.world.Asked[place(name, kind)] }
	}
	for _, zone := range s.zones {
		s.r.parts = append(s.r.parts, forward{zone, s.world})
	}
	s.run()
	return nil
}

// stripping is a policy for devices that are not to hear of ECH.
type stripping struct{ judge }

func (stripping) StripsECH(policy.Device) bool { return true }

func qtype(word string) (uint16, error) {
	if v, ok := dns.StringToType[word]; ok {
		return v, nil
	}
	return 0, fmt.Errorf("%s is no type", word)
}

func (s *stage) tell(f, body []string) error {
	if len(f) < 3 {
		return fmt.Errorf("world NAME TYPE RCODE|hangs|unreachable")
	}
	kind, err := qtype(f[1])
	if err != nil {
		return err
	}
	switch f[2] {
	case "hangs":
		s.world.hang(f[0], kind, 4700*time.Millisecond)
	case "unreachable":
		s.world.unplug(f[0], kind)
	default:
		rcode, ok := dns.StringToRcode[f[2]]
		if !ok {
			return fmt.Errorf("%s is no RCODE", f[2])
		}
		s.world.set(f[0], kind, rcode, body...)
		if len(f) > 3 {
			d, err := time.ParseDuration(strings.TrimPrefix(f[3], "after="))
			if err != nil {
				return err
			}
			s.world.delay(f[0], kind, d)
		}
	}
	return nil
}

func (s *stage) ask(f, body []string) error {
	if s.r == nil {
		if err := s.build(); err != nil {
			return err
		}
	}
	kind, err := qtype(f[1])
	if err != nil {
		return err
	}
	network, edns, do, ad, cd, nsid := "udp", 1232, false, false, false, false
	for _, w := range f[2:] {
		size, isSize := strings.CutPrefix(w, "size=")
		switch {
		case w == "tcp" || w == "udp":
			network = w
		case w == "noedns":
			edns = 0
		case w == "do":
			do = true
		case w == "ad":
			ad = true
		case w == "cd":
			cd = true
		case w == "nsid":
			nsid = true
		case isSize:
			if edns, err = strconv.Atoi(size); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s: the words are udp, tcp, noedns, do, ad, cd, nsid, size=N", w)
		}
	}
	synctest.Wait()
	begin := time.Now()
	s.last = exchange(s.t, s.r, network, question(s.t, f[0], kind, uint16(edns), func(m *dns.Msg) {
		if do {
			m.IsEdns0().SetDo()
		}
		m.AuthenticatedData, m.CheckingDisabled = ad, cd
		if nsid {
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID})
		}
	}))
	return s.check(f[0], kind, body, time.Since(begin))
}

// check compares an answer with what a scenario expects of it, line by line;
// records that are not expected are an error.
func (s *stage) check(name string, kind uint16, body []string, took time.Duration) error {
	if s.last == nil {
		if slices.Equal(body, []string{"silence"}) {
			return nil
		}
		return fmt.Errorf("silence")
	}
	var records []string
	for _, line := range body {
		f := strings.Fields(line)
		rest := strings.TrimSpace(strings.TrimPrefix(line, f[0]))
		switch f[0] {
		case "rcode":
			if got := dns.RcodeToString[s.last.Rcode]; got != rest {
				return fmt.Errorf("rcode %s, want %s\n%v", got, rest, s.last)
			}
		case "flags":
			if got := flags(s.last); got != rest {
				return fmt.Errorf("flags %q, want %q", got, rest)
			}
		case "ede":
			if e := ede(s.last); e == nil && rest != "none" || e != nil && fmt.Sprint(e.InfoCode, " ", e.ExtraText) != rest {
				return fmt.Errorf("ede %v, want %s", e, rest)
			}
		case "nsid":
			if got := identity(s.last); got != rest {
				return fmt.Errorf("nsid %q, want %q", got, rest)
			}
		case "asked":
			if got := strconv.Itoa(s.count(name, kind)); got != rest {
				return fmt.Errorf("the world was asked %s times, want %s", got, rest)
			}
		case "within":
			if d, err := time.ParseDuration(rest); err != nil || took > d {
				return fmt.Errorf("it took %v, want %s (%v)", took, rest, err)
			}
		case "journal":
			q := s.diary.last()
			if got := fmt.Sprintf("%s %s:%d through=%s upstream=%s", q.Verdict.Action, q.Verdict.Rule.List, q.Verdict.Rule.Line, q.Through, q.Upstream); got != rest {
				return fmt.Errorf("journal %q, want %q", got, rest)
			}
		case "answer", "authority":
			rr, err := dns.NewRR(rest)
			if err != nil {
				return err
			}
			records = append(records, f[0]+" "+rr.String())
		default:
			return fmt.Errorf("%s: the words are rcode, flags, ede, nsid, asked, within, journal, answer, authority, silence", f[0])
		}
	}
	return same(records, s.last)
}

// identity is how the server calls itself (RFC 5001).
func identity(m *dns.Msg) string {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if n, ok := o.(*dns.EDNS0_NSID); ok {
				text, _ := hex.DecodeString(n.Nsid)
				return string(text)
			}
		}
	}
	return "none"
}

func flags(m *dns.Msg) string {
	var out []string
	for _, f := range []struct {
		on   bool
		name string
	}{{m.Truncated, "tc"}, {m.RecursionDesired, "rd"}, {m.RecursionAvailable, "ra"}, {m.AuthenticatedData, "ad"}, {m.CheckingDisabled, "cd"}} {
		if f.on {
			out = append(out, f.name)
		}
	}
	return strings.Join(out, " ")
}

func same(want []string, m *dns.Msg) error {
	var got []string
	for _, rr := range m.Answer {
		got = append(got, "answer "+rr.String())
	}
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == dns.TypeSOA && !slices.Contains(want, "authority "+rr.String()) && !mentions(want, "authority") {
			continue // the SOA of a denial need not be spelt out
		}
		got = append(got, "authority "+rr.String())
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	return nil
}

func mentions(lines []string, word string) bool {
	return slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, word) })
}
