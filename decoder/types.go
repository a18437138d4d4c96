// Package decoder peels payloads: bytes in, findings out. It takes what a
// phone sent to a telemetry server, undoes every encoding it recognises in any
// nesting, and names the identifiers it finds together with the path to each.
//
// The package is pure and built for hostile input: depth, nodes, inflated
// bytes and time are bounded, it opens no file and no socket, and it reads no
// clock.
package decoder

// Confidence says how sure a finding is.
type Confidence uint8

const (
	Possible Confidence = iota // the shape fits; hidden by default
	Likely                     // shape, checksum and context agree
	Proved                     // a value the owner told us, in any of its variants
)

// String gives possible, likely or proved.
func (c Confidence) String() string {
	switch c {
	case Proved:
		return "proved"
	case Likely:
		return "likely"
	}
	return "possible"
}

// Layer is one decoding that was undone.
type Layer struct {
	Codec string // form, base64, gzip, json, ...
	Path  string // from the outside in: "body/form:data_list/base64/gzip"
	Data  []byte // what this decoding gave; a view that must not be changed
}

// Finding is one identifier or one piece of private life in a payload.
type Finding struct {
	Kind       string     // android_id, imei, url, search_query, ...
	Value      string     // as found, unmasked: never write it to the journal
	Path       string     // "body/form:data_list/base64/gzip/json:/0/properties/$device_id"
	Chain      []string   // the codecs of Path, outside in: form, base64, gzip, json
	Confidence Confidence // possible, likely or proved
}

// Result is all that one payload gave away.
type Result struct {
	Verdict  string   // leak, clean, opaque, opaque+leak, malformed or hostile
	Flags    []string // bomb, truncated, lying-encoding, ..., sorted
	Layers   []Layer
	Findings []Finding
}
