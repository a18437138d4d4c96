package blocklists

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestSafeSearch: every name is answered with the host that its engine offers,
// as AdGuard Home does it, and nothing beside it is touched.
func TestSafeSearch(t *testing.T) {
	for strict, youtube := range map[bool]string{false: "restrictmoderate.youtube.com", true: "restrict.youtube.com"} {
		l, err := SafeSearch(strict)
		if err != nil {
			t.Fatal(err)
		}
		s := Compile(l)
		for name, want := range map[string]string{
			"www.google.com": "forcesafesearch.google.com", "WWW.Google.co.uk.": "forcesafesearch.google.com",
			"www.bing.com": "strict.bing.com", "duckduckgo.com": "safe.duckduckgo.com", "www.youtube.com": youtube,
			"youtubei.googleapis.com": youtube, "ya.ru": "familysearch.yandex.ru", "search.brave.com": "forcesafe.search.brave.com",
			"google.com": "", "mail.google.com": "", "x.www.google.com": "", "maps.google.com": "", "i.ytimg.com": "", "mail.yandex.ru": "",
		} {
			for _, qtype := range []uint16{1, 28, 65} {
				r, ok := s.Ask(Query{Name: name, Type: qtype}, Selection{})
				if got := ""; ok {
					if got = r.Rewrite.CNAME; got != want || len(s.Rewrites(Query{Name: name, Type: qtype}, Selection{})) != 1 {
						t.Errorf("%s: %q, want %q", name, got, want)
					}
				} else if want != "" {
					t.Errorf("%s: no rule", name)
				}
			}
			// Whoever cannot answer so must not take it for a block.
			if r, ok := s.Match(name, Selection{}); ok {
				t.Errorf("%s is blocked by line %d", name, r.Line)
			}
		}
	}
}

// TestSafeSearchOfAdGuard: no name that AdGuard Home answers so is missing.
func TestSafeSearchOfAdGuard(t *testing.T) {
	l, err := SafeSearch(false)
	if err != nil {
		t.Fatal(err)
	}
	s := Compile(l)
	for _, engine := range []string{"bing", "duckduckgo", "ecosia", "google", "pixabay", "yandex", "youtube"} {
		f, err := os.Open("../../shared/data/adblock/agh-safesearch-" + engine + ".txt")
		if err != nil {
			t.Skip("the data pack is not there:", err)
		}
		defer f.Close()
		agh, err := Parse(Source{Name: engine, Format: Adblock}, f)
		if err != nil {
			t.Fatal(err)
		}
		for want := range agh.Rules() {
			r, ok := s.Ask(Query{Name: want.Domain, Type: 1}, Selection{})
			if !ok || want.Rewrite.CNAME != "" && r.Rewrite.CNAME != want.Rewrite.CNAME {
				t.Errorf("%s: %v %+v, AdGuard Home has %v", want.Domain, ok, r.Rewrite, want.Rewrite)
			}
		}
	}
}

func TestServices(t *testing.T) {
	guard, err := NeverBlock()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	names := Services()
	for _, name := range names {
		l, err := Service(name)
		if err != nil || l.Len() == 0 || l.Title == "" || l.About == "" || l.Name != "service:"+name {
			t.Errorf("%s: %+v, %v", name, l, err)
			continue
		}
		for r := range l.Rules() {
			kinds[r.Category] = true
			if r.Allow {
				continue // what must go on
			}
			if r.Match > Exact || !strings.Contains(r.Domain, ".") {
				t.Errorf("%s: %+v", name, r)
			}
		}
		for _, c := range guard.Crossings(l) {
			t.Errorf("%s: %s stops %s", name, c.Rule.Text, c.Name.Text)
		}
	}
	for kind := range kinds {
		if !slices.Contains(names, kind) {
			t.Errorf("the kind %q cannot be asked for", kind)
		}
	}
	if _, err := Service("yuotube"); err == nil || !strings.Contains(err.Error(), `did you mean "youtube"?`) {
		t.Errorf("%v", err)
	}
	games, err := Service("games")
	if err != nil {
		t.Fatal(err)
	}
	if r, ok := Compile(games).Match("clientsettings.roblox.com", Selection{}); !ok || r.File != "roblox.yaml" {
		t.Errorf("%+v", r)
	}
}

// TestServicesAreApart: a name belongs to one service.
func TestServicesAreApart(t *testing.T) {
	seen := map[string]string{}
	for _, name := range Services() {
		l, err := Service(name)
		if err != nil || len(l.Report.Included) > 0 {
			continue // a kind, which is made of services
		}
		for r := range l.Rules() {
			if other := seen[r.Domain]; other != "" {
				t.Errorf("%s belongs to %s and to %s", r.Domain, other, name)
			}
			seen[r.Domain] = name
		}
	}
}
