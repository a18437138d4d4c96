// Package schedule tells when a weekly range of hours is in force, whatever the
// clocks do. It is pure: the moment is an argument, and so is the time zone.
//
// A range belongs to the day on which it begins: Friday 21:00 to 06:00 ends on
// Saturday morning. Where clocks are put forward, an hour that does not exist is
// the moment at which it is skipped: a range that begins or ends in it does so
// then, and one that lies in it whole is left out that day. Where clocks are put
// back, an hour comes twice: a range begins when it comes first and ends when it
// comes last. So a range is one stretch of time, and never shorter than its owner
// could expect it on that night.
package schedule

import (
	"errors"
	"time"
)

// Day is 24 hours in minutes: the last minute that a Range can have.
const Day = 24 * 60

// Range is a weekly range of hours. The zero value is not one.
type Range struct {
	Days     uint8          // days on which it begins: bit 0 is Sunday, as in time.Weekday; 0 is every day
	From, To int            // minutes since midnight by the clocks of Zone, 0 to Day; To at or before From is on the next day
	Zone     *time.Location // nil is UTC
}

// Check says what is wrong with a Range: hours that are none, or that are never.
func (r *Range) Check() error {
	switch {
	case r.From < 0 || r.From >= Day || r.To < 0 || r.To > Day:
		return errors.New("hours go from 00:00 to 24:00")
	case r.From == r.To:
		return errors.New("from and to are the same; the whole day is 00:00 to 24:00")
	}
	return nil
}

// Instant is a second of Unix time; what a Range begins and ends at.
type Instant = int64

// Never is later than every moment.
const Never Instant = 1<<63 - 1

// At tells whether a range is in force at a moment, and when that changes next:
// the end of the stretch in force, or else the beginning of the next one. Never
// says that it does not change within a fortnight.
func (r *Range) At(now Instant) (active bool, change Instant) {
	change = Never
	y, m, d := time.Unix(now, 0).In(r.zone()).Date()
	for day := -2; day <= 14; day++ { // a stretch is at most 2 days long, and its day was skipped at most once
		begin, end := r.on(y, m, d+day)
		switch {
		case begin >= end || end <= now:
		case begin <= now:
			active = true
			change = r.joined(end, y, m, d+day+1)
			return active, change
		default:
			change = min(change, begin)
		}
	}
	return active, change
}

// joined follows a stretch over those that begin no later than it ends, such as
// whole days in a row.
func (r *Range) joined(end Instant, y int, m time.Month, d int) Instant {
	for day := range 15 {
		b, e := r.on(y, m, d+day)
		if b >= e {
			continue // not a day of this range
		}
		if b > end {
			return end
		}
		end = max(end, e)
	}
	return Never
}

// on gives the stretch that begins on a day; an empty one when there is none.
func (r *Range) on(y int, m time.Month, d int) (begin, end Instant) {
	day := time.Date(y, m, d, 12, 0, 0, 0, time.UTC) // the calendar alone, no zone
	if r.Days != 0 && r.Days>>day.Weekday()&1 == 0 {
		return 0, 0
	}
	next := r.To
	if r.To <= r.From {
		next += Day
	}
	begin, _ = wall(day, r.From, r.zone())
	_, end = wall(day, next, r.zone())
	return begin, end
}

func (r *Range) zone() *time.Location {
	if r.Zone == nil {
		return time.UTC
	}
	return r.Zone
}

// wall gives the first and the last moment at which the clocks of a zone show a
// number of minutes after the midnight that begins a day. Where they never do,
// both are the moment at which they skip it.
func wall(day time.Time, minutes int, zone *time.Location) (first, last Instant) {
	y, m, d := day.Date()
	shown := time.Date(y, m, d, 0, minutes, 0, 0, time.UTC).Unix()
	first = Never
	t := time.Unix(shown-16*3600, 0).In(zone) // clocks are at most 14 hours from UTC
	for {
		_, offset := t.Zone()
		start, stop := t.ZoneBounds()
		from, to := -Never, Never // how long the clocks go like this, by what they show
		if !start.IsZero() {
			from = start.Unix() + int64(offset)
		}
		if !stop.IsZero() {
			to = stop.Unix() + int64(offset)
		}
		switch {
		case from > shown: // skipped by the change that brought us here
			if first == Never {
				first, last = start.Unix(), start.Unix()
			}
			return first, last
		case shown < to:
			last = shown - int64(offset)
			first = min(first, last)
		}
		if stop.IsZero() || stop.Unix() > shown+16*3600 {
			return first, last
		}
		t = stop.In(zone)
	}
}
