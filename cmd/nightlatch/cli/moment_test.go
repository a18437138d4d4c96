package cli

import (
	"testing"
	"time"
)

func TestMoment(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	for s, want := range map[string]time.Time{
		"2026-11-22T10:00":     time.Date(2026, 11, 22, 10, 0, 0, 0, time.Local),
		"2026-11-21":           time.Date(2026, 11, 21, 0, 0, 0, 0, time.Local),
		"2026-11-22T10:00:00Z": time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
		"2h":                   now.Add(-2 * time.Hour),
		"7d":                   now.Add(-7 * 24 * time.Hour),
		"0":                    now,
	} {
		if got, err := Moment(s, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "noon", "-2h", "d", "1e99d", "99999999999999d", "2026-13-01"} {
		if got, err := Moment(s, now); err == nil {
			t.Errorf("%q is taken for %v", s, got)
		}
	}
}
