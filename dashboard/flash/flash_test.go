package flash

import (
	"fmt"
	"testing"
	"time"
)

func TestBox(t *testing.T) {
	var b Box
	now := time.Unix(1_000_000, 0)
	b.Put("a", Word{Problem: "old"}, now)
	b.Put("a", Word{Problem: "new"}, now)
	if w := b.Take("b", now); w != nil {
		t.Errorf("another session is told %+v", w)
	}
	if w := b.Take("a", now); w == nil || w.Problem != "new" {
		t.Errorf("took %+v", w)
	}
	if w := b.Take("a", now); w != nil {
		t.Errorf("told twice: %+v", w)
	}
	b.Put("a", Word{}, now)
	if w := b.Take("a", now.Add(Life)); w != nil {
		t.Error("told after its time")
	}
	for i := range 10 * most {
		b.Put(fmt.Sprint(i), Word{}, now)
	}
	if len(b.words) > most {
		t.Errorf("%d words wait", len(b.words))
	}
}
