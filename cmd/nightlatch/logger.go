package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"nightlatch/decoder"
)

// logger gives the log of troubles; events go to the journal.
func (a *app) logger(verbose bool) *slog.Logger {
	if verbose {
		return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(&calmHandler{out: a.stderr, mu: new(sync.Mutex)})
}

// calmHandler writes warnings and errors the way say does, one line each.
type calmHandler struct {
	out   io.Writer
	mu    *sync.Mutex // one line at a time
	attrs string
}

func (h *calmHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (h *calmHandler) Handle(_ context.Context, r slog.Record) error {
	word, attrs := "warning", h.attrs
	if r.Level >= slog.LevelError {
		word = "error"
	}
	r.Attrs(func(a slog.Attr) bool { attrs += attrText(a); return true })
	if attrs != "" {
		attrs = " (" + strings.TrimPrefix(attrs, ", ") + ")"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := fmt.Fprintf(h.out, "nightlatch: %s: %s\n", word, decoder.Safe(r.Message+attrs))
	return err
}

func attrText(a slog.Attr) string { return fmt.Sprintf(", %s %v", a.Key, a.Value.Resolve()) }

func (h *calmHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	for _, a := range attrs {
		next.attrs += attrText(a)
	}
	return &next
}

// WithGroup leaves the group out: a person reads this.
func (h *calmHandler) WithGroup(string) slog.Handler { return h }
