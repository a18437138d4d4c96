package cli

import (
	"fmt"
	"strings"
	"time"
)

// MomentIn reads a moment, past or to come, as people type it, by the clocks of a zone: 21:30 (of the
// day of now), fri 21:30 (the next one, today included), 2026-11-27 21:30, or with
// its own zone 2026-11-27T21:30:00+01:00. An empty one is now.
func MomentIn(s string, now time.Time, zone *time.Location) (time.Time, error) {
	now = now.In(zone)
	if s == "" {
		return now, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.In(zone), nil
	}
	for _, form := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(form, s, zone); err == nil {
			return t, nil
		}
	}
	day, clock, named := strings.Cut(s, " ")
	if !named {
		day, clock = "", s
	}
	for ahead := range 7 {
		t, err := time.Parse("15:04", strings.TrimSpace(clock))
		if err != nil {
			break
		}
		at := time.Date(now.Year(), now.Month(), now.Day()+ahead, t.Hour(), t.Minute(), 0, 0, zone)
		if day == "" || strings.EqualFold(day, at.Weekday().String()[:3]) || strings.EqualFold(day, at.Weekday().String()) {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a moment; write 21:30, \"fri 21:30\" or \"2026-11-27 21:30\"", s)
}

// When writes a moment for people, by its own clocks and seen from now: the day is
// left out where it is the same.
func When(t, now time.Time) string {
	now = now.In(t.Location())
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04")
	}
	if d := t.Sub(now); d > 0 && d < 6*24*time.Hour {
		return t.Format("Mon 15:04")
	}
	return t.Format("Mon 2006-01-02 15:04")
}

// Span writes how long something takes, in its two largest units.
func Span(d time.Duration) string {
	d = d.Round(time.Second)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h >= 48:
		return fmt.Sprintf("%d d %d h", h/24, h%24)
	case h > 0:
		return fmt.Sprintf("%d h %d min", h, m)
	case m > 0:
		return fmt.Sprintf("%d min", m)
	}
	return fmt.Sprintf("%d s", s)
}
