package syntax

import "time"

// Expiry is when a rule ceases to hold. The zero value is never. Values can be
// compared.
type Expiry struct {
	at  int64 // Unix seconds
	day bool  // at is on the wall clock of whoever asks, as if that were UTC
}

// Until makes the expiry at a moment.
func Until(at time.Time) Expiry { return Expiry{at: at.Unix()} }

// EndOf makes the expiry at the end of a day, wherever the clock stands that it
// is held against.
func EndOf(day time.Time) Expiry {
	y, m, d := day.Date()
	return Expiry{at: time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC).Unix(), day: true}
}

// Past says whether the moment has come. At an unknown time, the zero one,
// nothing is past.
func (e Expiry) Past(now time.Time) bool {
	if e == (Expiry{}) || now.IsZero() {
		return false
	}
	if e.day {
		y, m, d := now.Date()
		h, min, s := now.Clock()
		now = time.Date(y, m, d, h, min, s, 0, time.UTC)
	}
	return now.Unix() >= e.at
}
