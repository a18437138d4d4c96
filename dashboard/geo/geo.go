// Package geo says in which country and network an address lies, out of
// databases in the MaxMind DB format that the owner keeps (GeoLite2, DB-IP,
// IPinfo and others write it). Such a database is a map of who registered what,
// and often wrong about where a machine stands: say so where it is shown.
package geo

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
)

// Place is what is known of an address; fields are empty when nothing is.
type Place struct {
	Country string `json:"country,omitempty"` // name in English, or its code
	Code    string `json:"code,omitempty"`    // ISO 3166-1, two letters
	ASN     uint64 `json:"asn,omitempty"`     // number of the network (autonomous system)
	Network string `json:"network,omitempty"` // who runs it
}

// Source is a database that was asked.
type Source struct {
	File  string    `json:"file"` // without its folder
	Type  string    `json:"type"`
	Built time.Time `json:"built"`
}

// Base is the databases together. It is safe for concurrent use until Close.
type Base struct {
	readers []*maxminddb.Reader
	sources []Source
}

// maxText bounds a text of a database, in bytes.
const maxText = 200

// Open opens databases; with none, nothing is ever found.
func Open(files ...string) (*Base, error) {
	b := &Base{}
	for _, f := range files {
		r, err := maxminddb.Open(f)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("geo: %s: %w; it must be a database in the mmdb format", f, err), b.Close())
		}
		b.readers = append(b.readers, r)
		b.sources = append(b.sources, Source{filepath.Base(f), clip(r.Metadata.DatabaseType), r.Metadata.BuildTime().UTC()})
	}
	return b, nil
}

// Sources names the databases.
func (b *Base) Sources() []Source { return b.sources }

// Close closes the files.
func (b *Base) Close() error {
	var errs []error
	for _, r := range b.readers {
		errs = append(errs, r.Close())
	}
	b.readers = nil
	return errors.Join(errs...)
}

// Find gives what the databases say of an address, the first that knows a field
// deciding. A record that cannot be read counts as none.
func (b *Base) Find(a netip.Addr) (p Place) {
	for _, r := range b.readers {
		var record map[string]any
		if err := r.Lookup(a.Unmap()).Decode(&record); err != nil {
			continue
		}
		p.fill(record)
	}
	return p
}

// fill reads the layouts that are in use: MaxMind's and DB-IP's nested ones, and
// IPinfo's flat one.
func (p *Place) fill(record map[string]any) {
	country, _ := record["country"].(map[string]any)
	if country == nil {
		country, _ = record["registered_country"].(map[string]any)
	}
	names, _ := country["names"].(map[string]any)
	set(&p.Country, names["en"], record["country_name"], record["country"])
	set(&p.Code, country["iso_code"], record["country_code"])
	if p.Country == "" || len(p.Country) == 2 && p.Code == "" {
		p.Code = strings.ToUpper(first(p.Code, p.Country))
		p.Country = p.Code
	}
	set(&p.Network, record["autonomous_system_organization"], record["as_name"], record["organization"])
	if p.ASN == 0 {
		p.ASN = number(record["autonomous_system_number"])
	}
	if p.ASN == 0 {
		p.ASN = number(record["asn"])
	}
}

// set takes the first text among values, unless there is one already.
func set(to *string, values ...any) {
	for _, v := range values {
		if s, ok := v.(string); ok && *to == "" {
			*to = clip(s)
		}
	}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// number reads 15169 and "AS15169".
func number(v any) uint64 {
	switch v := v.(type) {
	case uint64:
		return v
	case string:
		n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToUpper(v), "AS"), 10, 32)
		if err == nil {
			return n
		}
	}
	return 0
}

func clip(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxText)], "")
}
