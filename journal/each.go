package journal

import (
	"context"
	"slices"
	"time"

	"nightlatch/journal/event"
)

// What is counted, see [event.Tops].
type (
	Tops = event.Tops
	Top  = event.Top
	Span = event.Span
)

// Tops counts questions since a moment, of a device or of all when it is empty;
// at most most rows of each kind are given.
func (j *Journal) Tops(ctx context.Context, device string, since time.Time, most int) (Tops, error) {
	return j.store.Tops(ctx, device, since, most)
}

// Minutes counts the questions of each minute, for the last two days.
func (j *Journal) Minutes(ctx context.Context, device string, since, until time.Time) ([]Span, error) {
	return j.store.Minutes(ctx, device, since, until)
}

// Each calls show for every event that f chooses, oldest first, however many
// there are, until show errs. What is recorded while it runs is not in it.
// Limit of f is not looked at.
func (j *Journal) Each(ctx context.Context, f Filter, show func(StoredEvent) error) error {
	oldest, newest, err := j.store.Range(ctx, f)
	if err != nil {
		return err
	}
	// So many ids hold at most so many events, whatever f leaves out.
	f.Limit = MaxLimit
	for f.After = oldest - 1; f.After < newest; f.After += MaxLimit {
		f.Before = min(f.After+MaxLimit, newest) + 1
		page, err := j.Events(ctx, f)
		if err != nil {
			return err
		}
		for _, e := range slices.Backward(page) {
			if err := show(e); err != nil {
				return err
			}
		}
	}
	return nil
}
