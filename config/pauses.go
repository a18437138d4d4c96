package config

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Pause lifts what lists say until a moment. What is absent is everything.
type Pause struct {
	Device string    `yaml:"device" doc:"By its name."`
	List   string    `yaml:"list" doc:"By its name."`
	Name   string    `yaml:"name" doc:"The name and all below it."`
	Until  time.Time `yaml:"until" doc:"When it ends."`
	Why    string    `yaml:"why" doc:"What for."`
}

// maxPauses bounds a file of pauses, which a person ends one by one.
const maxPauses = 1000

// LoadPauses reads a file of pauses, which nightlatch pause writes. An absent
// file has none. Errors are of type [*Error].
func LoadPauses(path string) ([]Pause, Places, error) {
	b, err := readBounded(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Places{file: path}, nil
	}
	if err != nil {
		return nil, Places{}, fmt.Errorf("config: pauses: %w", err)
	}
	return ParsePauses(path, b)
}

// ParsePauses reads pauses from memory; name stands in its errors.
func ParsePauses(name string, b []byte) ([]Pause, Places, error) {
	var file struct {
		Pauses []Pause `yaml:"pauses"`
	}
	places, err := Read(name, b, &file)
	if err != nil {
		return nil, places, err
	}
	if n := len(file.Pauses); n > maxPauses {
		return nil, places, places.Fail("pauses", "%d pauses; at most %d are read", n, maxPauses)
	}
	for i, p := range file.Pauses {
		if p.Until.IsZero() {
			return nil, places, places.Fail(fmt.Sprintf("pauses[%d]", i), "this pause has no end; write until: %s", time.Unix(1e9, 0).UTC().Format(time.RFC3339))
		}
	}
	return file.Pauses, places, nil
}
