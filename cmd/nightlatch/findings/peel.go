package findings

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"nightlatch/decoder"
)

const (
	previewText  = 72  // characters of a layer that are shown: one line of a terminal
	previewBytes = 20  // octets of a layer that is no text
	wholeText    = 720 // characters of the innermost layer: enough to read what it is about
)

// Peel prints the layers on the way to a finding, outside in: the beginning of
// each as it was sent, and more of the innermost, which is what a person reads.
func Peel(w io.Writer, trail []decoder.Layer, indent string) {
	for i, l := range trail {
		if i == len(trail)-1 {
			fmt.Fprintf(w, "%s%-8s %6d bytes\n", indent, decoder.Safe(l.Codec), len(l.Data))
			printWrapped(w, Clip(string(l.Data), wholeText), indent+"  ")
			return
		}
		fmt.Fprintf(w, "%s%-8s %6d bytes  %s\n", indent, decoder.Safe(l.Codec), len(l.Data), preview(l.Data))
	}
}

// preview is the beginning of a layer: as text, or in hex where it is none.
func preview(data []byte) string {
	if head := data[:min(len(data), previewText)]; utf8.Valid(head) && !strings.ContainsFunc(string(head), func(r rune) bool { return r < ' ' }) {
		return decoder.Safe(Clip(string(data), previewText))
	}
	dots := ""
	if len(data) > previewBytes {
		dots = " …"
	}
	return fmt.Sprintf("% x%s", data[:min(len(data), previewBytes)], dots)
}

// printWrapped breaks a long text without blanks into lines.
func printWrapped(w io.Writer, text, indent string) {
	const width = 96
	for line := []rune(decoder.Safe(text)); len(line) > 0; {
		n := min(len(line), width)
		fmt.Fprintf(w, "%s%s\n", indent, string(line[:n]))
		line = line[n:]
	}
}
