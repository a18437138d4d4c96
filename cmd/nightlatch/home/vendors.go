package home

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"nightlatch/blocklists"
)

// VendorsDir holds the owner's descriptions of vendors' payloads, if any; see
// decoder/vendor/data for how they are written.
func (h Home) VendorsDir() string { return h.Path("vendors") }

// Vendors gives what the decoder should know besides what is built in: the
// owner's descriptions, and what rules of lists say of payloads (decode:).
func (s *Settings) Vendors() (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, path := range entries(s.Home.VendorsDir()) {
		if ext := filepath.Ext(path); ext != ".yaml" && ext != ".yml" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		out[path] = text
	}
	for _, l := range s.Lists.All {
		if l.Report.Format != blocklists.Native {
			continue // no other format has hints
		}
		text, err := hints(l)
		if err != nil {
			return nil, err
		}
		if text != nil {
			out["list "+l.Name] = text
		}
	}
	return out, nil
}

// hint is a description as the decoder reads it.
type hint struct {
	Name   string      `yaml:"name"`
	Hosts  []string    `yaml:"hosts"`
	Source string      `yaml:"source,omitempty"`
	Open   []hintSteps `yaml:"open"`
}

type hintSteps struct {
	Data string `yaml:"data"`
}

// opens are the encodings that must be told what to take off. The others tell
// it by themselves, and the decoder finds them.
var opens = []string{"base64", "hex", "url", "gzip", "zlib", "snappy"}

// hints writes the hints of one list as descriptions.
func hints(l *blocklists.List) ([]byte, error) {
	var all []hint
	for r := range l.Rules() {
		if r.Decode == nil || r.Domain == "" {
			continue
		}
		steps := ""
		for _, word := range r.Decode.Encodings {
			if !slices.Contains(opens, word) {
				break
			}
			steps += " | " + word
		}
		h := hint{Name: fmt.Sprintf("%s:%d", r.List, r.Line), Hosts: []string{r.Domain}, Source: r.Source}
		if r.Match != blocklists.Exact {
			h.Hosts = append(h.Hosts, "*."+r.Domain)
		}
		if p := r.Decode.Param; p == "" {
			h.Open = []hintSteps{{"body" + steps}}
		} else if !strings.ContainsAny(p, "|(),") { // these mean something to a recipe
			h.Open = []hintSteps{{"form:" + p + steps}, {"query:" + p + steps}, {"json:" + p + steps}}
		}
		all = append(all, h)
	}
	if len(all) == 0 {
		return nil, nil
	}
	return yaml.Marshal(all)
}
