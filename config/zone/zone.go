// Package zone finds time zones by the names that the IANA database gives them,
// and guesses what was meant by other words. The rules of the zones are the
// host's where it has them, else those that came with the program.
package zone

import (
	_ "embed"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // for hosts without a database of their own: small containers, phones

	"nightlatch/config/spell"
)

// names are the zones that differ from each other since 1970, one a line (IANA
// time zone database, zone1970.tab, in the public domain). They serve for
// suggestions only: every other name of the database is understood as well.
//
//go:embed names.txt
var names string

// Load gives a time zone by its name: Europe/Berlin. The error says which name is
// near. A word that leads out of the database is refused.
func Load(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("%q is not a time zone; leave it out for the one of this machine", name)
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is not a time zone%s", clip(name), near(name))
	}
	return l, nil
}

// near finds the zone that was meant: by its city, or by a slip of the finger.
func near(name string) string {
	last := name[strings.LastIndexByte(name, '/')+1:]
	city := strings.ReplaceAll(last, " ", "_")
	var all []string
	for z := range strings.FieldsSeq(names) {
		if strings.EqualFold(z, name) || strings.EqualFold(z[strings.LastIndexByte(z, '/')+1:], city) {
			return fmt.Sprintf("; did you mean %q?", z)
		}
		all = append(all, z)
	}
	if meant := spell.Meant(name, all...); meant != "" {
		return meant
	}
	return "; write a name of the IANA database, such as Europe/Berlin"
}

func clip(s string) string { return s[:min(len(s), 80)] }
