package findings

import (
	"strings"
	"testing"

	"nightlatch/decoder"
)

func TestPeel(t *testing.T) {
	var b strings.Builder
	Peel(&b, []decoder.Layer{
		{Codec: "form", Data: []byte("data=" + strings.Repeat("A", 200))},
		{Codec: "base64", Data: append([]byte{0x1f, 0x8b}, make([]byte, 40)...)},
		{Codec: "json", Data: []byte(`{"a":"` + "\x1b[31m" + strings.Repeat("b", 2000) + `"}`)},
	}, "  ")
	out := b.String()
	for _, want := range []string{"form        205 bytes  data=AAAA", "base64       42 bytes  1f 8b 00", "json       2013 bytes\n", "…"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("an escape sequence reached the terminal")
	}
	for line := range strings.Lines(out) {
		if len([]rune(line)) > 110 {
			t.Errorf("a line of %d characters", len([]rune(line)))
		}
	}
}
