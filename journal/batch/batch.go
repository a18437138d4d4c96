// Package batch gathers things that arrive one at a time and hands them to a
// slow store many at a time. Putting never blocks: the queue is bounded by
// number and by weight, and what does not fit is dropped and counted. A batch
// that the store could not take is kept and tried again.
//
// The package knows no database and reads no clock but the runtime's, so that
// its timing is tested with testing/synctest.
package batch

import (
	"context"
	"sync"
	"time"
)

// Store takes batches. Write keeps all of events or none of them; it must not
// hold on to the slice. It is never called twice at a time.
type Store[E any] interface {
	Write(ctx context.Context, events []E) error
}

// Options of a [Writer]. The zero value of a field means its default.
type Options[E any] struct {
	Queue     int           // things waiting at most; default 65,536
	Weight    int64         // their weight at most; default 32 MiB; needs Weigh
	Weigh     func(E) int64 // bytes a thing holds; nil means things weigh nothing
	Batch     int           // things in one Write at most; default 4,096
	Delay     time.Duration // the first thing of a batch waits at most this long; default 800 ms
	Retry     time.Duration // pause after a failed Write, doubled up to MaxRetry; default 1 s
	MaxRetry  time.Duration // default 30 s
	EndWithin time.Duration // what is left when Run ends may take this long; default 5 s

	// Refused says that trying the same batch again is pointless. The batch is
	// dropped and counted. Nil means that every failure may pass.
	Refused func(error) bool

	// Failing is why the store did not work before the writer was made, if it did
	// not: then Changed is told when it works again, and not that it fails.
	Failing error

	// Changed is told when writing begins to fail (err is why) and when it works
	// again (err is nil). It is called by the writing goroutine and may Put.
	Changed func(err error)
}

// Counts of a [Writer] since it was made.
type Counts struct {
	Put     uint64 // handed to Put
	Written uint64 // taken by the store
	Lost    uint64 // dropped
	Queued  int    // waiting or being tried now
}

// Writer is the queue and its one writing goroutine. Its methods are safe for
// concurrent use.
type Writer[E any] struct {
	store Store[E]
	o     Options[E]

	mu     sync.Mutex // guards what follows; never held over a Write
	queue  []E
	weight int64 // of queue and held
	counts Counts
	err    error // why writing fails at present

	wake chan struct{} // the queue is no longer empty
	full chan struct{} // a whole batch waits

	writing sync.Mutex // one Write at a time; guards held
	held    []E        // taken from the queue, not yet by the store
}

// New makes a writer to store. Nothing is written before [Writer.Run] or
// [Writer.Flush].
func New[E any](store Store[E], o Options[E]) *Writer[E] {
	fill(&o.Queue, 65_536)
	fill(&o.Weight, 32<<20)
	fill(&o.Batch, 4096)
	fill(&o.Delay, 800*time.Millisecond)
	fill(&o.Retry, time.Second)
	fill(&o.MaxRetry, 30*time.Second)
	fill(&o.EndWithin, 5*time.Second)
	if o.Weigh == nil {
		o.Weigh = func(E) int64 { return 0 }
	}
	if o.Refused == nil {
		o.Refused = func(error) bool { return false }
	}
	if o.Changed == nil {
		o.Changed = func(error) {}
	}
	return &Writer[E]{store: store, o: o, err: o.Failing, wake: make(chan struct{}, 1), full: make(chan struct{}, 1)}
}

func fill[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Put queues e, or drops it and returns false when the queue is full.
func (w *Writer[E]) Put(e E) bool {
	weight := w.o.Weigh(e)
	w.mu.Lock()
	w.counts.Put++
	if len(w.queue) >= w.o.Queue || w.weight+weight > w.o.Weight {
		w.counts.Lost++
		w.mu.Unlock()
		return false
	}
	w.queue = append(w.queue, e)
	w.weight += weight
	n := len(w.queue)
	w.mu.Unlock()
	if n == 1 {
		signal(w.wake)
	}
	if n == w.o.Batch {
		signal(w.full)
	}
	return true
}

// Counts gives the numbers so far.
func (w *Writer[E]) Counts() Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.counts
	c.Queued = int(c.Put - c.Written - c.Lost)
	return c
}

// Trouble gives the error of the last Write, nil when it worked.
func (w *Writer[E]) Trouble() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Run writes until ctx ends, then writes what is left and returns. Its error
// says how many things could not be written at the end.
func (w *Writer[E]) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		w.gather(ctx)
		w.writeAll(ctx)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.o.EndWithin)
	defer cancel()
	return w.Flush(last)
}

// gather waits for a first thing, and then until the batch is full or the
// first thing has waited long enough.
func (w *Writer[E]) gather(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-w.wake:
	}
	t := time.NewTimer(w.o.Delay)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-w.full:
	}
}

// writeAll writes batches until the queue holds less than one, and waits out
// the failures in between.
func (w *Writer[E]) writeAll(ctx context.Context) {
	for pause := w.o.Retry; ctx.Err() == nil; {
		left, err := w.writeOne(ctx)
		if err == nil {
			pause = w.o.Retry
			if left >= w.o.Batch {
				continue
			}
			if left > 0 {
				signal(w.wake)
			}
			return
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
		pause = min(2*pause, w.o.MaxRetry)
	}
}

// Flush writes all that was put before it was called. It works with and
// without Run. It gives up at the first failure; what was not written stays
// queued.
func (w *Writer[E]) Flush(ctx context.Context) error {
	// Every queued thing is in one of so many batches, and one may be held.
	for range w.o.Queue/w.o.Batch + 2 {
		left, err := w.writeOne(ctx)
		if err != nil {
			return err
		}
		if left == 0 {
			return nil
		}
	}
	return nil
}

// writeOne hands one batch to the store and says how many things are left.
func (w *Writer[E]) writeOne(ctx context.Context) (left int, err error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	if len(w.held) == 0 {
		w.take()
	}
	if len(w.held) == 0 {
		return 0, nil
	}
	err = w.store.Write(ctx, w.held)
	if err != nil && ctx.Err() != nil {
		return len(w.held), err // told to end: no failure of the store
	}
	refused := err != nil && w.o.Refused(err)
	if err == nil || refused {
		w.release(refused)
	}
	left = w.note(err)
	if refused {
		return left, nil // gone and counted; go on with the next batch
	}
	return left, err
}

// take moves a batch from the queue to held.
func (w *Writer[E]) take() {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.queue), w.o.Batch)
	w.held = append(w.held[:0], w.queue[:n]...)
	rest := copy(w.queue, w.queue[n:])
	clear(w.queue[rest:])
	w.queue = w.queue[:rest]
}

// release forgets the held batch, written or lost.
func (w *Writer[E]) release(lost bool) {
	var weight int64
	for _, e := range w.held {
		weight += w.o.Weigh(e)
	}
	n := uint64(len(w.held))
	clear(w.held)
	w.held = w.held[:0]
	w.mu.Lock()
	defer w.mu.Unlock()
	w.weight -= weight
	if lost {
		w.counts.Lost += n
	} else {
		w.counts.Written += n
	}
}

// note remembers how the last Write went and tells a change. It returns how
// many things still wait.
func (w *Writer[E]) note(err error) (left int) {
	w.mu.Lock()
	changed := (err == nil) != (w.err == nil)
	w.err = err
	left = len(w.queue) + len(w.held)
	w.mu.Unlock()
	if changed {
		w.o.Changed(err)
	}
	return left
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
