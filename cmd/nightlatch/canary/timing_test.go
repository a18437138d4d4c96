package canary

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nightlatch/cmd/nightlatch/canary/watch"
	"nightlatch/config/canaries"
	"nightlatch/journal/timing"
)

func seconds(base time.Time, offsets ...float64) (out []time.Time) {
	for _, s := range offsets {
		out = append(out, base.Add(time.Duration(s*float64(time.Second))))
	}
	return out
}

// TestAnnounce: every moment is told when it comes, and the end waits for the
// last window.
func TestAnnounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s := &session{Begin: begin, Length: 600, Window: 30, Gap: 45, Announced: seconds(begin, 10, 100, 300, 500)}
		var told []time.Duration
		if err := announce(t.Context(), s, func(i int) { told = append(told, time.Since(begin)) }); err != nil {
			t.Fatal(err)
		}
		if want := []time.Duration{10e9, 100e9, 300e9, 500e9}; !slices.Equal(told, want) {
			t.Errorf("told at %v, want %v", told, want)
		}
		if took := time.Since(begin); took != 633*time.Second {
			t.Errorf("ended after %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s.Begin, s.Announced = time.Now(), seconds(time.Now(), 120)
		if err := announce(ctx, s, func(int) { t.Error("told after the end") }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("given up: %v", err)
		}
	})
}

func TestMatchOpened(t *testing.T) {
	base := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	announced := seconds(base, 100, 200, 300, 400)
	// Opened before anything, twice after the first, late after the second, not
	// after the third, and in time after the last.
	opened, missed := matchOpened(announced, seconds(base, 20, 104, 110, 208, 406), 45*time.Second)
	if want := seconds(base, 104, 208, 306, 406); missed != 1 || !slices.Equal(opened, want) {
		t.Errorf("%v, %d missed, want %v", opened, missed, want)
	}
	opened, missed = matchOpened(announced, nil, time.Minute)
	if missed != 4 || !slices.Equal(opened, announced) {
		t.Errorf("%v, %d missed", opened, missed)
	}
}

func TestLoadSession(t *testing.T) {
	dir := t.TempDir()
	good := `{"device":"phone","begin":"2026-11-22T12:00:00Z","length_s":600,"window_s":30,"gap_s":45,"announced":["2026-11-22T12:01:00Z","2026-11-22T12:03:00Z","2026-11-22T12:05:00Z","2026-11-22T12:08:00Z"]}`
	for name, c := range map[string]struct{ text, want string }{
		"good":      {good, ""},
		"whole":     {`{"session":` + good + `,"rounds":1}`, ""},
		"broken":    {good[:40], "is no session"},
		"list":      {"[1]", "is no session"},
		"other":     {`{"a":1}`, "needs device"},
		"unequal":   {strings.Replace(good, `"announced"`, `"opened":["2026-11-22T12:01:00Z"],"announced"`, 1), "4 moments announced, 1 opened"},
		"endless":   {strings.Replace(good, "600", "1e300", 1), "longer than a day"},
		"no window": {strings.Replace(good, `"window_s":30`, `"window_s":-1`, 1), "shorter than a second"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := loadSession(path)
		if c.want == "" && (err != nil || len(s.Opened) != 4) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestSameWayOnce: what comes again in the same way is counted, not told anew.
func TestSameWayOnce(t *testing.T) {
	base := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	r := newResult(canaries.Canary{N: 1, Issued: base})
	s := watch.Sighting{Canary: 1, Way: watch.Payload, Time: base.Add(time.Minute), To: "t.example", Path: "body/json:/0/url", Repeats: 2}
	again := s
	again.Path, again.Time, again.Repeats = "body/json:/17/url", base.Add(time.Hour), 0
	other := s
	other.Path = "body/json:/0/title"
	before := s
	before.Time = base.Add(-time.Minute)
	for i, c := range []struct {
		s     watch.Sighting
		fresh bool
	}{{before, false}, {s, true}, {again, false}, {other, true}} {
		if got := r.add(c.s); got != c.fresh {
			t.Errorf("%d: fresh %v", i, got)
		}
	}
	if len(r.CameBack) != 2 || r.CameBack[0].Count != 4 || !r.CameBack[0].Last.Equal(base.Add(time.Hour)) || r.Verdict != cameBack {
		t.Errorf("%+v", r)
	}
}

func TestMeaning(t *testing.T) {
	for p, want := range map[float64]string{0.0005: "strong evidence", 0.005: "evidence", 0.03: "a hint", 0.2: "no sign"} {
		if got := meaning(timing.Finding{Adjusted: p}); !strings.Contains(got, want) {
			t.Errorf("%v: %s", p, got)
		}
	}
}
