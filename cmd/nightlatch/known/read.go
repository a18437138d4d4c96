package known

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"nightlatch/cmd/nightlatch/cli"
)

// maxInput bounds what a pipe may bring: a long list of apps is far shorter.
const maxInput = 256 << 10

// read gives the values: one, typed without being shown, or the lines of a pipe.
func read(ctx context.Context, a *cli.App, kind string) ([]string, error) {
	if f, ok := a.Stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		text, err := ask(ctx, a, int(f.Fd()), kind)
		return lines(text, err)
	}
	text, err := io.ReadAll(io.LimitReader(a.Stdin, maxInput+1))
	if len(text) > maxInput {
		err = errors.New("the input is larger than 256 KiB")
	}
	return lines(string(text), err)
}

func lines(text string, err error) ([]string, error) {
	if err != nil {
		return nil, fmt.Errorf("known: %w", err)
	}
	var out []string
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("known: nothing was entered")
	}
	return out, nil
}

// ask reads one line without echo. An interrupt gives the terminal back as it
// was; the read itself ends with the program.
func ask(ctx context.Context, a *cli.App, fd int, kind string) (string, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(a.Stderr, "%s (not shown): ", kind)
	type answer struct {
		text []byte
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		done <- answer{text, err}
	}()
	defer fmt.Fprintln(a.Stderr)
	select {
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(fd, before))
	case got := <-done:
		return string(got.text), got.err
	}
}
