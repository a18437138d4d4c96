package home

import (
	"os"
	"strings"
	"testing"
	"time"

	"nightlatch/policy"
)

// household makes a home with a config, a list and what commands write.
func household(t *testing.T, files map[string]string) Home {
	t.Helper()
	h := Home{t.TempDir()}
	write(t, h, map[string]string{"nightlatch.yaml": "tunnel: {endpoint: \"127.0.0.1:51820\", network6: \"fd00:88::/64\"}\nlists: {builtin: [xiaomi]}\n"})
	write(t, h, files)
	if err := h.PrepareFiles(); err != nil {
		t.Fatal(err)
	}
	return h
}

func write(t *testing.T, h Home, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(h.Path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func load(t *testing.T, h Home) *Settings {
	t.Helper()
	s, err := h.Load()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func decide(t *testing.T, s *Settings, device, name string, now time.Time) policy.Verdict {
	t.Helper()
	p, err := s.Policy()
	if err != nil {
		t.Fatal(err)
	}
	return p.Name(policy.Device{Name: device}, name, 1, now)
}

// TestLastGood: a broken overlay and broken pauses leave their last good versions
// in force, and each is told with its place.
func TestLastGood(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	h := household(t, map[string]string{
		"overlay.yaml": "allow: [find.example]\nrules: [tracker.example]\n",
		"pauses.yaml":  "pauses: [{list: xiaomi, until: 2026-11-22T13:00:00Z}]\n",
	})
	s := load(t, h)
	check := func(when string) {
		t.Helper()
		if v := decide(t, s, "", "tracker.example", now); v.Action != policy.Sink || v.Rule.List != "overlay" {
			t.Errorf("%s: the overlay: %+v", when, v)
		}
		if v := decide(t, s, "", "tracking.miui.com", now); v.Action != policy.Pass || v.Reason != policy.ReasonPaused {
			t.Errorf("%s: the pause: %+v", when, v)
		}
		if v := decide(t, s, "", "tracking.miui.com", now.Add(time.Hour)); v.Action != policy.Sink {
			t.Errorf("%s: after the pause: %+v", when, v)
		}
	}
	check("whole")
	write(t, h, map[string]string{"overlay.yaml": "rulez: []\n", "pauses.yaml": "pauses: [{list: xiaomi}]\n"})
	next, err := s.Again()
	if err != nil {
		t.Fatal(err)
	}
	s = next
	check("broken")
	var told []string
	for _, b := range s.Lists.Broken {
		told = append(told, b.Err.Error())
	}
	if got := strings.Join(told, "\n"); !strings.Contains(got, "overlay.yaml:1:1: unknown key") || !strings.Contains(got, "pauses.yaml:1:10: this pause has no end") {
		t.Errorf("told: %s", got)
	}
	os.Remove(h.Path("overlay.yaml"))
	os.Remove(h.Path("pauses.yaml"))
	if s, err = s.Again(); err != nil || len(s.Lists.Broken) != 0 {
		t.Fatal(s.Lists.Broken, err)
	}
	if v := decide(t, s, "", "tracker.example", now); v.Action != policy.Pass {
		t.Errorf("without an overlay: %+v", v)
	}
}

// TestOwnAgainstService: a name of a service that the owner allows passes, and the
// overlay reaches a device that names its lists.
func TestOwnAgainstService(t *testing.T) {
	h := household(t, map[string]string{
		"nightlatch.yaml": `
tunnel: {endpoint: "127.0.0.1:51820", network6: "fd00:88::/64"}
lists: {builtin: [xiaomi]}
policy: {block_services: [tiktok], safe_search: on}
devices:
  narrow: {lists: [xiaomi], safe_search: strict, block_services: []}
`,
		"overlay.yaml": "allow: [m.tiktok.com]\nrules: [shop.example]\n",
	})
	s := load(t, h)
	for _, c := range []struct {
		device, name string
		want         policy.Action
	}{
		{"", "www.tiktok.com", policy.Deny}, {"", "x.m.tiktok.com", policy.Pass}, {"narrow", "www.tiktok.com", policy.Pass},
		{"", "shop.example", policy.Sink}, {"narrow", "shop.example", policy.Sink}, {"", "www.google.com", policy.Rewrite},
	} {
		if v := decide(t, s, c.device, c.name, time.Time{}); v.Action != c.want {
			t.Errorf("%s asks %s: %v by %s:%d, want %v", c.device, c.name, v.Action, v.Rule.List, v.Rule.Line, c.want)
		}
	}
	for device, want := range map[string]string{"": "restrictmoderate.youtube.com", "narrow": "restrict.youtube.com"} {
		if v := decide(t, s, device, "www.youtube.com", time.Time{}); v.Rule.Rewrite == nil || v.Rule.Rewrite.CNAME != want {
			t.Errorf("%q asks www.youtube.com: %+v", device, v)
		}
	}
	again, err := s.Again() // from the compiled form
	if err != nil {
		t.Fatal(err)
	}
	if v := decide(t, again, "", "www.tiktok.com", time.Time{}); v.Action != policy.Deny {
		t.Errorf("read again: %+v", v)
	}
}

// TestNamesThatDoNotExist: each with its place.
func TestNamesThatDoNotExist(t *testing.T) {
	h := household(t, nil)
	s := load(t, h)
	head := "tunnel: {endpoint: \"127.0.0.1:51820\", network6: \"fd00:88::/64\"}\n"
	for text, want := range map[string]string{
		"policy: {lists: [xiaomy]}":                                       `:2:18: policy.lists: no list is called "xiaomy"; did you mean "xiaomi"?`,
		"devices: {a: {list_actions: {xiaomy: deny}}}":                    `:2:38: devices.a.list_actions: no list is called "xiaomy"; did you mean "xiaomi"?`,
		"groups: {g: {block_services: [tiktok, tik]}}":                    `no service is called "tik"`,
		"policy: {lists: ['service:tiktok'], block_services: [tiktok]}":   `no list is called "service:tiktok"`,
		"policy: {refuse_types: [A, ANNY]}":                               `:2:28: policy.refuse_types: "ANNY" is not a DNS type`,
		"lists: {may_break: [all, xiaom]}":                                `lists.may_break: no list is called "xiaom"; did you mean "xiaomi"?`,
		"policy: {schedules: {n: {lists: [o], from: 1:00, to: 2:00}}}":    `policy.schedules.n.lists: no list is called "o"`,
		"policy: {schedules: {n: {services: [o], from: 1:00, to: 2:00}}}": `policy.schedules.n.services: no service is called "o"`,
	} {
		write(t, h, map[string]string{"nightlatch.yaml": head + text + "\n"})
		next, err := s.Again()
		if err != nil {
			t.Fatal(text, err)
		}
		if _, err := next.Policy(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "nightlatch.yaml:2:") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
