package lists

import (
	"os"
	"strings"
	"testing"
	"time"

	"nightlatch/blocklists/subscription"
)

// TestProblems: what is wrong with a subscription is one line that says what to do.
func TestProblems(t *testing.T) {
	now := time.Now()
	old := now.AddDate(0, 0, -9)
	use := `"in_use":{"sha256":"` + strings.Repeat("0", 64) + `","bytes":4,"fetched":"` + old.Format(time.RFC3339) + `"}`
	attempt := func(outcome string) string {
		return `"attempt":{"time":"` + now.Format(time.RFC3339) + `","outcome":"` + outcome + `","problem":"it is a web page"}`
	}
	for name, c := range map[string]struct{ state, text, want string }{
		"never tried":     {"", "", "not fetched yet; a running gateway does it, or nightlatch lists update l"},
		"never worked":    {"{" + attempt("failed") + "}", "", "it is a web page; there is no copy of it yet"},
		"failed":          {"{" + attempt("failed") + "," + use + "}", "a.b\n", "it is a web page; the copy of " + old.Format("2 Jan") + " stays in use"},
		"well":            {"{" + attempt("updated") + `,"success":"` + now.Format(time.RFC3339) + `",` + use + "}", "a.b\n", ""},
		"nobody asks":     {"{" + attempt("updated") + `,"success":"` + old.Format(time.RFC3339) + `",` + use + "}", "a.b\n", "not refreshed for 9d; a running gateway does it, or nightlatch lists update l"},
		"held":            {"{" + attempt("held") + "," + use + `,"held":{"sha256":"` + strings.Repeat("1", 64) + `","why":"has no rules"}}`, "a.b\n", "a new copy is held back: it has no rules; nightlatch lists accept l takes it"},
		"damaged":         {"{", "a.b\n", "l.json is damaged"},
		"copy is another": {"{" + attempt("updated") + "," + use + "}", "more.than.that\n", "does not fit its copy"},
	} {
		dir := t.TempDir()
		store := subscription.NewStore(dir, subscription.Network{})
		for file, text := range map[string]string{dir + "/l.json": c.state, store.Copy("l"): c.text} {
			if text != "" {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		sub := subscription.Subscription{Name: "l", Address: "https://lists.example/l", Read: func(string) (subscription.Summary, error) { return subscription.Summary{Rules: 1}, nil }}
		h := Health{Name: "l"}
		h.subscription(sub, store, now)
		if c.want == "" && h.Problem != "" || !strings.Contains(h.Problem, c.want) || strings.Contains(h.Problem, "\n") {
			t.Errorf("%s: %q, want %q", name, h.Problem, c.want)
		}
	}
}
