package lists

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"nightlatch/blocklists/subscription"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/cmd/nightlatch/terminal"
	"nightlatch/config"
)

// Where a list comes from.
const (
	fromBuiltin      = "built in"
	fromOwn          = "yours"
	fromFile         = "file"
	fromSubscription = "subscription"
)

// Health is how one list is doing, as scripts see it.
type Health struct {
	Name    string              `json:"name"`
	Title   string              `json:"title,omitempty"`
	From    string              `json:"from"` // built in, yours, file or subscription
	File    string              `json:"file,omitempty"`
	URL     string              `json:"url,omitempty"`
	Rules   int                 `json:"rules"`
	Ignored int                 `json:"ignored"`
	Changed time.Time           `json:"changed,omitzero"` // when the file was saved, or the copy fetched
	State   *subscription.State `json:"state,omitempty"`  // of a subscription
	Problem string              `json:"problem,omitempty"`
}

// healthOf looks at every list of a home; those with a problem come first.
func healthOf(s *home.Settings, now time.Time) []Health {
	var out []Health
	store := subscription.NewStore(s.Home.ListsDir(), subscription.Network{})
	for _, l := range s.Lists.All {
		h := Health{Name: l.Name, Title: l.Title, From: fromBuiltin, File: s.Lists.Paths[l.Name], Rules: l.Len(), Ignored: l.Report.IgnoredLines()}
		switch sub, ok := subscribed(s, l.Name); {
		case ok:
			h.subscription(s.Home.Subscription(sub), store, now)
		case l.Own:
			h.From = fromOwn
		case h.File != "":
			h.From = fromFile
		}
		if st, err := os.Stat(h.File); h.File != "" && err == nil && h.Changed.IsZero() {
			h.Changed = st.ModTime()
		}
		out = append(out, h)
	}
	for _, b := range s.Lists.Broken {
		i := slices.IndexFunc(out, func(h Health) bool { return h.Name == b.List })
		if i < 0 {
			out = append(out, Health{Name: b.List, From: fromFile})
			i = len(out) - 1
		}
		out[i].Problem = strings.TrimPrefix(b.Err.Error(), "blocklists: ")
	}
	slices.SortStableFunc(out, func(a, b Health) int { return rank(a) - rank(b) })
	return out
}

func rank(h Health) int {
	if h.Problem != "" {
		return -1
	}
	return slices.Index([]string{fromSubscription, fromFile, fromOwn, fromBuiltin}, h.From)
}

func subscribed(s *home.Settings, name string) (config.Subscription, bool) {
	i := slices.IndexFunc(s.Config.Lists.Subscriptions, func(c config.Subscription) bool { return c.Name == name })
	if i < 0 {
		return config.Subscription{}, false
	}
	return s.Config.Lists.Subscriptions[i], true
}

// subscription fills in what is known of a copy.
func (h *Health) subscription(sub subscription.Subscription, store *subscription.Store, now time.Time) {
	st, err := store.State(sub)
	h.From, h.URL, h.State = fromSubscription, sub.Address, &st
	if h.File == "" {
		h.Title = ""
	}
	if st.InUse != nil {
		h.Changed = st.InUse.Fetched
	}
	switch a := st.Attempt; {
	case st.Held != nil:
		h.Problem = fmt.Sprintf("a new copy is held back: it %s; nightlatch lists accept %s takes it", st.Held.Why, h.Name)
	case a.Outcome == subscription.Failed && st.InUse == nil:
		h.Problem = a.Problem + "; there is no copy of it yet"
	case a.Outcome == subscription.Failed:
		h.Problem = a.Problem + "; the copy of " + st.InUse.Fetched.Local().Format("2 Jan") + " stays in use"
	case err != nil:
		h.Problem = strings.TrimPrefix(err.Error(), "subscription: ")
	case st.InUse == nil:
		h.Problem = "not fetched yet; a running gateway does it, or nightlatch lists update " + h.Name
	case !st.Success.IsZero() && now.Sub(st.Success) > late(sub):
		h.Problem = "not refreshed for " + span(now.Sub(st.Success)) + "; a running gateway does it, or nightlatch lists update " + h.Name
	}
}

// late is when a copy that nobody failed to refresh is too old: three times its
// interval.
func late(sub subscription.Subscription) time.Duration {
	if sub.Every > 0 {
		return 3 * sub.Every
	}
	return 3 * subscription.DefaultEvery
}

// printHealth writes the table, and below it what is wrong, next to the prompt.
func printHealth(out io.Writer, all []Health, now time.Time) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "  LIST\tFROM\tRULES\tIGNORED\tCHANGED\tLAST SUCCESS\tLAST TRY\n")
	rules, wrong := 0, 0
	for _, h := range all {
		mark := " "
		if rules += h.Rules; h.Problem != "" {
			mark, wrong = "!", wrong+1
		}
		success, try := "-", "-"
		if h.State != nil {
			success = ago(h.State.Success, now)
			if a := h.State.Attempt; !a.Time.IsZero() {
				try = ago(a.Time, now) + ": " + string(a.Outcome)
			}
		}
		fmt.Fprintf(w, "%s %s\t%s\t%d\t%d\t%s\t%s\t%s\n", mark, h.Name, h.From, h.Rules, h.Ignored, ago(h.Changed, now), success, try)
	}
	w.Flush()
	bold, plain := "", ""
	if terminal.Colours(out) {
		bold, plain = "\x1b[1;33m", "\x1b[0m"
	}
	for line := range strings.Lines(b.String()) {
		if line = strings.TrimRight(line, " \n"); line[0] == '!' {
			line = bold + line + plain
		}
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out)
	for _, h := range all {
		if h.Problem != "" {
			fmt.Fprintf(out, "%s! %s:%s %s\n", bold, h.Name, plain, h.Problem)
		}
	}
	if wrong == 0 {
		fmt.Fprintf(out, "all is well: %s, %s\n", count(len(all), "list"), count(rules, "rule"))
	} else {
		fmt.Fprintf(out, "%d of %s wants a look\n", wrong, count(len(all), "list"))
	}
}
