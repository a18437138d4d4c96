// Package decoder peels payloads: bytes in, findings out. It takes what a
// phone sent to a telemetry server, undoes every encoding it recognises in any
// nesting, and names the identifiers it finds together with the path to each.
//
// The package is pure and built for hostile input: depth, nodes, inflated
// bytes and time are bounded, it opens no file and no socket, and it reads no
// clock.
package decoder

import (
	"slices"
	"strings"

	"nightlatch/decoder/find"
)

// Confidence says how sure a finding is.
type Confidence = find.Confidence

const (
	Possible = find.Possible // the shape fits; hidden by default
	Likely   = find.Likely   // shape, checksum and context agree
	Proved   = find.Proved   // a value the owner told us, in any of its variants
)

// The words of [Result.Verdict].
const (
	Leak       = "leak"        // something was found
	Clean      = "clean"       // nothing was found, and nothing is hidden that we know of
	Opaque     = "opaque"      // encrypted telemetry that cannot be read
	OpaqueLeak = "opaque+leak" // encrypted, and yet something shows beside it
	Malformed  = "malformed"   // cut short or damaged; what could be read was searched
	Hostile    = "hostile"     // made to exhaust whoever decodes it; a bound stopped it
)

// Layer is one decoding that was undone.
type Layer struct {
	Codec string // form, base64, gzip, json, ...
	Path  string // from the outside in: "body/form:data_list/base64/gzip"
	Data  []byte // what this decoding gave; a view that must not be changed
}

// Finding is one identifier or one piece of private life in a payload.
type Finding struct {
	Kind       string     // android_id, imei, url, search_query, ...
	Value      string     // unmasked: never write it to the journal. For a known value, as the owner wrote it
	Observed   string     // as it stood in the payload, when that differs from Value: a digest, capitals
	Form       string     // how Observed was made from a known value: "md5.hex", "nosep", "upper"; else empty
	Path       string     // "body/form:data_list/base64/gzip/json:/0/properties/$device_id"
	Chain      []string   // the codecs of Path, outside in: form, base64, gzip, json
	Confidence Confidence // possible, likely or proved
}

// Result is all that one payload gave away.
type Result struct {
	Verdict  string   // leak, clean, opaque, opaque+leak, malformed or hostile
	Vendor   string   // whose telemetry it is, when a vendor description matched
	Flags    []string // bomb, truncated, header-mismatch, ..., sorted
	Layers   []Layer
	Findings []Finding
}

// Trail gives the layers that lie on the way to a finding, outside in: what
// one would see replaying its path step by step.
func (r Result) Trail(f Finding) []Layer {
	var out []Layer
	for _, l := range r.Layers {
		if rest, ok := strings.CutPrefix(f.Path, l.Path); ok && (rest == "" || strings.IndexByte("/:.[", rest[0]) >= 0) {
			out = append(out, l)
		}
	}
	slices.SortStableFunc(out, func(a, b Layer) int { return len(a.Path) - len(b.Path) })
	return out
}
