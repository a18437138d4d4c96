package policy

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"nightlatch/blocklists"
	"nightlatch/policy/schedule"
)

// hours is a household with a child that has bedtime and homework, and with two
// pauses.
func hours(t testing.TB) *Policy {
	t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("this machine has no time zones:", err)
	}
	return must(t, Options{
		Set: blocklists.Compile(
			list(t, blocklists.Source{Name: "ads"}, "rules: [ads.example]"),
			list(t, blocklists.Source{Name: "games"}, "rules: [game.example]"),
			list(t, blocklists.Source{Name: "mine", Own: true}, "allow: [school.example]"),
			list(t, blocklists.Source{Name: "video", Own: true}, "rules: [video.example]"),
		),
		Services: []string{"video"}, Sink: []netip.Prefix{sink4, sink6},
		Devices: map[string]Rules{"child": {Schedules: []Schedule{
			{Name: "bedtime", Range: schedule.Range{Days: 0b0111110, From: 21 * 60, To: 6*60 + 30, Zone: berlin}, All: true},
			{Name: "homework", Range: schedule.Range{From: 14 * 60, To: 16 * 60, Zone: berlin}, Lists: []string{"games"}, Services: []string{"video"}, Action: Deny},
		}}},
		Pauses: []Pause{
			{Device: "guest", Until: time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)},
			{List: "ads", Name: "Shop.ads.example.", Until: time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)},
		},
	})
}

func TestHours(t *testing.T) {
	p := hours(t)
	for _, c := range []struct {
		at, device, name string
		want             Action
		reason           string
	}{
		{"2026-11-23 13:59", "child", "game.example", Pass, ""}, // a Monday; the list waits for its hours
		{"2026-11-23 14:00", "child", "game.example", Deny, ""},
		{"2026-11-23 15:59", "child", "www.video.example", Deny, ""},
		{"2026-11-23 15:00", "child", "ads.example", Deny, ""}, // not sunk meanwhile
		{"2026-11-23 16:00", "child", "ads.example", Sink, ""},
		{"2026-11-23 16:00", "child", "www.video.example", Pass, ""},
		{"2026-11-23 20:59", "child", "wiki.example", Pass, ""},
		{"2026-11-23 21:00", "child", "wiki.example", Deny, "schedule bedtime"},
		{"2026-11-24 06:29", "child", "wiki.example", Deny, "schedule bedtime"},
		{"2026-11-24 06:30", "child", "wiki.example", Pass, ""},
		{"2026-11-23 23:00", "child", "school.example", Pass, ""},
		{"2026-11-23 23:00", "child", "ads.example", Sink, ""},
		{"2026-11-28 05:00", "child", "wiki.example", Deny, "schedule bedtime"}, // Saturday morning is Friday's night
		{"2026-11-28 22:00", "child", "wiki.example", Pass, ""},
		{"2026-11-29 22:00", "child", "wiki.example", Pass, ""},
		{"2026-11-23 15:00", "other", "game.example", Sink, ""}, // follows it always
		{"2026-11-23 20:59", "guest", "game.example", Pass, ReasonPaused},
		{"2026-11-23 21:00", "guest", "game.example", Sink, ""},
		{"2026-11-23 20:00", "other", "x.SHOP.ads.example.", Pass, ReasonPaused},
		{"2026-11-23 20:00", "other", "workshop.ads.example", Sink, ""},
		{"2026-11-23 21:00", "other", "shop.ads.example", Sink, ""},
		// The clocks of the night of 25 October: 02:30 comes twice, and bedtime ends at 06:30 by the new ones.
		{"2026-10-25 06:00", "child", "wiki.example", Pass, ""},
		{"2026-03-30 06:29", "child", "wiki.example", Pass, ""},
		{"2026-03-30 21:00", "child", "wiki.example", Deny, "schedule bedtime"},
	} {
		berlin, _ := time.LoadLocation("Europe/Berlin")
		now, err := time.ParseInLocation("2006-01-02 15:04", c.at, berlin)
		if err != nil {
			t.Fatal(err)
		}
		if v := p.Name(Device{Name: c.device}, c.name, 1, now); v.Action != c.want || v.Reason != c.reason {
			t.Errorf("%s %s asks %s: %v, %q by %q; want %v, %q", c.at, c.device, c.name, v.Action, v.Reason, v.Rule.List, c.want, c.reason)
		}
	}
	if v := p.Name(Device{Name: "guest"}, "game.example", 1, time.Time{}); v.Action != Sink {
		t.Errorf("at the zero time: %v", v.Action)
	}
}

