package main

import (
	"bytes"
	"nightlatch/cmd/nightlatch/cli"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestEveryCommandHelps: each says what it does, shows an example that begins
// with its own name, and names the exit codes.
func TestEveryCommandHelps(t *testing.T) {
	n := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		path := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short help %q", path, c.Short)
		}
		for line := range strings.Lines(c.Example) {
			if !strings.HasPrefix(line, "  nightlatch") && !strings.HasPrefix(line, "  echo") {
				t.Errorf("%s: example %q", path, line)
			}
		}
		if !strings.Contains(c.Example, path) {
			t.Errorf("%s: no example shows it", path)
		}
		var stdout, stderr bytes.Buffer
		args := append(strings.Fields(path)[1:], "--help")
		if code := run(args, strings.NewReader(""), &stdout, &stderr); code != exitOK || stderr.Len() > 0 {
			t.Errorf("%s --help: code %d, %s", path, code, stderr.String())
		}
		if !strings.Contains(stdout.String(), "Exit codes: 0 ") {
			t.Errorf("%s: help without exit codes", path)
		}
		for line := range strings.Lines(stdout.String()) {
			if len(line) > 140 {
				t.Errorf("%s: a help line of %d characters: %s", path, len(line), line)
			}
		}
		n++
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&app{&cli.App{}}).root())
	if n < 20 {
		t.Errorf("only %d commands", n)
	}
}
