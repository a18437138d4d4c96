package schedule

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Skip("this machine has no time zones:", err)
	}
	return l
}

func clock(t *testing.T, s string) int {
	t.Helper()
	var h, m int
	if _, err := fmt.Sscanf(s, "%d:%d", &h, &m); err != nil {
		t.Fatal(err)
	}
	return h*60 + m
}

const form = "Mon 2006-01-02 15:04 -0700"

// TestClocksChange: the night on which clocks change, by the minute: one stretch,
// which begins and ends where it is said to.
func TestClocksChange(t *testing.T) {
	for _, c := range []struct{ zone, day, hours, begin, end string }{
		// Clocks go from 02:00 +0100 to 03:00 +0200.
		{"Europe/Berlin", "2026-03-28", "21:00-06:30", "Sat 2026-03-28 21:00 +0100", "Sun 2026-03-29 06:30 +0200"},
		{"Europe/Berlin", "2026-03-29", "02:30-06:00", "Sun 2026-03-29 03:00 +0200", "Sun 2026-03-29 06:00 +0200"},
		{"Europe/Berlin", "2026-03-29", "01:00-02:30", "Sun 2026-03-29 01:00 +0100", "Sun 2026-03-29 03:00 +0200"},
		{"Europe/Berlin", "2026-03-29", "02:10-02:50", "", ""},
		{"Europe/Berlin", "2026-03-28", "22:00-02:30", "Sat 2026-03-28 22:00 +0100", "Sun 2026-03-29 03:00 +0200"},
		{"Europe/Berlin", "2026-03-29", "00:00-24:00", "Sun 2026-03-29 00:00 +0100", "Mon 2026-03-30 00:00 +0200"},
		// Clocks go from 03:00 +0200 back to 02:00 +0100.
		{"Europe/Berlin", "2026-10-24", "21:00-06:30", "Sat 2026-10-24 21:00 +0200", "Sun 2026-10-25 06:30 +0100"},
		{"Europe/Berlin", "2026-10-25", "02:30-06:00", "Sun 2026-10-25 02:30 +0200", "Sun 2026-10-25 06:00 +0100"},
		{"Europe/Berlin", "2026-10-25", "01:00-02:30", "Sun 2026-10-25 01:00 +0200", "Sun 2026-10-25 02:30 +0100"},
		{"Europe/Berlin", "2026-10-25", "02:10-02:50", "Sun 2026-10-25 02:10 +0200", "Sun 2026-10-25 02:50 +0100"},
		{"Europe/Berlin", "2026-10-24", "22:00-02:30", "Sat 2026-10-24 22:00 +0200", "Sun 2026-10-25 02:30 +0100"},
		{"Asia/Kolkata", "2026-03-28", "21:00-06:30", "Sat 2026-03-28 21:00 +0530", "Sun 2026-03-29 06:30 +0530"},
		// Clocks go from 03:45 +1345 back to 02:45 +1245, and in September from 02:45 to 03:45.
		{"Pacific/Chatham", "2026-04-04", "21:00-03:00", "Sat 2026-04-04 21:00 +1345", "Sun 2026-04-05 03:00 +1245"},
		{"Pacific/Chatham", "2026-09-27", "03:00-05:00", "Sun 2026-09-27 03:45 +1345", "Sun 2026-09-27 05:00 +1345"},
		// Midnight itself is skipped, and a whole day once was.
		{"America/Santiago", "2026-09-06", "00:00-24:00", "Sun 2026-09-06 01:00 -0300", "Mon 2026-09-07 00:00 -0300"},
		{"Pacific/Apia", "2011-12-30", "08:00-10:00", "", ""},
	} {
		z := zone(t, c.zone)
		from, to, _ := strings.Cut(c.hours, "-")
		r := Range{Zone: z}
		r.From, r.To = clock(t, from), clock(t, to)
		day, _ := time.Parse(time.DateOnly, c.day)
		r.Days = 1 << day.Weekday()
		begin, end, stretches := "", "", 0
		was := false
		t0 := time.Date(day.Year(), day.Month(), day.Day()-2, 0, 0, 0, 0, time.UTC).Unix()
		for s := t0; s < t0+5*86400; s += 60 {
			is, change := r.At(s)
			if change <= s {
				t.Fatalf("%v at %d: changes at %d", c, s, change)
			}
			if is != was {
				at := time.Unix(s, 0).In(z).Format(form)
				if is {
					begin, stretches = at, stretches+1
				} else {
					end = at
				}
			}
			was = is
		}
		if begin != c.begin || end != c.end || stretches > 1 {
			t.Errorf("%s %s on %s: %q to %q in %d stretches, want %q to %q", c.zone, c.hours, c.day, begin, end, stretches, c.begin, c.end)
		}
	}
}

