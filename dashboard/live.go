package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Bounds of the live stream.
const (
	maxWatchers   = 16               // browsers watching at once; a hidden tab lets go of its place
	watcherQueue  = 4                // messages waiting for one watcher; more, and it is too slow
	writeTime     = 10 * time.Second // for one message on a bad radio link
	beat          = time.Second      // at most one redraw a second
	restBeat      = 5                // beats between redraws when nothing happens: handshakes grow old
	settleBeats   = 3                // beats a bell rings on: the journal writes in batches of a second
	sessionChecks = 15 * time.Second // how soon a session that ended ends its stream; also the heartbeat
	redrawTime    = 10 * time.Second // for one redraw
)

// section is a part of the first page that redraws by itself.
type section struct {
	ID   string `json:"id"`
	HTML string `json:"html"`
}

// hub redraws the sections while someone watches, once for all, and hands out
// those that changed. It has no goroutine when nobody watches.
type hub struct {
	journal Journal
	draw    func(context.Context) ([]section, error)
	log     *slog.Logger

	mu       sync.Mutex
	watchers map[*watcher]bool
	latest   map[string]string // by id, as last handed out
	order    []string
	stop     context.CancelFunc
}

// watcher is one browser. Its channel is closed when it was too slow.
type watcher struct{ messages chan []byte }

func newHub(j Journal, draw func(context.Context) ([]section, error), log *slog.Logger) *hub {
	return &hub{journal: j, draw: draw, log: log, watchers: map[*watcher]bool{}, latest: map[string]string{}}
}

// join adds a watcher, or gives nil when the house is full. The first one
// starts the redrawing. What is known already waits for the newcomer.
func (h *hub) join(ctx context.Context) *watcher {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.watchers) >= maxWatchers {
		return nil
	}
	w := &watcher{messages: make(chan []byte, watcherQueue)}
	h.watchers[w] = true
	if h.stop == nil {
		// The redrawing outlives the request that began it.
		run, cancel := context.WithCancel(context.WithoutCancel(ctx))
		h.stop = cancel
		go h.run(run)
	} else if msg := h.all(); len(msg) > 0 {
		w.messages <- msg // the queue of a newcomer is empty
	}
	return w
}

// leave removes a watcher; the last one ends the redrawing.
func (h *hub) leave(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remove(w)
}

func (h *hub) remove(w *watcher) {
	if !h.watchers[w] {
		return
	}
	delete(h.watchers, w)
	close(w.messages)
	if len(h.watchers) == 0 {
		h.stop()
		h.stop = nil
		clear(h.latest)
	}
}

// run redraws when the bell rang, and now and then when it did not.
func (h *hub) run(ctx context.Context) {
	events, cancel := h.journal.Subscribe(64)
	defer cancel()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	h.redraw(ctx)
	for ring, rest := 0, 0; ; {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-events:
			if !ok {
				events = nil // the journal ended; the status may still change
			}
			ring = settleBeats
		case <-tick.C:
			rest++
			if ring > 0 || rest >= restBeat {
				ring, rest = max(0, ring-1), 0
				h.redraw(ctx)
			}
		}
	}
}

// redraw draws all sections and sends those that changed. A watcher whose
// queue is full is let go: it comes back and gets the whole picture.
func (h *hub) redraw(ctx context.Context) {
	defer func() {
		if v := recover(); v != nil {
			h.log.Error("dashboard: panic in the live stream", "panic", fmt.Sprint(v))
		}
	}()
	bounded, cancel := context.WithTimeout(ctx, redrawTime)
	defer cancel()
	sections, err := h.draw(bounded)
	if err != nil {
		if ctx.Err() == nil {
			h.log.Error("dashboard: the live stream cannot read", "err", err)
		}
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return // the last watcher left meanwhile
	}
	var changed bytes.Buffer
	h.order = h.order[:0]
	for _, s := range sections {
		h.order = append(h.order, s.ID)
		if h.latest[s.ID] != s.HTML {
			h.latest[s.ID] = s.HTML
			writeEvent(&changed, s)
		}
	}
	if changed.Len() == 0 {
		return
	}
	for w := range h.watchers {
		select {
		case w.messages <- changed.Bytes():
		default:
			h.log.Info("dashboard: a live stream was too slow and was let go")
			h.remove(w)
		}
	}
}

// all is every section as last drawn.
func (h *hub) all() []byte {
	var buf bytes.Buffer
	for _, id := range h.order {
		if html, ok := h.latest[id]; ok {
			writeEvent(&buf, section{ID: id, HTML: html})
		}
	}
	return buf.Bytes()
}

// writeEvent writes one server-sent event (HTML Living Standard §9.2.5). JSON
// keeps it on one line.
func writeEvent(buf *bytes.Buffer, s section) {
	data, err := json.Marshal(s)
	if err != nil { // two strings: cannot happen
		return
	}
	fmt.Fprintf(buf, "event: section\ndata: %s\n\n", data)
}

// liveSections are the parts of web/parts.html that redraw, in their order.
func liveSections() []string {
	return []string{"headline", "alerts", "leaks", "devices", "chart", "stopped", "stream", "notices", "gateway"}
}

func (d *Dashboard) sections(ctx context.Context) ([]section, error) {
	v, err := d.nowView(ctx)
	if err != nil {
		return nil, err
	}
	var out []section
	for _, id := range liveSections() {
		html, err := d.pages.render("now", id, v)
		if err != nil {
			return nil, err
		}
		out = append(out, section{ID: id, HTML: string(html)})
	}
	return out, nil
}

// stream answers /live until the browser leaves, is too slow, or its session
// ends.
func (d *Dashboard) stream(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet { // HEAD: there is no stream to speak of
		return
	}
	me := d.live.join(r.Context())
	if me == nil {
		w.Header().Set("Retry-After", "30")
		d.fail(w, r, http.StatusServiceUnavailable, "Too many windows are watching. Close one, or reload this page to see what is new.")
		return
	}
	defer d.live.leave(me)
	setDeadlines(w, 0)
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(msg []byte) bool {
		c := http.NewResponseController(w)
		_ = c.SetWriteDeadline(time.Now().Add(writeTime))
		_, err := w.Write(msg)
		return err == nil && c.Flush() == nil
	}
	if !send([]byte("retry: 5000\n\n")) {
		return
	}
	check := time.NewTicker(sessionChecks)
	defer check.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case msg, ok := <-me.messages:
			if !ok || !d.stillIn(r) || !send(msg) {
				return
			}
		case <-check.C:
			if !d.stillIn(r) || !send([]byte(": still here\n\n")) {
				return
			}
		}
	}
}

// stillIn asks without counting as use: a forgotten tab must not keep a
// session alive.
func (d *Dashboard) stillIn(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	return err == nil && d.door.Admits(c.Value, d.now(), false)
}
