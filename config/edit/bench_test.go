package edit

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkAppend adds an entry to lists of a size that people have, and of the
// largest that is edited.
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{100, 1000, 20000} {
		text := []byte("rules:\n" + strings.Repeat("  # why\n  - domain: metrics.ads.example.com\n    action: deny\n    why: usage events\n", n))
		b.Run(fmt.Sprintf("%dKiB", len(text)>>10), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Append(text, Path{"rules"}, "- x.example"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
