package subscription

import (
	"hash/fnv"
	"time"
)

// Waiting times after failures: they double from the first to the last.
const (
	firstRetry = 2 * time.Minute
	lastRetry  = 4 * time.Hour
)

// Due tells when a list should be fetched next; a time in the past means now. It
// depends on its arguments alone: what looks random is drawn from the list's name
// and its last attempt, so that asking again gives the same answer.
func Due(sub Subscription, st State, now time.Time) time.Time {
	a := st.Attempt
	switch {
	case a.Time.IsZero(), a.Address != sub.Address:
		return now
	case a.Time.After(now): // the clock was wrong then, or is wrong now
		return now
	case a.Outcome == Failed:
		return later(a.Time.Add(retry(sub, a)), a.NotBefore)
	case st.InUse == nil && st.Held == nil: // its copy is gone
		return now
	}
	return a.Time.Add(shake(sub.every(), sub.Name, a.Time))
}

func (sub Subscription) every() time.Duration {
	if sub.Every > 0 {
		return sub.Every
	}
	return DefaultEvery
}

// retry is how long to wait after a failure: never longer than without one.
func retry(sub Subscription, a Attempt) time.Duration {
	wait := lastRetry
	if n := max(a.Failures, 1); n < 8 { // 2 min << 7 is longer than the last
		wait = min(firstRetry<<(n-1), lastRetry)
	}
	return shake(min(wait, sub.every()), sub.Name, a.Time)
}

// shake makes a span up to an eighth shorter or longer, so that not everybody
// comes at the same second.
func shake(d time.Duration, name string, at time.Time) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(name))
	h.Write([]byte(at.UTC().Format(time.RFC3339Nano)))
	part := int64(h.Sum64()%2001) - 1000 // -1000 to 1000
	return d + time.Duration(int64(d)/8000*part)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
