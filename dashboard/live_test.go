package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nightlatch/dashboard/door"
	"nightlatch/dashboard/visible"
	"nightlatch/journal"
)

// browser is a ResponseWriter that reads at its own pace: while stuck, a write
// waits for its deadline, as on a connection whose other end does not read.
type browser struct {
	header http.Header
	mu     sync.Mutex
	status int
	got    strings.Builder
	limit  time.Time
	stuck  chan struct{} // nil reads at once; closed reads on
	wild   bool          // there was a write that could have waited for ever
}

func newBrowser() *browser             { return &browser{header: http.Header{}, status: 200} }
func (b *browser) Header() http.Header { return b.header }
func (b *browser) WriteHeader(s int)   { b.mu.Lock(); b.status = s; b.mu.Unlock() }
func (b *browser) Flush()              {}

func (b *browser) SetReadDeadline(time.Time) error { return nil }

func (b *browser) SetWriteDeadline(t time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limit = t
	return nil
}

func (b *browser) Write(p []byte) (int, error) {
	b.mu.Lock()
	stuck, limit := b.stuck, b.limit
	b.wild = b.wild || limit.IsZero()
	b.mu.Unlock()
	if stuck != nil {
		select {
		case <-stuck:
		case <-time.After(time.Until(limit)):
			return 0, os.ErrDeadlineExceeded
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got.Write(p)
}

func (b *browser) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got.String()
}

// events gives the ids of the sections received, and the last HTML of each.
func (b *browser) events(t *testing.T) (ids []string, last map[string]string) {
	t.Helper()
	last = map[string]string{}
	for line := range strings.Lines(b.text()) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var s section
			if err := json.Unmarshal([]byte(data), &s); err != nil {
				t.Fatalf("event %q: %v", visible.Cut(data, 80), err)
			}
			ids = append(ids, s.ID)
			last[s.ID] = s.HTML
		}
	}
	return ids, last
}

// watch opens /live in its own goroutine; done is closed when it ends.
func (h *house) watch(ctx context.Context, b *browser, session string) (done chan struct{}) {
	done = make(chan struct{})
	r := request("GET", "/live", "").WithContext(ctx)
	r.AddCookie(&http.Cookie{Name: cookieName, Value: session})
	go func() {
		defer close(done)
		h.handler.ServeHTTP(b, r)
	}()
	return done
}

// liveHouse is a house on the clock of the bubble.
func liveHouse(t *testing.T) (*house, *fakeJournal) {
	j := sample(time.Now())
	d, err := New(Options{Journal: j, Gateway: func() Status { return sampleStatus(time.Now()) }, Token: testToken})
	if err != nil {
		t.Fatal(err)
	}
	return &house{Dashboard: d, handler: d.Handler()}, j
}

func (h *house) watching() int {
	h.live.mu.Lock()
	defer h.live.mu.Unlock()
	return len(h.live.watchers)
}

func ended(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func TestLiveShowsWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, j := liveHouse(t)
		ctx, cancel := context.WithCancel(t.Context())
		b := newBrowser()
		done := h.watch(ctx, b, h.door.Begin(time.Now()))
		synctest.Wait()
		ids, _ := b.events(t)
		if strings.Join(ids, " ") != strings.Join(liveSections(), " ") {
			t.Fatalf("first picture is %v", ids)
		}
		if ct := b.header.Get("Content-Type"); ct != "text/event-stream" {
			t.Errorf("content type %q", ct)
		}
		j.ask(journal.StoredQuery{ID: 9500, Query: journal.Query{Time: time.Now(), Device: "redmi", Name: "<b>new</b>.example", Type: "A", RCode: "NOERROR"}})
		<-time.After(2 * beat)
		synctest.Wait()
		_, last := b.events(t)
		if !strings.Contains(last["stream"], "&lt;b&gt;new&lt;/b&gt;.example") {
			t.Errorf("the stream lacks the new question: %s", visible.Cut(last["stream"], 600))
		}
		more := newBrowser() // a second window gets the whole picture at once
		done2 := h.watch(ctx, more, h.door.Begin(time.Now()))
		synctest.Wait()
		if ids, last := more.events(t); len(ids) < len(liveSections()) || !strings.Contains(last["stream"], "&lt;b&gt;new") {
			t.Errorf("the second window got %v", ids)
		}
		if n := j.listeners(); n != 1 {
			t.Errorf("two windows, %d subscriptions", n)
		}
		cancel()
		<-done
		<-done2
		synctest.Wait() // the redrawing must end too, or the bubble fails
		if n := j.listeners(); n != 0 {
			t.Errorf("%d subscriptions left", n)
		}
	})
}

