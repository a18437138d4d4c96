package config

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const family = `
policy:
  action: deny
  time_zone: Europe/Berlin
  list_actions: {xiaomi: sink, ads: drop}
  schedules:
    night: {from: 22:00, to: 05:00, action: drop}
groups:
  b-phones: {devices: [anna, ben], quic: deny, safe_search: false, tags: [device_phone]}
  a-kids:
    devices: [anna]
    safe_search: true
    lists: []
    list_actions: {ads: observe}
    schedules:
      bedtime: {days: [sun-thu], from: 21:00, to: 06:30, block: all}
devices:
  anna:
    answer: null
    schedules:
      night: {from: 23:00, to: 24:00, lists: [games]}
`

// TestWishesOf: the nearer place counts, key by key; schedules and list_actions
// are joined.
func TestWishesOf(t *testing.T) {
	c, err := Parse("f", []byte(family))
	if err != nil {
		t.Fatal(err)
	}
	w := c.WishesOf("anna")
	switch {
	case w.Action != "deny" || w.Answer != "null": // an answer without an action means deny
		t.Errorf("%s %s", w.Action, w.Answer)
	case w.SafeSearch != "on" || w.QUIC != "deny" || w.Lists == nil || w.Tags[0] != "device_phone":
		t.Errorf("%+v", w)
	case !maps.Equal(w.ListActions, map[string]string{"xiaomi": "sink", "ads": "observe"}):
		t.Error(w.ListActions)
	case len(w.Schedules) != 2 || w.Schedules["night"].From != 23*60 || w.Schedules["bedtime"].Block != "all":
		t.Error(w.Schedules)
	}
	if got := c.GroupsOf("anna"); !slices.Equal(got, []string{"a-kids", "b-phones"}) {
		t.Error(got)
	}
	if got := c.Wishing(); !slices.Equal(got, []string{"anna", "ben"}) {
		t.Error(got)
	}
	if w := c.WishesOf("ben"); w.SafeSearch != "off" || w.Lists != nil || w.Schedules["night"].From != 22*60 || w.Answer != "" {
		t.Errorf("%+v", w)
	}
	if w := c.WishesOf("stranger"); !reflect.DeepEqual(w, c.Policy.Wishes) {
		t.Errorf("%+v", w)
	}
	if len(c.Policy.ListActions) != 2 || len(c.Policy.Schedules) != 1 {
		t.Error("joining changes what it joins")
	}
}

// TestAnswerMeansDeny: at the policy too, unless an action stands beside it.
func TestAnswerMeansDeny(t *testing.T) {
	for text, want := range map[string]string{
		"policy: {answer: null}": "deny", "policy: {answer: nodata, action: sink}": "sink", "policy: {lists: []}": "sink",
		"policy: {answer: null, action: observe}": "observe",
	} {
		c, err := Parse("f", []byte(text))
		if err != nil || c.WishesOf("x").Action != want {
			t.Errorf("%s: %v, %v", text, c, err)
		}
	}
}

// TestWishesByHand holds WishesOf against keys that are looked up one by one.
func TestWishesByHand(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	words := []string{"", "deny", "drop"}
	layer := func() Wishes {
		w := Wishes{Action: words[rnd.IntN(3)], QUIC: words[rnd.IntN(3)], Literal: words[rnd.IntN(3)]}
		if rnd.IntN(2) == 0 {
			w.Lists = make([]string, 0, 1)
			if rnd.IntN(2) == 0 {
				w.Lists = append(w.Lists, "ads")
			}
		}
		if rnd.IntN(2) == 0 {
			w.ListActions = map[string]string{words[1+rnd.IntN(2)]: words[rnd.IntN(3)]}
		}
		return w
	}
	for range 3000 {
		c := &Config{Policy: Policy{Wishes: layer()}, Groups: map[string]Group{}, Devices: map[string]DevicePolicy{}}
		if rnd.IntN(2) == 0 {
			c.Devices["d"] = DevicePolicy{Wishes: layer()}
		}
		order := []Wishes{c.Devices["d"].Wishes}
		for i := range 4 {
			g := Group{Devices: []string{"other"}, Wishes: layer()}
			if rnd.IntN(2) == 0 {
				g.Devices = append(g.Devices, "d")
				order = append(order, g.Wishes)
			}
			c.Groups[fmt.Sprint("g", i)] = g
		}
		order = append(order, c.Policy.Wishes)
		var want Wishes
		for _, l := range slices.Backward(order) { // from afar, so that the nearer overwrites
			if l.Action != "" {
				want.Action = l.Action
			}
			if l.QUIC != "" {
				want.QUIC = l.QUIC
			}
			if l.Literal != "" {
				want.Literal = l.Literal
			}
			if l.Lists != nil {
				want.Lists = l.Lists
			}
			for k, v := range l.ListActions {
				if want.ListActions == nil {
					want.ListActions = map[string]string{}
				}
				want.ListActions[k] = v
			}
		}
		if got := c.WishesOf("d"); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v\ngot  %+v\nwant %+v", order, got, want)
		}
	}
}