// TestHoursDoNotAllocate: with schedules and pauses too, but for the first
// question of a stretch of time.
func TestHoursDoNotAllocate(t *testing.T) {
	p := hours(t)
	now := time.Date(2026, 11, 23, 19, 0, 0, 0, time.UTC)
	d := Device{Name: "child"}
	if n := testing.AllocsPerRun(200, func() {
		now = now.Add(time.Second)
		p.Name(d, "x.shop.ads.example", 1, now)
		p.Name(d, "wiki.example", 28, now)
		p.Flow(Flow{Device: d, Proto: 6, Dst: netip.MustParseAddrPort("203.0.113.5:443"), Name: "wiki.example"}, now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestReplies: the rule's word, else the list's, else the device's.
func TestReplies(t *testing.T) {
	null := blocklists.Reply{Kind: blocklists.ReplyNull}
	p := must(t, Options{
		Set: blocklists.Compile(
			list(t, blocklists.Source{Name: "plain"}, "rules:\n  - a.example\n  - {domain: b.example, answer: refused}\n  - {domain: c.example, action: sink}\n"),
			list(t, blocklists.Source{Name: "zero", Reply: null}, "rules: [d.example]"),
			list(t, blocklists.Source{Name: "zone", Format: blocklists.RPZ}, "$TTL 60\n@ SOA a. b. 1 1 1 1 1\ne.example CNAME *.\nf.example CNAME .\n"),
		),
		Default: Rules{Reply: blocklists.Reply{Kind: blocklists.ReplyNoData}, RefuseTypes: []uint16{65}},
		Devices: map[string]Rules{"deny": {Action: Deny}},
		Sink:    []netip.Prefix{sink4, sink6},
	})
	for _, c := range []struct {
		device, name string
		want         string
	}{
		{"", "a.example", "sink default"}, {"deny", "a.example", "deny nxdomain"},
		{"", "b.example", "deny refused"}, {"", "c.example", "sink default"},
		{"", "d.example", "deny null"}, {"", "e.example", "deny nodata"}, {"", "f.example", "sink default"},
		{"", "g.example", "pass default"},
	} {
		v := p.Name(Device{Name: c.device}, c.name, 1, noon)
		if got := v.Action.String() + " " + v.Reply.String(); got != c.want {
			t.Errorf("%s asks %s: %s, want %s", c.device, c.name, got, c.want)
		}
	}
	if v := p.Name(Device{}, "g.example", 65, noon); v.Action != Deny || v.Reply.Kind != blocklists.ReplyNoData || !strings.Contains(v.Reason, "type") {
		t.Errorf("a type that is refused: %+v", v)
	}
}

// TestStanding: what a person is told is what holds.
func TestStanding(t *testing.T) {
	p := hours(t)
	berlin, _ := time.LoadLocation("Europe/Berlin")
	at := func(hour, minute int) time.Time { return time.Date(2026, 11, 23, hour, minute, 0, 0, berlin) }
	s := p.Standing(Device{Name: "child"}, at(15, 0))
	var now []string
	for _, l := range s.Lists {
		if l.Now {
			now = append(now, l.Name)
		}
	}
	if got := strings.Join(now, " "); got != "ads games mine video" || !s.Own || s.Action != Deny || s.Closed != "" || !s.Until.Equal(at(16, 0)) {
		t.Errorf("at homework: %s; %+v", got, s)
	}
	if h := s.Schedules; len(h) != 2 || h[0].Active || !h[0].Change.Equal(at(21, 0)) || !h[1].Active || !h[1].Change.Equal(at(16, 0)) {
		t.Errorf("schedules: %+v", h)
	}
	s = p.Standing(Device{Name: "child"}, at(22, 0))
	if s.Closed != "schedule bedtime" || !p.Until(Device{Name: "child"}, at(22, 0)).Equal(at(22, 0).Add(8*time.Hour+30*time.Minute)) {
		t.Errorf("at bedtime: %+v", s)
	}
	for _, l := range s.Lists {
		if l.Name == "games" && l.Now {
			t.Error("games are followed at bedtime")
		}
	}
	s = p.Standing(Device{Name: "guest"}, at(12, 0))
	if len(s.Pauses) != 2 || s.Own || s.Lists[0].Now {
		t.Errorf("a guest in a pause: %+v", s)
	}
	if u := p.Until(Device{Name: "stranger"}, at(21, 1)); !u.IsZero() {
		t.Errorf("nothing changes for a stranger, and yet at %v", u)
	}
	e := p.Explain(Device{Name: "child"}, "shop.ads.example", 1, at(15, 0))
	if len(e.Pauses) != 1 || e.Pauses[0].List != "ads" || len(e.Hours) != 1 || e.Verdict.Reason != ReasonPaused || e.Heard[0].List != "ads" {
		t.Errorf("%+v", e)
	}
}

// TestPlainIsName: the short way and the long way to a verdict end at the same.
func TestPlainIsName(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	short := 0
	for range 300 {
		w := makeWorld(t, rnd)
		for range 40 {
			q := makeQuestion(rnd)
			d := Device{Name: q.device}
			got := w.policy.Name(d, q.name, q.qtype, q.now)
			if want, _ := w.policy.name(&d, q.name, q.qtype, q.now); got != want {
				t.Fatalf("%+v: %+v, want %+v", q, got, want)
			}
			if of := w.policy.of(d); of.plain && w.policy.at(of, q.now).lifted == nil {
				short++
			}
		}
	}
	if short < 1000 {
		t.Errorf("only %d went the short way", short)
	}
}
