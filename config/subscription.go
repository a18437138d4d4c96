package config

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"nightlatch/config/spell"
)

// checkSubscriptions holds what one field of a subscription alone cannot tell.
func checkSubscriptions(l *Lists, places Places) error {
	taken := map[string]string{}
	for _, f := range l.Files {
		taken[f.Name] = "lists.files"
	}
	for i, s := range l.Subscriptions {
		path := fmt.Sprintf("lists.subscriptions[%d]", i)
		fail := func(key, format string, args ...any) error {
			return places.Fail(path+"."+key, path+"."+key+": "+format, args...)
		}
		if !ValidName(s.Name) {
			return fail("name", "%q is not a list name; %s", s.Name, NameRule)
		}
		if other := taken[s.Name]; other != "" {
			return fail("name", "a list of %s is called %s already", other, s.Name)
		}
		taken[s.Name] = "lists.subscriptions"
		if err := CheckListURL(s.URL); err != nil {
			return fail("url", "%v", err)
		}
		if b, err := hex.DecodeString(s.SHA256); s.SHA256 != "" && (err != nil || len(b) != 32) {
			return fail("sha256", "%q is not a SHA-256 checksum: 64 hexadecimal digits", s.SHA256)
		}
		for _, w := range []struct {
			key, value string
			known      []string
		}{{"format", s.Format, formats}, {"match", s.Match, matches}, {"action", s.Action, actions}} {
			if w.value != "" && !slices.Contains(w.known, w.value) {
				return fail(w.key, "%q is not one of %s%s", w.value, strings.Join(w.known, ", "), spell.Meant(w.value, w.known...))
			}
		}
	}
	return nil
}

// CheckListURL tells whether a list can be fetched from an address: http, https,
// or a path.
func CheckListURL(s string) error {
	scheme, _, remote := strings.Cut(s, "://")
	switch {
	case strings.TrimSpace(s) == "":
		return fmt.Errorf("it is missing; write where the list is published")
	case strings.ContainsAny(s, "\r\n\x00"):
		return fmt.Errorf("%q has a line end in it", s)
	case !remote:
		return nil
	case scheme != "http" && scheme != "https":
		return fmt.Errorf("%q begins with neither http:// nor https://; for a file of this machine, write its path", s)
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || strings.ContainsAny(s, " \t"):
		return fmt.Errorf("%q is not an address", s)
	case u.User != nil:
		return fmt.Errorf("a name or password in an address would be shown in messages and is not sent")
	}
	return nil
}
