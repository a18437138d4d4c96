package home

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"nightlatch/config"
	"nightlatch/journal"
)

// ErrNoJournal says that nothing was written yet.
var ErrNoJournal = errors.New("the journal is empty")

// OpenJournal opens the journal of a home for reading, beside a running gateway
// or without one. An absent file is an error that says so.
func (h Home) OpenJournal(ctx context.Context, cfg *config.Config) (*journal.Journal, error) {
	path := config.Resolve(h.Dir, cfg.Journal.File)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: no gateway has run in %s yet", ErrNoJournal, h.Dir)
	}
	return journal.OpenReadOnly(ctx, journal.Options{Path: path, Driver: "sqlite", Mask: true})
}

// Running tells whether a gateway answers in this home.
func (h Home) Running() bool {
	c, err := net.DialTimeout("unix", h.Socket(), time.Second)
	if err != nil {
		return false
	}
	return c.Close() == nil
}
