package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// changing is what differs from run to run in the words of try.
var changing = regexp.MustCompile(`127\.0\.0\.1:\d+ *|\d+(\.\d+)?(ms|µs|s)\b|28\.53\.\d+\.\d+|crc=-?\d+|H4sI\S*|\s*\d+ bytes\b|1f 8b 08 [0-9a-f ]+`)

// TestReadmeShowsTry: the README shows what try really prints.
func TestReadmeShowsTry(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(readme), "$ go run ./cmd/nightlatch try\n")
	if !ok {
		t.Fatal("the README has no output of try")
	}
	shown, _, _ := strings.Cut(rest, "```")
	var out, errs bytes.Buffer
	if code := run([]string{"try"}, strings.NewReader(""), &out, &errs); code != exitOK {
		t.Fatalf("try ends with %d: %s", code, errs.String())
	}
	want := strings.Split(changing.ReplaceAllString(out.String(), "~"), "\n")
	got := strings.Split(changing.ReplaceAllString(shown, "~"), "\n")
	for i := range max(len(want), len(got)) {
		w, g := "(nothing)", "(nothing)"
		if i < len(want) {
			w = strings.TrimRight(want[i], " ")
		}
		if i < len(got) {
			g = strings.TrimRight(got[i], " ")
		}
		if w != g {
			t.Errorf("line %d of try's output: the README shows\n%s\nbut it prints\n%s", i+1, g, w)
		}
	}
}
