package decoder

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"nightlatch/decoder/find"
	"nightlatch/decoder/vendor"
)

// Limits of what an owner may tell us.
const (
	maxKnownFile   = 1 << 20 // bytes
	maxKnownValues = 1000
)

// Options says what a decoder knows.
type Options struct {
	Known  map[string][]string // the owner's values by kind, see [ParseKnown]
	NoKeys bool                // leave alone what only a vendor's constant key opens
	// Vendors are further vendor descriptions in YAML, by file name; package
	// vendor and its data/keys.yaml say how they are written.
	Vendors map[string][]byte
}

// Decoder peels payloads. It is immutable and safe for concurrent use.
type Decoder struct {
	index   *find.Index
	known   map[string][]string
	vendors *vendor.Set
	noKeys  bool
}

// New builds a decoder. It is an error to give more than a thousand values, or
// a vendor description that cannot be read.
func New(o Options) (*Decoder, error) {
	n := 0
	for _, values := range o.Known {
		n += len(values)
	}
	if n > maxKnownValues {
		return nil, fmt.Errorf("decoder: %d known values, at most %d can be searched for", n, maxKnownValues)
	}
	vendors, err := vendor.Builtin()
	if err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	for _, file := range slices.Sorted(maps.Keys(o.Vendors)) {
		if vendors, err = vendors.With(file, o.Vendors[file]); err != nil {
			return nil, fmt.Errorf("decoder: %w", err)
		}
	}
	known := maps.Clone(o.Known)
	return &Decoder{index: find.NewIndex(find.Needles(known)), known: known, vendors: vendors, noKeys: o.NoKeys}, nil
}

// ParseKnown reads known values: an object of kinds, each with a value or a
// list of values, in JSON or YAML:
//
//	imei: ["490154203237518"]
//	email: ada.lowell@example.org
func ParseKnown(data []byte) (map[string][]string, error) {
	if len(data) > maxKnownFile {
		return nil, errors.New("decoder: known values: the file is larger than 1 MiB")
	}
	var nodes map[string]yaml.Node
	if err := yaml.Unmarshal(data, &nodes); err != nil {
		return nil, fmt.Errorf("decoder: known values: %w", err)
	}
	known := make(map[string][]string, len(nodes))
	for _, kind := range slices.Sorted(maps.Keys(nodes)) {
		n := nodes[kind]
		items := []*yaml.Node{&n}
		if n.Kind == yaml.SequenceNode {
			items = n.Content
		}
		for _, it := range items {
			if it.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("decoder: known values: line %d: %s must be a value or a list of values", it.Line, kind)
			}
			if v := strings.TrimSpace(it.Value); v != "" {
				known[kind] = append(known[kind], v)
			}
		}
	}
	return known, nil
}

// MarshalJSON writes a finding with the names the command line prints.
func (f Finding) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind       string   `json:"kind"`
		Value      string   `json:"value"`
		Observed   string   `json:"observed,omitempty"`
		Form       string   `json:"form,omitempty"`
		Confidence string   `json:"confidence"`
		Path       string   `json:"path"`
		Chain      []string `json:"chain"`
	}{f.Kind, f.Value, f.Observed, f.Form, f.Confidence.String(), f.Path, f.Chain})
}
