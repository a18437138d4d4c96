package subscription

import (
	"bufio"
	"crypto/sha256"
	"net/url"
	"os"
	"path/filepath"
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

// TestCatalogueSizes: the sizes are those of the lists that lie beside the
// project, counted again.
func TestCatalogueSizes(t *testing.T) {
	const data = "../../../shared/data"
	if _, err := os.Stat(data); err != nil {
		t.Skip("the shared lists are absent")
	}
	files := map[string]string{
		"stevenblack": "hosts/stevenblack-unified.txt.gz", "perflyst-tv": "adblock/smarttv-agh.txt", "adguard-cname": "cname/adguard-disguised-trackers-2023-01.txt.gz",
		"dibdot-doh": "doh/dibdot-doh-domains.txt", "dibdot-doh-ip4": "doh/dibdot-doh-ipv4.txt", "dibdot-doh-ip6": "doh/dibdot-doh-ipv6.txt",
	}
	all, err := Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	counted := 0
	for _, e := range all {
		path := files[e.Name]
		if _, rest, ok := strings.Cut(e.Address, "dns-blocklists@latest/"); ok {
			path = "hagezi/" + rest
		}
		if path == "" {
			continue
		}
		n, err := entries(filepath.Join(data, path))
		if err != nil {
			n, err = entries(filepath.Join(data, path) + ".gz")
		}
		if err != nil {
			continue // not in the pack
		}
		if counted++; e.Name == "stevenblack" {
			n -= 14 // its hosts of the machine itself: localhost and the like
		}
		if n != e.Entries {
			t.Errorf("%s: %d entries are counted, %d are stated", e.Name, n, e.Entries)
		}
	}
	if counted < 18 {
		t.Errorf("only %d lists were counted", counted)
	}
}

// entries counts the lines of a list that are neither blank nor comments.
func entries(path string) (n int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	in, err := unpack(f, nil, sha256.New(), maxText)
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if s := strings.TrimSpace(lines.Text()); s != "" && !strings.HasPrefix(s, "#") && !strings.HasPrefix(s, "!") && !strings.HasPrefix(s, "[") {
			n++
		}
	}
	return n, nil
}
