package cli

import (
	"fmt"
	"strings"
	"time"
)

// Moment reads a time as people write it: 2026-11-22, 2026-11-22T10:00, RFC 3339,
// or a while ago (30m, 2h, 7d).
func Moment(s string, now time.Time) (time.Time, error) {
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return t, nil
		}
	}
	ago := s
	if days, ok := strings.CutSuffix(s, "d"); ok {
		ago = days + "h"
		if d, err := time.ParseDuration(ago); err == nil && d >= 0 && d < 1e5*time.Hour {
			return now.Add(-24 * d), nil
		}
	}
	if d, err := time.ParseDuration(ago); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is no moment; write 2026-11-22T10:00, or a while ago: 30m, 2h, 7d", s)
}
