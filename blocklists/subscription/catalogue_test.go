package subscription

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"nightlatch/blocklists/syntax"
	"nightlatch/config"
)

func TestCatalogue(t *testing.T) {
	all, err := Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Errorf("only %d lists", len(all))
	}
	formats := []string{"hosts", "domains", "wildcard", "adblock", "ip"}
	for i, e := range all {
		if !config.ValidName(e.Name) || slices.ContainsFunc(all[:i], func(o Entry) bool { return o.Name == e.Name || o.Address == e.Address }) {
			t.Errorf("%s: no name, or an entry that stands twice", e.Name)
		}
		if u, err := url.Parse(e.Address); err != nil || u.Scheme != "https" || u.Host == "" {
			t.Errorf("%s: address %q", e.Name, e.Address)
		}
		if !slices.Contains(formats, e.Format) || syntax.NewReader(syntax.Format(e.Format), nil, nil) == nil {
			t.Errorf("%s: format %q", e.Name, e.Format)
		}
		if e.Title == "" || e.Licence == "" || e.For == "" || !strings.HasPrefix(e.Home, "https://") {
			t.Errorf("%s lacks something: %+v", e.Name, e)
		}
		if _, err := time.Parse(time.DateOnly, e.Day); e.Entries < 0 || (e.Entries > 0) != (err == nil) {
			t.Errorf("%s: %d entries on %q", e.Name, e.Entries, e.Day)
		}
		if strings.Contains(strings.ToUpper(e.Licence), "NC") {
			t.Errorf("%s: a non-commercial licence", e.Name)
		}
	}
	if !slices.ContainsFunc(all, func(e Entry) bool { return e.Name == "hagezi-pro" }) {
		t.Error("hagezi-pro is missing")
	}
}
