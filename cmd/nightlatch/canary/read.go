package canary

import (
	"context"
	"strings"

	"nightlatch/journal"
)

// maxRead bounds the events that one analysis reads: months of a busy phone.
const maxRead = 2_000_000

// readAll gives every event that f chooses, newest first, page by page, to take.
func readAll[E any](ctx context.Context, f journal.Filter, read func(context.Context, journal.Filter) ([]E, error), id func(E) int64, take func(E)) error {
	f.Limit = journal.MaxLimit
	for n := 0; n < maxRead; {
		page, err := read(ctx, f)
		if err != nil {
			return err
		}
		for _, e := range page {
			take(e)
			f.Before = id(e)
		}
		n += len(page)
		if len(page) < f.Limit {
			break
		}
	}
	return nil
}

// ownName tells names of the gateway itself.
func ownName(name string) bool {
	return name == "nightlatch.internal" || strings.HasSuffix(name, ".nightlatch.internal")
}