func TestHoursAndDays(t *testing.T) {
	var h Hour
	for s, want := range map[string]Hour{"00:00": 0, "6:30": 390, "06:30": 390, "21:00": 1260, "24:00": 1440} {
		if err := h.UnmarshalText([]byte(s)); err != nil || h != want {
			t.Errorf("%s: %d, %v", s, h, err)
		}
	}
	if h = 390; h.String() != "06:30" {
		t.Error(h)
	}
	for _, s := range []string{"", "6", "24:01", "25:00", "12:60", "1:5", "-1:00", "12:00:00", "9pm", "::", "012:00", "99999999999999999999:00"} {
		if h.UnmarshalText([]byte(s)) == nil {
			t.Errorf("%q is read as %s", s, h)
		}
	}
	var d Days
	for s, want := range map[string]uint8{"mon-fri": 0b0111110, "fri-mon": 0b1100011, "sun": 1, "Sat - Sat": 0b1000000, "sun-sat": 127} {
		if err := d.UnmarshalText([]byte(s)); err != nil || d.Bits() != want {
			t.Errorf("%s: %b, %v", s, d.Bits(), err)
		}
	}
}

func TestPauses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pauses.yaml")
	if got, _, err := LoadPauses(path); err != nil || got != nil {
		t.Errorf("an absent file: %v, %v", got, err)
	}
	os.WriteFile(path, []byte("pauses:\n  - {device: redmi, list: xiaomi, name: x.example, until: 2026-11-22T21:00:00+01:00, why: a test}\n"), 0o600)
	if got, _, err := LoadPauses(path); err != nil || len(got) != 1 || got[0].Until.UTC().Hour() != 20 || got[0].Device != "redmi" {
		t.Errorf("%+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"pauses: [{device: redmi}]":                      "f:1:10: this pause has no end; write until: 2001-09-09T01:46:40Z",
		"pauses: [{until: tomorrow}]":                    `f:1:18: pauses[0].until: "tomorrow" is not a moment; write 2026-11-22T21:00:00+01:00`,
		"pause: []":                                      `f:1:1: unknown key "pause"; did you mean "pauses"?`,
		"pauses: [{devise: redmi}]":                      `f:1:11: unknown key "devise"; did you mean "device"?`,
		"pauses: [" + strings.Repeat("{}, ", 1001) + "]": "f:1:9: 1001 pauses; at most 1000 are read",
	} {
		if _, _, err := ParsePauses("f", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("%.40s: %v, want %s", text, err, want)
		}
	}
}

func FuzzPauses(f *testing.F) {
	f.Add([]byte("pauses: [{device: redmi, until: 2026-11-22T21:00:00Z}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, err := ParsePauses("f", b); err != nil && len(err.Error()) > 4096+len(b)*4 {
			t.Fatalf("not one calm line: %.200s", err)
		}
	})
}

func TestOwnUpstreams(t *testing.T) {
	c, err := Parse("f", []byte("devices:\n  ana: {upstreams: [192.0.2.1]}\n  ben: {action: deny}\ngroups:\n  a: {devices: [ana, ben, cem], action: deny}\n  b: {devices: [ana, cem], upstreams: [192.0.2.2]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if own := c.OwnUpstreams(); len(own) != 2 || own["ana"][0] != "192.0.2.1" || own["cem"][0] != "192.0.2.2" {
		t.Errorf("%v", own)
	}
}
