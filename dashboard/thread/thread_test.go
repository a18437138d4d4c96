package thread

import (
	"testing"
	"time"

	"nightlatch/blocklists"
	"nightlatch/decoder"
	"nightlatch/journal"
	"nightlatch/policy"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func query(id int64, back time.Duration, name, typ string, stopped bool) journal.StoredEvent {
	q := journal.StoredQuery{ID: id, Query: journal.Query{Time: noon.Add(-back), Device: "redmi", Name: name, Type: typ, RCode: "NOERROR"}}
	if stopped {
		q.Verdict = policy.Verdict{Action: policy.Sink, Rule: blocklists.Rule{List: "xiaomi", Line: 3}}
	}
	return journal.StoredEvent{ID: id, Event: q}
}

// TestOf: what happened around one name in a minute is one thread, told in the
// order it happened; the same name an hour earlier is another.
func TestOf(t *testing.T) {
	capture := journal.StoredEvent{ID: 8, Event: journal.StoredCapture{ID: 8, Capture: journal.Capture{Time: noon, Device: "redmi", Name: "sa.example", Scheme: "http", Size: 9, Result: decoder.Result{}},
		Findings: []journal.StoredFinding{{Kind: "url", Confidence: "proved"}}}}
	notice := journal.StoredEvent{ID: 7, Event: journal.StoredNotice{ID: 7, Notice: journal.Notice{Time: noon, Text: "sa.example"}}}
	got := Of([]journal.StoredEvent{capture, notice, query(6, 2*time.Second, "news.example", "A", false), query(5, 3*time.Second, "sa.example", "A", true),
		query(4, 3*time.Second, "sa.example", "A", true), query(3, 4*time.Second, "sa.example", "AAAA", true), query(2, time.Hour, "sa.example", "A", true)}, 10)
	if len(got) != 4 {
		t.Fatalf("%d threads: %+v", len(got), got)
	}
	first := got[0]
	if first.Name != "sa.example" || first.Tone != "leak" || len(first.Steps) != 3 || first.Steps[0].ID != 3 || first.Steps[2].Kind != journal.KindCapture || !first.First.Equal(noon.Add(-4*time.Second)) {
		t.Errorf("the first thread: %+v", first)
	}
	if got[1].Steps[0].Kind != journal.KindNotice || got[2].Name != "news.example" || got[2].Tone != "pass" || got[3].Tone != "stop" || len(got[3].Steps) != 1 {
		t.Errorf("the others: %+v", got[1:])
	}
}

// TestBounds: neither many names nor many steps make a long page.
func TestBounds(t *testing.T) {
	var events []journal.StoredEvent
	for i := range 500 {
		events = append(events, query(int64(1000-i), time.Duration(i)*time.Millisecond, "one.example", "TYPE"+time.Duration(i).String(), false))
	}
	got := Of(events, 3)
	if len(got) != 1 || len(got[0].Steps) != maxSteps || got[0].More != 500-maxSteps {
		t.Errorf("%d threads, %d steps and %d more", len(got), len(got[0].Steps), got[0].More)
	}
	for i := range events {
		events[i] = query(int64(1000-i), 0, time.Duration(i).String()+".example", "A", false)
	}
	if got := Of(events, 3); len(got) != 3 {
		t.Errorf("%d threads", len(got))
	}
}
