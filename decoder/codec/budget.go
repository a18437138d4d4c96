// Package codec undoes one encoding at a time: compressed streams, text
// encodings and ciphers whose key is known. Every function takes hostile
// bytes, never panics, and never allocates by a length the input only
// declares; what it may spend is held by a [Budget].
package codec

import (
	"compress/gzip"
	"io"
)

// Limits of one payload. They are sized so that the worst payload ends within
// 250 ms and 32 MiB on a small machine, and an honest one never meets them.
const (
	MaxInflate = 4 << 20  // bytes all inflating codecs together may give
	MaxWork    = 48 << 20 // bytes all steps together may look at
	bombFrom   = 1 << 20  // output below this is never called a bomb
	bombRatio  = 100      // output over input that no honest telemetry reaches
	bombKeep   = 64 << 10 // of a bomb, the first bytes are still searched
)

// Budget is what one payload may still cost. It counts bytes, not seconds, so
// that the same payload always ends at the same place. It is not safe for
// concurrent use: every payload has its own.
type Budget struct {
	Inflate int  // inflated bytes left
	Work    int  // units of work left; one unit is about one byte looked at
	Spent   bool // something was left undone for want of budget

	// Inflaters are large and payloads may hold thousands of streams, so each
	// payload makes one of a kind and uses it again. Nothing runs inside another.
	gzip    *gzip.Reader
	zlib    io.ReadCloser
	deflate io.ReadCloser
}

// NewBudget gives the full budget of one payload.
func NewBudget() *Budget { return &Budget{Inflate: MaxInflate, Work: MaxWork} }

// Take spends n units of work and reports whether they were there. After the
// first refusal everything that costs more than what is left is refused too.
func (b *Budget) Take(n int) bool {
	if n > b.Work {
		b.Spent = true
		return false
	}
	b.Work -= n
	return true
}
