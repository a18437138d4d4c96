package dashboard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"nightlatch/dashboard/desk"
	"nightlatch/journal"
)

// fakeDesk keeps what it was asked for, and answers with one word in every place.
type fakeDesk struct {
	mu    sync.Mutex
	asked []string
	notes []journal.Event
	text  string // of the list "mine"
	err   error  // of the next change
}

func (f *fakeDesk) Record(e journal.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes = append(f.notes, e)
}

func (f *fakeDesk) did(format string, args ...any) (desk.Told, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	f.asked = append(f.asked, line)
	if f.err != nil {
		return desk.Told{}, f.err
	}
	return desk.Told{Said: []string{"done: " + line}, Command: line}, nil
}

// take gives what was asked since the last look.
func (f *fakeDesk) take() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := strings.Join(f.asked, "; ")
	f.asked = nil
	return out
}

func (f *fakeDesk) desk(word string, now time.Time) desk.Desk {
	sheet := desk.Sheet{Facts: []desk.Fact{{Key: "verdict", Value: "sink"}, {Key: word, Value: word}}, Tables: []desk.Table{{Head: []string{word, "Rules"}, Rows: [][]string{{word, "4"}}}}, Lines: []string{word}}
	return desk.Desk{
		Rule: func(_ context.Context, r desk.Rule) (desk.Told, error) {
			return f.did("%s %s|%s|%s", r.Does, r.Name, r.Device, r.For)
		},
		Remove: func(_ context.Context, r desk.InForce) (desk.Told, error) {
			return f.did("remove %d %s", r.Number, r.Name)
		},
		Pause:  func(_ context.Context, p desk.Pause) (desk.Told, error) { return f.did("pause %s|%s", p.Device, p.For) },
		Resume: func(_ context.Context, device string) (desk.Told, error) { return f.did("resume %s", device) },
		Undo:   func(_ context.Context, command string) (desk.Told, error) { return f.did("undo %s", command) },
		Standing: func() (desk.Standing, error) {
			return desk.Standing{Command: word, Changed: now, Rules: []desk.InForce{{Number: 1, Does: "block", Name: word, For: word, Until: now.Add(time.Hour), Why: word}, {Number: 2, Does: "allow", Name: word, For: word, Until: now, Ended: true}},
				Pauses: []desk.Paused{{What: word, Until: now.Add(time.Minute)}}}, nil
		},
		Why:    func(desk.Question) (desk.Sheet, error) { return sheet, nil },
		Policy: func(string) (desk.Sheet, error) { return sheet, nil },
		Owner:  func(string) string { return word },
		Report: func(_ context.Context, device string, out io.Writer) error {
			_, err := io.WriteString(out, "<!DOCTYPE html>report of "+device)
			return err
		},
		Lists: func() ([]desk.List, error) {
			return []desk.List{{Name: "mine", Title: word, From: "yours", File: "mine.yaml", Rules: 4, Changed: now, Problem: word}, {Name: word, From: "subscription", Rules: 100_000, Ignored: 3, Success: now, Tried: word}}, nil
		},
		List:   func(string) (desk.Sheet, error) { return sheet, nil },
		Offers: func() (desk.Sheet, error) { return sheet, nil },
		Text: func(name string) ([]byte, error) {
			if name != "mine" {
				return nil, errors.New("not yours")
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			return []byte(f.text), nil
		},
		Check: func(_ string, text []byte) (desk.Checked, error) {
			if line := strings.Index(string(text), "BROKEN"); line >= 0 {
				return desk.Checked{Problem: "mine.yaml:3:5: " + word, Line: 3, Column: 5}, nil
			}
			return desk.Checked{Rules: strings.Count(string(text), "\n  - ")}, nil
		},
		SaveText: func(_ context.Context, name string, old, text []byte) (desk.Told, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.text != string(old) {
				return desk.Told{}, errors.New("changed meanwhile")
			}
			f.text = string(text)
			return desk.Told{Said: []string{"saved"}}, nil
		},
	}
}
