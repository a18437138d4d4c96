package sqlite

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"nightlatch/journal/event"
	"nightlatch/policy"
)

// counts gives what the tables of counts say, in one number each.
func counts(t *testing.T, s *Store) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	for what, text := range map[string]string{
		"rows":    "SELECT coalesce(sum(1 + repeats), 0) FROM query",
		"hours":   "SELECT coalesce(sum(events), 0) FROM hour WHERE kind = 1",
		"minutes": "SELECT coalesce(sum(events), 0) FROM minute WHERE kind = 1",
		"asked":   "SELECT coalesce(sum(events), 0) FROM asked",
		"lost":    "SELECT count(*) FROM asked WHERE question NOT IN (SELECT id FROM question)",
	} {
		var n int64
		if err := s.read.QueryRowContext(t.Context(), text).Scan(&n); err != nil {
			t.Fatal(err)
		}
		out[what] = n
	}
	return out
}

func same(t *testing.T, when string, s *Store) int64 {
	t.Helper()
	c := counts(t, s)
	if c["hours"] != c["rows"] || c["minutes"] != c["rows"] || c["asked"] != c["rows"] || c["lost"] != 0 {
		t.Errorf("%s: the counts disagree: %v", when, c)
	}
	return c["rows"]
}

// TestCountsAgree: whatever is written, forgotten and removed, the counts by
// hour, minute and question are those of the rows.
func TestCountsAgree(t *testing.T) {
	s, _ := openStore(t)
	r := rand.New(rand.NewPCG(7, 7))
	begin := time.Date(2026, 11, 22, 0, 30, 0, 0, time.UTC)
	at := begin
	const n = 6000
	for range n / 500 {
		var events []event.Event
		for range 500 {
			at = at.Add(time.Duration(r.IntN(8000)) * time.Millisecond)
			q := event.Query{Time: at, Device: fmt.Sprintf("d%d", r.IntN(3)), Name: fmt.Sprintf("n%d.example", r.IntN(4)), Type: "A"}
			if r.IntN(3) == 0 {
				q.Verdict = policy.Verdict{Action: policy.Sink, Reason: "test"}
			}
			events = append(events, q)
		}
		if err := s.Write(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
	if got := same(t, "written", s); got != n {
		t.Errorf("%d questions counted, want %d", got, n)
	}
	if _, err := s.Forget(t.Context(), "d1", begin.Add(80*time.Minute), begin.Add(170*time.Minute)); err != nil {
		t.Fatal(err)
	}
	after := same(t, "a part of one device forgotten", s)
	if after >= n {
		t.Error("nothing was forgotten")
	}
	if _, err := s.PruneAge(t.Context(), 3*time.Hour, at); err != nil {
		t.Fatal(err)
	}
	same(t, "old ones removed", s)
	if _, err := s.removeOldest(t.Context(), 0.4); err != nil {
		t.Fatal(err)
	}
	same(t, "a share removed", s)
	if _, err := s.Forget(t.Context(), "d0", time.Time{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	same(t, "a device forgotten", s)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(t, "swept", s)
	if _, err := s.Forget(t.Context(), "", time.Time{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if same(t, "all forgotten", s) != 0 {
		t.Error("something is left")
	}
}

// TestIDsAreNotGivenTwice: a reader that knows a question by its id must not
// find another under it, when the first was forgotten and a start lies between.
func TestIDsAreNotGivenTwice(t *testing.T) {
	s, _ := openStore(t)
	write(t, s, 10)
	old, err := s.Queries(t.Context(), event.Filter{NamePart: "n9"})
	if err != nil || len(old) != 1 {
		t.Fatal(old, err)
	}
	if _, err := s.Forget(t.Context(), "", time.Time{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), []event.Event{event.Query{Time: time.Now(), Device: "other", Name: "new.example"}}); err != nil {
		t.Fatal(err)
	}
	if q, err := s.Queries(t.Context(), event.Filter{NamePart: "n"}); err != nil || len(q) != 1 || q[0].Device != "other" {
		t.Errorf("%+v %v", q, err)
	}
	if q, err := s.Queries(t.Context(), event.Filter{Device: "redmi"}); err != nil || len(q) != 0 {
		t.Errorf("forgotten: %+v %v", q, err)
	}
}

// TestRepeats: the same within a second is one row; anything else is not.
func TestRepeats(t *testing.T) {
	s, _ := openStore(t)
	q := event.Query{Time: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), Device: "phone", Name: "storm.example", Type: "A"}
	var events []event.Event
	for i := range 200 {
		q.Time = q.Time.Add(100 * time.Millisecond)
		q.Answers = nil
		if i == 57 {
			q.Answers = []string{"192.0.2.1"}
		}
		events = append(events, q)
	}
	if err := s.Write(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Queries(t.Context(), event.Filter{})
	if err != nil || len(rows) != 21 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if n := rows[len(rows)-1].Repeats; n != 9 {
		t.Errorf("%d repeats of the first, want 9", n)
	}
	same(t, "written", s)
}
