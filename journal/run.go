package journal

import (
	"context"
	"fmt"
	"sync"
	"time"

	"nightlatch/journal/event"
)

const (
	// tidyEvery is how often old events are removed: nothing is kept longer than
	// configured by more than this.
	tidyEvery = time.Minute
	// tellEvery spaces the notices about losses.
	tellEvery = time.Minute
	// sweepEvery is how often texts are cleaned up, which reads every reference
	// to them; Forget does it at once.
	sweepEvery = time.Hour
)

// Run writes events until ctx ends, and removes those that are too old or too
// many. At the end it writes what is left, closes the live readers, and says in
// its error what could not be written.
func (j *Journal) Run(ctx context.Context) error {
	defer j.endOnce.Do(j.live.end)
	if j.queue == nil {
		<-ctx.Done()
		return nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { j.keepTidy(ctx) })
	err := j.queue.Run(ctx)
	wg.Wait()
	if err != nil {
		return fmt.Errorf("journal: %d events were not written at the end: %w", j.queue.Counts().Queued, err)
	}
	return nil
}

// keepTidy does what is due now and then.
func (j *Journal) keepTidy(ctx context.Context) {
	if err := j.store.FinishCheck(ctx); err != nil && ctx.Err() == nil {
		j.o.Log.Warn("journal: integrity check", "error", err)
	}
	if err := j.store.Warm(ctx); err != nil && ctx.Err() == nil {
		j.o.Log.Warn("journal: read what filters need", "error", err)
	}
	tidy, tell := time.NewTicker(tidyEvery), time.NewTicker(tellEvery)
	defer tidy.Stop()
	defer tell.Stop()
	swept := time.Now()
	for {
		if err := j.tidy(ctx, time.Since(swept) >= sweepEvery); err != nil && ctx.Err() == nil {
			j.o.Log.Warn("journal: remove old events", "error", err)
		}
		if time.Since(swept) >= sweepEvery {
			swept = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-tell.C:
			j.tellLosses()
		case <-tidy.C:
		}
	}
}

// tellLosses puts new losses into one notice.
func (j *Journal) tellLosses() {
	lost := j.queue.Counts().Lost
	if lost == j.toldLost {
		return
	}
	j.notice(event.Warn, fmt.Sprintf("%d events were lost: they came faster than %s could be written", lost-j.toldLost, j.o.Path))
	j.toldLost = j.queue.Counts().Lost
}

// tidy removes what is too old or too much, and cleans up behind it.
func (j *Journal) tidy(ctx context.Context, sweep bool) error {
	if j.queue.Trouble() != nil {
		return nil // told already; the writer finds out when the disk is well again
	}
	if j.held.Load() { // a reader kept the log from being emptied
		busy, err := j.store.Compact(ctx)
		if err != nil {
			return err
		}
		j.held.Store(busy)
	}
	if err := j.store.PruneMinutes(ctx, j.o.Now()); err != nil {
		return err
	}
	removed, err := j.store.PruneAge(ctx, j.o.Retention, j.o.Now())
	if err != nil {
		return err
	}
	more, err := j.store.PruneSize(ctx, j.o.MaxBytes)
	if err != nil {
		return err
	}
	if removed+more > 0 {
		j.dirty.Store(true)
	}
	if !j.dirty.Load() || !sweep {
		return nil
	}
	if err := j.store.Sweep(ctx); err != nil {
		return err
	}
	j.dirty.Store(false)
	busy, err := j.store.Compact(ctx)
	j.held.Store(busy)
	return err
}

// Forget removes every event of a device from a moment on and before another, or
// of all devices when device is empty; a zero moment is no bound. It says how many
// there were. When it returns without an error their bytes are overwritten in the file
// and gone from its log. Other than events, nothing is removed: files that were
// set aside as damaged keep what they hold, and so do backups.
func (j *Journal) Forget(ctx context.Context, device string, since, until time.Time) (removed int64, err error) {
	if j.queue == nil {
		return 0, fmt.Errorf("journal: forget: the journal is open for reading alone")
	}
	if err := j.queue.Flush(ctx); err != nil { // what waits would be written after
		return 0, fmt.Errorf("journal: forget: %w", err)
	}
	removed, err = j.store.Forget(ctx, device, since, until)
	if err == nil {
		err = j.store.Sweep(ctx)
	}
	if err == nil {
		var busy bool
		if busy, err = j.store.Compact(ctx); busy && err == nil {
			j.held.Store(true)
			err = fmt.Errorf("the events are removed, but a reader still holds the old log; it is emptied as soon as the reader ends")
		}
	}
	if err != nil {
		return removed, fmt.Errorf("journal: forget: %w", err)
	}
	return removed, nil
}
