package blocklists

import (
	"fmt"
	"slices"
	"testing"
)

// TestTable fills buckets past their size, so that searches go on in the next
// one and around the end, and finds everything again.
func TestTable(t *testing.T) {
	for _, n := range []int{0, 1, 7, 11, 100, 5000} {
		table := newTable(n, 42)
		for i := range n {
			table.add(table.hash(fmt.Sprint(i)), uint32(i))
		}
		over := 0
		for i := range table.buckets {
			if table.buckets[i].goesOn() {
				over++
			}
		}
		for i := range n {
			if got := slices.Collect(table.each(table.hash(fmt.Sprint(i)))); !slices.Contains(got, uint32(i)) {
				t.Fatalf("%d of %d is not found among %v", i, n, got)
			}
		}
		wrong := 0
		for i := range 1000 {
			wrong += len(slices.Collect(table.each(table.hash(fmt.Sprint("x", i)))))
		}
		if wrong > 5 {
			t.Errorf("%d rules: %d of 1000 other names met a tag", n, wrong)
		}
		if n == 5000 && over == 0 {
			t.Error("no bucket was full: the test tests nothing")
		}
	}
	same := newTable(3, 1) // one bucket, and records that share their hash
	for i := range lanes {
		same.add(7, uint32(i))
	}
	if got := slices.Collect(same.each(7)); len(got) != lanes {
		t.Errorf("%v", got)
	}
}
