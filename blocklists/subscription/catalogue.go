package subscription

import (
	"bytes"
	_ "embed"
	"fmt"
	"strconv"

	"gopkg.in/yaml.v3"
)

//go:embed catalogue.yaml
var catalogue []byte // addresses and facts alone; no list comes with the program

// Entry is one well-known list that can be subscribed to by name.
type Entry struct {
	Name    string `yaml:"name" json:"name"`           // short name, as in verdicts
	Title   string `yaml:"title" json:"title"`         // what its publisher calls it
	Address string `yaml:"address" json:"address"`     // where it is published
	Format  string `yaml:"format" json:"format"`       // as published there
	Licence string `yaml:"licence" json:"licence"`     // in its publisher's words; "not verified" when nobody has read it
	Entries int    `yaml:"entries" json:"entries"`     // lines that are rules, 0 when not measured
	Day     string `yaml:"day" json:"day,omitempty"`   // of the release that was measured, 2026-03-08
	For     string `yaml:"for" json:"for"`             // what it is for, in a sentence
	Note    string `yaml:"note" json:"note,omitempty"` // what to know before using it
	Home    string `yaml:"home" json:"home"`           // where its people are
}

// Size says how large a list was, and when.
func (e *Entry) Size() string {
	if e.Entries == 0 {
		return "not measured"
	}
	return strconv.Itoa(e.Entries)
}

// Catalogue gives the well-known lists, in the order of the file.
func Catalogue() ([]Entry, error) {
	var all []Entry
	d := yaml.NewDecoder(bytes.NewReader(catalogue))
	d.KnownFields(true)
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("subscription: the catalogue: %w", err)
	}
	return all, nil
}