func TestHeadOfTheStream(t *testing.T) {
	h := newHouse(t, nil, nil)
	res := h.do(h.in(request("HEAD", "/live", ""))) // returns, and holds no place
	if res.StatusCode != 200 || h.watching() != 0 {
		t.Errorf("HEAD /live: %d, %d watching", res.StatusCode, h.watching())
	}
}

func TestLiveSendsOnlyWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, j := liveHouse(t)
		ctx, cancel := context.WithCancel(t.Context())
		b := newBrowser()
		done := h.watch(ctx, b, h.door.Begin(time.Now()))
		synctest.Wait()
		j.ask(journal.StoredQuery{ID: 9500, Query: journal.Query{Time: time.Now(), Device: "redmi", Name: "new.example"}})
		<-time.After(4 * beat)
		cancel()
		<-done
		ids, _ := b.events(t)
		for _, id := range ids[len(liveSections()):] {
			if id == "chart" || id == "leaks" || id == "notices" || id == "stopped" {
				t.Errorf("%s was sent again unchanged", id)
			}
		}
	})
}

func TestLiveIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, j := liveHouse(t)
		ctx, cancel := context.WithCancel(t.Context())
		session := h.door.Begin(time.Now())
		var open []chan struct{}
		for range maxWatchers {
			open = append(open, h.watch(ctx, newBrowser(), session))
		}
		synctest.Wait()
		for range 1000 {
			w := httptest.NewRecorder()
			r := request("GET", "/live", "")
			r.AddCookie(&http.Cookie{Name: cookieName, Value: session})
			h.handler.ServeHTTP(w, r)
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
				t.Fatalf("one too many: %d", w.Code)
			}
		}
		if n := h.watching(); n != maxWatchers {
			t.Errorf("%d watchers", n)
		}
		cancel()
		for _, done := range open {
			<-done
		}
		synctest.Wait()
		if h.watching() != 0 || j.listeners() != 0 {
			t.Error("something is left when everyone is gone")
		}
		b := newBrowser() // and the house opens again
		ctx, cancel = context.WithCancel(t.Context())
		done := h.watch(ctx, b, session)
		synctest.Wait()
		if ids, _ := b.events(t); len(ids) == 0 {
			t.Error("after all left, a newcomer sees nothing")
		}
		cancel()
		<-done
	})
}

// TestSlowReader: one that does not read is dropped and holds nobody up.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, j := liveHouse(t)
		ctx, cancel := context.WithCancel(t.Context())
		session := h.door.Begin(time.Now())
		slow, quick := newBrowser(), newBrowser()
		slow.stuck = make(chan struct{})
		slowDone, quickDone := h.watch(ctx, slow, session), h.watch(ctx, quick, session)
		synctest.Wait()
		before, _ := quick.events(t)
		<-time.After(beat / 2) // so that no question falls on a beat
		for i := range 8 {
			j.ask(journal.StoredQuery{ID: int64(9600 + i), Query: journal.Query{Time: time.Now(), Device: "redmi", Name: "new.example"}})
			<-time.After(beat)
		}
		synctest.Wait()
		after, _ := quick.events(t)
		if len(after) < len(before)+8 {
			t.Errorf("the quick reader was held up: %d events, then %d", len(before), len(after))
		}
		<-time.After(writeTime)
		synctest.Wait()
		if !ended(slowDone) {
			t.Error("the slow reader is still held")
		}
		if slow.wild || quick.wild {
			t.Error("a write had no deadline")
		}
		if ended(quickDone) || h.watching() != 1 {
			t.Errorf("%d watchers left, want the quick one", h.watching())
		}
		cancel()
		<-quickDone
	})
}

