package subscription

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestShrinkGuard: a copy that lost most of its rules waits for the owner, and
// the one in use stays.
func TestShrinkGuard(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		held string // why; empty when the copy is taken
	}{
		"half":          {names(50), ""},
		"fewer":         {names(49), "has 49 rules; the copy in use has 100"},
		"one":           {names(1), "has 1 rules; the copy in use has 100"},
		"more":          {names(5000), ""},
		"only comments": {"! one\n! two\n", "has no rules; the copy in use has 100"},
		"other format":  {strings.ReplaceAll(names(100), "name", "||name"), "reads as adblock; the copy in use is domains"},
		"mostly left out": {names(90) + strings.Repeat("! x\n", 95),
			"has 95 lines that cannot be used beside 90 rules; the copy in use has 0"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			first := f.good(Updated)
			f.text(c.text)
			if c.held == "" {
				f.good(Updated)
				return
			}
			st := f.good(Waiting)
			if st.Held.Why != c.held || *st.InUse != *first.InUse.withTime(st.InUse.Fetched) || !st.Success.Equal(first.Success) {
				t.Errorf("held because it %q; %+v", st.Held.Why, st)
			}
			if firstLine(f.store.Copy("test")) != "name-0.example" {
				t.Error("the copy in use was touched")
			}
			c2, err := f.store.Accept(f.sub)
			if err != nil || c2.After.Held != nil || c2.After.InUse.SHA256 != sum(c.text) {
				t.Fatalf("accepted: %v %+v", err, c2.After)
			}
			if text, _ := os.ReadFile(f.store.Copy("test")); string(text) != c.text {
				t.Error("the accepted copy is not in use")
			}
			if _, err := f.store.Accept(f.sub); err == nil || !strings.Contains(err.Error(), "nothing of test is held back") {
				t.Error(err)
			}
		})
	}
}

func TestFewRulesMayGo(t *testing.T) {
	f := newFixture(t)
	f.text(names(21))
	f.good(Updated)
	f.text(names(1)) // 20 of 21 are gone: a small list
	f.good(Updated)
	f.text("! all moved\n")
	f.good(Waiting)
}

func TestFirstCopyWithoutRules(t *testing.T) {
	f := newFixture(t)
	f.text("! one\n! two\n")
	f.bad("not one of its 2 lines is a rule")
}

// TestHeldThenSound: what is held is asked for with its own validators, and gives
// way to a sound copy.
func TestHeldThenSound(t *testing.T) {
	f := newFixture(t)
	text, tag := names(100), `"a"`
	f.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", tag)
		fmt.Fprint(w, text)
	}
	f.good(Updated)
	text, tag = names(3), `"b"`
	f.good(Waiting)
	st := f.good(Waiting) // by a 304
	if got := f.asked[2].Header.Get("If-None-Match"); got != `"b"` || st.Held.Summary.Rules != 3 {
		t.Errorf("asked with %s", got)
	}
	text, tag = names(100), `"c"`
	if st := f.good(Unchanged); st.Held != nil || st.InUse.ETag != `"c"` {
		t.Errorf("%+v", st)
	}
	if _, err := f.store.Accept(f.sub); err == nil {
		t.Error("a copy that nobody holds back any more was accepted")
	}
}

func TestTamperedHeld(t *testing.T) {
	f := newFixture(t)
	f.good(Updated)
	f.text(names(2))
	f.good(Waiting)
	os.WriteFile(f.store.held("test"), []byte("evil.example\n"), 0o600)
	if _, err := f.store.Accept(f.sub); err == nil || !strings.Contains(err.Error(), "has changed since it was held back") {
		t.Error(err)
	}
	os.Remove(f.store.held("test"))
	if _, err := f.store.Accept(f.sub); err == nil || !strings.Contains(err.Error(), "fetch it again") {
		t.Error(err)
	}
}

// TestOwnersChangeIsNoDoubt: another address, a checksum, or another way to read
// the list are the owner's doing.
func TestOwnersChangeIsNoDoubt(t *testing.T) {
	f := newFixture(t)
	f.good(Updated)
	f.sub.Address += "?small"
	f.text(names(1))
	f.good(Updated)
	f.text(names(200))
	f.good(Updated)
	f.text(names(2))
	f.sub.SHA256 = sum(names(2))
	f.good(Updated)
	f.sub.SHA256 = ""
	f.sub.Read = func(path string) (Summary, error) {
		s, err := read(path)
		s.Format = "hosts"
		return s, err
	}
	f.text(names(3))
	f.good(Updated)
}

