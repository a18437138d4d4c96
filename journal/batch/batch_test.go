package batch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// memory is a store that remembers when it was written to, and fails on wish.
type memory struct {
	mu    sync.Mutex
	got   []int
	sizes []int
	times []time.Duration
	start time.Time
	fail  error
	took  time.Duration
}

func (m *memory) Write(ctx context.Context, events []int) error {
	if m.took > 0 {
		select {
		case <-time.After(m.took):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.times = append(m.times, time.Since(m.start))
	if m.fail != nil {
		return m.fail
	}
	m.got = append(m.got, events...)
	m.sizes = append(m.sizes, len(events))
	return nil
}

// seen gives what was written so far, and when it was tried.
func (m *memory) seen() (got, sizes []int, times []time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got), slices.Clone(m.sizes), slices.Clone(m.times)
}

func (m *memory) setFail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

func seenTimes(m *memory) []time.Duration { _, _, t := m.seen(); return t }

// bubble runs f beside a running writer, in fake time.
func bubble(t *testing.T, m *memory, o Options[int], f func(t *testing.T, w *Writer[int], stop func() error)) {
	synctest.Test(t, func(t *testing.T) {
		m.start = time.Now()
		w := New(m, o)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()
		var once sync.Once
		var err error
		stop := func() error {
			once.Do(func() { cancel(); err = <-ended })
			return err
		}
		defer stop()
		synctest.Wait()
		f(t, w, stop)
	})
}

// pass lets fake time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestFirstEventWaitsAtMostDelay(t *testing.T) {
	m := &memory{}
	bubble(t, m, Options[int]{Delay: time.Second, Batch: 10}, func(t *testing.T, w *Writer[int], _ func() error) {
		pass(5 * time.Second) // idle: nothing may be written
		w.Put(1)
		pass(600 * time.Millisecond)
		w.Put(2) // a later one does not push the deadline away
		pass(399 * time.Millisecond)
		if _, _, times := m.seen(); len(times) != 0 {
			t.Fatalf("written early, at %v", times)
		}
		pass(time.Millisecond)
		got, _, times := m.seen()
		if want := []time.Duration{6 * time.Second}; !slices.Equal(times, want) || !slices.Equal(got, []int{1, 2}) {
			t.Fatalf("written %v at %v, want [1 2] at %v", got, times, want)
		}
	})
}

func TestFullBatchGoesAtOnce(t *testing.T) {
	m := &memory{}
	bubble(t, m, Options[int]{Delay: time.Second, Batch: 10}, func(t *testing.T, w *Writer[int], _ func() error) {
		for i := range 25 {
			w.Put(i)
		}
		synctest.Wait()
		_, sizes, _ := m.seen()
		if !slices.Equal(sizes, []int{10, 10, 5}) && !slices.Equal(sizes, []int{10, 10}) {
			t.Fatalf("batches at once: %v", sizes)
		}
		pass(time.Second)
		if got, _, _ := m.seen(); len(got) != 25 || !slices.IsSorted(got) {
			t.Fatalf("got %v", got)
		}
	})
}

func TestFullQueueDropsAndCounts(t *testing.T) {
	m := &memory{}
	bubble(t, m, Options[int]{Queue: 5, Batch: 100, Delay: time.Second}, func(t *testing.T, w *Writer[int], _ func() error) {
		for i := range 8 {
			if ok := w.Put(i); ok != (i < 5) {
				t.Errorf("put %d: %v", i, ok)
			}
		}
		if c := w.Counts(); c != (Counts{Put: 8, Lost: 3, Queued: 5}) {
			t.Errorf("before writing: %+v", c)
		}
		pass(time.Second)
		if c := w.Counts(); c != (Counts{Put: 8, Written: 5, Lost: 3}) {
			t.Errorf("after writing: %+v", c)
		}
	})
}

func TestWeightBoundsQueueAndHeld(t *testing.T) {
	m := &memory{}
	o := Options[int]{Weight: 100, Weigh: func(e int) int64 { return int64(e) }, Delay: time.Second}
	bubble(t, m, o, func(t *testing.T, w *Writer[int], _ func() error) {
		m.setFail(errors.New("disk full"))
		if !w.Put(60) {
			t.Fatal("60 of 100 refused")
		}
		pass(time.Second) // it is held now, no longer queued
		if w.Put(60) {
			t.Fatal("120 of 100 taken while 60 are held")
		}
		m.setFail(nil)
		pass(time.Minute)
		if !w.Put(60) {
			t.Fatal("the weight was not given back")
		}
	})
}