// TestFullQueueDrops asks the hub alone: a watcher that never takes a message
// is let go once its queue is full, not before.
func TestFullQueueDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		draw := func(context.Context) ([]section, error) {
			n++
			return []section{{ID: "x", HTML: strings.Repeat("x", n)}}, nil
		}
		hub := newHub(&fakeJournal{}, draw, slog.New(slog.DiscardHandler))
		w := hub.join(t.Context())
		<-time.After((watcherQueue-1)*restBeat*beat + beat)
		synctest.Wait()
		watched := func() bool {
			hub.mu.Lock()
			defer hub.mu.Unlock()
			return hub.watchers[w]
		}
		if len(w.messages) != watcherQueue || !watched() {
			t.Fatalf("%d messages wait, watched %v", len(w.messages), watched())
		}
		<-time.After(restBeat * beat)
		synctest.Wait()
		if watched() {
			t.Error("a full queue was kept")
		}
		for range watcherQueue {
			<-w.messages
		}
		if _, open := <-w.messages; open {
			t.Error("the queue was not closed")
		}
		hub.leave(w) // as the handler does: once more is fine
	})
}

func TestLiveEndsWithTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, j := liveHouse(t)
		session := h.door.Begin(time.Now())
		b := newBrowser()
		late := h.watch(t.Context(), b, session)
		synctest.Wait()
		h.door.End(session)
		j.ask(journal.StoredQuery{ID: 9500, Query: journal.Query{Time: time.Now(), Device: "redmi", Name: "after-sign-out.example"}})
		<-time.After(2 * beat)
		synctest.Wait()
		if !ended(late) || strings.Contains(b.text(), "after-sign-out") {
			t.Error("something was row.Shown after signing out")
		}
		session = h.door.Begin(time.Now())
		h.live.draw = func(context.Context) ([]section, error) { return nil, nil } // from here on nothing happens
		done := h.watch(t.Context(), newBrowser(), session)
		synctest.Wait()
		<-time.After(3 * sessionChecks)
		if ended(done) {
			t.Fatal("the stream ended by itself")
		}
		h.door.End(session)
		<-time.After(sessionChecks)
		synctest.Wait()
		if !ended(done) {
			t.Error("signed out, and the stream goes on")
		}
	})
}

// TestWatchingIsNoUse: a forgotten tab does not keep its session alive.
func TestWatchingIsNoUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := liveHouse(t)
		h.live.draw = func(context.Context) ([]section, error) { return nil, nil } // a day of redraws is slow
		done := h.watch(t.Context(), newBrowser(), h.door.Begin(time.Now()))
		<-time.After(door.Idle + sessionChecks)
		synctest.Wait()
		if !ended(done) {
			t.Error("the stream outlived the session")
		}
	})
}

// TestLiveSurvives: a journal that fails or a page that panics must not end
// the stream, and a journal that ends must not spin.
func TestLiveSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, j := liveHouse(t)
		ctx, cancel := context.WithCancel(t.Context())
		b := newBrowser()
		real := h.live.draw
		var broken atomic.Bool
		h.live.draw = func(ctx context.Context) ([]section, error) {
			if broken.Load() {
				panic("a section broke")
			}
			return real(ctx)
		}
		done := h.watch(ctx, b, h.door.Begin(time.Now()))
		synctest.Wait()
		broken.Store(true)
		<-time.After(2 * restBeat * beat)
		synctest.Wait()
		broken.Store(false)
		j.mu.Lock()
		j.err = errors.New("disk")
		j.mu.Unlock()
		<-time.After(2 * restBeat * beat)
		synctest.Wait()
		if ended(done) {
			t.Fatal("the stream ended")
		}
		j.mu.Lock()
		j.err = nil
		j.mu.Unlock()
		before, _ := b.events(t)
		j.ask(journal.StoredQuery{ID: 9500, Query: journal.Query{Time: time.Now(), Device: "redmi", Name: "new.example"}})
		<-time.After(2 * beat)
		synctest.Wait()
		if after, _ := b.events(t); len(after) <= len(before) {
			t.Error("the stream did not come back")
		}
		cancel()
		<-done
	})
}

// TestOverTheWire reads the stream from a real server, which must end with its
// context.
func TestOverTheWire(t *testing.T) {
	j := sample(time.Now())
	d, err := New(Options{Journal: j, Gateway: func() Status { return sampleStatus(time.Now()) }, Token: testToken})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = d.Server(ctx)
	srv.Start()
	defer srv.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: cookieName, Value: d.door.Begin(time.Now())})
	res, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	buf := make([]byte, 64)
	if n, err := res.Body.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "retry: ") {
		t.Fatalf("the stream begins with %q: %v", buf[:n], err)
	}
	cancel()
	for err == nil { // ends, or the test times out
		_, err = res.Body.Read(buf)
	}
}
