package chart

import (
	"math"
	"slices"
	"testing"
	"time"

	"nightlatch/journal"
)

func TestChart(t *testing.T) {
	now := time.Date(2026, 3, 14, 15, 9, 26, 0, time.Local)
	for _, most := range []int64{0, 1, 3, 4, 5, 7, 9, 10, 11, 19, 99, 100, 101, 512, 4999, 5001, 123_456, 9_999_999} {
		hours := []journal.Hour{{Start: now.Truncate(time.Hour), Queries: most, BlockedQueries: most / 3}, {Start: now.Add(-23 * time.Hour), Queries: most / 2, BlockedQueries: most},
			{Start: now.Add(-30 * time.Hour), Queries: 1 << 40}, {Start: now.Add(3 * time.Hour), Queries: 1 << 40}}
		c := Draw("x", hours, now, 760, 230, 3)
		if len(c.Bars) != Hours || len(c.Lines) < 2 || len(c.Lines) > 7 {
			t.Fatalf("%d: %d bars, %d lines", most, len(c.Bars), len(c.Lines))
		}
		if c.Asked != most+most/2 || c.Stopped != most/3+most/2 {
			t.Errorf("%d: sums %d and %d", most, c.Asked, c.Stopped)
		}
		top := slices.MinFunc(c.Lines, func(a, b Line) int { return int(a.Y - b.Y) }).Y
		for i, b := range c.Bars {
			if b.TopH < 0 || b.LowH < 0 || b.TopY < top-0.2 || math.Abs(b.TopY+b.TopH-b.LowY) > 0.2 || math.Abs(b.LowY+b.LowH-c.Base) > 0.2 || b.X+b.W > c.Right+0.1 {
				t.Errorf("%d: bar %d is out of place: %+v", most, i, b)
			}
		}
		if last := c.Bars[Hours-1]; most > 0 && (last.Asked != most || last.TopH+last.LowH < (c.Base-top)/3) {
			t.Errorf("%d: this hour is not shown: %+v", most, last)
		}
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[int64]string{0: "0", 950: "950", 1500: "1.5k", 20_000: "20k", 3_000_000: "3M"} {
		if got := short(v); got != want {
			t.Errorf("%d is %q, want %q", v, got, want)
		}
	}
}
