package terminal

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"
)

func TestFit(t *testing.T) {
	for _, c := range []struct {
		line  string
		width int
		want  string
	}{
		{"a     b", 0, "a     b"},
		{"a     b", 80, "a     b"},
		{"a     b", 5, "a   b"},
		{"a     b", 1, "a  b"},
		{"a   b      c", 9, "a   b   c"},
		{"a   b      c", 7, "a  b  c"},
		{"é     b", 5, "é   b"},
		{"", 5, ""},
		{"   ", 1, "  "},
		{"one word", 3, "one word"},
	} {
		if got := Fit(c.line, c.width); got != c.want {
			t.Errorf("Fit(%q, %d) = %q, want %q", c.line, c.width, got, c.want)
		}
	}
}

func FuzzFit(f *testing.F) {
	f.Add("a   b", 3)
	f.Fuzz(func(t *testing.T, line string, width int) {
		got := Fit(line, width)
		if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(line, " ", "") {
			t.Errorf("Fit(%q, %d) = %q lost more than spaces", line, width, got)
		}
		if len(strings.Fields(got)) != len(strings.Fields(line)) {
			t.Errorf("Fit(%q, %d) = %q joined columns", line, width, got)
		}
	})
}

func TestNoTerminal(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if Colours(f) || Colours(new(bytes.Buffer)) || Width(f) != 0 || Width(new(bytes.Buffer)) != 0 {
		t.Error("a file is taken for a terminal")
	}
}

func TestCalm(t *testing.T) {
	var b bytes.Buffer
	log := Calm(&b)
	log.Debug("no")
	log.Info("no")
	log.With("room", "tunnel").WithGroup("g").Warn("something is\x1b[2J odd", "after", 5)
	log.Error("broken\nin two", slog.String("err", "x"))
	want := "nightlatch: warning: something is\\x1b[2J odd (room tunnel, after 5)\n"
	lines := strings.SplitAfter(b.String(), "\n")
	if len(lines) != 3 || lines[0] != want || !strings.HasPrefix(lines[1], "nightlatch: error: broken") || strings.Contains(b.String(), "\x1b") {
		t.Errorf("%q", b.String())
	}
}
