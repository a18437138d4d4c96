// Package draft handles a text that is edited on a page: what forms do to it,
// and how it differs from the file. It is pure.
package draft

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"nightlatch/config/edit"
	"nightlatch/dashboard/visible"
)

// maxDiff bounds the lines of a change that are shown.
const maxDiff = 400

// Line is one line of a change.
type Line struct{ Sign, Text string } // Sign is +, -, @ or a blank

// Showable tells whether a page shows a text as it is. One that it would make
// visible letter by letter must not be saved from there.
func Showable(text []byte) bool { return bytes.Equal(visible.Text(text), text) }

// LikeFile gives a text of a form the line ends of the file that it is for:
// forms send CR LF always (HTML Living Standard §4.10.21.5).
func LikeFile(text string, old []byte) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if bytes.Contains(old, []byte("\r\n")) {
		return strings.ReplaceAll(text, "\n", "\r\n")
	}
	return text
}

// Digest tells two texts apart: SHA-256, in hex.
func Digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Diff gives what changed, line by line, as the unified format has it.
func Diff(old, text string) (out []Line) {
	for line := range strings.Lines(edit.Diff([]byte(old), []byte(text))) {
		if len(out) == maxDiff {
			return append(out, Line{"@", "and more"})
		}
		line = strings.TrimSuffix(line, "\n")
		if line != "" {
			out = append(out, Line{line[:1], line[1:]})
		}
	}
	return out
}
