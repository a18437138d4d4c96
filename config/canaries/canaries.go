// Package canaries keeps the planted values of a home: random tokens in web
// addresses that a person opens, so that whoever reports the address is found
// out. They stand in one file that commands write, readable by the owner alone:
// a token is worth nothing to others, but it must be met nowhere else.
package canaries

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

const (
	// Max bounds the canaries of a home. Each makes a few hundred needles.
	Max = 32

	// Life is how long a canary is watched for: telemetry is sent in batches,
	// and after days when the phone was away from Wi-Fi.
	Life = 14 * 24 * time.Hour

	maxFile = 256 << 10 // bytes: far more than Max canaries take
	maxNote = 200       // bytes of a note
	maxURL  = 2000      // bytes of an address
)

// Zone is below which the gateway serves the pages of canaries, to phones in
// the tunnel alone.
const Zone = "canary.nightlatch.internal"

// Slot is where an address of the owner's has the token.
const Slot = "{}"

// Canary is one planted value.
type Canary struct {
	N         int       `yaml:"n"`     // its number, by which it is spoken of
	Token     string    `yaml:"token"` // 26 characters of a-z and 2-7: 130 random bits
	URL       string    `yaml:"url"`   // the address to open
	Device    string    `yaml:"device,omitempty"`
	Note      string    `yaml:"note,omitempty"`
	Incognito bool      `yaml:"incognito,omitempty"` // the owner opens it in a private window alone
	Issued    time.Time `yaml:"issued"`
	Expires   time.Time `yaml:"expires"`
}

// New makes a canary with a fresh token. template is an address outside, with
// [Slot] where the token is to stand; without one, it is added as a parameter.
// An empty template makes a page that the gateway serves itself.
func New(n int, template string, now time.Time) (Canary, error) {
	c := Canary{N: n, Token: strings.ToLower(rand.Text()), Issued: now.UTC().Truncate(time.Millisecond)}
	c.Expires = c.Issued.Add(Life)
	// Telemetry may keep the host alone, or cut the path, or the query: the token
	// is in each.
	c.URL = "http://" + c.Token + "." + Zone + "/news/" + c.Token + "?q=" + c.Token
	if template == "" {
		return c, nil
	}
	if len(template) > maxURL {
		return c, fmt.Errorf("the address has %d bytes; at most %d", len(template), maxURL)
	}
	if !strings.Contains(template, Slot) {
		template = withParameter(template)
	}
	c.URL = strings.ReplaceAll(template, Slot, c.Token)
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return c, errors.New("the address must begin with http:// or https:// and a host; {} in it stands for the token")
	}
	return c, nil
}

func withParameter(address string) string {
	address, fragment, has := strings.Cut(address, "#")
	sep := "?"
	if strings.Contains(address, "?") {
		sep = "&"
	}
	if has {
		fragment = "#" + fragment
	}
	return address + sep + "q=" + Slot + fragment
}

// Host is the host of the address, in lower case.
func (c Canary) Host() string {
	u, err := url.Parse(c.URL)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// Values gives what to look for: the token, and what a hash may have been made
// of: the address, without its query too, and the host.
func (c Canary) Values() []string {
	out := []string{c.Token, c.URL}
	if bare, _, ok := strings.Cut(c.URL, "?"); ok && strings.Contains(bare, c.Token) {
		out = append(out, bare)
	}
	if host := c.Host(); strings.Contains(host, c.Token) {
		out = append(out, host, "http://"+host+"/")
	}
	return out
}

// Alive tells whether the canary is watched for at now.
func (c Canary) Alive(now time.Time) bool { return now.Before(c.Expires) }

// Load reads the file; none means no canaries.
func Load(path string) ([]Canary, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && (!st.Mode().IsRegular() || st.Size() > maxFile) {
		err = errors.New("it is no file of canaries")
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("canaries: %s: %w", path, err)
	}
	list, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("canaries: %s: %w; delete it to begin anew", path, err)
	}
	return list, nil
}

// Parse reads what [Marshal] wrote, and checks it: an owner may have edited it.
func Parse(text []byte) ([]Canary, error) {
	var list []Canary
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&list); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "\n", " "))
	}
	if len(list) > Max {
		return nil, fmt.Errorf("%d canaries; at most %d", len(list), Max)
	}
	seen := map[int]bool{}
	for _, c := range list {
		switch {
		case c.N < 1 || seen[c.N]:
			return nil, fmt.Errorf("canary %d: the number is missing or there twice", c.N)
		case !isToken(c.Token):
			return nil, fmt.Errorf("canary %d: the token is not 26 characters of a-z and 2-7", c.N)
		case !strings.Contains(c.URL, c.Token) || len(c.URL) > maxURL+len(c.Token)*8:
			return nil, fmt.Errorf("canary %d: the address does not hold its token", c.N)
		case len(c.Note) > maxNote:
			return nil, fmt.Errorf("canary %d: the note is longer than %d bytes", c.N, maxNote)
		}
		seen[c.N] = true
	}
	return list, nil
}

func isToken(s string) bool {
	return len(s) == 26 && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '2' || r > '7') })
}

// Marshal writes the file.
func Marshal(list []Canary) ([]byte, error) {
	text, err := yaml.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("canaries: %w", err)
	}
	return append([]byte("# Written by nightlatch; change it with: nightlatch canary\n"), text...), nil
}

// Add puts another canary, made for the number it is given, at the end of a
// list. Those that are over make room when there are too many.
func Add(list []Canary, now time.Time, make func(n int) (Canary, error)) ([]Canary, error) {
	n := 1
	for _, c := range list {
		n = max(n, c.N+1)
	}
	list = slices.Clone(list)
	if len(list) >= Max {
		list = slices.DeleteFunc(list, func(c Canary) bool { return !c.Alive(now) })
	}
	if len(list) >= Max {
		return nil, fmt.Errorf("there are %d canaries already; remove one: nightlatch canary remove N", len(list))
	}
	c, err := make(n)
	if err != nil {
		return nil, err
	}
	if len(c.Note) > maxNote {
		return nil, fmt.Errorf("the note is longer than %d bytes", maxNote)
	}
	return append(list, c), nil
}

// Remove takes a canary out of a list.
func Remove(list []Canary, n int) ([]Canary, error) {
	left := slices.DeleteFunc(slices.Clone(list), func(c Canary) bool { return c.N == n })
	if len(left) == len(list) {
		return nil, fmt.Errorf("there is no canary %d", n)
	}
	return left, nil
}