func TestFailureIsKeptAndTriedAgain(t *testing.T) {
	m := &memory{fail: errors.New("disk full")}
	changes := make(chan error, 10)
	var told []error
	hear := func() []error {
		for len(changes) > 0 {
			told = append(told, <-changes)
		}
		return told
	}
	o := Options[int]{Delay: time.Second, Retry: time.Second, MaxRetry: 4 * time.Second, Changed: func(err error) { changes <- err }}
	bubble(t, m, o, func(t *testing.T, w *Writer[int], _ func() error) {
		w.Put(1)
		pass(15 * time.Second)
		s := time.Second
		if want := []time.Duration{1 * s, 2 * s, 4 * s, 8 * s, 12 * s}; !slices.Equal(seenTimes(m), want) {
			t.Errorf("tried at %v, want %v", seenTimes(m), want)
		}
		if w.Trouble() == nil || len(hear()) != 1 {
			t.Errorf("trouble %v, told %v", w.Trouble(), told)
		}
		w.Put(2)
		m.setFail(nil)
		pass(10 * time.Second)
		got, _, _ := m.seen()
		if !slices.Equal(got, []int{1, 2}) || w.Trouble() != nil || len(hear()) != 2 || told[1] != nil {
			t.Errorf("got %v, trouble %v, told %v", got, w.Trouble(), told)
		}
		if c := w.Counts(); c.Lost != 0 || c.Written != 2 {
			t.Errorf("%+v", c)
		}
	})
}

func TestRefusedBatchIsDropped(t *testing.T) {
	bad := errors.New("constraint")
	m := &memory{fail: bad}
	o := Options[int]{Delay: time.Second, Refused: func(err error) bool { return errors.Is(err, bad) }}
	bubble(t, m, o, func(t *testing.T, w *Writer[int], _ func() error) {
		w.Put(1)
		pass(time.Second)
		m.setFail(nil)
		w.Put(2)
		pass(time.Second)
		got, _, _ := m.seen()
		if c := w.Counts(); !slices.Equal(got, []int{2}) || c.Lost != 1 || c.Written != 1 {
			t.Errorf("got %v, %+v", got, c)
		}
	})
}

func TestEndWritesTheRest(t *testing.T) {
	m := &memory{}
	bubble(t, m, Options[int]{Batch: 3, Delay: time.Hour}, func(t *testing.T, w *Writer[int], stop func() error) {
		for i := range 8 {
			w.Put(i)
		}
		if err := stop(); err != nil || len(m.got) != 8 {
			t.Errorf("end: %v, wrote %v", err, m.got)
		}
	})
}

func TestEndDoesNotHang(t *testing.T) {
	m := &memory{took: time.Hour}
	bubble(t, m, Options[int]{EndWithin: 5 * time.Second}, func(t *testing.T, w *Writer[int], stop func() error) {
		w.Put(1)
		pass(2 * time.Second)
		began := time.Now()
		if err := stop(); err == nil {
			t.Error("no error about what was left")
		}
		if d := time.Since(began); d != 5*time.Second {
			t.Errorf("ended after %v", d)
		}
		if c := w.Counts(); c.Queued != 1 {
			t.Errorf("%+v", c)
		}
	})
}

func TestFlushWithoutRun(t *testing.T) {
	m := &memory{}
	w := New(m, Options[int]{Batch: 2})
	for i := range 5 {
		w.Put(i)
	}
	if err := w.Flush(t.Context()); err != nil || len(m.got) != 5 {
		t.Errorf("flush: %v, %v", err, m.got)
	}
}

func TestConcurrentPutLosesNothingUncounted(t *testing.T) {
	m := &memory{}
	w := New(m, Options[int]{Queue: 500, Batch: 50, Delay: time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 2000 {
				w.Put(i)
			}
		})
	}
	wg.Wait()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	c := w.Counts()
	if c.Put != 16000 || c.Written+c.Lost != c.Put || c.Written != uint64(len(m.got)) || c.Queued != 0 {
		t.Errorf("%+v with %d in the store", c, len(m.got))
	}
}
