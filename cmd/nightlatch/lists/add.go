package lists

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nightlatch/blocklists"
	"nightlatch/blocklists/subscription"
	"nightlatch/cmd/nightlatch/cli"
	"nightlatch/cmd/nightlatch/home"
	"nightlatch/config"
	"nightlatch/config/edit"
	"nightlatch/config/spell"
)

// place is where subscriptions stand in the config.
var place = edit.Path{"lists", "subscriptions"}

func addCommand(a *cli.App, g Gateway) *cobra.Command {
	var wish config.Subscription
	var asJSON bool
	c := &cobra.Command{
		Use:   "add NAME-or-URL [--name NAME]",
		Short: "Subscribe to a list of the catalogue, or to any address",
		Long: `Fetch a list, and write it into lists.subscriptions of nightlatch.yaml; every
other line of that file stays as it is. A list is named as in nightlatch lists
catalogue, or by its http(s) address or a path together with --name. What cannot
be fetched or read is not added.`,
		Example: "  nightlatch lists add hagezi-pro\n" +
			"  nightlatch lists add https://lists.example.net/ads.txt --name ads --format hosts --action deny",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := a.NeedHome()
			if err != nil {
				return err
			}
			if err := complete(c, &wish, args[0]); err != nil {
				return err
			}
			return add(c.Context(), a, g, h, wish, asJSON)
		},
	}
	c.Flags().StringVar(&wish.Name, "name", "", "short name of the list, shown in every verdict")
	c.Flags().StringVar(&wish.Format, "format", "", "format: "+strings.Join(blocklists.FormatWords(), ", "))
	c.Flags().StringVar(&wish.Match, "match", "", "what a bare name covers: exact or subtree; else as the format says")
	c.Flags().StringVar(&wish.Action, "action", "", "sink, deny, drop or observe; else as the policy says")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// complete finds out what a person means by NAME-or-URL.
func complete(c *cobra.Command, wish *config.Subscription, word string) error {
	if subscription.Remote(word) || strings.Contains(word, "://") || strings.ContainsRune(word, '/') || strings.ContainsRune(word, filepath.Separator) {
		if wish.URL = word; wish.Name == "" {
			return cli.Misused(c, "an address needs a name: --name NAME")
		}
		if !strings.Contains(word, "://") {
			abs, err := filepath.Abs(word) // the config would look beside itself
			if err != nil {
				return err
			}
			wish.URL = abs
		}
		return nil
	}
	all, err := subscription.Catalogue()
	if err != nil {
		return err
	}
	var names []string
	for _, e := range all {
		if names = append(names, e.Name); e.Name == word {
			wish.URL = e.Address
			for to, from := range map[*string]string{&wish.Name: e.Name, &wish.Format: e.Format} {
				if *to == "" {
					*to = from
				}
			}
			return nil
		}
	}
	return fmt.Errorf("the catalogue has no list %q%s; nightlatch lists catalogue shows all, and any http(s) address can be added", word, spell.Meant(word, names...))
}

// added is what add did, as scripts see it.
type added struct {
	updated
	Config string `json:"config"` // the file that was changed
	Line   string `json:"text"`   // what was written there
	Hint   string `json:"hint,omitempty"`
}

func add(ctx context.Context, a *cli.App, g Gateway, h home.Home, wish config.Subscription, asJSON bool) error {
	text := item(wish)
	old, err := edit.Read(h.ConfigFile(), edit.Fresh{})
	if err != nil {
		return err
	}
	if _, err := withItem(h, old.Old, text); err != nil { // before anything is fetched
		return err
	}
	if err := taken(h, wish.Name); err != nil {
		return err
	}
	u, err := newUpdate(ctx, a, g, h)
	if err != nil {
		return err
	}
	defer u.end()
	u.say = func(string, ...any) {}
	sub := h.Subscription(wish)
	done, err := u.all(ctx, []subscription.Subscription{sub})
	if err == nil && done[0].Problem != "" {
		err = fmt.Errorf("%s was not added: %s", wish.Name, done[0].Problem)
	}
	if err == nil {
		_, err = edit.Update(ctx, h.ConfigFile(), edit.Fresh{}, func(old []byte) ([]byte, error) { return withItem(h, old, text) })
	}
	if err != nil {
		return errors.Join(err, u.store.Remove(wish.Name))
	}
	r := added{updated: done[0], Config: h.ConfigFile(), Line: text, Hint: unused(u.s.Config, wish.Name)}
	if asJSON {
		err = json.NewEncoder(a.Stdout).Encode(r)
	} else {
		_, err = fmt.Fprintf(a.Stdout, "%s: %s, %s; added to %s:\n%s", wish.Name, count(r.Rules, "rule"),
			cli.Bytes(uint64(r.State.InUse.Bytes)), h.ConfigFile(), text)
		if r.Hint != "" {
			a.Say("warning: %s", r.Hint)
		}
	}
	return errors.Join(err, g.Reload(ctx, h))
}