// TestDamagedState: whatever stands in the state file, the copy in use serves,
// and the state is rebuilt from it.
func TestDamagedState(t *testing.T) {
	for name, damage := range map[string]func(f *fixture){
		"cut":   func(f *fixture) { os.Truncate(f.store.stateFile("test"), 40) },
		"empty": func(f *fixture) { os.Truncate(f.store.stateFile("test"), 0) },
		"huge":  func(f *fixture) { os.Truncate(f.store.stateFile("test"), maxState+1) },
		"outcome": func(f *fixture) {
			os.WriteFile(f.store.stateFile("test"), []byte(`{"attempt":{"outcome":"fine"}}`), 0o600)
		},
		"copy": func(f *fixture) { os.WriteFile(f.store.Copy("test"), []byte(names(99)), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.good(Updated)
			damage(f)
			st, err := f.store.State(f.sub)
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("nothing is told: %v", err)
			}
			if st.InUse == nil || st.InUse.Summary.Rules < 99 || st.InUse.ETag != "" {
				t.Errorf("rebuilt %+v", st.InUse)
			}
			f.update()
			if st, err := f.store.State(f.sub); err != nil || st.InUse.Summary.Rules != 100 {
				t.Errorf("after an update: %+v %v", st.InUse, err)
			}
		})
	}
	f := newFixture(t)
	f.good(Updated)
	os.Remove(f.store.Copy("test"))
	if st, err := f.store.State(f.sub); err == nil || st.InUse != nil {
		t.Errorf("without a copy: %+v %v", st, err)
	}
	f.good(Updated)
	os.Remove(f.store.stateFile("test"))
	if st, err := f.store.State(f.sub); err == nil || st.InUse == nil {
		t.Errorf("without a state: %+v %v", st, err)
	}
}

func TestSweepAndRemove(t *testing.T) {
	f := newFixture(t)
	f.good(Updated)
	old, young := f.store.folder+"/.test.111", f.store.folder+"/.test.222"
	for _, path := range []string{old, young} {
		os.WriteFile(path, nil, 0o600)
	}
	long := time.Now().Add(-2 * leftover)
	os.Chtimes(old, long, long)
	f.good(Unchanged)
	if _, err := os.Stat(old); err == nil {
		t.Error("what a crash left is still there")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error("another program's download was deleted")
	}
	os.Remove(young)
	f.text("x.example\n")
	f.good(Waiting)
	if err := f.store.Remove("test"); err != nil {
		t.Fatal(err)
	}
	if files, _ := os.ReadDir(f.store.folder); len(files) != 0 {
		t.Errorf("%v are left", files)
	}
	if err := f.store.Remove("test"); err != nil {
		t.Errorf("removed twice: %v", err)
	}
}

func FuzzState(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "null", `{"attempt":{"time":"2026-11-22T20:00:00Z","outcome":"failed","failures":3}}`,
		`{"in_use":{"sha256":"` + sum("") + `","etag":"\"a\"","bytes":5}}`, `{"in_use":{"sha256":"x"}}`,
		`{"held":{"sha256":"` + sum("") + `","etag":"a\nb"}}`, `{"attempt":{"failures":-1}}`, `{"in_use":{"bytes":-1,"sha256":"` + sum("") + `"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := ParseState(b)
		if err != nil {
			return
		}
		for _, v := range []*Version{st.InUse, heldVersion(st)} {
			if v == nil {
				continue
			}
			if len(v.SHA256) != 64 || v.Bytes < 0 || strings.ContainsAny(v.ETag+v.Modified, "\r\n\x00") {
				t.Errorf("%q gives %+v", b, v)
			}
		}
		now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		if due := Due(Subscription{Name: "x", Address: st.Attempt.Address}, st, now); due.After(now.AddDate(1, 0, 0)) && st.Attempt.NotBefore.Before(now) {
			t.Errorf("%q is due %s", b, due)
		}
		again, err := json.Marshal(st)
		if err != nil {
			return // a time that JSON cannot say
		}
		if _, err := ParseState(again); err != nil && len(again) <= maxState {
			t.Errorf("%q is written as %q, which is refused: %v", b, again, err)
		}
	})
}

func heldVersion(st State) *Version {
	if st.Held == nil {
		return nil
	}
	return &st.Held.Version
}
