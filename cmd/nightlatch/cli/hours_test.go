package cli

import (
	"testing"
	"time"
)

func TestMomentIn(t *testing.T) {
	berlin := time.FixedZone("", 3600)
	now := time.Date(2026, 11, 22, 22, 0, 0, 0, time.UTC) // a Sunday, 23:00 there
	for s, want := range map[string]string{
		"": "2026-11-22T23:00:00+01:00", "21:30": "2026-11-22T21:30:00+01:00", "fri 21:30": "2026-11-27T21:30:00+01:00",
		"Sunday 7:05": "2026-11-22T07:05:00+01:00", "2026-12-01 06:00": "2026-12-01T06:00:00+01:00", "2026-12-01": "2026-12-01T00:00:00+01:00",
		"2026-12-01T06:00:00Z": "2026-12-01T07:00:00+01:00",
		"tomorrow":             "", "25:00": "", "foo 21:30": "", "21:30 fri": "", " ": "",
	} {
		got, err := MomentIn(s, now, berlin)
		if (err != nil) != (want == "") || err == nil && got.Format(time.RFC3339) != want {
			t.Errorf("%q: %v, %v, want %s", s, got, err, want)
		}
	}
	at := func(d time.Duration) string { return When(now.Add(d).In(berlin), now) }
	if a, b, c := at(time.Minute), at(2*time.Hour), at(200*time.Hour); a != "23:01" || b != "Mon 01:00" || c != "Tue 2026-12-01 07:00" {
		t.Error(a, b, c)
	}
	for d, want := range map[time.Duration]string{30 * time.Second: "30 s", 90 * time.Second: "1 min", 90 * time.Minute: "1 h 30 min", 50 * time.Hour: "2 d 2 h"} {
		if got := Span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
