// Package desk holds the words in which the dashboard asks the program to
// change something, or to explain it. It is plain data: who fills in the
// functions of a [Desk] decides what becomes of it.
package desk

import (
	"context"
	"io"
	"time"
)

// Desk is what a dashboard may ask beyond the journal. Every function must be
// safe for concurrent use; a nil one means that the page has no such button.
// Their errors are one line for people: what is wrong, and what to do.
type Desk struct {
	Rule     func(context.Context, Rule) (Told, error)               // put a rule above every list
	Remove   func(ctx context.Context, in InForce) (Told, error)     // take one out again
	Pause    func(context.Context, Pause) (Told, error)              // lift blocking for a while
	Resume   func(ctx context.Context, device string) (Told, error)  // end the pauses of a device; empty: of every device
	Undo     func(ctx context.Context, command string) (Told, error) // take the last change back, when it is still this one
	Standing func() (Standing, error)                                // what such changes have put in force

	Why    func(Question) (Sheet, error)                                 // what would happen to a name, and why
	Owner  func(name string) string                                      // the company behind a name, or the site it belongs to
	Policy func(device string) (Sheet, error)                            // what a device may and may not do
	Report func(ctx context.Context, device string, out io.Writer) error // the document to hand on, as one HTML page

	Lists    func() ([]List, error)            // how every list is doing
	List     func(name string) (Sheet, error)  // the report on one
	Offers   func() (Sheet, error)             // the catalogue: lists that can be added by name
	Text     func(name string) ([]byte, error) // of an owner's own list
	Check    func(name string, text []byte) (Checked, error)
	SaveText func(ctx context.Context, name string, old, text []byte) (Told, error) // refused when the file no longer says old
}

// Rule asks for a rule about one name or address, for one device or all.
type Rule struct {
	Does   string        // block, allow, sink or observe
	Name   string        // as a person writes or pastes it
	Device string        // empty: every device
	For    time.Duration // 0: for good
	Why    string        // kept with the rule
}

// Pause asks that blocking is lifted for a device; empty means every one.
type Pause struct {
	Device string
	For    time.Duration
}

// Told is what was done, in sentences for people.
type Told struct {
	Said     []string // what holds now, and for whom
	Warnings []string
	Command  string // the command line that does the same: undo knows the change by it
}

// Standing is what was changed by hand and is in force, and the last change.
type Standing struct {
	Rules   []InForce
	Pauses  []Paused
	Command string    // of the last change that can be taken back; empty when there is none
	Changed time.Time // when it was made
}

// InForce is a rule of the overlay.
type InForce struct {
	Number int // as nightlatch rules counts
	Does   string
	Name   string
	For    string    // whom it is for, in words
	Until  time.Time // zero: for good
	Ended  bool
	Why    string
}

// Paused is a pause in force.
type Paused struct {
	What   string    // in words
	Device string    // empty: every one
	Until  time.Time // zero: until it is ended by hand
}

// Question asks what would happen to a name.
type Question struct {
	Name, Device, Type string // Type is a DNS type; empty means A
}

// List is how one list is doing.
type List struct {
	Name    string
	Title   string
	From    string // built in, yours, file or subscription
	File    string // its name, when the owner may edit it here
	Rules   int
	Ignored int       // lines left out
	Changed time.Time // when the file was saved, or the copy fetched
	Success time.Time // of a subscription: the last refresh that worked
	Tried   string    // of a subscription: how the last refresh went
	Problem string    // what is wrong, and what to do; empty when nothing is
}

// Sheet is a page of facts and tables, for a screen or a terminal.
type Sheet struct {
	Facts  []Fact
	Tables []Table
	Lines  []string // a report, a line each
}

// Fact is a key and its value, both in words.
type Fact struct{ Key, Value string }

// Table is a small table.
type Table struct {
	Head []string
	Rows [][]string
}

// Fact adds a fact; an empty value adds none.
func (s *Sheet) Fact(key, value string) {
	if value != "" {
		s.Facts = append(s.Facts, Fact{key, value})
	}
}

// Checked is what a text of a list would do, were it saved.
type Checked struct {
	Rules   int      // that would be in force
	Problem string   // why it cannot be saved; empty when it can
	Line    int      // of the problem; 0 when it has no place
	Column  int      // 1-based
	Lines   []string // how it was read: what was left out, and why
}
