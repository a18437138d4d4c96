package terminal

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"nightlatch/decoder"
)

// Calm gives a log that writes warnings and errors to w as one line each, the
// way the command line says everything else, and drops what is less.
func Calm(w io.Writer) *slog.Logger {
	return slog.New(&calmHandler{out: w, mu: new(sync.Mutex)})
}

// calmHandler is the handler of Calm.
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
