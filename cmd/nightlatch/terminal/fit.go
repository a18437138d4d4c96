// Package terminal is what the program knows of the terminal it writes to: how
// wide it is, whether it takes colours, and in which words troubles are told.
package terminal

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// Colours tells whether w is a terminal that wants colours (NO_COLOR).
func Colours(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""
}

// Width gives the columns of the terminal that w is; 0 when it is none.
func Width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

// gap is what is left between two columns of a table at the least.
const gap = 2

// Fit makes a line of columns narrower by taking from its widest gap, until it
// has at most width columns or no gap is wider than two. Nothing but spaces is
// taken; a width of 0 leaves the line as it is.
func Fit(line string, width int) string {
	for width > 0 {
		over := utf8.RuneCountInString(line) - width
		at, size := widestGap(line)
		if over <= 0 || size <= gap {
			break
		}
		line = line[:at] + line[at+min(over, size-gap):]
	}
	return line
}

// widestGap finds the longest run of spaces: where it begins, how long it is.
func widestGap(line string) (at, size int) {
	for i := 0; i < len(line); {
		run := len(line[i:]) - len(strings.TrimLeft(line[i:], " "))
		if run > size {
			at, size = i, run
		}
		i += max(run, 1)
	}
	return at, size
}
