package journal

import (
	"context"
	"time"
)

// Stats says how the journal itself is doing.
type Stats struct {
	Recorded    uint64 // events handed to Record
	Written     uint64 // of them, committed to the file
	Lost        uint64 // of them, dropped: the queue was full or the file could not be written
	Queued      int    // waiting now
	Unseen      uint64 // live events that slow subscribers did not get
	Subscribers int    // live subscribers now
	Bytes       int64  // file and write-ahead log on the disk
	Trouble     string // why writing fails at present; empty when it works
}

// Reader is the reading side of a [Journal]: what pages and commands need.
// Every method is safe for concurrent use and returns newest events first.
type Reader interface {
	Queries(ctx context.Context, f Filter) ([]StoredQuery, error)
	Flows(ctx context.Context, f Filter) ([]StoredFlow, error)
	Captures(ctx context.Context, f Filter) ([]StoredCapture, error)
	// Findings gives the findings of the captures that f chooses; Limit counts findings.
	Findings(ctx context.Context, f Filter) ([]StoredFinding, error)
	Notices(ctx context.Context, f Filter) ([]StoredNotice, error)
	// Events gives all kinds of events in one order, by id.
	Events(ctx context.Context, f Filter) ([]StoredEvent, error)
	Summary(ctx context.Context, since time.Time) (Summary, error)
	Stats() Stats
	// Subscribe gives every event from now on, as it is recorded; a reader whose
	// buffer is full misses events. The channel is closed by cancel, which may
	// be called more than once, and when the journal ends.
	Subscribe(buffer int) (events <-chan Event, cancel func())
}

// Queries gives the DNS questions that f chooses.
func (j *Journal) Queries(ctx context.Context, f Filter) ([]StoredQuery, error) {
	return j.store.Queries(ctx, f)
}

// Flows gives the flows that f chooses, those that ended last first.
func (j *Journal) Flows(ctx context.Context, f Filter) ([]StoredFlow, error) {
	return j.store.Flows(ctx, f)
}

// Captures gives what the sinkhole received, with its findings.
func (j *Journal) Captures(ctx context.Context, f Filter) ([]StoredCapture, error) {
	return j.store.Captures(ctx, f)
}

// Findings gives the findings of the captures that f chooses.
func (j *Journal) Findings(ctx context.Context, f Filter) ([]StoredFinding, error) {
	return j.store.Findings(ctx, f)
}

// Notices gives the notices that f chooses.
func (j *Journal) Notices(ctx context.Context, f Filter) ([]StoredNotice, error) {
	return j.store.Notices(ctx, f)
}

// Events gives all kinds of events in one order, or f.Kind alone.
func (j *Journal) Events(ctx context.Context, f Filter) ([]StoredEvent, error) {
	return j.store.Events(ctx, f)
}

// Summary counts what happened since a moment; the zero time means ever.
func (j *Journal) Summary(ctx context.Context, since time.Time) (Summary, error) {
	return j.store.Summary(ctx, since)
}

// Follow calls show for every event that f chooses and that is written from
// now on, oldest first, until ctx ends or show errs. It looks into the file
// every so often, and so works beside a gateway of another process. It begins
// after f.After, so that nothing is missed between a first page and it; 0 means
// after the newest. Before and Limit of f are not looked at.
func (j *Journal) Follow(ctx context.Context, f Filter, every time.Duration, show func(StoredEvent) error) error {
	if f.After == 0 {
		newest, err := j.Events(ctx, Filter{Limit: 1})
		if err != nil {
			return err
		}
		if len(newest) > 0 {
			f.After = newest[0].ID
		}
	}
	f.Before = 0
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := j.Each(ctx, f, func(e StoredEvent) error {
			f.After = e.ID
			return show(e)
		})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