// item writes a subscription as it stands in the config.
func item(s config.Subscription) string {
	var b strings.Builder
	for _, kv := range [][2]string{{"name", s.Name}, {"url", s.URL}, {"format", s.Format}, {"match", s.Match}, {"action", s.Action}} {
		switch {
		case kv[1] == "":
		case plainURL.MatchString(kv[1]):
			fmt.Fprintf(&b, "  %s: %s\n", kv[0], kv[1])
		default:
			fmt.Fprintf(&b, "  %s: %s\n", kv[0], edit.Quote(kv[1]))
		}
	}
	return "-" + b.String()[1:]
}

// plainURL is an address that YAML reads as it stands, without quotes.
var plainURL = regexp.MustCompile(`^https?://[A-Za-z0-9][A-Za-z0-9._~@%+=:/-]*[A-Za-z0-9/]$`)

// withItem gives the text of a config with one more subscription, if that is a
// sound config.
func withItem(h home.Home, text []byte, item string) ([]byte, error) {
	if _, err := config.Parse(h.ConfigFile(), text); err != nil {
		return nil, err // as it is: not the item's fault
	}
	next, err := edit.Append(text, place, item)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.ConfigFile(), err)
	}
	if _, err := config.Parse(h.ConfigFile(), next); err != nil {
		var at *config.Error
		if errors.As(err, &at) {
			return nil, errors.New(at.Msg) // a line of a file that is not written yet
		}
		return nil, err
	}
	return next, nil
}

// taken tells whether a list has that name already.
func taken(h home.Home, name string) error {
	s, err := h.Load()
	if err != nil {
		return err
	}
	if s.Lists.Find(name) == nil {
		return nil
	}
	return fmt.Errorf("a list called %s is read already; choose another with --name", name)
}

// unused tells when a list is read but applies to nothing.
func unused(cfg *config.Config, name string) string {
	if len(cfg.Policy.Lists) == 0 || namedIn(cfg, name) != "" {
		return ""
	}
	return fmt.Sprintf("policy.lists names the lists that apply, and %s is not among them; add it there", name)
}

func removeCommand(a *cli.App, g Gateway) *cobra.Command {
	c := &cobra.Command{
		Use:   "remove NAME",
		Short: "End a subscription and delete its copy",
		Long: `Take a list out of lists.subscriptions of nightlatch.yaml and delete its copy;
every other line of that file stays as it is. A list that policy or a device
names is not removed before it is taken out there.`,
		Example: "  nightlatch lists remove hagezi-pro",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := a.NeedHome()
			if err != nil {
				return err
			}
			return remove(c.Context(), a, g, h, args[0])
		},
	}
	return c
}

func remove(ctx context.Context, a *cli.App, g Gateway, h home.Home, name string) error {
	cfg, err := h.LoadConfig()
	if err != nil {
		return err
	}
	if _, err := h.SubscriptionNamed(cfg, name); err != nil {
		return err
	}
	if where := namedIn(cfg, name); where != "" {
		return fmt.Errorf("%s names %s; take it out there first", where, name)
	}
	_, err = edit.Update(ctx, h.ConfigFile(), edit.Fresh{}, func(text []byte) ([]byte, error) {
		items, err := edit.Items(text, place)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h.ConfigFile(), err)
		}
		for _, it := range items {
			if it.Text("name") == name {
				next, err := edit.Remove(text, place, it.Index)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", h.ConfigFile(), err)
				}
				return next, nil
			}
		}
		return text, nil // someone else was faster
	})
	if err != nil {
		return err
	}
	err = subscription.NewStore(h.ListsDir(), subscription.Network{}).Remove(name)
	if err == nil {
		_, err = fmt.Fprintf(a.Stdout, "%s: removed from %s, and its copy deleted\n", name, h.ConfigFile())
	}
	return errors.Join(err, g.Reload(ctx, h))
}

// namedIn says where the config names a list; empty when nowhere.
func namedIn(cfg *config.Config, name string) string {
	paths, wishes := cfg.Layers()
	for i, w := range wishes {
		if slices.Contains(w.Lists, name) {
			return paths[i] + ".lists"
		}
		if _, ok := w.ListActions[name]; ok {
			return paths[i] + ".list_actions"
		}
		for _, at := range slices.Sorted(maps.Keys(w.Schedules)) {
			if slices.Contains(w.Schedules[at].Lists, name) {
				return paths[i] + ".schedules." + at + ".lists"
			}
		}
	}
	return ""
}
