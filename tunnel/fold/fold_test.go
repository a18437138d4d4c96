package fold

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"nightlatch/journal"
)

func at(dst, name string) journal.Flow {
	return journal.Flow{Proto: "tcp", Dst: netip.MustParseAddrPort(dst), Name: name}
}

func TestRefusals(t *testing.T) {
	var r Refusals
	now := time.Unix(1000, 0)
	for i := range 50 {
		fresh, full, again := r.Fold(at("192.0.2.1:80", "a.example"), now)
		if fresh != (i == 0) || full || again != i {
			t.Fatalf("%d: %v %v %d", i, fresh, full, again)
		}
	}
	if fresh, _, _ := r.Fold(at("192.0.2.1:80", "b.example"), now); !fresh {
		t.Error("another name at the same address is folded")
	}
	if out := r.Unfold(now.Add(Time - 1)); out != nil {
		t.Errorf("too early: %v", out)
	}
	if out := r.Unfold(now.Add(Time)); len(out) != 1 || out[0].Err != "49 more times in 1m0s" || out[0].Name != "a.example" {
		t.Errorf("%+v", out)
	}
	for i := range Max + 5 {
		_, full, _ := r.Fold(at(fmt.Sprintf("192.0.2.1:%d", i), ""), now)
		if full != (i >= Max) {
			t.Fatalf("%d: full %v", i, full)
		}
	}
}

func TestDelay(t *testing.T) {
	const step = 250 * time.Millisecond
	for again, want := range []time.Duration{0, 0, 0, 0, 0, step, 2 * step, 4 * step, 8 * step, 16 * step, longest, longest} {
		if got := Delay(again, step); got != want {
			t.Errorf("%d: %v, want %v", again, got, want)
		}
	}
	if Delay(1<<40, step) != longest || Delay(100, 0) != 0 {
		t.Error("no bound")
	}
}

func TestNotices(t *testing.T) {
	var n Notices
	now := time.Unix(1000, 0)
	for i, c := range []struct {
		device string
		after  time.Duration
		want   bool
	}{{"a", 0, true}, {"a", time.Minute, false}, {"b", time.Minute, true}, {"a", NoticeEvery, true}, {"a", NoticeEvery + 1, false}} {
		if got := n.Due(c.device, "tcp", now.Add(c.after), NoticeEvery); got != c.want {
			t.Errorf("%d: %v", i, got)
		}
	}
}
