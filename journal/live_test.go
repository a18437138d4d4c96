package journal

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestSlowSubscribersLoseAndAreCounted(t *testing.T) {
	j := start(t)
	events, cancel := j.Subscribe(2)
	for range 5 {
		j.Record(sampleQuery())
	}
	if st := j.Stats(); st.Unseen != 3 || st.Subscribers != 1 {
		t.Errorf("%+v", st)
	}
	cancel()
	cancel() // twice is no harm
	n := 0
	for range events {
		n++
	}
	if n != 2 || j.Stats().Subscribers != 0 {
		t.Errorf("got %d, %+v", n, j.Stats())
	}
}

func TestTooManySubscribers(t *testing.T) {
	var l live
	for range maxSubscribers {
		l.subscribe(1)
	}
	c, cancel := l.subscribe(1)
	defer cancel()
	if _, open := <-c; open {
		t.Error("one too many was taken")
	}
	l.end()
	if c, _ := l.subscribe(1); c != nil {
		if _, open := <-c; open {
			t.Error("subscribed after the end")
		}
	}
}

// TestEverythingAtOnce records, reads, subscribes, forgets and tidies at a time.
func TestEverythingAtOnce(t *testing.T) {
	j := start(t, func(o *Options) {
		o.Retention = 24 * time.Hour
		o.MaxBytes = 4 << 20
		o.Now = func() time.Time { return day(12, 0) }
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- j.Run(ctx) }()
	var work, reads sync.WaitGroup
	for w := range 4 {
		work.Go(func() {
			for i := range 500 {
				q := blockedQuery()
				q.Device, q.Name = fmt.Sprintf("phone%d", w), fmt.Sprintf("h%d.example", i%100)
				j.Record(q)
				if i%10 == 0 {
					j.Record(sampleCapture())
					j.Record(sampleFlow())
				}
			}
		})
	}
	check := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	finished := make(chan struct{})
	for range 2 {
		reads.Go(func() {
			for {
				select {
				case <-finished:
					return
				default:
				}
				events, cancel := j.Subscribe(1)
				_, err := j.Events(ctx, Filter{NamePart: "h1", Blocked: true})
				check(err)
				_, err = j.Summary(ctx, day(10, 1))
				check(err)
				j.Stats()
				cancel()
				for range events {
				}
			}
		})
	}
	work.Wait()
	_, err := j.Forget(ctx, "phone1", time.Time{}, time.Time{})
	if err != nil {
		t.Log(err) // a reader may hold the log
	}
	check(j.tidy(ctx, true))
	close(finished)
	reads.Wait()
	events, cancel := j.Subscribe(1)
	defer cancel()
	stop()
	check(<-done)
	if _, open := <-events; open {
		t.Error("the live channel is open after the end")
	}
	st := j.Stats()
	if st.Written+st.Lost != st.Recorded || st.Queued != 0 || st.Lost != 0 {
		t.Errorf("%+v", st)
	}
	if q, err := j.Queries(t.Context(), Filter{Device: "phone1"}); err != nil || len(q) != 0 {
		t.Errorf("forgotten: %d %v", len(q), err)
	}
	kept := 0
	q, err := j.Queries(t.Context(), Filter{Device: "phone2", Limit: MaxLimit})
	for _, q := range q {
		kept += 1 + q.Repeats
	}
	if err != nil || kept != 500 {
		t.Errorf("kept: %d %v", kept, err)
	}
}

// TestLossesAreTold: a full queue is counted, and the owner hears of it.
func TestLossesAreTold(t *testing.T) {
	j := start(t)
	const n = 70_000 // more than the queue holds, with nobody writing
	for range n {
		j.Record(sampleQuery())
	}
	lost := j.Stats().Lost
	if lost == 0 || lost > n/2 {
		t.Fatalf("%d of %d lost", lost, n)
	}
	put(t, j)
	j.tellLosses()
	j.tellLosses() // the same loss is told once
	put(t, j)
	got, err := j.Notices(t.Context(), Filter{})
	if err != nil || len(got) != 1 || got[0].Text[:len(fmt.Sprint(lost))] != fmt.Sprint(lost) {
		t.Errorf("notices %+v %v, lost %d", got, err, lost)
	}
}

// BenchmarkIntake is the whole way from Record to the file: events a second
// that can be kept for good. Names repeat as they do in a household.
func BenchmarkIntake(b *testing.B) {
	j, err := Open(b.Context(), Options{Path: b.TempDir() + "/journal.db", Driver: "sqlite"})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	names := make([]string, 2000)
	for i := range names {
		names[i] = fmt.Sprintf("host-%d.example.org", i)
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		q := sampleQuery()
		q.Name, q.Device = names[i*7919%len(names)], []string{"redmi", "tablet", "pixel"}[i%3]
		j.Record(q)
		if i++; i%4096 == 0 {
			if err := j.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := j.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	if st := j.Stats(); st.Lost > 0 {
		b.Fatalf("%d lost", st.Lost)
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(j.Stats().Bytes)/float64(i), "B/event")
}

// BenchmarkRecord is what a room pays for one event.
func BenchmarkRecord(b *testing.B) {
	j, err := Open(b.Context(), Options{Path: b.TempDir() + "/journal.db", Driver: "sqlite"})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	q := sampleQuery()
	b.ReportAllocs()
	for b.Loop() {
		j.Record(q)
	}
}
