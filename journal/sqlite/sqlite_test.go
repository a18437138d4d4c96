package sqlite

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"nightlatch/blocklists"
	"nightlatch/journal/event"
	"nightlatch/policy"
)

func TestHourOf(t *testing.T) {
	for ms, want := range map[int64]int64{0: 0, hourMillis - 1: 0, hourMillis: 1, -1: -1, -hourMillis: -1, -hourMillis - 1: -2} {
		if got := hourOf(ms); got != want {
			t.Errorf("hourOf(%d) = %d, want %d", ms, got, want)
		}
	}
}

func openStore(t *testing.T) (*Store, *[]string) {
	t.Helper()
	var notices []string
	s, err := Open(t.Context(), Options{
		Path: filepath.Join(t.TempDir(), "journal.db"), Driver: "sqlite", Now: time.Now,
		OwnerOf: func(string) string { return "" },
		Notice:  func(_ event.Level, text string) { notices = append(notices, text) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, &notices
}

func write(t *testing.T, s *Store, n int) {
	t.Helper()
	var events []event.Event
	for i := range n {
		events = append(events, event.Query{Time: time.Unix(int64(i), 0), Device: "redmi", Name: fmt.Sprintf("n%d.example", i)})
	}
	if err := s.Write(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

// TestDamageFoundLater: the check that Open had no time for finds the damage,
// and a new file is begun while the gateway runs.
func TestDamageFoundLater(t *testing.T) {
	s, notices := openStore(t)
	write(t, s, 1000)
	if _, err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.FinishCheck(t.Context()); err != nil || len(*notices) != 0 {
		t.Fatalf("a whole file: %v %v", err, *notices)
	}
	b, err := os.ReadFile(s.o.Path)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[len(b)/4 : len(b)/2])
	if err := os.WriteFile(s.o.Path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.checked = false // as after a check that took too long at open
	s.mu.Unlock()
	if err := s.FinishCheck(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(*notices) != 1 {
		t.Errorf("notices: %q", *notices)
	}
	write(t, s, 10)
	if q, err := s.Queries(t.Context(), event.Filter{}); err != nil || len(q) != 10 {
		t.Errorf("the new file: %d %v", len(q), err)
	}
}

// TestRemovedUnderUs: an owner who deletes the file gets a new one.
func TestRemovedUnderUs(t *testing.T) {
	s, _ := openStore(t)
	write(t, s, 10)
	for _, part := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(s.o.Path + part); err != nil {
			t.Fatal(err)
		}
	}
	write(t, s, 5)
	write(t, s, 5)
	if q, err := s.Queries(t.Context(), event.Filter{}); err != nil || len(q) != 10 {
		t.Errorf("%d queries, %v", len(q), err)
	}
}

// TestIndexAndWalk: the index, the walk and both together find the rows that a
// look at every row finds, in order and page by page.
func TestIndexAndWalk(t *testing.T) {
	s, _ := openStore(t)
	r := rand.New(rand.NewPCG(1, 2))
	var all []event.Query
	for i := range 2000 {
		q := event.Query{Time: time.Unix(int64(i*7+r.IntN(20)), 0), Device: "often", Name: fmt.Sprintf("n%d.example", r.IntN(9)), Type: "A"}
		switch {
		case i < 300 && i%3 == 0:
			q.Device, q.Name = "gone", fmt.Sprintf("old%d.Example", r.IntN(30))
		case i%97 == 0:
			q.Name, q.Type = "rare.test", "SVCB"
			q.Verdict = policy.Verdict{Action: policy.Deny, Rule: blocklists.Rule{List: "mine", Line: 3}}
		}
		all = append(all, q)
	}
	for part := range slices.Chunk(all, 500) {
		var events []event.Event
		for _, q := range part {
			events = append(events, q)
		}
		if err := s.Write(t.Context(), events); err != nil {
			t.Fatal(err)
		}
	}
	from, to := time.Unix(1500, 0), time.Unix(9000, 0)
	for _, f := range []event.Filter{
		{Device: "gone"}, {Device: "often"}, {Device: "nobody"}, {NamePart: "OLD1"}, {NamePart: "example"}, {NamePart: "rare"}, {NamePart: "nowhere"},
		{Blocked: true}, {List: "mine"}, {List: "other"}, {Type: "svcb"}, {Type: "A", Device: "gone"}, {Since: from, Until: to},
		{Since: from, Until: to, Device: "gone"}, {Since: from, Blocked: true}, {Until: to, NamePart: "n3"}, {Blocked: true, Device: "gone"},
	} {
		want := 0
		for _, q := range all {
			name := strings.ToLower(q.Name)
			if (f.Device == "" || f.Device == q.Device) && strings.Contains(name, strings.ToLower(f.NamePart)) && (!f.Blocked || q.Verdict.Action != policy.Pass) &&
				(f.List == "" || f.List == q.Verdict.Rule.List) && (f.Type == "" || strings.EqualFold(f.Type, q.Type)) &&
				!q.Time.Before(f.Since) && (f.Until.IsZero() || q.Time.Before(f.Until)) {
				want++
			}
		}
		for _, s.walk = range []int{1, 40, 300, walked} {
			for _, f.Limit = range []int{7, 100, 5000} {
				if got := readAll(t, s, f); got != want {
					t.Errorf("walk %d, %+v: %d rows, want %d", s.walk, f, got, want)
				}
			}
		}
	}
}

// readAll counts the rows of all pages of f.
func readAll(t *testing.T, s *Store, f event.Filter) (n int) {
	t.Helper()
	for {
		page, err := s.Queries(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range page {
			if f.Before != 0 && q.ID >= f.Before {
				t.Fatalf("%+v: id %d after %d", f, q.ID, f.Before)
			}
			f.Before = q.ID
			n += 1 + q.Repeats
		}
		if len(page) < f.Limit {
			return n
		}
	}
}