// TestByTheMinute holds At against clocks that are read minute by minute: a
// range is in force at most where the clocks show an hour of it on a day of it
// or are between two times at which they do, and the change it foretells is the
// first one that comes.
func TestByTheMinute(t *testing.T) {
	zones := []string{"Europe/Berlin", "Asia/Kolkata", "Pacific/Chatham", "America/New_York", "Australia/Lord_Howe", "UTC"}
	starts := []time.Time{
		time.Date(2026, 3, 26, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 22, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 4, 2, 0, 0, 0, 0, time.UTC), time.Date(2026, 9, 24, 0, 0, 0, 0, time.UTC), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC),
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		z := zone(t, zones[rnd.IntN(len(zones))])
		r := Range{Days: uint8(rnd.IntN(128)), From: rnd.IntN(48) * 30, To: 30 + rnd.IntN(48)*30, Zone: z}
		if r.Check() != nil {
			continue
		}
		t0 := starts[rnd.IntN(len(starts))].Unix()
		is, change := r.At(t0)
		for s := t0; s < t0+6*86400; s += 60 {
			now, next := r.At(s)
			if now != is && s < change || now == is && s >= change {
				t.Fatalf("%+v: at %s it is %v; it was foretold for %s", r, time.Unix(s, 0).In(z).Format(form), now, time.Unix(change, 0).In(z).Format(form))
			}
			if now != is {
				is, change = now, next
			}
			if next != change {
				t.Fatalf("%+v at %s: two words about the next change", r, time.Unix(s, 0).In(z).Format(form))
			}
			if calm(s, z) && now != shows(&r, s) {
				t.Fatalf("%+v at %s: %v", r, time.Unix(s, 0).In(z).Format(form), now)
			}
		}
	}
}

// calm says that the clocks did not change within the day around a moment.
func calm(s Instant, z *time.Location) bool {
	_, a := time.Unix(s-26*3600, 0).In(z).Zone()
	_, b := time.Unix(s+26*3600, 0).In(z).Zone()
	return a == b
}

// shows is the meaning of a Range where clocks do not change.
func shows(r *Range, s Instant) bool {
	t := time.Unix(s, 0).In(r.Zone)
	minute := t.Hour()*60 + t.Minute()
	on := func(d time.Weekday) bool { return r.Days == 0 || r.Days>>d&1 == 1 }
	today, before := on(t.Weekday()), on((t.Weekday()+6)%7)
	if r.From < r.To {
		return today && minute >= r.From && minute < r.To
	}
	return today && minute >= r.From || before && minute < r.To
}

func TestCheck(t *testing.T) {
	for _, r := range []Range{{From: 60, To: 60}, {}, {From: 1440, To: 60}, {From: -1, To: 3}, {From: 0, To: 1441}} {
		if r.Check() == nil {
			t.Errorf("%+v is taken", r)
		}
	}
	whole := Range{From: 0, To: Day}
	if is, change := whole.At(1e9); !is || change != Never {
		t.Errorf("every whole day: %v, changes %d", is, change)
	}
}

func BenchmarkAt(b *testing.B) {
	r := Range{From: 1260, To: 390, Zone: zone(b, "Europe/Berlin")}
	for b.Loop() {
		r.At(1e9)
	}
}
