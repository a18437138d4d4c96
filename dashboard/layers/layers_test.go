package layers

import "testing"

// TestHolder: a value lies in the layer whose path is the longest above it.
func TestHolder(t *testing.T) {
	steps := []Step{{Path: "body/form:a"}, {Path: "body/form:a/base64"}, {Path: "body/form:ab"}}
	for path, want := range map[string]int{"body/form:a/base64/x": 1, "body/form:a/base64": 1, "body/form:a": 0, "body/form:abc": -1, "body/form:ab:x": 2, "header/x": -1, "": -1} {
		if got := holder(steps, path); got != want {
			t.Errorf("%q lies in %d, want %d", path, got, want)
		}
	}
}
