package journal

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRetentionByAge(t *testing.T) {
	now := day(12, 0)
	j := start(t, func(o *Options) { o.Retention = time.Hour; o.Now = func() time.Time { return now } })
	old := []Event{sampleQuery(), blockedQuery(), sampleFlow(), sampleCapture(), sampleNotice()}
	put(t, j, old...) // from 10:00 to 10:05
	edge := sampleQuery()
	edge.Time = day(10, 59).Add(59*time.Second + 999*time.Millisecond)
	keep := sampleQuery()
	keep.Time, keep.Name = day(11, 0), "kept.example"
	put(t, j, edge, keep)
	if err := j.tidy(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	got, err := j.Events(t.Context(), Filter{})
	if err != nil || len(got) != 1 || got[0].Event.(StoredQuery).Name != "kept.example" {
		t.Errorf("left: %+v %v", got, err)
	}
	s, err := j.Summary(t.Context(), time.Time{})
	if err != nil || s.Total.Queries != 1 || s.Total.Flows != 0 || len(s.Hours) != 1 || len(s.Leaks) != 0 {
		t.Errorf("summary: %+v %v", s, err)
	}
	for _, gone := range []string{"tracking.miui.com", "MintBrowser", "192.0.2.7:443", "could not be read"} {
		if onDisk(t, j.o.Path, gone) {
			t.Errorf("%q is still on the disk", gone)
		}
	}
	if !onDisk(t, j.o.Path, "kept.example") {
		t.Error("what is kept is not on the disk")
	}
	put(t, j, blockedQuery()) // texts that were swept away are made anew
	if q, err := j.Queries(t.Context(), Filter{List: "xiaomi"}); err != nil || len(q) != 1 {
		t.Errorf("after the sweep: %v %v", q, err)
	}
}

func TestNoRetentionKeeps(t *testing.T) {
	j := start(t, func(o *Options) { o.Now = func() time.Time { return day(12, 0).AddDate(50, 0, 0) } })
	put(t, j, all()...)
	if err := j.tidy(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if got, err := j.Events(t.Context(), Filter{}); err != nil || len(got) != 6 {
		t.Errorf("left: %d %v", len(got), err)
	}
}

func TestRetentionBySize(t *testing.T) {
	j := start(t, func(o *Options) { o.MaxBytes = MinMaxBytes })
	const n = 1_500 // of a KiB each: under the race detector every row is dear
	for i := range n {
		q := sampleQuery()
		q.Name = fmt.Sprintf("%d.%s.example.org", i, strings.Repeat("long-label.", 80))
		q.Time = day(0, 0).Add(time.Duration(i) * time.Second)
		j.Record(q)
	}
	put(t, j)
	if j.Stats().Bytes < 3*MinMaxBytes/2 {
		t.Fatalf("only %d bytes: the test is too small", j.Stats().Bytes)
	}
	if err := j.tidy(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if b := j.Stats().Bytes; b > MinMaxBytes || b < MinMaxBytes/2 {
		t.Errorf("%d bytes are left, the bound is %d", b, MinMaxBytes)
	}
	newest, err := j.Queries(t.Context(), Filter{Limit: 1})
	if err != nil || len(newest) != 1 || newest[0].ID != n {
		t.Fatalf("the newest is gone: %v %v", newest, err)
	}
	var rows, lo int64
	if err := direct(t, j.o.Path).QueryRowContext(t.Context(), "SELECT count(*), min(id) FROM query").Scan(&rows, &lo); err != nil {
		t.Fatal(err)
	}
	if rows != n-lo+1 || rows < 200 {
		t.Errorf("%d rows from id %d: not the newest ones alone", rows, lo)
	}
	s, err := j.Summary(t.Context(), time.Time{})
	if err != nil || s.Total.Queries != rows {
		t.Errorf("summary counts %d of %d: %v", s.Total.Queries, rows, err)
	}
	put(t, j, sampleQuery())
}

func TestForget(t *testing.T) {
	j := start(t)
	mine := sampleQuery()
	mine.Device, mine.Name, mine.Answers = "tablet", "kept.example", nil
	put(t, j, append(all(), mine)...)
	later := blockedQuery()
	later.Time, later.Name = day(10, 30), "later.example"
	put(t, j, later)

	n, err := j.Forget(t.Context(), "redmi", day(10, 20), time.Time{})
	if err != nil || n != 1 || onDisk(t, j.o.Path, "later.example") {
		t.Errorf("since: removed %d, %v", n, err)
	}
	s, err := j.Summary(t.Context(), time.Time{})
	if err != nil || s.Devices[0].Queries != 2 || s.Devices[0].BlockedQueries != 1 {
		t.Errorf("summary: %+v %v", s.Devices, err)
	}
	j.Record(blockedQuery()) // still queued: must not come back
	n, err = j.Forget(t.Context(), "redmi", time.Time{}, time.Time{})
	if err != nil || n != 6 {
		t.Errorf("all: removed %d, %v", n, err)
	}
	for _, gone := range []string{"redmi", "tracking.miui.com", "android_id", "MintBrowser", "DNS over TLS", "edge.example.net"} {
		if onDisk(t, j.o.Path, gone) {
			t.Errorf("%q is still on the disk", gone)
		}
	}
	left, err := j.Events(t.Context(), Filter{})
	if err != nil || len(left) != 2 {
		t.Errorf("left: %+v %v", left, err)
	}
	if n, err := j.Forget(t.Context(), "redmi", time.Time{}, time.Time{}); err != nil || n != 0 {
		t.Errorf("again: %d %v", n, err)
	}
	if n, err := j.Forget(t.Context(), "", time.Time{}, time.Time{}); err != nil || n != 2 || onDisk(t, j.o.Path, "kept.example") {
		t.Errorf("everything: %d %v", n, err)
	}
}

// TestForgetWithAReader: a reader in the middle of a read holds the old log.
func TestForgetWithAReader(t *testing.T) {
	j := start(t)
	put(t, j, all()...)
	r, err := OpenReadOnly(t.Context(), j.o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Events(t.Context(), Filter{}); err != nil {
		t.Fatal(err)
	}
	// An idle reader holds nothing.
	if n, err := j.Forget(t.Context(), "redmi", time.Time{}, time.Time{}); err != nil || n == 0 {
		t.Errorf("forget beside an idle reader: %d %v", n, err)
	}
	if got, err := r.Events(t.Context(), Filter{Device: "redmi"}); err != nil || len(got) != 0 {
		t.Errorf("the reader still sees %v %v", got, err)
	}
}

func TestOptions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	for _, o := range []Options{
		{Driver: "sqlite"}, {Path: path}, {Path: path, Driver: "sqlite", MaxBytes: 5}, {Path: path, Driver: "sqlite", Retention: -1},
	} {
		if j, err := Open(t.Context(), o); err == nil {
			_ = j.Close()
			t.Errorf("%+v was taken", o)
		}
	}
}
