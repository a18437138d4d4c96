// Package vendor holds what is known of single telemetry vendors as data: by
// which host and path they are recognised, where their identifiers sit, and
// how a payload that only pretends to be encrypted is opened. The descriptions
// are YAML; an owner can add some without writing Go.
package vendor

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"gopkg.in/yaml.v3"
)

//go:embed data/*.yaml
var builtin embed.FS

// Vendor is one description.
type Vendor struct {
	Name    string            `yaml:"name"`
	About   string            `yaml:"about"`
	Source  string            `yaml:"source"`  // where the facts come from
	Hosts   []string          `yaml:"hosts"`   // names; * stands for any run of characters
	Paths   []string          `yaml:"paths"`   // beginnings of the path; none: any
	Headers map[string]string `yaml:"headers"` // patterns that must fit
	Query   map[string]string `yaml:"query"`
	Cipher  bool              `yaml:"cipher"` // what cannot be read here is encrypted
	Open    []Recipe          `yaml:"open"`
	Fields  []Field           `yaml:"fields"`
}

// Field says what stands at a place: {at: "protobuf:1.19", kind: gaid}. At is
// compared with the end of a path; * stands for any name or number.
type Field struct {
	At   string `yaml:"at"`
	Kind string `yaml:"kind"`
}

// Recipe opens a payload whose key is constant or travels with it. Key, IV and
// Data are pipelines: a source, then steps, joined by '|'. See docs of [Recipe.Run].
type Recipe struct {
	Flag string `yaml:"flag"` // known-key-available or self-keyed; none: no encryption to speak of
	When string `yaml:"when"` // SOURCE=VALUE that must hold
	Key  string `yaml:"key"`
	IV   string `yaml:"iv"`
	Data string `yaml:"data"`
}

// Set is all descriptions together; it is immutable.
type Set struct{ vendors []Vendor }

// Builtin gives the descriptions that come with the program.
func Builtin() (*Set, error) {
	names, err := fs.Glob(builtin, "data/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("vendor: %w", err)
	}
	s := &Set{}
	for _, n := range names {
		data, err := builtin.ReadFile(n)
		if err != nil {
			return nil, fmt.Errorf("vendor: %w", err)
		}
		if s, err = s.With(n, data); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// With gives a set that holds the descriptions of data as well, a YAML list of
// [Vendor]. Errors name the file, the vendor and what is wrong with it.
func (s *Set) With(file string, data []byte) (*Set, error) {
	var more []Vendor
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&more); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for i := range more {
		v := &more[i]
		if v.Name == "" || len(v.Hosts) == 0 {
			return nil, fmt.Errorf("%s: description %d needs a name and hosts", file, i+1)
		}
		for _, r := range v.Open {
			if err := r.check(); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", file, v.Name, err)
			}
		}
	}
	return &Set{vendors: append(append([]Vendor(nil), s.vendors...), more...)}, nil
}

// Request is what a description is compared with.
type Request interface {
	Host() string
	Path() string
	Value(source string) ([]byte, bool) // "header:Name", "query:name"
}

// Match gives the descriptions that fit a request.
func (s *Set) Match(r Request) []*Vendor {
	host := strings.ToLower(r.Host())
	if name, _, ok := strings.Cut(host, ":"); ok {
		host = name
	}
	var out []*Vendor
	for i := range s.vendors {
		if v := &s.vendors[i]; v.fits(host, r) {
			out = append(out, v)
		}
	}
	return out
}

func (v *Vendor) fits(host string, r Request) bool {
	if !anyOf(v.Hosts, func(p string) bool { return glob(p, host) }) {
		return false
	}
	if len(v.Paths) > 0 && !anyOf(v.Paths, func(p string) bool { return glob(p+"*", r.Path()) }) {
		return false
	}
	return holds("header:", v.Headers, r) && holds("query:", v.Query, r)
}

func holds(kind string, want map[string]string, r Request) bool {
	for name, pattern := range want {
		got, ok := r.Value(kind + name)
		if !ok || !glob(strings.ToLower(pattern), strings.ToLower(string(got))) {
			return false
		}
	}
	return true
}

func anyOf(list []string, fits func(string) bool) bool {
	for _, p := range list {
		if fits(p) {
			return true
		}
	}
	return false
}

// glob compares with a pattern in which * stands for any run of characters.
func glob(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	last := parts[len(parts)-1]
	for _, p := range parts[1 : len(parts)-1] {
		at := strings.Index(s, p)
		if at < 0 {
			return false
		}
		s = s[at+len(p):]
	}
	return strings.HasSuffix(s, last)
}

// Kind gives what the descriptions say stands at a path, or "". Numbers in
// brackets, which tell repeated fields apart, do not count.
func Kind(vendors []*Vendor, at string) string {
	for {
		open := strings.IndexByte(at, '[')
		end := strings.IndexByte(at, ']')
		if open < 0 || end < open {
			break
		}
		at = at[:open] + at[end+1:]
	}
	for _, v := range vendors {
		for _, f := range v.Fields {
			if placed(f.At, at) {
				return f.Kind
			}
		}
	}
	return ""
}

// placed compares the end of a path, piece by piece.
func placed(pattern, at string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(at, "/")
	if len(want) > len(got) {
		return false
	}
	got = got[len(got)-len(want):]
	for i := range want {
		if ok, err := path.Match(want[i], got[i]); err != nil || !ok {
			return false
		}
	}
	return true
}
