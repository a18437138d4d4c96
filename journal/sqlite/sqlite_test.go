package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"nightlatch/journal/event"
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

// TestFewAndMany: the index and the walk find the same rows.
func TestFewAndMany(t *testing.T) {
	s, _ := openStore(t)
	write(t, s, 300)
	for _, bound := range []int{0, 10, 11, 12, few} {
		s.few = bound
		for _, f := range []event.Filter{{NamePart: "n29"}, {Device: "redmi"}, {NamePart: "n29", Before: 299, Limit: 7}, {NamePart: "nothing"}} {
			want := map[string]int{"n29": 11, "": 100, "nothing": 0}[f.NamePart] // n29 and n290 to n299
			if f.Before > 0 {
				want = 7
			}
			q, err := s.Queries(t.Context(), f)
			if err != nil || len(q) != want {
				t.Errorf("few %d, %+v: %d rows, want %d, %v", bound, f, len(q), want, err)
			}
			for i := 1; i < len(q); i++ {
				if q[i].ID >= q[i-1].ID {
					t.Fatalf("out of order: %d after %d", q[i].ID, q[i-1].ID)
				}
			}
		}
	}
}
