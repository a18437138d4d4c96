package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"nightlatch/decoder"
)

// Mark tells equal values of findings from different ones, which their masked
// forms cannot: an IMEI begins like every other. It is the first 64 bits of an
// HMAC-SHA-256 under a key of the owner's; without the key it says nothing
// about the value, and values of another key have other marks. Zero is "not
// known": the finding was kept without a key, or before there were marks.
type Mark uint64

// MinMarkKey is the least length of a key of marks, in bytes.
const MinMarkKey = 16

// MarkOf gives the mark of a value. Case and surrounding blanks do not count:
// SDKs write the same identifier in capitals and without. The kind of a finding
// does not count either, so that one value sent under two names is seen to be one.
func MarkOf(key []byte, value string) Mark {
	if len(key) < MinMarkKey || value == "" {
		return 0
	}
	m := hmac.New(sha256.New, key)
	m.Write([]byte(strings.ToLower(strings.TrimSpace(value))))
	return Mark(binary.BigEndian.Uint64(m.Sum(nil)))
}

// String writes 16 hex digits, and nothing for a mark that is not known.
func (m Mark) String() string {
	if m == 0 {
		return ""
	}
	return fmt.Sprintf("%016x", uint64(m))
}

// KindCanary is the kind of a finding that proves by a planted value.
const KindCanary = "canary"

// CanaryLabel begins the value of a finding of [KindCanary] once the planted
// value was taken out of it: what stands there is kept as it is.
const CanaryLabel = "canary #"

// masked gives the value of a finding as it may be kept.
func masked(f decoder.Finding) string {
	if f.Kind == KindCanary && strings.HasPrefix(f.Value, CanaryLabel) {
		return f.Value
	}
	return decoder.Mask(f)
}
